#[llmobs::tool(skip(request.key), metadata(model.top_p = 1, top-k = 2))]
fn search(request: &str) -> usize {
    request.len()
}

#[llmobs::tool(,)]
fn nothing_but_a_comma() {}

fn main() {}
