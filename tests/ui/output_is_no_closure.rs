#[llmobs::tool(output = "text")]
fn text() -> u8 {
    1
}

#[llmobs::tool(output = |a, b| a)]
fn two() -> u8 {
    1
}

fn main() {}
