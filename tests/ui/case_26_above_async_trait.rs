#[async_trait::async_trait]
trait Tool {
    async fn run(&self);
}

struct Search;

#[llmobs::tool]
#[async_trait::async_trait]
impl Tool for Search {
    async fn run(&self) {}
}

fn main() {}
