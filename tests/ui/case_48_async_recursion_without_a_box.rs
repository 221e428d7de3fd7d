#[llmobs::workflow]
async fn countdown(n: u8) -> u8 {
    if n == 0 { 0 } else { countdown(n - 1).await }
}

fn main() {}
