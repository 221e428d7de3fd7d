#![deny(deprecated)]

use futures::stream::BoxStream;

#[llmobs::llm]
fn items(to: u8) -> impl Iterator<Item = u8> {
    0..to
}

#[llmobs::tool]
async fn later(to: u8) -> Result<impl Iterator<Item = u8>, String> {
    Ok(0..to)
}

#[llmobs::task]
fn boxed(to: u8) -> Option<Box<dyn Iterator<Item = u8>>> {
    Some(Box::new(0..to))
}

#[llmobs::task]
fn a_future(to: u8) -> impl Future<Output = BoxStream<'static, u8>> {
    std::future::ready(Box::pin(futures::stream::iter(0..to)) as _)
}

// The call is all that is wanted, or the attribute says what is.
#[llmobs::task(capture_output = false)]
fn call_alone(to: u8) -> impl Iterator<Item = u8> {
    0..to
}

#[llmobs::task(output = |items| items.size_hint().0)]
fn selected(to: u8) -> impl Iterator<Item = u8> {
    0..to
}

#[llmobs::task(stream)]
fn streamed(to: u8) -> impl Iterator<Item = u8> {
    0..to
}

mod of_their_own {
    pub trait Stream {}
    impl Stream for u8 {}
}

#[llmobs::task]
fn another(to: u8) -> impl of_their_own::Stream {
    to
}

fn main() {}
