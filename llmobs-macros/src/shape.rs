//! What a signature gives back: a value, a future, nothing at all.

mod items;

use crate::signature::mentions;
use proc_macro2::{Delimiter, Group, Ident, Span, TokenStream, TokenTree};
use quote::{ToTokens, quote};
use syn::{
    GenericArgument, PathArguments, PathSegment, ReturnType, Signature, Type, TypeParamBound,
};

pub(crate) use items::{Boxed, Items, Returned};

/// How the function is wrapped.
pub(crate) enum Shape {
    /// The body stands in a closure.
    Sync,
    /// The body stands in a future.
    Async,
    /// The body stands in a closure and gives a future.
    Future {
        /// What the signature says of the future's output.
        output: Option<Box<Type>>,
        boxed: bool,
    },
    /// The body stands where it stood. Its value is seen unless it leaves early.
    Inline { value: bool },
}

impl Shape {
    pub(crate) fn of(sig: &Signature, future: bool, tracks_caller: bool, leaves: bool) -> Self {
        if sig.asyncness.is_some() {
            return Self::Async;
        }
        if is_never(&sig.output) {
            return Self::Inline { value: false };
        }
        if let ReturnType::Type(_, ty) = &sig.output {
            if let Some((output, boxed)) = future_of(ty) {
                let output = output.map(Box::new);
                return Self::Future { output, boxed };
            }
            if future {
                return Self::Future {
                    output: None,
                    boxed: true,
                };
            }
        }
        if tracks_caller {
            return Self::Inline { value: !leaves };
        }
        // Where the body stands, the compiler knows what the closure is to take.
        if matches!(&sig.output, ReturnType::Type(_, ty) if is_function(ty)) {
            return Self::Inline { value: false };
        }
        Self::Sync
    }
}

pub(crate) fn is_never(output: &ReturnType) -> bool {
    matches!(output, ReturnType::Type(_, ty) if matches!(peel(ty), Type::Never(_)))
}

/// Whether the type is `impl Fn(…)` or one of its like.
fn is_function(ty: &Type) -> bool {
    let Type::ImplTrait(ty) = peel(ty) else {
        return false;
    };
    ty.bounds.iter().any(|bound| {
        matches!(bound, TypeParamBound::Trait(bound) if bound.path.segments.last().is_some_and(
            |last| ["Fn", "FnMut", "FnOnce", "AsyncFn", "AsyncFnMut", "AsyncFnOnce"]
                .iter()
                .any(|name| last.ident == name)
        ))
    })
}

/// Whether nothing can come back that would be an output or an error.
pub(crate) fn is_unit(output: &ReturnType) -> bool {
    match output {
        ReturnType::Default => true,
        ReturnType::Type(_, ty) => {
            matches!(peel(ty), Type::Tuple(tuple) if tuple.elems.is_empty())
        }
    }
}

/// Whether the type may be a `Result`: a name may stand for anything.
pub(crate) fn may_fail(ty: &Type) -> bool {
    !matches!(
        peel(ty),
        Type::Reference(_) | Type::Tuple(_) | Type::Array(_) | Type::Slice(_) | Type::Ptr(_)
    )
}

/// Whether the type may be a future without looking like one: a name that is not one of
/// the common types.
pub(crate) fn may_be_future(ty: &Type) -> bool {
    const KNOWN: [&str; 22] = [
        "Result", "Option", "String", "Vec", "bool", "char", "u8", "u16", "u32", "u64", "u128",
        "usize", "i8", "i16", "i32", "i64", "i128", "isize", "f32", "f64", "Value", "Self",
    ];
    let Some(last) = last_segment(ty) else {
        return false;
    };
    !KNOWN.iter().any(|known| last.ident == known) && !has_opaque(ty)
}

/// Whether there is a future in a `Result` or an `Option`, where it cannot be wrapped.
pub(crate) fn holds_future(ty: &Type) -> bool {
    last_segment(ty)
        .filter(|last| last.ident == "Result" || last.ident == "Option")
        .and_then(|last| types(last).next())
        .is_some_and(|inner| future_of(inner).is_some())
}

/// Whether the type is a stream or an iterator, or a future of one, as far as its text tells:
/// what it will give is not there yet, and how it is made is no output.
pub(crate) fn gives_items(ty: &Type) -> bool {
    Returned::of(ty)
        .or_else(|| Returned::of_future(ty))
        .is_some()
}

/// The output of a future and whether it is boxed; `None` if the type is no future.
fn future_of(ty: &Type) -> Option<(Option<Type>, bool)> {
    if let Some((segment, boxed)) = future_trait_of(ty) {
        return Some((output_of(segment), boxed));
    }
    let last = last_segment(ty)?;
    let named = ["BoxFuture", "LocalBoxFuture"]
        .iter()
        .any(|name| last.ident == name);
    named.then(|| (types(last).last().cloned(), true))
}

/// The trait in `impl Future` (not boxed), or in `Pin<Box<dyn Future>>`.
fn future_trait_of(ty: &Type) -> Option<(&PathSegment, bool)> {
    let bounds = match peel(ty) {
        Type::ImplTrait(ty) => return Some((future_bound(ty.bounds.iter())?, false)),
        ty => {
            let pinned = types(last_segment(ty).filter(|last| last.ident == "Pin")?).next()?;
            let boxed = types(last_segment(pinned).filter(|last| last.ident == "Box")?).next()?;
            match peel(boxed) {
                Type::TraitObject(ty) => &ty.bounds,
                Type::ImplTrait(ty) => &ty.bounds,
                _ => return None,
            }
        }
    };
    Some((future_bound(bounds.iter())?, true))
}

/// The bound that says what the type is, among `Send` and lifetimes.
fn future_bound<'a>(bounds: impl Iterator<Item = &'a TypeParamBound>) -> Option<&'a PathSegment> {
    let mut traits = bounds.filter_map(|bound| match bound {
        TypeParamBound::Trait(bound) => bound.path.segments.last(),
        _ => None,
    });
    traits.find(|segment| segment.ident == "Future")
}

/// `T` in `Future<Output = T>`.
fn output_of(segment: &PathSegment) -> Option<Type> {
    let PathArguments::AngleBracketed(arguments) = &segment.arguments else {
        return None;
    };
    arguments.args.iter().find_map(|argument| match argument {
        GenericArgument::AssocType(assoc) if assoc.ident == "Output" => Some(assoc.ty.clone()),
        _ => None,
    })
}

fn last_segment(ty: &Type) -> Option<&PathSegment> {
    match peel(ty) {
        Type::Path(path) => path.path.segments.last(),
        _ => None,
    }
}

/// The types among the generic arguments of a segment.
fn types(segment: &PathSegment) -> impl Iterator<Item = &Type> {
    let arguments = match &segment.arguments {
        PathArguments::AngleBracketed(arguments) => Some(&arguments.args),
        _ => None,
    };
    arguments
        .into_iter()
        .flatten()
        .filter_map(|argument| match argument {
            GenericArgument::Type(ty) => Some(ty),
            _ => None,
        })
}

/// Whether the type is a path.
pub(crate) fn is_name(ty: &Type) -> bool {
    matches!(peel(ty), Type::Path(_))
}

/// Without parentheses, visible or not.
fn peel(ty: &Type) -> &Type {
    match ty {
        Type::Paren(inner) => peel(&inner.elem),
        Type::Group(inner) => peel(&inner.elem),
        ty => ty,
    }
}

/// Whether the type has an `impl Trait` in it.
pub(crate) fn has_opaque(ty: &Type) -> bool {
    mentions(ty.to_token_stream(), "impl")
}

/// The type with each `impl Trait` as `_`: how it can be written in a body.
pub(crate) fn erased(ty: &Type) -> TokenStream {
    erase(ty.to_token_stream())
}

/// The return type, for the body: `()` where nothing is written.
pub(crate) fn returned(output: &ReturnType) -> TokenStream {
    match output {
        ReturnType::Default => quote!(()),
        ReturnType::Type(_, ty) => erased(ty),
    }
}

fn erase(tokens: TokenStream) -> TokenStream {
    let mut trees = tokens.into_iter().peekable();
    let mut out = TokenStream::new();
    while let Some(tree) = trees.next() {
        if is_word(&tree, "impl") {
            out.extend([TokenTree::Ident(Ident::new("_", tree.span()))]);
            let mut depth = 0_usize;
            let mut arrow = false;
            // To the end of the bounds.
            while let Some(next) = trees.peek() {
                if let TokenTree::Punct(punct) = next {
                    match punct.as_char() {
                        '<' => depth += 1,
                        '>' if arrow => {}
                        '>' | ',' | ';' | '=' if depth == 0 => break,
                        '>' => depth -= 1,
                        _ => {}
                    }
                    arrow = punct.as_char() == '-';
                } else {
                    arrow = false;
                }
                trees.next();
            }
            continue;
        }
        match tree {
            TokenTree::Group(group) => {
                let mut erased = Group::new(group.delimiter(), erase(group.stream()));
                erased.set_span(group.span());
                // `_` needs no invisible brackets, and nothing else loses by it.
                if group.delimiter() == Delimiter::None {
                    out.extend(erased.stream());
                } else {
                    out.extend([TokenTree::Group(erased)]);
                }
            }
            tree => out.extend([tree]),
        }
    }
    out
}

fn is_word(tree: &TokenTree, word: &str) -> bool {
    matches!(tree, TokenTree::Ident(ident) if ident == word)
}

/// Where errors about the returned value point.
pub(crate) fn output_span(sig: &Signature) -> Span {
    match &sig.output {
        ReturnType::Default => sig.ident.span(),
        ReturnType::Type(_, ty) => ty
            .to_token_stream()
            .into_iter()
            .next()
            .map_or_else(|| sig.ident.span(), |tree| tree.span()),
    }
}
