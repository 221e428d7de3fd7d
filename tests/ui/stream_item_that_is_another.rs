use futures::Stream;

struct Item;

// What the signature says of the items holds.
#[llmobs::llm(stream)]
fn tokens() -> impl Stream<Item = String> {
    futures::stream::iter([1])
}

// So does the type of what `output` is given.
#[llmobs::llm(stream, output = |item| item.text)]
fn no_such_field() -> impl Iterator<Item = Item> {
    [Item].into_iter()
}

// Not every type says by itself what it adds.
fn by_hand(span: &llmobs::Span) {
    span.wrap_stream(futures::stream::iter([Item]));
}

fn main() {}
