#[llmobs::llm(name = "a", model_name = "m", name = "b")]
fn twice() {}

#[llmobs::task(tags(a = 1, a = 2), metadata("k" = 1, k = 2), skip(x, x))]
fn keys_twice(x: u8) {
    let _ = x;
}

fn main() {}
