use llmobs::{Annotation, Document, Evaluation, Feedback, Prompt, TokenUsage};

#[derive(serde::Serialize)]
enum Mode {
    Fast,
}

fn main() {
    let _ = Annotation::new().metadata("mode", Mode::Fast);
    let _ = Annotation::new().metadata("mode", Some(Mode::Fast));
    let _ = Annotation::new().metric("mode", Mode::Fast);
    let _ = Annotation::new().output(vec![Mode::Fast]);
    let _ = Annotation::new().name(&Mode::Fast);
    let _ = Annotation::new().usage(TokenUsage::new().input(1.5));
    let _ = Prompt::new("p").template(Mode::Fast);
    let _ = Document::new("d").score("0.5");
    let _ = Evaluation::new("e", Mode::Fast);
    let _ = Feedback::new("f", Mode::Fast, "user-1");
    let _ = Feedback::new("f", true, 17);
}
