//! The body where its [`Place`] is, and how it is called there.

use proc_macro2::{Ident, Span, TokenStream, TokenTree};
use quote::{ToTokens as _, format_ident, quote_spanned};
use syn::ext::IdentExt as _;
use syn::punctuated::Punctuated;
use syn::{
    Attribute, Expr, ExprReturn, ExprTry, FnArg, GenericParam, Lifetime, Meta, Pat, PatIdent,
    ReturnType, Signature, Type,
};

use super::Expansion;
use crate::exits::{Exits, Rewrite};
use crate::place::{Place, tracks_caller};
use crate::shape;

impl Expansion<'_> {
    /// An expression that runs the body under the span `__llmobs_in`.
    pub(super) fn called(&self) -> TokenStream {
        let Self { p, span, .. } = self;
        let call = match self.place {
            Place::Inline => return self.inline(),
            Place::Closure => self.closure(),
            Place::Within | Place::Beside => {
                let call = self.call_of_function();
                // The panic of what asks for its caller's line goes by: no closure knows that line.
                if self.function.tracks_caller() {
                    return call;
                }
                quote_spanned!(*span=> move || #call)
            }
        };
        quote_spanned!(*span=> #p::call(&__llmobs_in, #call))
    }

    /// The type of what [`called`](Self::called) gives, where it does not say so itself.
    pub(super) fn annotation(&self) -> TokenStream {
        if self.place != Place::Inline {
            return TokenStream::new();
        }
        let returned = shape::returned(&self.function.sig.output);
        quote_spanned!(self.span=> : #returned)
    }

    /// Items that stand in front of everything else in the function.
    pub(super) fn within(&self) -> TokenStream {
        match self.place {
            Place::Within => self.body_function(),
            _ => TokenStream::new(),
        }
    }

    /// Items that stand beside the function.
    pub(super) fn beside(&self) -> TokenStream {
        match self.place {
            Place::Beside => self.body_function(),
            _ => TokenStream::new(),
        }
    }

    /// The attributes of the annotated function. What a body expects of the lints is where the
    /// body is.
    pub(super) fn attributes(&self) -> Vec<Attribute> {
        let attrs = self.function.attrs.iter().cloned();
        if self.place == Place::Beside {
            attrs.map(allowing).collect()
        } else {
            attrs.collect()
        }
    }

    /// The signature of the annotated function, with a name for each argument that is handed on.
    pub(super) fn signature(&self) -> Signature {
        let mut sig = self.function.sig.clone();
        if self.place.is_function() {
            for (at, input) in sig.inputs.iter_mut().enumerate() {
                if let FnArg::Typed(parameter) = input
                    && matches!(*parameter.pat, Pat::Wild(_))
                {
                    *parameter.pat = Pat::Ident(PatIdent {
                        attrs: Vec::new(),
                        by_ref: None,
                        mutability: None,
                        ident: format_ident!("__llmobs_{at}", span = self.span),
                        subpat: None,
                    });
                }
            }
        }
        sig
    }

    /// The body as a function by itself. Lints about its signature are those of the annotated one.
    fn body_function(&self) -> TokenStream {
        let span = &self.span;
        let function = self.function;
        let beside = self.place == Place::Beside;
        let kept = |attr: &&Attribute| {
            const EVERYWHERE: [&str; 3] = ["inline", "cold", "target_feature"];
            const BESIDE: [&str; 5] = ["cfg", "allow", "warn", "deny", "forbid"];
            let is = |names: &[&str]| names.iter().any(|name| attr.path().is_ident(name));
            tracks_caller(attr)
                || is(&EVERYWHERE)
                || beside && (is(&BESIDE) || attr.path().is_ident("expect"))
        };
        let attrs = function.attrs.iter().filter(kept).cloned().map(allowing);
        let mut sig = function.sig.clone();
        sig.ident = self.body_name();
        sig.abi = None;
        sig.fn_token = syn::Token![fn](self.span);
        for input in &mut sig.inputs {
            if let FnArg::Typed(parameter) = input {
                *parameter.ty = quiet(&parameter.ty);
            }
        }
        if let ReturnType::Type(_, ty) = &mut sig.output {
            **ty = quiet(ty);
        }
        let inner = &function.body.inner;
        let tokens = &function.body.tokens;
        let body = function.body.around(quote_spanned!(*span=> #inner #tokens));
        quote_spanned!(*span=> #(#attrs)* #sig #body)
    }

    fn body_name(&self) -> Ident {
        let name = self.function.sig.ident.unraw();
        format_ident!("__llmobs_{name}", span = self.span)
    }

    fn call_of_function(&self) -> TokenStream {
        let span = &self.span;
        let sig = self.signature();
        let name = self.body_name();
        let path = match self.place {
            Place::Beside => quote_spanned!(*span=> Self::#name),
            _ => name.into_token_stream(),
        };
        let generics: Vec<&Ident> = (sig.generics.params.iter())
            .filter_map(|parameter| match parameter {
                GenericParam::Lifetime(_) => None,
                GenericParam::Type(parameter) => Some(&parameter.ident),
                GenericParam::Const(parameter) => Some(&parameter.ident),
            })
            .collect();
        let generics = if generics.is_empty() {
            TokenStream::new()
        } else {
            quote_spanned!(*span=> ::<#(#generics),*>)
        };
        let arguments: Punctuated<TokenStream, syn::Token![,]> = (sig.inputs.iter())
            .filter_map(|input| match input {
                FnArg::Receiver(receiver) => Some(receiver.self_token.to_token_stream()),
                FnArg::Typed(parameter) => match &*parameter.pat {
                    Pat::Ident(pat) => Some(pat.ident.to_token_stream()),
                    _ => None,
                },
            })
            .collect();
        let call = quote_spanned!(*span=> #path #generics (#arguments));
        if matches!(sig.safety, syn::Safety::Unsafe(_)) {
            quote_spanned!(*span=> unsafe { #call })
        } else {
            call
        }
    }

    /// Uses of the `mut`s of arguments that are handed on, and of names that say that they have
    /// none.
    pub(super) fn handed_on(&self) -> TokenStream {
        let span = &self.span;
        let mut uses = TokenStream::new();
        if !self.place.is_function() {
            return uses;
        }
        for input in &self.function.sig.inputs {
            let ident = match input {
                FnArg::Receiver(receiver) if receiver.mutability.is_some() => {
                    receiver.self_token.to_token_stream()
                }
                FnArg::Typed(parameter) => match &*parameter.pat {
                    Pat::Ident(pat) if pat.mutability.is_some() => pat.ident.to_token_stream(),
                    _ => continue,
                },
                FnArg::Receiver(_) => continue,
            };
            uses.extend(quote_spanned!(*span=> let _ = &mut #ident;));
        }
        uses
    }

    /// Whether each way out of the body is told of where it stands.
    fn tells_exits(&self) -> bool {
        self.place == Place::Inline
            && self.function.inline_value()
            && !shape::is_unit(&self.function.sig.output)
            && !shape::is_never(&self.function.sig.output)
    }

    /// The body where it stood, with what tells of each way out.
    fn inline(&self) -> TokenStream {
        let Self { p, span, .. } = self;
        let body = &self.function.body;
        let mut tokens = self.marker();
        if !self.tells_exits() || self.is_unknown() {
            return body.behind(tokens).into();
        }
        let label = self.label();
        // For the compiler its end is always reached, though the body may panic.
        tokens.extend(quote_spanned!(*span=> if false { break #label #p::fake(); }));
        match Exits::of(&body.tokens) {
            Some(exits) => tokens.extend(exits.rewritten(self)),
            None => tokens.extend(body.tokens.clone()),
        }
        let body = body.around(tokens);
        quote_spanned!(*span=> #label: #body)
    }

    /// The body's, at whose end a value that leaves early is looked at.
    fn label(&self) -> Lifetime {
        Lifetime::new("'__llmobs_b", self.span)
    }

    /// The guard of a body that stands inline, or in a function that sees its caller's line: it notes
    /// a panic, and an error that leaves unseen. And how it is told that the body came to its end.
    pub(super) fn early(&self) -> (TokenStream, TokenStream) {
        let Self { p, span, .. } = self;
        let none = (TokenStream::new(), TokenStream::new());
        if self.place == Place::Closure
            || self.place.is_function() && !self.function.tracks_caller()
        {
            return none;
        }
        let arrived = quote_spanned!(*span=> #p::arrived(__llmobs_l););
        let (seen, hidden) = self.exits();
        let returned = match &self.function.sig.output {
            ReturnType::Type(_, ty) if seen || hidden && shape::may_fail(ty) => ty,
            _ => {
                let leaving = quote_spanned!(*span=>
                    let __llmobs_l = #p::Leaving::new(&__llmobs_in, #p::None);
                );
                return (leaving, arrived);
            }
        };
        let unseen = if hidden && shape::may_fail(returned) {
            quote_spanned!(*span=> { use #p::ladder::*; (&&__llmobs_r).__llmobs_leaving() })
        } else {
            quote_spanned!(*span=> #p::None)
        };
        let returned = shape::erased(returned);
        let leaving = quote_spanned!(*span=>
            let __llmobs_r = #p::Returned::<#returned>::NEW;
            if false { return __llmobs_r.fake(); }
            let __llmobs_l = #p::Leaving::new(&__llmobs_in, #unseen);
        );
        (leaving, arrived)
    }

    /// Whether some ways out tell of themselves, and whether errors may leave unseen. Where the body does
    /// not parse that is so only if nothing but errors can be meant.
    fn exits(&self) -> (bool, bool) {
        if !self.tells_exits() || self.is_unknown() {
            return (false, false);
        }
        Exits::of(&self.function.body.tokens).map_or_else(
            || (false, self.function.leaves_early_by_errors()),
            |exits| (exits.any, exits.hidden),
        )
    }
}

impl Rewrite for Expansion<'_> {
    fn leave(&self, leave: &ExprReturn) -> Option<Expr> {
        let value = leave.expr.as_ref()?;
        let label = self.label();
        let mut tokens = TokenStream::new();
        leave
            .attrs
            .iter()
            .for_each(|attr| attr.to_tokens(&mut tokens));
        tokens.extend(quote_spanned!(self.span=> break #label #value));
        Some(Expr::Verbatim(tokens))
    }

    fn question(&self, question: &mut ExprTry) {
        let Self { p, span, .. } = self;
        let operand = &question.expr;
        let told = quote_spanned!(*span=>
            match #operand {
                __llmobs_q => {
                    use #p::ladder::*;
                    (&&#p::Trying::new(&__llmobs_q, &__llmobs_r)).__llmobs_trying().tell(
                        __llmobs_q,
                        |__llmobs_e| if let #p::Some(__llmobs_in) = __llmobs_l.seen() {
                            #p::failed(__llmobs_in, (&&&&&#p::Fail(__llmobs_e)).__llmobs_fail())
                        },
                    )
                }
            }
        );
        *question.expr = Expr::Verbatim(told);
    }
}

/// What expects a lint allows it: the lint comes where the body is, or where the signature is,
/// and at one of the two the expectation would be in vain.
fn allowing(mut attr: Attribute) -> Attribute {
    if attr.path().is_ident("expect")
        && let Meta::List(list) = &mut attr.meta
    {
        list.path = Ident::new("allow", Span::mixed_site()).into();
    }
    attr
}

/// The type where lints look the other way.
fn quiet(ty: &Type) -> Type {
    fn quieted(tokens: TokenStream) -> TokenStream {
        tokens
            .into_iter()
            .map(|mut tree| {
                if let TokenTree::Group(group) = &mut tree {
                    let mut inner =
                        proc_macro2::Group::new(group.delimiter(), quieted(group.stream()));
                    inner.set_span(group.span());
                    *group = inner;
                }
                let span = tree.span().resolved_at(Span::mixed_site());
                tree.set_span(span);
                tree
            })
            .collect()
    }
    Type::Verbatim(quieted(ty.to_token_stream()))
}
