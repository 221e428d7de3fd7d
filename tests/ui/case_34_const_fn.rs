#[llmobs::task]
const fn constant(a: u8) -> u8 {
    a
}

fn main() {}
