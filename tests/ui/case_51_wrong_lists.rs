#[llmobs::tool(tags(a = 1 b = 2), metadata(= 1, [k] = 2), skip("key", a b))]
fn search(key: &str, a: u8, b: u8) -> usize {
    key.len() + usize::from(a + b)
}

#[llmobs::tool(5, true)]
fn positional() {}

fn main() {}
