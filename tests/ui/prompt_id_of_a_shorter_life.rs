use llmobs::{Prompt, prompt};

fn named(id: &str) -> Prompt {
    prompt!(id, "No places.")
}

fn main() {}
