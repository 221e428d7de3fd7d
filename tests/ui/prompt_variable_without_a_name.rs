use llmobs::prompt;

struct User {
    name: String,
}

fn greet(user: &User) -> String {
    prompt!("greet", "Hi {{name}}", user.name).text()
}

fn colon(user: &User) -> String {
    prompt!("greet", "Hi {{name}}", name: user.name).text()
}

fn word() -> String {
    prompt!("greet", "Hi {{type}}", type).text()
}

fn braces() -> String {
    prompt!("greet", "Hi {{name}}", "{{name}}" = 1).text()
}

fn main() {}
