#[llmobs::task(future)]
async fn already() -> u8 {
    1
}

#[llmobs::task(future)]
fn nothing() {}

fn main() {}
