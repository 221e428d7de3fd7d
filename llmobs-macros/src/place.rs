//! Where the body of a function that is not async stands.
//!
//! Mostly in a closure, whose value and whose panic are seen. A closure has no
//! `#[track_caller]`, and the compiler does not tell it what an `impl Fn` is to take. There the
//! body becomes a function by itself, with the signature of the annotated one, which calls it:
//! inside of that where nothing in it needs the surrounding `impl`, else beside it. Beside it is
//! possible only in an inherent `impl`, which an attribute cannot tell from that of a trait but
//! by the visibility of its function. Everything else stands where it stood.

use std::collections::BTreeSet;

use proc_macro2::{TokenStream, TokenTree};
use quote::ToTokens as _;
use syn::{Attribute, FnArg, GenericParam, Pat, Visibility};

use crate::exits::Exits;
use crate::shape;
use crate::signature::{Function, mentions};

/// Where the body stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Place {
    /// In a closure.
    Closure,
    /// In a function inside of the annotated one.
    Within,
    /// In an associated function beside the annotated one.
    Beside,
    /// Where it stood.
    Inline,
}

impl Place {
    /// Whether the body is a function by itself.
    pub(crate) fn is_function(self) -> bool {
        matches!(self, Self::Within | Self::Beside)
    }
}

impl Function {
    /// `waits` is whether the span goes on with a stream, or a future that only the attribute tells of.
    pub(crate) fn place(&self, waits: bool) -> Place {
        let tracks = self.tracks_caller();
        if self.sig.asyncness.is_some() || !tracks && !shape::has_function(&self.sig.output) {
            return Place::Closure;
        }
        let waits = waits || self.returns_future();
        if tracks && !self.returns_function() && !self.leaves_unseen(waits) {
            return Place::Inline;
        }
        let place = self.place_of_function();
        // A future that is not seen would have no span; its function's line is less.
        if place == Place::Inline && self.returns_future() && self.hides_values() {
            return Place::Closure;
        }
        place
    }

    /// Whether the caller's line must be seen by the body.
    pub(crate) fn tracks_caller(&self) -> bool {
        self.attrs.iter().any(tracks_caller) || self.is_index()
    }

    /// Whether it may be `Index::index` or `IndexMut::index_mut`: they have `#[track_caller]` in their
    /// trait, and with it each implementation has.
    fn is_index(&self) -> bool {
        let sig = &self.sig;
        matches!(&sig.output, syn::ReturnType::Type(_, ty) if matches!(**ty, syn::Type::Reference(_)))
            && (sig.ident == "index" || sig.ident == "index_mut")
            && sig.receiver().is_some()
            && sig.inputs.len() == 2
            && matches!(self.vis, Visibility::Inherited)
    }

    /// Whether what it returns is seen where the body stands inline.
    pub(crate) fn inline_value(&self) -> bool {
        !self.returns_function()
    }

    fn returns_function(&self) -> bool {
        shape::has_function(&self.sig.output)
    }

    fn returns_future(&self) -> bool {
        matches!(self.shape(false), shape::Shape::Future { .. })
    }

    /// Whether the body, where it stands inline, may end by something that is not seen there: by what
    /// stands in a macro. That matters where it may be an error, or a future or a stream that would go
    /// without its span.
    fn leaves_unseen(&self, waits: bool) -> bool {
        let matters = waits
            || matches!(&self.sig.output, syn::ReturnType::Type(_, ty) if shape::may_fail(ty));
        match Exits::of(&self.body.tokens) {
            Some(exits) => matters && exits.hidden,
            None => matters || self.body.leaves_early(),
        }
    }

    /// Whether a value leaves the body of which it is not seen where: the body does not parse.
    fn hides_values(&self) -> bool {
        self.body.leaves_early() && Exits::of(&self.body.tokens).is_none()
    }

    /// Whether each way out of the body but its end is one of an error: a `?`, or `return Err(…)`.
    pub(crate) fn leaves_early_by_errors(&self) -> bool {
        fn returns_errors(tokens: TokenStream) -> bool {
            let mut trees = tokens.into_iter().peekable();
            while let Some(tree) = trees.next() {
                let fine = match tree {
                    TokenTree::Group(group) => returns_errors(group.stream()),
                    TokenTree::Ident(ident) if ident == "return" => {
                        matches!(trees.peek(), Some(TokenTree::Ident(next)) if next == "Err")
                    }
                    _ => true,
                };
                if !fine {
                    return false;
                }
            }
            true
        }
        self.body.leaves_early() && returns_errors(self.body.tokens.clone())
    }

    fn place_of_function(&self) -> Place {
        if !self.can_be_repeated() {
            return Place::Inline;
        }
        let said = self.sig.to_token_stream();
        let has_self = self.sig.receiver().is_some() || mentions(said, "Self");
        let is_public = !matches!(self.vis, Visibility::Inherited);
        if has_self || self.body.names("Self") {
            // In a function that is free, `Self` is that of an item inside of its body.
            const ITEMS: [&str; 5] = ["impl", "trait", "struct", "enum", "union"];
            let has_items = ITEMS.iter().any(|item| self.body.names(item));
            return if is_public && (has_self || !has_items) {
                Place::Beside
            } else {
                Place::Inline
            };
        }
        if self.may_name_parameters_of_an_impl() {
            Place::Inline
        } else {
            Place::Within
        }
    }

    /// Whether the arguments can be handed on, each by a name.
    fn can_be_repeated(&self) -> bool {
        let parameters = self.sig.inputs.iter().all(|input| match input {
            FnArg::Receiver(receiver) => receiver.attrs.is_empty(),
            FnArg::Typed(parameter) => {
                let conditional = |attr: &Attribute| {
                    attr.path().is_ident("cfg") || attr.path().is_ident("cfg_attr")
                };
                !parameter.attrs.iter().any(conditional)
                    && match &*parameter.pat {
                        Pat::Ident(pat) => pat.by_ref.is_none() && pat.subpat.is_none(),
                        Pat::Wild(_) => true,
                        _ => false,
                    }
            }
        });
        let generics = self.sig.generics.params.iter().all(|parameter| {
            let attrs = match parameter {
                GenericParam::Lifetime(parameter) => &parameter.attrs,
                GenericParam::Type(parameter) => &parameter.attrs,
                GenericParam::Const(parameter) => &parameter.attrs,
            };
            attrs.is_empty()
        });
        parameters && generics && self.sig.variadic.is_none()
    }

    /// Whether a name in it may be a parameter of a surrounding `impl`, which a function inside of this
    /// one could not name: a lifetime that nobody declares, or a capitalized word by itself that is
    /// neither declared here nor in std's prelude.
    fn may_name_parameters_of_an_impl(&self) -> bool {
        let mut names = Names::default();
        names.read(self.sig.to_token_stream());
        names.is_body = true;
        names.read(self.body.tokens.clone());
        let mut own = std::mem::take(&mut names.bound);
        for parameter in &self.sig.generics.params {
            own.insert(match parameter {
                GenericParam::Lifetime(parameter) => format!("'{}", parameter.lifetime.ident),
                GenericParam::Type(parameter) => parameter.ident.to_string(),
                GenericParam::Const(parameter) => parameter.ident.to_string(),
            });
        }
        names.used.iter().any(|name| !own.contains(name))
    }
}

/// Names in tokens that may be declared by an `impl` around them.
#[derive(Default)]
struct Names {
    /// `'static` and `'_` need nobody to declare them; a label is declared where it stands.
    used: BTreeSet<String>,
    /// Those that a `for<…>` or a label declares.
    bound: BTreeSet<String>,
    /// Whether a colon makes a label, and `=` stands behind types.
    is_body: bool,
}

impl Names {
    fn read(&mut self, tokens: TokenStream) {
        let mut binder = false;
        let mut lifetime = false;
        // `::` stands in front.
        let mut of_path = 0_u8;
        let mut trees = tokens.into_iter().peekable();
        while let Some(tree) = trees.next() {
            let in_path = of_path == 2;
            match tree {
                TokenTree::Punct(punct) => {
                    let colon = punct.as_char() == ':';
                    of_path = if colon { (of_path + 1).min(2) } else { 0 };
                    binder &= punct.as_char() != '>';
                    lifetime = punct.as_char() == '\'';
                    continue;
                }
                TokenTree::Group(group) => self.read(group.stream()),
                TokenTree::Ident(ident) if lifetime => {
                    let name = format!("'{ident}");
                    let colon = matches!(trees.peek(), Some(TokenTree::Punct(next)) if next.as_char() == ':');
                    if binder || colon && self.is_body {
                        self.bound.insert(name.clone());
                    }
                    if ident != "static" && ident != "_" {
                        self.used.insert(name);
                    }
                }
                TokenTree::Ident(ident) => {
                    binder = ident == "for";
                    let name = ident.to_string();
                    let is_known = KNOWN.iter().any(|known| name == *known);
                    // `Item` in `Iterator<Item = u8>`.
                    let is_told = !self.is_body
                        && matches!(trees.peek(), Some(TokenTree::Punct(next)) if next.as_char() == '=');
                    if name.starts_with(char::is_uppercase) && !in_path && !is_known && !is_told {
                        self.used.insert(name);
                    }
                }
                TokenTree::Literal(_) => {}
            }
            lifetime = false;
            of_path = 0;
        }
    }
}

/// Names of std's prelude, and others that nobody gives to a parameter.
const KNOWN: [&str; 46] = [
    "Arc",
    "AsMut",
    "AsRef",
    "Box",
    "BTreeMap",
    "BTreeSet",
    "Clone",
    "Copy",
    "Cow",
    "Debug",
    "Default",
    "Display",
    "DoubleEndedIterator",
    "Drop",
    "Duration",
    "Eq",
    "Err",
    "ExactSizeIterator",
    "Extend",
    "Fn",
    "FnMut",
    "FnOnce",
    "From",
    "FromIterator",
    "Future",
    "HashMap",
    "HashSet",
    "Into",
    "IntoIterator",
    "Iterator",
    "None",
    "Ok",
    "Option",
    "Ord",
    "PartialEq",
    "PartialOrd",
    "Path",
    "PathBuf",
    "Pin",
    "Rc",
    "Result",
    "Send",
    "Some",
    "String",
    "Sync",
    "Vec",
];

/// Whether the attribute is `#[track_caller]`, or may come to it.
pub(crate) fn tracks_caller(attr: &Attribute) -> bool {
    let path = attr.path();
    path.is_ident("track_caller")
        || path.is_ident("cfg_attr") && mentions(attr.to_token_stream(), "track_caller")
}
