fn main() {
    let _ = #[llmobs::task]
    || 1;
}
