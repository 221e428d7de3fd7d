#![deny(unused, clippy::all)]

#[llmobs::workflow]
pub fn unused_argument(a: u8, b: u8) -> u8 {
    a
}

#[llmobs::llm(skip(b))]
pub async fn unused_skipped(a: u8, b: u8) -> u8 {
    a
}

#[llmobs::workflow]
pub fn needless_mut(mut a: u8) -> u8 {
    a
}

#[llmobs::workflow]
pub fn unused_variable(a: u8) -> u8 {
    let c = 1;
    a
}

#[llmobs::workflow]
pub async fn unused_result(a: u8) -> u8 {
    std::fs::remove_file("x");
    a
}

#[llmobs::workflow]
pub fn unreachable(a: u8) -> u8 {
    return a;
    a + 1
}

#[llmobs::workflow]
pub fn braces(a: u8) -> u8 {
    let b = { 7 };
    a + b
}

#[llmobs::workflow]
fn never_called() {}

fn main() {}
