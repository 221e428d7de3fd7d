//! LLM Observability for Rust: annotate the functions of an LLM application; their spans
//! (inputs, outputs, models, tokens, errors) and the evaluations of their answers arrive in
//! Datadog LLM Observability, or on your own disk.
//!
//! ```
//! use llmobs::{llm, Annotation, Evaluation};
//!
//! #[llm(model_name = "claude", name = "invoke_llm", model_provider = "anthropic")]
//! fn llm_call(prompt: &str) -> String {
//!     llmobs::annotate(None, Annotation::new().input(("user", prompt))).ok();
//!     let completion = call_the_model(prompt);
//!     let span_context = llmobs::export_span(None);
//!     llmobs::submit_evaluation(span_context, Evaluation::new("sentiment", 10)).ok();
//!     completion
//! }
//! # fn call_the_model(_: &str) -> String { "completion".into() }
//! # llm_call("hi");
//! ```
//!
//! # Enabling
//!
//! [`enable`] at the top of `main` reads the `DD_*` and `LLMOBS_*` variables, starts the
//! worker and gives a guard; its drop flushes and shuts down. Keep it under a name:
//! `let _ = …` would shut down at once. [`Config`] says the same in code:
//!
//! ```
//! use llmobs::{Config, Destination, Memory};
//!
//! let memory = Memory::new();
//! let _llmobs = Config::new()
//!     .ml_app("support-chat")
//!     .destination(Destination::Memory(memory.clone()))
//!     .enable()?;
//! # Ok::<(), llmobs::ConfigError>(())
//! ```
//!
//! The guard has to outlive what has spans. The tasks of a tokio runtime end with the runtime, so the guard is made
//! outside of it, and `#[tokio::main]` stands on another function:
//!
//! ```ignore
//! fn main() -> Result<(), Box<dyn Error>> {
//!     let _llmobs = llmobs::enable()?;
//!     run()
//! }
//!
//! #[tokio::main]
//! async fn run() -> Result<(), Box<dyn Error>> {
//!     // the program
//! }
//! ```
//!
//! Spans that are open when the guard is dropped are waited for shortly ([`Guard`]), then told of in the log and counted
//! ([`Stats::open`]).
//!
//! While nothing is enabled, everything is there and does nothing: an annotated function
//! costs one relaxed atomic load more than a bare one, [`export_span`] gives `None`, and
//! [`annotate`], [`submit_evaluation`] and [`submit_feedback`] are `Ok`.
//!
//! # Configuration
//!
//! The setters of [`Config`] say what there is, with the variable of the same meaning, the
//! default and the range of each. Code wins over variables. A variable that decides where
//! data goes, or what leaves, is an error when it is wrong; a number out of range is a
//! warning ([`Config::warnings`]), and its default is used.
//!
//! # Where the data goes
//!
//! The first that applies:
//!
//! 1. what the code says: [`Config::destination`], any number of them;
//! 2. `DD_LLMOBS_AGENTLESS_ENABLED=1`: Datadog's intake, with `DD_API_KEY` and `DD_SITE`;
//! 3. a Datadog Agent that is named (`DD_TRACE_AGENT_URL`, `DD_AGENT_HOST`), whether it
//!    answers yet or not: events wait;
//! 4. an Agent that is found at `localhost:8126` or `/var/run/datadog/apm.socket`;
//! 5. `DD_API_KEY` is set: the intake;
//! 6. else the journal: files on disk, see [`Destination::Journal`].
//!
//! # The attributes
//!
//! [`macro@llm`], [`macro@workflow`], [`macro@agent`], [`macro@tool`], [`macro@task`],
//! [`macro@embedding`] and [`macro@retrieval`] wrap a function in a span: at its start the
//! current span becomes its parent, and it is sent when it ends, whatever its parent does.
//! They go on functions, async functions, methods, generic functions and methods of traits.
//! The signature stays as it is. The page of each attribute has its arguments.
//!
//! ## What is captured
//!
//! | kind | input | output |
//! |---|---|---|
//! | `workflow`, `agent`, `tool`, `task` | the arguments by name | the returned value |
//! | `llm` | only with `capture_input = true`: messages | the returned value as messages |
//! | `retrieval` | the arguments by name | only with `capture_output = true`: documents |
//! | `embedding` | only with `capture_input = true`: documents | only with `capture_output = true` |
//!
//! `self` and arguments whose name begins with `_` never are. A value is captured by
//! `Serialize`, else `Debug`, else as the name of its type: by what the signature proves,
//! so that a bare `T` is a name even where the caller's type is `Serialize`. No bound is
//! ever added. Locks, channels and atomics are captured as their type's name, bytes as
//! their number. What is named like a secret is `[redacted]`; [`Capture`] has the rule, and
//! turns capture off for the whole program. What is annotated by hand wins, and goes as it
//! is given.
//!
//! `Ok(value)` is the output; `None` and `()` are no output. `Err(error)` makes the span an
//! error, with the type, the message and the chain of sources; of an `anyhow::Error` the
//! message is the outermost context. A panic is an error of the type `panic`, and goes on.
//!
//! ## Functions that are async
//!
//! The span of an `async fn` starts when it is first polled; one that is never polled has
//! none. A function that returns a future (`impl Future`, `BoxFuture`, `LocalBoxFuture`,
//! `Pin<Box<dyn Future>>`) starts its span when it is called. That is also what a method
//! below `#[async_trait]` is. Either way the span is current during each poll and ends
//! with the future; if that is dropped unfinished, the span has the tag `cancelled:true`.
//!
//! ## Functions that return streams
//!
//! With `stream`, the span of a function that returns a stream or an iterator goes on with
//! it:
//!
//! ```
//! use llmobs::{Chunk, StreamOutput, TokenUsage, llm};
//!
//! /// What a model's server sends, piece by piece.
//! enum Event {
//!     Text(String),
//!     Usage { input: u64, output: u64 },
//! }
//!
//! impl Chunk for Event {
//!     fn add_to(&self, said: &mut StreamOutput) {
//!         match self {
//!             Event::Text(text) => said.role("assistant").text(text),
//!             Event::Usage { input, output } => {
//!                 said.usage(TokenUsage::new().input(*input).output(*output))
//!             }
//!         };
//!     }
//! }
//!
//! #[llm(stream, model_name = "claude")]
//! fn ask(prompt: &str) -> Result<impl Iterator<Item = Event>, std::io::Error> {
//!     let echo = [Event::Text(prompt.into()), Event::Usage { input: 1, output: 1 }];
//!     Ok(echo.into_iter())
//! }
//! ```
//!
//! The signature shows the stream: `impl Stream`, `BoxStream`, `LocalBoxStream`,
//! `Pin<Box<dyn Stream>>`, `impl Iterator` or `Box<dyn Iterator>`; alone, in a `Result` or
//! an `Option`, and of an `async fn` or a future. The span
//!
//! * starts with the call (that of an `async fn` at its first poll) and is current during
//!   the call and while the next item is made, but not while the stream waits to be asked;
//! * ends with the stream, at the first item that is an `Err`, or by a panic. If the stream
//!   is dropped before that, the span has the tag `cancelled:true` and keeps what came. If
//!   the function has no stream to give, it ends with the error;
//! * gets the metric `time_to_first_token`, in seconds: when the first item came that brings text, a
//!   thought or a tool call. An event of a known API that is empty, or names a role alone, does not count.
//!
//! Items with [`Chunk`] say what they add to the output: text, parts of messages and of tool
//! calls, usage. Others are captured like any value, as a list in which neighbouring texts
//! are one. `output = |item| …` chooses what of an item is looked at; so a chunk type of
//! another crate needs no more than `output = |chunk| chunk.text.clone()`, or a type of
//! yours around it that has `Chunk`. What is annotated by hand wins. A boxed stream is boxed
//! once more.
//!
//! Without `stream` the span ends when the function returns, and has no output; the compiler warns, unless
//! the attribute says `capture_output = false`.
//! [`Span::wrap_stream`] and [`Span::wrap_iterator`] do the same for code without attributes.
//!
//! ## What cannot be done
//!
//! * A stream behind an alias, or of a type with a name of its own, cannot have `stream`:
//!   that is an error.
//! * Below `#[track_caller]` the location is right, and the message of a panic comes from the panic hook:
//!   `enable` puts one in front of the program's, which it calls. The message is not seen while
//!   the program has set another one since, nor that of `resume_unwind`. In a
//!   method without a visibility, which may be a trait's, a macro that returns a `Result` early (`bail!`)
//!   is not seen: that counts as an error, and the span says so. `pub(self)` shows that a method is no
//!   trait's.
//! * A future of a named type, such as `Ready<T>`, and one inside of a `Result` or an
//!   `Option` cannot be wrapped: the span covers the call, with a warning. One behind an alias of a
//!   boxed future needs `future`, unless the alias is called `BoxFuture` or `LocalBoxFuture`. A boxed
//!   future is boxed once more.
//! * `const fn`, functions with C's variable arguments and closures cannot have attributes.
//! * An exception of C++ that passes an annotated function (`extern "C-unwind"`) ends the process while
//!   llmobs is enabled: Rust cannot catch it. Catch it on the other side.
//! * A type that is `Serialize` for `'static` only is an error of the borrow checker: use `skip`.
//! * Arguments are dropped in the order of the bare function, but for those that are
//!   unused, begin with `_`, or are `mut` in an `async fn`. A future grows by 32 bytes, and
//!   by the size of a `mut` or unused argument once more.
//!
//! # Spans by hand
//!
//! [`Span`] does the same for code without attributes:
//!
//! ```
//! use llmobs::{Annotation, Span, prelude::*};
//!
//! # async fn call() -> String { String::new() }
//! # async fn example() -> Result<(), Box<dyn std::error::Error>> {
//! let span = Span::llm("chat").model_name("claude").start();
//! let reply = call().in_span(&span).await;
//! span.annotate(Annotation::new().output(reply).metric("output_tokens", 12))?;
//! span.finish()?;
//! # Ok(())
//! # }
//! ```
//!
//! In code that is not async, [`Span::enter`] makes a span current until its guard is
//! dropped.
//!
//! # Threads and tasks
//!
//! The current span does not follow to another thread or task by itself:
//!
//! ```
//! use llmobs::{Context, prelude::*, task};
//!
//! #[task]
//! fn count(text: String) -> usize {
//!     text.len()
//! }
//!
//! #[task]
//! async fn store(length: usize) {}
//!
//! # async fn example() {
//! let context = Context::current();
//! std::thread::spawn(move || context.in_scope(|| count("a closure".into())));
//! tokio::spawn(store(8).in_current_context()); // a future
//! # }
//! ```
//!
//! [`AnnotationContext`] adds tags, a prompt or a name to every span that starts in a scope;
//! [`propagation`] carries a trace to another process.
//!
//! # Prompts
//!
//! [`macro@prompt`] makes a [`Prompt`] whose template is checked when the program is
//! compiled; [`Annotation::prompt`] attaches it.
//!
//! # Evaluations
//!
//! [`export_span`] gives the identity of a span, [`submit_evaluation`] attaches a score, a
//! category, a boolean or JSON to it. [`SpanContext`] survives as text or JSON, so that
//! another process can do so hours later; [`EvaluationsClient`] is for that, with a result
//! for each row. [`SpansClient`] does the same for finished spans that this process did not
//! make.
//!
//! [`submit_feedback`] sends what end users say of a span, a trace, a session, or of
//! whatever shares a join key with it.
//!
//! # Privacy
//!
//! [`Capture`] says how much is captured at all; [`Config::processor`] takes functions that see
//! every finished span before it leaves, and may change it or keep it back.
//!
//! # When something fails
//!
//! The function never notices. What is wrong with a call is its `Result`; trouble in the
//! background is a `tracing` event with the target `llmobs` (llmobs prints nothing) and a
//! count in [`stats`].
//!
//! # Testing
//!
//! With the feature `testing`, in `[dev-dependencies]`, the module
//! [`testing`](https://docs.rs/llmobs/latest/llmobs/testing/) has a client
//! in memory, and what it was given as a tree and in assertions:
//!
//! ```
//! #[llmobs::llm(name = "ask", model_name = "claude")]
//! fn ask(question: &str) -> String {
//!     format!("an answer to {question}")
//! }
//!
//! let llmobs = llmobs::testing::client();
//! llmobs.scope(|| ask("this"));
//! let finished = llmobs.finished();
//! assert_eq!(finished.tree(), "llm ask\n");
//! finished.span("ask").assert_output("an answer to this").assert_ok();
//! ```
//!
//! # Features
//!
//! * `enabled` (default): what an application turns on. A library depends with
//!   `default-features = false`: no HTTP client, no runtime, bare functions. Where no crate
//!   of a program turns it on, [`enable`] succeeds and does nothing.
//! * `testing`: the module of that name, for tests of annotated code; it turns on `enabled`.
//! * `log`: the lines that llmobs writes as `tracing` events (target `llmobs`) reach the logger of the crate `log`, with
//!   the same target and level, wherever no `tracing` subscriber takes them. No line comes twice.
//! * `http`: `http::HeaderMap` holds the headers that [`propagation`] reads and writes.
//! * `tower`: `propagation::ExtractLayer` for servers (axum, hyper, tonic) and
//!   `propagation::InjectLayer` for clients, so that a trace goes on across processes.
//! * `reqwest-middleware`: `propagation::InjectMiddleware` for clients of reqwest.

pub use llmobs_macros::{agent, embedding, llm, prompt, retrieval, task, tool, workflow};
pub use llmobs_runtime::*;

#[doc(hidden)]
pub use llmobs_runtime::__private;

// By name, so that the compiler can say which feature it wants.
#[cfg(feature = "testing")]
#[doc(inline)]
pub use llmobs_runtime::testing;

/// The extension traits, to be imported as a whole.
pub mod prelude {
    pub use llmobs_runtime::FutureExt as _;
}

#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
