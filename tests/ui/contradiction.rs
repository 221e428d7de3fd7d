#[llmobs::tool(input = text, capture_input = true)]
fn input(text: &str) -> usize {
    text.len()
}

#[llmobs::tool(output = |n| n + 1, capture_output = false)]
fn output(text: &str) -> usize {
    text.len()
}

#[llmobs::tool(input = text, capture_input = false)]
fn input_twice(text: &str) -> usize {
    text.len()
}

#[llmobs::tool(output = |never| never)]
fn never(text: &str) -> ! {
    panic!("{text}")
}

fn main() {}
