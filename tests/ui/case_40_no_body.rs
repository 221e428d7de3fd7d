trait Tool {
    #[llmobs::tool]
    fn run(&self, input: String) -> String;

    #[llmobs::tool]
    async fn run_async(&self) -> u8;
}

fn main() {}
