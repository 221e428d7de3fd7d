//! The macros of `llmobs`: attributes, each of which makes a span of the calls of a function,
//! and [`prompt!`].
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
//! # The attributes
//!
//! Use them by the facade, `llmobs`, which re-exports them: its documentation tells what is
//! captured, how async functions behave and what stable Rust does not allow. The page of
//! each attribute has its arguments.

#![forbid(unsafe_code)]

use proc_macro2::TokenStream;

use crate::attr::{Args, Errors};
use crate::kind::Kind;
use crate::signature::Function;

mod attr;
mod exits;
mod expand;
mod fallback;
mod kind;
mod names;
mod place;
mod prompt;
mod shape;
mod signature;
mod valid;

macro_rules! attributes {
    ($($(#[$doc:meta])* $name:ident $kind:ident $(, $row:literal)*;)*) => {$(
        $(#[$doc])*
        ///
        /// # Arguments
        ///
        /// All are optional, in any order, separated by commas.
        ///
        /// | argument | meaning |
        /// |---|---|
        /// | `name = expr` | the span's name; default: the function's |
        $(#[doc = $row])*
        /// | `session_id = expr` | the session; default: the parent's |
        /// | `ml_app = expr`, `agent_service = expr` | the application, by its older and its newer name, which wins; default: the parent's, else the configured one |
        /// | `tags(key = expr, "other.key" = expr)` | tags; a value is what its `Display` gives |
        /// | `metadata(key = expr)` | properties of the call, such as `temperature` |
        /// | `input = expr` | the input, in place of the arguments |
        /// | `output = \|returned\| expr` | the output, by reference to the returned value, or to what is in its `Ok`; beside `stream`, what an item adds, by reference to the item or to what is in its `Ok` |
        /// | `capture_input = bool`, `capture_output = bool` | whether arguments and returned value are captured |
        /// | `skip(a, b)` | arguments that are not captured |
        /// | `stream` | the function returns a stream or an iterator: the span stays open until that ends, and its items are the output |
        /// | `future` | the function returns an alias of a boxed future |
        /// | `crate = path` | where `llmobs` is, if it is not `::llmobs` |
        ///
        /// Expressions may use the function's arguments and `self`. They are evaluated once,
        /// when the span starts, and not at all while llmobs is not enabled; their values are
        /// borrowed, so `name = self.name` takes nothing away. Text is `&str`, `String`,
        /// `Cow<str>`, `Box<str>`, `Arc<str>`, or an `Option` of one, where `None` is "not
        /// set".
        ///
        /// What is captured, what async functions and streams do, and what cannot have an
        /// attribute: [the attributes](index.html#the-attributes).
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
    ///
    /// // The span ends with the iterator; the pieces are one message.
    /// #[llm(stream, model_name = "claude")]
    /// fn spell(word: &str) -> Result<impl Iterator<Item = char>, std::io::Error> {
    ///     Ok(word.chars())
    /// }
    /// ```
    llm Llm,
        "| `model_name = expr`, `model_provider = expr` | the model and who runs it, lower-cased; default: `unknown` |";
    /// A fixed sequence of steps.
    ///
    /// The arguments are the input, by name, and the returned value is the output.
    ///
    /// ```
    /// use llmobs::workflow;
    ///
    /// #[workflow(name = format!("answer {topic}"), session_id = session)]
    /// fn answer(topic: &str, session: &str) -> Option<String> {
    ///     (!session.is_empty()).then(|| topic.to_uppercase())
    /// }
    /// ```
    workflow Workflow;
    /// A model that decides its own steps.
    ///
    /// The arguments are the input, by name, and the returned value is the output.
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
    agent Agent,
        "| `version = expr` | the tag `agent_version` |";
    /// A call of a program or service that a model asked for.
    ///
    /// The arguments are the input, by name, and the returned value is the output.
    ///
    /// ```
    /// use llmobs::tool;
    ///
    /// #[tool(skip(api_key), metadata(unit = "C"))]
    /// fn weather(city: &str, api_key: &str) -> Result<f32, String> {
    ///     if api_key.is_empty() { Err(format!("no key for {city}")) } else { Ok(21.5) }
    /// }
    /// ```
    tool Tool;
    /// A step without a call to the outside.
    ///
    /// The arguments are the input, by name, and the returned value is the output.
    ///
    /// ```
    /// use llmobs::task;
    ///
    /// #[task(output = |words| words.len())]
    /// fn split(text: &str) -> Vec<String> {
    ///     text.split(' ').map(str::to_owned).collect()
    /// }
    /// ```
    task Task;
    /// A call of an embedding model.
    ///
    /// Nothing is captured by itself. With `capture_input = true` the arguments are the input,
    /// as documents; with `capture_output = true` the returned value is the output.
    ///
    /// ```
    /// use llmobs::embedding;
    ///
    /// #[embedding(model_name = "ada", capture_input = true)]
    /// fn embed(texts: &[String]) -> Vec<Vec<f32>> {
    ///     texts.iter().map(|text| vec![text.len() as f32]).collect()
    /// }
    /// ```
    embedding Embedding,
        "| `model_name = expr`, `model_provider = expr` | the model and who runs it, lower-cased; default: `unknown` |";
    /// A search in a knowledge base.
    ///
    /// The arguments are the input, by name; the returned value is the output, as documents,
    /// only with `capture_output = true`.
    ///
    /// ```
    /// use llmobs::{Document, retrieval};
    ///
    /// #[retrieval(capture_output = true)]
    /// fn search(query: &str) -> Vec<Document> {
    ///     vec![Document::new(format!("about {query}")).score(0.9)]
    /// }
    /// ```
    retrieval Retrieval;
}

/// A prompt whose template is checked when the program is compiled.
///
/// ```
/// use llmobs::{Annotation, llm, prompt};
///
/// #[llm(model_name = "claude")]
/// fn translate(text: &str, to: Language) -> String {
///     let prompt = prompt!("translate", "Translate {{text}} to {{lang}}.", text, lang = to.name());
///     let answer = ask(&prompt.text());
///     llmobs::annotate(None, Annotation::new().prompt(prompt)).ok();
///     answer
/// }
/// # struct Language;
/// # impl Language { fn name(&self) -> &str { "French" } }
/// # fn ask(text: &str) -> String { text.to_owned() }
/// # assert_eq!(translate("good morning", Language), "Translate good morning to French.");
/// ```
///
/// It gives a [`Prompt`], whose methods say the rest: `text()` is for the model,
/// `version("1.2.0")`, `label(…)`, `tag(…)`, `context_variables(…)` and
/// `query_variables(…)` are for LLM Observability. Golden 09 shows what is sent.
///
/// # The template
///
/// A place of a variable is `{{name}}`, with or without spaces inside the braces, as often
/// as it is needed. Each place needs a variable and each variable a place; what is missing,
/// left over or given twice does not compile, nor does `{{` without `}}`. Single braces are
/// text. There is no escape: two braces that are to stay come from a variable, since what
/// is filled in is not looked at again.
///
/// ```
/// use llmobs::prompt;
///
/// let prompt = prompt!("jinja", "Write {{open}}name}} where {{what}} goes.", open = "{{", what = "a name");
/// assert_eq!(prompt.text(), "Write {{name}} where a name goes.");
/// ```
///
/// A chat template is a list of `("role", "content")`; `placeholder("name")` is where other
/// messages go, such as the history of a conversation.
///
/// ```
/// use llmobs::{Message, prompt};
///
/// let question = "Is it late?";
/// let prompt = prompt!(
///     "clock",
///     [
///         ("system", "You are {{role}}."),
///         placeholder("history"),
///         ("user", "{{question}}"),
///     ],
///     role = "a clock",
///     question,
/// );
/// let messages = [Message::system("You are a clock."), Message::user("Is it late?")];
/// assert_eq!(prompt.messages(), messages);
/// ```
///
/// # The variables
///
/// `name` alone is the local variable of that name, `name = expr` is any expression, and
/// `"user.name" = expr` has a name that is no identifier. A value is what its `Display`
/// gives; it is borrowed, and evaluated once, in order, whether llmobs is enabled or not: the
/// text is the program's own. `crate = path` among the variables says where `llmobs` is, if
/// it is not `::llmobs`.
///
/// # A template in a file
///
/// `file = "path"` stands in place of the template, relative to the source file as for
/// [`include_str!`], which reads it as it is, with the line's end at its end. Without an id
/// in front, the file's name without its ending is the id. A path such as
/// `concat!(env!("OUT_DIR"), "/prompt.txt")` needs one.
///
/// ```
/// use llmobs::prompt;
///
/// let text = "good morning";
/// let prompt = prompt!(file = "prompt/translate.txt", text, lang = "French");
/// assert_eq!(prompt.id(), "translate");
/// assert_eq!(prompt.text(), "Translate good morning to French.\n");
/// ```
///
/// The macro does not read the file, so that its places are checked at the first use: what
/// does not fit the variables is a warning of the target `llmobs`, once for each
/// `prompt!`. A place without a variable then stays in the text.
///
/// A template that is made at run time is for [`Prompt::new`], which takes any.
///
/// [`Prompt`]: https://docs.rs/llmobs/latest/llmobs/struct.Prompt.html
/// [`Prompt::new`]: https://docs.rs/llmobs/latest/llmobs/struct.Prompt.html#method.new
#[proc_macro]
pub fn prompt(tokens: proc_macro::TokenStream) -> proc_macro::TokenStream {
    prompt::prompt(tokens.into()).into()
}

/// The module of the runtime that this version of the macros writes for.
fn version() -> String {
    let version = env!("CARGO_PKG_VERSION").replace(|c: char| !c.is_alphanumeric(), "_");
    format!("v{version}")
}

fn attribute(kind: Kind, args: TokenStream, item: TokenStream) -> TokenStream {
    let name = format!("#[{}]", kind.name());
    fallback::guard(&name, item.clone(), || expand(kind, args, item))
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
