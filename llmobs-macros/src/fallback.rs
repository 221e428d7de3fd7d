//! What is emitted after a mistake: the function as it was, and the errors. The rest of
//! the user's crate still finds the function, so one mistake is one error.

use proc_macro2::TokenStream;
use syn::Error;

pub(crate) fn with_errors(item: TokenStream, error: &Error) -> TokenStream {
    let mut tokens = item;
    tokens.extend(error.to_compile_error());
    tokens
}
