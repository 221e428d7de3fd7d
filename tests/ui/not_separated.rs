#[llmobs::task(name = "a" session_id = "b")]
fn no_comma() {}

fn main() {}
