use llmobs::prompt;

fn main() {
    let text = "good morning";
    let prompt = prompt!("translate", "Translate {{text}} to {{lang}}", text);
    println!("{}", prompt.text());
    prompt!("key", "{{user.name}} {{}}");
    prompt!("chat", [("system", "{{a}}"), ("user", "{{ b }}")], a = 1);
}
