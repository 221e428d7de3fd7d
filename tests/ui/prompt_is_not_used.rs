#![deny(unused_must_use)]

fn main() {
    llmobs::prompt!("hello", "Hello");
}
