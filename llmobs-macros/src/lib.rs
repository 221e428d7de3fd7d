//! The attributes of `llmobs`.

use std::panic::{AssertUnwindSafe, catch_unwind};

use proc_macro2::TokenStream;
use syn::Error;

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
    llm Llm;
    /// A fixed sequence of steps.
    workflow Workflow;
    /// A model that decides its own steps.
    agent Agent;
    /// A call of a program or service that a model asked for.
    tool Tool;
    /// A step without a call to the outside.
    task Task;
    /// A call of an embedding model.
    embedding Embedding;
    /// A search in a knowledge base.
    retrieval Retrieval;
}

/// The module of the runtime that this version of the macros writes for.
fn version() -> String {
    let version = env!("CARGO_PKG_VERSION").replace(|c: char| !c.is_alphanumeric(), "_");
    format!("v{version}")
}

/// What an attribute does; a panic of ours is an error of the user's build, never a loss.
fn attribute(kind: Kind, args: TokenStream, item: TokenStream) -> TokenStream {
    let given = item.clone();
    let expanded = catch_unwind(AssertUnwindSafe(|| expand(kind, args, item)));
    let error = match expanded {
        Ok(Ok(tokens)) => return tokens,
        Ok(Err(error)) => error,
        Err(_) => Error::new(
            proc_macro2::Span::call_site(),
            format!(
                "`#[{}]` of llmobs {} failed on this function; please report it, with the function, at {}/issues",
                kind.name(),
                env!("CARGO_PKG_VERSION"),
                env!("CARGO_PKG_REPOSITORY"),
            ),
        ),
    };
    fallback::with_errors(given, &error)
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
