#[llmobs::tool(skip(api_kye, self))]
fn search(api_key: &str) -> usize {
    api_key.len()
}

fn main() {}
