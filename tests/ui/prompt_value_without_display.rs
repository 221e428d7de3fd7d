use llmobs::prompt;

struct Language {
    code: Option<&'static str>,
}

fn main() {
    let text = Some("good morning");
    let language = Language { code: None };
    let _ = prompt!("translate", "Translate {{text}} to {{lang}}", text, lang = language.code);
    let _ = prompt!("translate", "Translate to {{lang}}", lang = language);
}
