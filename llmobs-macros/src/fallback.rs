//! What is emitted after a mistake: the function as it was, and the errors. The rest of
//! the user's crate still finds the function, so one mistake is one error.

use std::panic::{AssertUnwindSafe, catch_unwind};

use proc_macro2::{Span, TokenStream};
use syn::Error;

/// The expansion of the macro of this name, or `item` with what is wrong. A panic of ours is an error of the
/// user's build that says where to report it.
pub(crate) fn guard(
    name: &str,
    item: TokenStream,
    expand: impl FnOnce() -> syn::Result<TokenStream>,
) -> TokenStream {
    let error = match catch_unwind(AssertUnwindSafe(expand)) {
        Ok(Ok(tokens)) => return tokens,
        Ok(Err(error)) => error,
        Err(_) => Error::new(Span::call_site(), report(name)),
    };
    let mut tokens = item;
    tokens.extend(error.to_compile_error());
    tokens
}

fn report(name: &str) -> String {
    format!(
        "`{name}` of llmobs {} failed on this code; please report it, with the code, at {}/issues",
        env!("CARGO_PKG_VERSION"),
        env!("CARGO_PKG_REPOSITORY"),
    )
}
