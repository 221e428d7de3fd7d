#[llmobs::tool(input = text, capture_input = true)]
fn input(text: &str) -> usize {
    text.len()
}

#[llmobs::tool(output = |n| n + 1, capture_output = false)]
fn output(text: &str) -> usize {
    text.len()
}

fn main() {}
