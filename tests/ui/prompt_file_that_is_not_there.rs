use llmobs::prompt;

fn main() {
    let prompt = prompt!(file = "nowhere/translate.txt", text = "good morning");
    println!("{}", prompt.text());
}
