use llmobs::prompt;

fn main() {
    let txet = "good morning";
    let prompt = prompt!("translate", "Translate {{text}} to {{lang}}", txet, langs = "French");
    println!("{}", prompt.text());
}
