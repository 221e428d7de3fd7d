use llmobs::prompt;

fn main() {
    let text = "good morning";
    prompt!("", "Translate {{text}}", text);
    prompt!(1, "Translate {{text}}", text);
    prompt!("Translate {{text}}", text);
    prompt!("translate");
    prompt!();
}
