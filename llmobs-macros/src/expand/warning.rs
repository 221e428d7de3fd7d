//! Warnings where a span covers less than one may think: uses of deprecated functions of ours.

use proc_macro2::{Ident, TokenStream};
use quote::quote_spanned;
use syn::ReturnType;

use super::Expansion;
use crate::shape;

impl Expansion<'_> {
    /// A warning where the span covers less than one may think.
    pub(super) fn warning(&self) -> TokenStream {
        let mut warning = self.items_without_stream();
        warning.extend(self.named_future());
        warning
    }

    /// A warning where a stream or an iterator comes back, and the attribute says nothing of it.
    pub(super) fn items_without_stream(&self) -> TokenStream {
        let Self {
            p,
            span,
            args,
            function,
            ..
        } = self;
        let told = args.output.is_some()
            || (args.capture_output.as_ref()).is_some_and(|capture| !capture.value);
        match &function.sig.output {
            ReturnType::Type(_, ty) if !told && shape::surely_gives_items(ty) => {
                // With a mixed_site span the compiler would keep the warning to itself.
                let sig = &function.sig;
                let warning = Ident::new("items_without_stream", shape::output_span(sig));
                quote_spanned!(*span=> #p::#warning();)
            }
            _ => TokenStream::new(),
        }
    }

    /// A warning where the value turns out to be a future.
    fn named_future(&self) -> TokenStream {
        let Self {
            p, span, function, ..
        } = self;
        match &function.sig.output {
            ReturnType::Type(_, ty) if shape::may_be_future(ty) => {
                // With a mixed_site span the compiler would keep the warning to itself.
                let method = Ident::new("__llmobs_no_future", shape::output_span(&function.sig));
                // Where it is never reached, the compiler looks for the method only, and not whether
                // the signature proves the lifetimes that an implementation asks for.
                quote_spanned!(*span=>
                    #[allow(unreachable_code)]
                    if false {
                        use #p::ladder::*;
                        loop {}
                        (&&#p::Ret(&__llmobs_out)).#method();
                    }
                )
            }
            ReturnType::Type(_, ty) if shape::holds_future(ty) => {
                let warning = Ident::new("future_inside", shape::output_span(&function.sig));
                quote_spanned!(*span=> #p::#warning();)
            }
            _ => TokenStream::new(),
        }
    }
}
