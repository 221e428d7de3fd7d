#[llmobs::task(name = "", tags("" = 1))]
fn nameless() {}

fn main() {}
