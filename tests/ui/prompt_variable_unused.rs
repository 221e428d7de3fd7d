use llmobs::prompt;

fn main() {
    let (text, lang) = ("good morning", "French");
    let prompt = prompt!("translate", "Translate {{text}}", text, lang);
    println!("{}", prompt.text());
    prompt!("braces", "Translate {text}", text);
}
