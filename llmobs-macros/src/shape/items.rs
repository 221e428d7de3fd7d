//! Where in a returned type the stream or the iterator is.

use syn::{GenericArgument, PathArguments, PathSegment, Type, TypeParamBound};

use super::{future_of, last_segment, peel, types};

/// What a function with `stream` returns.
pub(crate) enum Returned {
    Items(Box<Items>),
    /// In a `Result`, by this or another name.
    InResult(Box<Returned>),
    InOption(Box<Returned>),
}

/// A stream or an iterator.
pub(crate) struct Items {
    /// What the signature says of its items.
    pub(crate) item: Option<Type>,
    pub(crate) is_iterator: bool,
    pub(crate) boxed: Option<Boxed>,
}

/// The box that a stream came in, and is put into again.
#[derive(Clone, Copy)]
pub(crate) enum Boxed {
    Pinned,
    Plain,
}

const STREAMS: [&str; 3] = ["Stream", "TryStream", "FusedStream"];
const ITERATORS: [&str; 4] = [
    "Iterator",
    "DoubleEndedIterator",
    "ExactSizeIterator",
    "FusedIterator",
];

impl Returned {
    /// `None` if the text of the type shows no stream.
    pub(crate) fn of(ty: &Type) -> Option<Self> {
        if let Some(items) = Items::of(ty) {
            return Some(Self::Items(Box::new(items)));
        }
        let last = last_segment(ty)?;
        let inner = || Some(Box::new(types(last).find_map(Self::of)?));
        let name = last.ident.to_string();
        if name.ends_with("Result") {
            Some(Self::InResult(inner()?))
        } else if name == "Option" {
            Some(Self::InOption(inner()?))
        } else {
            None
        }
    }

    /// The same for what a future of this type comes to.
    pub(crate) fn of_future(ty: &Type) -> Option<Self> {
        Self::of(&future_of(ty)?.0?)
    }

    pub(crate) fn items(&self) -> &Items {
        match self {
            Self::Items(items) => items,
            Self::InResult(inner) | Self::InOption(inner) => inner.items(),
        }
    }
}

impl Items {
    fn of(ty: &Type) -> Option<Self> {
        if let Type::ImplTrait(ty) = peel(ty) {
            return Self::of_bounds(&ty.bounds, None);
        }
        let last = last_segment(ty)?;
        let first = types(last).next();
        match last.ident.to_string().as_str() {
            // An alias of the user's own may come to other items than the one that it names.
            "BoxStream" | "LocalBoxStream" => Some(Self {
                item: None,
                is_iterator: false,
                boxed: Some(Boxed::Pinned),
            }),
            "Box" => Self::of_object(first?, Boxed::Plain),
            "Pin" => {
                let pinned = last_segment(first?).filter(|pinned| pinned.ident == "Box")?;
                Self::of_object(types(pinned).next()?, Boxed::Pinned)
            }
            _ => None,
        }
    }

    fn of_object(ty: &Type, boxed: Boxed) -> Option<Self> {
        match peel(ty) {
            Type::TraitObject(ty) => Self::of_bounds(&ty.bounds, Some(boxed)),
            Type::ImplTrait(ty) => Self::of_bounds(&ty.bounds, Some(boxed)),
            _ => None,
        }
    }

    fn of_bounds<'a>(
        bounds: impl IntoIterator<Item = &'a TypeParamBound>,
        boxed: Option<Boxed>,
    ) -> Option<Self> {
        let traits = bounds.into_iter().filter_map(|bound| match bound {
            TypeParamBound::Trait(bound) => bound.path.segments.last(),
            _ => None,
        });
        let traits: Vec<&PathSegment> = traits.collect();
        let is_one = |names: &[&str]| {
            let named = |segment: &&PathSegment| names.iter().any(|name| segment.ident == name);
            traits.iter().any(named)
        };
        let is_iterator = is_one(&ITERATORS);
        (is_iterator || is_one(&STREAMS)).then(|| Self {
            item: traits.iter().copied().find_map(item_of),
            is_iterator,
            boxed,
        })
    }
}

/// `T` in `Stream<Item = T>`.
fn item_of(segment: &PathSegment) -> Option<Type> {
    let PathArguments::AngleBracketed(arguments) = &segment.arguments else {
        return None;
    };
    arguments.args.iter().find_map(|argument| match argument {
        GenericArgument::AssocType(assoc) if assoc.ident == "Item" => Some(assoc.ty.clone()),
        _ => None,
    })
}
