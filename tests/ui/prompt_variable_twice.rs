use llmobs::prompt;

fn main() {
    let text = "good morning";
    let prompt = prompt!("translate", "Translate {{text}}", text, text = "good night");
    println!("{}", prompt.text());
}
