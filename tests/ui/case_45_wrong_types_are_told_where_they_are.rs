#[llmobs::workflow]
pub fn missing_tail(a: u8) -> u8 {
    a + 1;
}

#[llmobs::workflow]
pub async fn missing_tail_async(a: u8) -> u8 {
    a + 1;
}

#[llmobs::workflow]
pub fn early(a: u8) -> u8 {
    if a == 0 {
        return "zero";
    }
    a
}

#[llmobs::workflow]
pub async fn early_async(a: u8) -> Result<u8, String> {
    if a == 0 {
        return Err(1);
    }
    Ok(a)
}

#[llmobs::workflow]
pub fn wrong_tail(a: u8) -> String {
    a
}

fn main() {}
