//! What a span is told at its start: the attribute's expressions and the arguments.

use proc_macro2::{Ident, Literal, TokenStream};
use quote::quote_spanned;
use syn::Expr;
use syn::ext::IdentExt as _;

use super::{Expansion, reference};
use crate::kind::Kind;
use crate::names::Key;
use crate::signature::Binding;
use crate::valid::literal;

impl Expansion<'_> {
    /// What the attribute says, and what is captured. Expressions of the user may panic,
    /// which is no reason for the function to do so; the guard against it is code in each
    /// function, so it stands only where there is something to fear.
    pub(super) fn fill(&self) -> TokenStream {
        let Self { p, span, args, .. } = self;
        let mut told = self.told();
        let texts = args.texts.iter().map(|(_, expr)| expr);
        let pairs = args.tags.iter().chain(&args.metadata);
        let mut exprs = texts
            .chain(pairs.map(|pair| &pair.value))
            .chain(&args.input);
        if exprs.any(may_panic) {
            told = quote_spanned!(*span=> #p::attempt(|| { #told }););
        }
        if args.input.is_none() {
            told.extend(self.arguments());
        }
        told
    }

    /// What the attribute says.
    fn told(&self) -> TokenStream {
        let Self { p, span, args, .. } = self;
        let mut told = TokenStream::new();
        // Of the two names of the application the newer one wins.
        let (newer, texts): (Vec<_>, Vec<_>) =
            (args.texts.iter()).partition(|(key, _)| matches!(key, Key::AgentService));
        for (key, expr) in texts.into_iter().chain(newer) {
            let text = self.text(expr);
            let setter = Ident::new(key.name(), *span);
            told.extend(quote_spanned!(*span=> __llmobs_s.#setter(#text);));
        }
        for pair in &args.tags {
            let (key, value) = (&pair.key, reference(&pair.value));
            told.extend(quote_spanned!(*span=> __llmobs_s.tag(#key, #value);));
        }
        let cap = self.cap(
            &quote_spanned!(*span=> __llmobs_v),
            &quote_spanned!(*span=> #p::None),
        );
        for pair in &args.metadata {
            let (key, value) = (&pair.key, reference(&pair.value));
            told.extend(quote_spanned!(*span=>
                match #value { __llmobs_v => __llmobs_s.metadata(#key, { use #p::ladder::*; #cap }) }
            ));
        }
        if let Some(input) = &args.input {
            let value = reference(input);
            let pairs = self.pairs();
            told.extend(quote_spanned!(*span=>
                if __llmobs_s.captures() {
                    match #value { __llmobs_v => __llmobs_s.input({ use #p::ladder::*; #pairs #cap }) }
                }
            ));
        }
        told
    }

    fn arguments(&self) -> TokenStream {
        let Self {
            p,
            span,
            args,
            kind,
            ..
        } = self;
        let wanted = args
            .capture_input
            .as_ref()
            .map_or(kind.captures_input(), |capture| capture.value);
        if !wanted {
            return TokenStream::new();
        }
        let mut arguments = TokenStream::new();
        let mut count = 0_usize;
        for binding in &self.bindings {
            let Binding { ident, cfg, .. } = binding;
            if binding.is_unused() || args.skip.contains(ident) {
                continue;
            }
            let name = Literal::string(&ident.unraw().to_string());
            let cap = self.cap(
                &quote_spanned!(*span=> &#ident),
                &quote_spanned!(*span=> #p::Some(#name)),
            );
            count += 1;
            arguments.extend(quote_spanned!(*span=> #(#cfg)* __llmobs_s.argument(#name, #cap);));
        }
        if arguments.is_empty() {
            return arguments;
        }
        let count = Literal::usize_unsuffixed(count);
        quote_spanned!(*span=> if __llmobs_s.captures_arguments(#count) { use #p::ladder::*; #arguments })
    }

    fn text(&self, expr: &Expr) -> TokenStream {
        let Self { p, span, .. } = self;
        if let Some(text) = literal(expr) {
            return quote_spanned!(*span=> #p::literal(&#text));
        }
        let reference = reference(expr);
        quote_spanned!(*span=> #p::text(#reference))
    }

    /// Where a model is told what it heard or said, a pair is a role and a content.
    pub(super) fn pairs(&self) -> TokenStream {
        let Self { p, span, kind, .. } = self;
        match kind {
            Kind::Llm => quote_spanned!(*span=> use #p::told::*;),
            _ => TokenStream::new(),
        }
    }

    /// A climb of the ladder for values.
    pub(super) fn cap(&self, reference: &TokenStream, name: &TokenStream) -> TokenStream {
        let Self { p, span, .. } = self;
        quote_spanned!(*span=> (&&&&&&&&#p::Cap(#reference)).__llmobs_cap(#name))
    }
}

/// Whether evaluating it may run code of a user. To name something, or to refer to it, does
/// not; to name a field may, by a `Deref`.
fn may_panic(expr: &Expr) -> bool {
    match expr {
        Expr::Lit(_) | Expr::Path(_) => false,
        Expr::Reference(to) => may_panic(&to.expr),
        Expr::Paren(inner) => may_panic(&inner.expr),
        Expr::Group(inner) => may_panic(&inner.expr),
        _ => true,
    }
}
