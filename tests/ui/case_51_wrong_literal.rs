#[llmobs::llm(name = 5, model_name = true, capture_output = "no", session_id = 'c')]
fn literals() -> u8 {
    1
}

#[llmobs::task(crate = "llmobs")]
fn path_in_quotes() {}

fn main() {}
