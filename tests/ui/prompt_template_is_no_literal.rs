use llmobs::prompt;

const TEMPLATE: &str = "Translate {{text}}";

fn main() {
    let text = "good morning";
    prompt!("translate", TEMPLATE, text);
    prompt!("translate", format!("Translate {}", text));
    prompt!("translate", include_str!("translate.txt"), text);
    prompt!("translate", "", text);
    prompt!("translate", [("user", TEMPLATE), "Translate"], text);
}
