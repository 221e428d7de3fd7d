use futures::Stream;

#[llmobs::llm(stream)]
fn tokens() -> impl Stream<Item = String> {
    futures::stream::empty()
}

#[llmobs::llm(stream)]
fn text() -> String {
    String::new()
}

fn main() {}
