use llmobs::prompt;

const PATH: &str = "translate.txt";

fn main() {
    let text = "good morning";
    prompt!(file = PATH, text);
    prompt!(file = "", text);
    prompt!(file = "..", text);
    prompt!(file = concat!("translate", ".txt"), text);
    prompt!(file = "translate.txt", "translate", text);
    prompt!(file = "translate.txt", text, text);
}
