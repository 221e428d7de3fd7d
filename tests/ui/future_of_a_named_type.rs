#![deny(deprecated)]

use std::future::{Ready, ready};

#[llmobs::task]
fn named() -> Ready<u8> {
    ready(1)
}

fn main() {}
