#[llmobs::tool(model_name = "m")]
fn tool() {}

#[llmobs::workflow(version = "1")]
fn workflow() {}

fn main() {}
