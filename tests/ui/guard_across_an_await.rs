use std::future::{Future, ready};

use llmobs::{Context, Span};

fn spawn(future: impl Future + Send) {
    drop(future);
}

async fn holds_a_span() {
    let _in = Span::task("work").start().enter();
    ready(()).await;
}

async fn holds_a_context() {
    let _in = Context::root().attach();
    ready(()).await;
}

#[llmobs::workflow]
async fn holds_a_span_below_an_attribute() {
    let _in = Span::task("work").start().enter();
    ready(()).await;
}

fn main() {
    spawn(holds_a_span());
    spawn(holds_a_context());
    spawn(holds_a_span_below_an_attribute());
}
