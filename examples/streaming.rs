//! A model that streams: the span stays open until the last chunk has come, and the chunks
//! are put together as its output.
//!
//!     cargo run --example streaming
//!
//! The model is made up and answers twice. The second answer is broken off half-way: its
//! span keeps what came, with the tag `cancelled:true`.

use std::error::Error;
use std::future::{Future, poll_fn};
use std::pin::{Pin, pin};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use futures_core::Stream;
use llmobs::{
    Annotation, Chunk, Config, Destination, Memory, Message, StreamOutput, TokenUsage, llm,
    workflow,
};
use tokio::time::{Sleep, sleep};

/// What the model's server sends.
enum Event {
    Text(&'static str),
    Usage { input: u64, output: u64 },
}

// All that llmobs has to know of it.
impl Chunk for Event {
    fn add_to(&self, said: &mut StreamOutput) {
        match self {
            Event::Text(text) => said.role("assistant").text(text),
            Event::Usage { input, output } => {
                said.usage(TokenUsage::new().input(*input).output(*output))
            }
        };
    }
}

/// A call of the model: the span covers the call and the stream.
#[llm(stream, model_name = "parrot", model_provider = "example")]
async fn ask(question: &str) -> Result<impl Stream<Item = Event> + use<>, std::io::Error> {
    let asked = Annotation::new().input(Message::user(question));
    llmobs::annotate(None, asked).ok();
    // Stands for the request.
    std::future::ready(()).await;
    Ok(Answer {
        events: ["Rust ", "has ", "no ", "garbage ", "collector."]
            .map(Event::Text)
            .into_iter()
            .chain([Event::Usage {
                input: 9,
                output: 7,
            }])
            .collect::<Vec<_>>()
            .into_iter(),
        pause: Box::pin(sleep(Duration::from_millis(20))),
    })
}

/// Prints the answer while it comes, `words` of it at most.
#[workflow]
async fn answer(question: &str, words: usize) -> Result<usize, std::io::Error> {
    let mut events = pin!(ask(question).await?);
    let mut printed = 0;
    while printed < words
        && let Some(event) = poll_fn(|task| events.as_mut().poll_next(task)).await
    {
        if let Event::Text(text) = event {
            print!("{text}");
            printed += 1;
        }
    }
    println!();
    Ok(printed)
}

fn main() -> Result<(), Box<dyn Error>> {
    // An application leaves the destination out: then the spans go to Datadog, or to a journal.
    let memory = Memory::new();
    let _llmobs = Config::new()
        .ml_app("streaming")
        .destination(Destination::Memory(memory.clone()))
        .enable()?;
    run(&memory)
}

/// The guard lies outside of the runtime, so that it outlives every task.
#[tokio::main]
async fn run(memory: &Memory) -> Result<(), Box<dyn Error>> {
    answer("What does Rust not have?", usize::MAX).await?;
    answer("And in two words?", 2).await?;

    llmobs::flush_async(Duration::from_secs(5)).await?;
    for span in memory.spans() {
        println!();
        println!("{} {}", span["meta"]["span"]["kind"], span["name"]);
        println!("  output  {}", span["meta"]["output"]);
        println!("  metrics {}", span["metrics"]);
        let tags = span["tags"].as_array().into_iter().flatten();
        for tag in tags.filter(|tag| *tag == "cancelled:true") {
            println!("  tag     {tag}");
        }
    }
    Ok(())
}

/// The stream of the made-up server: an event every few milliseconds.
struct Answer {
    events: std::vec::IntoIter<Event>,
    pause: Pin<Box<Sleep>>,
}

impl Stream for Answer {
    type Item = Event;

    fn poll_next(mut self: Pin<&mut Self>, task: &mut Context<'_>) -> Poll<Option<Event>> {
        ready!(self.pause.as_mut().poll(task));
        self.pause = Box::pin(sleep(Duration::from_millis(5)));
        Poll::Ready(self.events.next())
    }
}
