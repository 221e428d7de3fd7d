#[llmobs::tool(nmae = "a", model_name = "b", capture_input = 1, skip(c), name = "", tags(d e = 1))]
const fn all_of_them_at_once(a: u8) -> u8 {
    a
}

fn main() {
    // The function is there all the same.
    let _: u8 = all_of_them_at_once(1);
}
