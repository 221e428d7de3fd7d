struct Model;

#[llmobs::llm(model_name = Model, name = 1 + 1)]
fn model() {}

#[llmobs::task(tags(model = Model))]
fn tag() {}

fn main() {}
