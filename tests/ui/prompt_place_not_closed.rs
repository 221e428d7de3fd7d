use llmobs::prompt;

fn main() {
    let (text, lang) = ("good morning", "French");
    let prompt = prompt!("translate", "Translate {{text to {{lang}}", text, lang);
    println!("{}", prompt.text());
    prompt!("translate", "Translate {{text}} to {{lang}", text, lang);
}
