#[llmobs::task(name, session_id =, tags, metadata(k), skip = a, future = true)]
fn halves() {}

#[llmobs::task("name")]
fn positional() {}

fn main() {}
