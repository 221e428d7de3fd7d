#[llmobs::task(name, session_id =, tags, metadata(k), skip = a, future = true)]
fn halves() {}

#[llmobs::task("name")]
fn positional() {}

#[llmobs::task(output, capture_input, crate)]
fn words(a: u8) -> u8 {
    a
}

fn main() {}
