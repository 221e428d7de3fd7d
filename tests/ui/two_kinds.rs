#[llmobs::workflow]
#[llmobs::tool]
fn both(a: u8) -> u8 {
    a
}

fn main() {}
