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

/// Where to report it is said only where the manifest knows.
fn report(name: &str) -> String {
    told(
        name,
        env!("CARGO_PKG_VERSION"),
        env!("CARGO_PKG_REPOSITORY"),
    )
}

fn told(name: &str, version: &str, repository: &str) -> String {
    let place = if repository.is_empty() {
        String::new()
    } else {
        format!(", at {}/issues", repository.trim_end_matches('/'))
    };
    format!(
        "`{name}` of llmobs {version} failed on this code; please report it, with the code{place}"
    )
}

#[cfg(test)]
mod tests {
    use super::told;

    #[test]
    fn a_panic_of_ours_names_an_address_only_where_there_is_one() {
        let failed =
            "`#[llm]` of llmobs 1.2.3 failed on this code; please report it, with the code";
        assert_eq!(told("#[llm]", "1.2.3", ""), failed);
        assert_eq!(
            told("#[llm]", "1.2.3", "https://example.com/llmobs/"),
            format!("{failed}, at https://example.com/llmobs/issues")
        );
    }
}
