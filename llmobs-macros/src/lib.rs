//! The attributes of `llmobs`: each makes a span of the calls of a function.
//!
//! ```
//! use llmobs::{llm, workflow};
//!
//! #[llm(model_name = "claude", model_provider = "anthropic")]
//! async fn ask(prompt: &str) -> Result<String, std::io::Error> {
//!     Ok(format!("an answer to {prompt}"))
//! }
//!
//! #[workflow(name = "answer", tags(team = "core"), skip(api_key))]
//! async fn answer(question: &str, api_key: &str) -> Result<String, std::io::Error> {
//!     ask(question).await
//! }
//! ```
//!
//! Use them by the facade, `llmobs`, which re-exports them.
//!
//! # Arguments
//!
//! | argument | meaning | on |
//! |---|---|---|
//! | `name = expr` | the span's name; default: the function's | all |
//! | `model_name = expr`, `model_provider = expr` | default: `unknown` | `llm`, `embedding` |
//! | `version = expr` | the tag `agent_version` | `agent` |
//! | `session_id = expr` | the session; default: the parent's | all |
//! | `ml_app = expr`, `agent_service = expr` | the application; default: the parent's, else the configured one | all |
//! | `tags(key = expr, "other.key" = expr)` | tags; a value is what its `Display` gives | all |
//! | `metadata(key = expr)` | properties of the call, such as `temperature` | all |
//! | `input = expr` | the input, in place of the arguments | all |
//! | `output = \|returned\| expr` | the output, by reference to the returned value, or to what is in its `Ok` | all |
//! | `capture_input = bool`, `capture_output = bool` | whether arguments and returned value are captured | all |
//! | `skip(a, b)` | arguments that are not captured | all |
//! | `future` | the function returns an alias of a boxed future | all |
//! | `crate = path` | where `llmobs` is, if it is not `::llmobs` | all |
//!
//! Expressions may use the function's arguments and `self`. They are evaluated once, when
//! the span starts, and not at all while llmobs is not enabled; their values are borrowed,
//! so `model_name = self.model` takes nothing away. Text is `&str`, `String`, `Cow<str>`,
//! `Box<str>`, `Arc<str>`, or an `Option` of one, where `None` is "not set".
//!
//! # What is captured
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
//! their number. `Ok(value)` is the output; `Err(error)` makes the span an error; `None`
//! and `()` are no output. What is annotated by hand wins.
//!
//! # Functions that are async
//!
//! The span of an `async fn` starts when it is first polled; one that is never polled has
//! none. A function that returns a future (`impl Future`, `BoxFuture`, `LocalBoxFuture`,
//! `Pin<Box<dyn Future>>`) starts its span when it is called. That is also what a method
//! below `#[async_trait]` is. Either way the span is current during each poll and ends
//! with the future; if that is dropped unfinished, the span has the tag `cancelled:true`.
//!
//! # What stable Rust does not allow
//!
//! * Below `#[track_caller]` the location is right, and for that the output is captured
//!   only if the body has no `return` and no `?`. A function that returns `!` or `impl Fn`
//!   has a span without output.
//! * A future of a named type, such as `Ready<T>`, and one inside of a `Result` or an `Option`
//!   cannot be wrapped: the span covers the call, with a warning. One behind an alias of a boxed future needs `future`. A boxed
//!   future is boxed once more.
//! * `const fn`, functions with C's variable arguments and closures cannot have attributes.
//! * A type that is `Serialize` for `'static` only is an error of the borrow checker: use `skip`.
//! * Arguments are dropped in the order of the bare function, but for those that are
//!   unused, begin with `_`, or are `mut` in an `async fn`. A future grows by 32 bytes, and
//!   by the size of a `mut` or unused argument once more.

#![forbid(unsafe_code)]

use proc_macro2::TokenStream;

use crate::attr::{Args, Errors};
use crate::kind::Kind;
use crate::signature::Function;

mod attr;
mod expand;
mod fallback;
mod kind;
mod names;
mod shape;
mod signature;
mod valid;

macro_rules! attributes {
    ($($(#[$doc:meta])* $name:ident $kind:ident;)*) => {$(
        $(#[$doc])*
        #[proc_macro_attribute]
        pub fn $name(
            args: proc_macro::TokenStream,
            item: proc_macro::TokenStream,
        ) -> proc_macro::TokenStream {
            attribute(Kind::$kind, args.into(), item.into()).into()
        }
    )*};
}

attributes! {
    /// A call of a language model.
    ///
    /// The returned value is the output, as messages; the input is annotated by hand, or
    /// captured with `capture_input = true`.
    ///
    /// ```
    /// use llmobs::{Annotation, llm};
    ///
    /// #[llm(model_name = "claude", model_provider = "anthropic")]
    /// async fn summarise(text: &str) -> Result<String, std::io::Error> {
    ///     llmobs::annotate(None, Annotation::new().input(("user", text))).ok();
    ///     Ok(format!("the gist of {text}"))
    /// }
    /// ```
    ///
    /// The [crate's documentation](crate) tells the arguments and what is captured.
    llm Llm;
    /// A fixed sequence of steps.
    ///
    /// ```
    /// use llmobs::workflow;
    ///
    /// #[workflow(name = format!("answer {topic}"), session_id = session)]
    /// fn answer(topic: &str, session: &str) -> Option<String> {
    ///     (!session.is_empty()).then(|| topic.to_uppercase())
    /// }
    /// ```
    ///
    /// The [crate's documentation](crate) tells the arguments and what is captured.
    workflow Workflow;
    /// A model that decides its own steps.
    ///
    /// ```
    /// use llmobs::agent;
    ///
    /// struct Planner {
    ///     version: String,
    /// }
    ///
    /// impl Planner {
    ///     #[agent(version = self.version)]
    ///     async fn plan(&mut self, goal: String) -> Vec<String> {
    ///         vec![goal]
    ///     }
    /// }
    /// ```
    ///
    /// The [crate's documentation](crate) tells the arguments and what is captured.
    agent Agent;
    /// A call of a program or service that a model asked for.
    ///
    /// ```
    /// use llmobs::tool;
    ///
    /// #[tool(skip(api_key), metadata(unit = "C"))]
    /// fn weather(city: &str, api_key: &str) -> Result<f32, String> {
    ///     if api_key.is_empty() { Err(format!("no key for {city}")) } else { Ok(21.5) }
    /// }
    /// ```
    ///
    /// The [crate's documentation](crate) tells the arguments and what is captured.
    tool Tool;
    /// A step without a call to the outside.
    ///
    /// ```
    /// use llmobs::task;
    ///
    /// #[task(output = |words| words.len())]
    /// fn split(text: &str) -> Vec<String> {
    ///     text.split(' ').map(str::to_owned).collect()
    /// }
    /// ```
    ///
    /// The [crate's documentation](crate) tells the arguments and what is captured.
    task Task;
    /// A call of an embedding model.
    ///
    /// ```
    /// use llmobs::embedding;
    ///
    /// #[embedding(model_name = "ada", capture_input = true)]
    /// fn embed(texts: &[String]) -> Vec<Vec<f32>> {
    ///     texts.iter().map(|text| vec![text.len() as f32]).collect()
    /// }
    /// ```
    ///
    /// The [crate's documentation](crate) tells the arguments and what is captured.
    embedding Embedding;
    /// A search in a knowledge base.
    ///
    /// ```
    /// use llmobs::{Document, retrieval};
    ///
    /// #[retrieval(capture_output = true)]
    /// fn search(query: &str) -> Vec<Document> {
    ///     vec![Document::new(format!("about {query}")).score(0.9)]
    /// }
    /// ```
    ///
    /// The [crate's documentation](crate) tells the arguments and what is captured.
    retrieval Retrieval;
}

/// The module of the runtime that this version of the macros writes for.
fn version() -> String {
    let version = env!("CARGO_PKG_VERSION").replace(|c: char| !c.is_alphanumeric(), "_");
    format!("v{version}")
}

fn attribute(kind: Kind, args: TokenStream, item: TokenStream) -> TokenStream {
    fallback::guard(kind, item.clone(), || expand(kind, args, item))
}

fn expand(kind: Kind, args: TokenStream, item: TokenStream) -> syn::Result<TokenStream> {
    let mut errors = Errors::default();
    let args = Args::parse(kind, args, &mut errors);
    match Function::parse(kind.name(), item) {
        Ok(function) => {
            valid::check(kind, &args, &function, &mut errors);
            match errors.into_inner() {
                Some(error) => Err(error),
                None => Ok(expand::expand(kind, &args, &function)),
            }
        }
        Err(error) => {
            errors.push(error);
            errors
                .into_inner()
                .map_or_else(|| Ok(TokenStream::new()), Err)
        }
    }
}

#[cfg(test)]
mod tests;
