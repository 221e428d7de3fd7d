use futures::stream::BoxStream;

type Tokens = BoxStream<'static, String>;

#[llmobs::llm(stream)]
fn alias() -> Tokens {
    Box::pin(futures::stream::empty())
}

#[llmobs::llm(stream)]
async fn alias_in_a_result() -> Result<Tokens, String> {
    Ok(alias())
}

#[llmobs::llm(stream)]
fn text() -> &'static str {
    ""
}

#[llmobs::llm(stream)]
fn nothing() {}

#[llmobs::llm(stream)]
fn no_end() -> ! {
    panic!()
}

#[llmobs::llm(stream)]
fn future_alone() -> impl Future<Output = String> {
    async { String::new() }
}

fn main() {}
