#[llmobs::task]
union Union {
    a: u8,
}

#[llmobs::task]
pub use std::fmt;

#[llmobs::task]
static STATIC: u8 = 1;

#[llmobs::task]
unsafe impl Send for Union {}

fn main() {}
