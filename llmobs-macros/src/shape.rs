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
    /// The body gives what the function returns.
    Sync,
    /// The body stands in a future.
    Async,
    /// The body gives a future.
    Future {
        /// What the signature says of the future's output.
        output: Option<Box<Type>>,
        form: Form,
    },
}

/// How a future comes back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Form {
    /// As it is.
    Bare,
    /// In a pinned box: the signature, or the attribute, leaves no doubt.
    Boxed,
    /// By the names of a pinned box, which may be names of the user's own. The type decides.
    Named,
}

impl Shape {
    pub(crate) fn of(sig: &Signature, future: bool) -> Self {
        if sig.asyncness.is_some() {
            return Self::Async;
        }
        let ReturnType::Type(_, ty) = &sig.output else {
            return Self::Sync;
        };
        let (output, form) = match future_of(ty) {
            // What the attribute says leaves no doubt, and what an alias comes to is not seen.
            Some((_, Form::Named)) | None if future => (None, Form::Boxed),
            Some((output, form)) => (output, form),
            None => return Self::Sync,
        };
        let output = output.map(Box::new);
        Self::Future { output, form }
    }
}

pub(crate) fn is_never(output: &ReturnType) -> bool {
    matches!(output, ReturnType::Type(_, ty) if matches!(peel(ty), Type::Never(_)))
}

/// Whether a function comes back whose type the signature hides: `impl Fn(…)`, alone or in a tuple. The
/// compiler knows what it takes only where the signature is; in a `Result` and its like not even there.
pub(crate) fn has_function(output: &ReturnType) -> bool {
    matches!(output, ReturnType::Type(_, ty) if is_function(ty))
}

/// Whether one comes back in whatever holds it. Nothing is to be told of it.
pub(crate) fn holds_function(ty: &Type) -> bool {
    is_function(ty) || last_segment(ty).is_some_and(|last| types(last).any(holds_function))
}

fn is_function(ty: &Type) -> bool {
    const TRAITS: [&str; 6] = [
        "Fn",
        "FnMut",
        "FnOnce",
        "AsyncFn",
        "AsyncFnMut",
        "AsyncFnOnce",
    ];
    match peel(ty) {
        Type::ImplTrait(ty) => ty.bounds.iter().any(|bound| {
            matches!(bound, TypeParamBound::Trait(bound) if bound.path.segments.last().is_some_and(
                |last| TRAITS.iter().any(|name| last.ident == name)
            ))
        }),
        Type::Tuple(tuple) => tuple.elems.iter().any(is_function),
        _ => false,
    }
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

/// Whether that is certain: nobody names the trait so and has it told its `Item`, but means the known
/// one.
pub(crate) fn surely_gives_items(ty: &Type) -> bool {
    let returned = Returned::of(ty).or_else(|| Returned::of_future(ty));
    returned.is_some_and(|returned| {
        let items = returned.items();
        items.item.is_some() || matches!(items.boxed, Some(Boxed::Pinned)) && !items.is_iterator
    })
}

/// The output of a future, as far as the text tells, and how it comes back; `None` if the type is
/// no future.
fn future_of(ty: &Type) -> Option<(Option<Type>, Form)> {
    if let Some((segment, form)) = future_trait_of(ty) {
        return Some((output_of(segment), form));
    }
    let last = last_segment(ty)?;
    let named = ["BoxFuture", "LocalBoxFuture"]
        .iter()
        .any(|name| last.ident == name);
    if let (true, Some(output)) = (named, only_type(last)) {
        return Some((Some(output.clone()), Form::Named));
    }
    // Of several parameters nobody knows which is the output. Where one is a parameter of an `impl`,
    // nobody knows how long it lives either, which a new box would ask for.
    let parameters = types(last).any(|ty| may_be_parameter(ty.to_token_stream()));
    (named && !parameters).then_some((None, Form::Named))
}

/// Whether a name of one or two capitals stands in the type, as parameters are called.
fn may_be_parameter(tokens: TokenStream) -> bool {
    tokens.into_iter().any(|tree| match tree {
        TokenTree::Group(group) => may_be_parameter(group.stream()),
        TokenTree::Ident(ident) => is_short(&ident.to_string()),
        _ => false,
    })
}

/// Whether the name is one that parameters of an `impl` have, and hardly anything else: `T`, `K2`.
fn is_short(name: &str) -> bool {
    name.len() <= 2
        && name.starts_with(|first: char| first.is_ascii_uppercase())
        && (name.chars()).all(|char| char.is_ascii_uppercase() || char.is_ascii_digit())
}

/// The trait in `impl Future`, or in `Pin<Box<dyn Future>>`.
fn future_trait_of(ty: &Type) -> Option<(&PathSegment, Form)> {
    let (bounds, form) = match peel(ty) {
        Type::ImplTrait(ty) => (&ty.bounds, Form::Bare),
        ty => {
            let Type::Path(path) = ty else { return None };
            // Whoever writes the path from its crate on means the one that everybody means.
            let form = match path.path.leading_colon {
                Some(_) => Form::Boxed,
                None => Form::Named,
            };
            let pinned = only_type(last_segment(ty).filter(|last| last.ident == "Pin")?)?;
            let boxed = only_type(last_segment(pinned).filter(|last| last.ident == "Box")?)?;
            match peel(boxed) {
                Type::TraitObject(ty) => (&ty.bounds, form),
                Type::ImplTrait(ty) => (&ty.bounds, form),
                _ => return None,
            }
        }
    };
    Some((future_bound(bounds.iter())?, form))
}

/// The type in a segment that has one argument.
fn only_type(segment: &PathSegment) -> Option<&Type> {
    let mut types = types(segment);
    types.next().filter(|_| types.next().is_none())
}

/// The bound that says what the type is, among `Send` and lifetimes.
fn future_bound<'a>(bounds: impl Iterator<Item = &'a TypeParamBound>) -> Option<&'a PathSegment> {
    let mut traits = bounds.filter_map(|bound| match bound {
        TypeParamBound::Trait(bound) => bound.path.segments.last(),
        _ => None,
    });
    traits.find(|segment| segment.ident == "Future" && takes_only(segment, "Output"))
}

/// Whether the trait is told nothing but this type, as another of the same name may be.
fn takes_only(segment: &PathSegment, name: &str) -> bool {
    match &segment.arguments {
        PathArguments::None => true,
        PathArguments::AngleBracketed(arguments) => arguments.args.iter().all(
            |argument| matches!(argument, GenericArgument::AssocType(assoc) if assoc.ident == name),
        ),
        PathArguments::Parenthesized(_) => false,
    }
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
