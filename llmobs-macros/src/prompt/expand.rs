//! The code that a `prompt!` becomes: calls of the builder, one behind the other.
//!
//! It declares no name that an expression of the user could see.

use proc_macro2::{Span, TokenStream};
use quote::{ToTokens as _, quote, quote_spanned};
use syn::spanned::Spanned as _;
use syn::{Error, Expr};

use super::{Call, Part, Template, literal, stem};
use crate::expand::private;

/// The prompt.
pub(super) fn prompt(call: &Call) -> TokenStream {
    let span = Span::mixed_site();
    let p = private(call.root.as_ref(), span);
    let id = match (&call.id, &call.template) {
        (Some(id), _) => id.to_token_stream(),
        (None, Some(Template::File(path))) => file_id(path).to_token_stream(),
        (None, _) => quote!(""),
    };
    let template = call
        .template
        .as_ref()
        .map(|template| written(call, template, &p));
    let variables = call.variables.iter().map(|variable| {
        let (name, value) = (&variable.name, &variable.value);
        // A value without `Display` is an error at the value.
        let value = quote_spanned!(span.located_at(value.span())=> &(#value));
        quote_spanned!(span=> .variable(#name, #value))
    });
    quote_spanned!(span=> #p::Prompt::new(#id)#template #(#variables)*)
}

/// What is wrong, and what there is of the prompt: the code around it finds its type, and
/// the variables count as used.
pub(super) fn beside(call: &Call, error: &Error) -> TokenStream {
    let error = error.to_compile_error();
    let p = private(call.root.as_ref(), Span::mixed_site());
    let values = call.variables.iter().map(|variable| &variable.value);
    quote_spanned!(Span::mixed_site()=> { #error #(let _ = &(#values);)* #p::Prompt::new("") })
}

fn file_id(path: &Expr) -> Option<String> {
    match literal(path) {
        Some(syn::Lit::Str(path)) => stem(path),
        _ => None,
    }
}

fn written(call: &Call, template: &Template, p: &TokenStream) -> TokenStream {
    let span = Span::mixed_site();
    match template {
        Template::Text(text) => quote_spanned!(span=> .template(#text)),
        Template::Chat(parts) => {
            let parts = parts.iter().map(|part| match part {
                Part::Message { role, content } => {
                    quote_spanned!(span=> .chat_message(#role, #content))
                }
                Part::Placeholder(name) => quote_spanned!(span=> .chat_placeholder(#name)),
            });
            quote!(#(#parts)*)
        }
        Template::File(path) => {
            let names = call.variables.iter().map(|variable| &variable.name);
            quote_spanned!(span=> .template({
                static FILE: #p::TemplateFile =
                    #p::TemplateFile::new(#path, #p::include_str!(#path), &[#(#names),*]);
                FILE.text()
            }))
        }
    }
}
