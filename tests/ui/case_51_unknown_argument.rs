#[llmobs::llm(modle_name = "m")]
fn slip() {}

#[llmobs::tool(temperature = 0.5)]
fn another_word() {}

fn main() {}
