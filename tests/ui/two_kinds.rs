#[llmobs::workflow]
#[llmobs::tool]
fn both(a: u8) -> u8 {
    a
}

#[cfg_attr(all(), llmobs::workflow)]
#[cfg_attr(all(), llmobs::tool)]
async fn both_by_cfg_attr(a: u8) -> u8 {
    a
}

#[llmobs::workflow]
#[inline]
#[llmobs::workflow]
fn twice(a: u8) -> u8 {
    a
}

fn main() {}
