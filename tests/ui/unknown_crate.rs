#[llmobs::task(crate = nowhere)]
fn lost(a: u8) -> Result<u8, String> {
    Ok(a)
}

fn main() {}
