#[llmobs::tool]
unsafe extern "C" fn printf(_format: *const u8, _args: ...) {}

fn main() {}
