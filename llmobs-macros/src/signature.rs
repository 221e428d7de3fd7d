//! The function below the attribute: its signature is parsed, its body never.
//!
//! A body that does not parse (half typed, or made by a macro) still reaches the
//! compiler as it is.

use std::collections::BTreeSet;

use proc_macro2::{Delimiter, Group, Ident, Span, TokenStream, TokenTree};
use syn::ext::IdentExt as _;
use syn::parse::{ParseStream, Parser as _};
use syn::{Attribute, Error, FnArg, Pat, Signature, Token, Visibility};

use crate::shape::Shape;

/// A function with a body.
pub(crate) struct Function {
    pub(crate) attrs: Vec<Attribute>,
    pub(crate) vis: Visibility,
    pub(crate) sig: Signature,
    pub(crate) body: Body,
}

/// The tokens between the braces.
pub(crate) struct Body {
    /// `#![…]` at its beginning, which must stay there.
    pub(crate) inner: TokenStream,
    pub(crate) tokens: TokenStream,
    /// The braces, with the user's edition: it decides how long temporaries live.
    pub(crate) span: Span,
    words: Words,
}

/// What a body mentions.
#[derive(Default)]
struct Words {
    idents: BTreeSet<String>,
    /// String literals: `"{a}"` mentions `a`.
    texts: Vec<String>,
    question_mark: bool,
}

/// A name that a parameter binds.
pub(crate) struct Binding {
    pub(crate) ident: Ident,
    /// `#[cfg]`s of its parameter.
    pub(crate) cfg: Vec<Attribute>,
    /// Levels of lints of its parameter.
    pub(crate) lints: Vec<Attribute>,
    pub(crate) mutable: bool,
}

impl Function {
    /// Reads the item, or says what it is instead of a function.
    pub(crate) fn parse(kind: &str, item: TokenStream) -> syn::Result<Self> {
        let mut trees: Vec<TokenTree> = unwrap_invisible(item).into_iter().collect();
        let body = trees.pop().and_then(|last| {
            braces(&last).ok_or(last).map_or_else(
                |last| {
                    trees.push(last);
                    None
                },
                Some,
            )
        });
        let head = |input: ParseStream<'_>| {
            let attrs = input.call(Attribute::parse_outer)?;
            let vis: Visibility = input.parse()?;
            if let Some(item) = other_item(input) {
                return Err(item.error(kind, input.span()));
            }
            let sig: Signature = input.parse()?;
            Ok((attrs, vis, sig, input.parse::<Option<Token![;]>>()?))
        };
        let (attrs, vis, sig, semicolon) = head.parse2(trees.into_iter().collect())?;
        let Some(body) = body else {
            let at = semicolon.map_or_else(|| sig.ident.span(), |semicolon| semicolon.span);
            let message = format!(
                "`#[{kind}]` needs a body to measure: put it on the implementations of `{}`, or \
                 give it a default body",
                sig.ident
            );
            return Err(Error::new(at, message));
        };
        Ok(Self {
            attrs,
            vis,
            sig,
            body: Body::new(&body),
        })
    }

    /// How the function is to be wrapped.
    pub(crate) fn shape(&self, future: bool) -> Shape {
        Shape::of(&self.sig, future)
    }

    /// What the parameters bind, in their order; never `self`.
    pub(crate) fn bindings(&self) -> Vec<Binding> {
        let mut bindings = Vec::new();
        for input in &self.sig.inputs {
            if let FnArg::Typed(parameter) = input {
                let from = bindings.len();
                collect(&parameter.pat, &mut bindings);
                for binding in &mut bindings[from..] {
                    binding.cfg = cfgs(&parameter.attrs);
                    binding.lints = lints(&parameter.attrs);
                }
            }
        }
        bindings
    }

    /// The `self` parameter, with its `#[cfg]`s.
    pub(crate) fn receiver(&self) -> Option<(Ident, Vec<Attribute>)> {
        let receiver = self.sig.receiver()?;
        Some((
            Ident::new("self", receiver.self_token.span),
            cfgs(&receiver.attrs),
        ))
    }
}

fn cfgs(attrs: &[Attribute]) -> Vec<Attribute> {
    let cfg = attrs.iter().filter(|attr| attr.path().is_ident("cfg"));
    cfg.cloned().collect()
}

fn lints(attrs: &[Attribute]) -> Vec<Attribute> {
    const LEVELS: [&str; 4] = ["allow", "warn", "deny", "forbid"];
    let levels = attrs
        .iter()
        .filter(|attr| LEVELS.iter().any(|level| attr.path().is_ident(level)));
    levels.cloned().collect()
}

impl Body {
    fn new(braces: &Group) -> Self {
        let mut words = Words::default();
        words.read(braces.stream());
        let (inner, tokens) = split_inner(braces.stream());
        Self {
            inner,
            tokens,
            span: braces.span(),
            words,
        }
    }

    /// Whether the body names `ident`, as far as one can see: also in a format string.
    pub(crate) fn mentions(&self, ident: &Ident) -> bool {
        self.words.mentions(ident)
    }

    /// Whether the body ends in a `todo!()` or its like, and nothing in it says what would
    /// come back.
    pub(crate) fn is_unwritten(&self) -> bool {
        const ENDS: [&str; 4] = ["todo", "unimplemented", "panic", "unreachable"];
        let mut last = self.tokens.clone().into_iter().collect::<Vec<_>>();
        last.pop_if(|tree| matches!(tree, TokenTree::Punct(punct) if punct.as_char() == ';'));
        let ends = match &last[..] {
            [
                ..,
                TokenTree::Ident(name),
                TokenTree::Punct(bang),
                TokenTree::Group(_),
            ] => bang.as_char() == '!' && ENDS.iter().any(|end| name == end),
            _ => false,
        };
        ends && !self.leaves_early()
    }

    /// Whether a `return` or a `?` stands in it.
    pub(crate) fn leaves_early(&self) -> bool {
        self.words.question_mark || self.names("return")
    }

    /// Whether the identifier stands in it.
    pub(crate) fn names(&self, word: &str) -> bool {
        self.words.idents.contains(word)
    }

    /// Whether another attribute of llmobs has been here.
    pub(crate) fn is_instrumented(&self) -> bool {
        // Our switch comes first, behind the path to it.
        let path =
            self.tokens.clone().into_iter().take_while(
                |tree| !matches!(tree, TokenTree::Punct(punct) if punct.as_char() == '!'),
            );
        let mut path = path.filter_map(|tree| match tree {
            TokenTree::Ident(ident) => Some(ident.to_string()),
            _ => None,
        });
        path.any(|segment| segment == "__private") && path.next() == Some(crate::version())
    }

    /// The braces with `before` in front of what the user wrote.
    pub(crate) fn behind(&self, before: TokenStream) -> TokenTree {
        let mut tokens = before;
        tokens.extend(self.tokens.clone());
        self.around(tokens)
    }

    /// The braces around something else.
    pub(crate) fn around(&self, tokens: TokenStream) -> TokenTree {
        let mut group = Group::new(Delimiter::Brace, tokens);
        group.set_span(self.span);
        group.into()
    }
}

impl Words {
    fn read(&mut self, tokens: TokenStream) {
        for tree in tokens {
            match tree {
                TokenTree::Group(group) => self.read(group.stream()),
                TokenTree::Ident(ident) => {
                    self.idents.insert(ident.to_string());
                }
                TokenTree::Punct(punct) => self.question_mark |= punct.as_char() == '?',
                TokenTree::Literal(literal) => {
                    let text = literal.to_string();
                    if text.contains('{') {
                        self.texts.push(text);
                    }
                }
            }
        }
    }

    fn mentions(&self, ident: &Ident) -> bool {
        let name = ident.to_string();
        let unraw = ident.unraw().to_string();
        self.idents.contains(&name) || self.texts.iter().any(|text| text.contains(&unraw))
    }
}

/// Whether `ident` occurs in tokens that are no body.
pub(crate) fn names(tokens: TokenStream, ident: &Ident) -> bool {
    let mut words = Words::default();
    words.read(tokens);
    words.mentions(ident)
}

/// Whether the identifier `word` stands anywhere in the tokens.
pub(crate) fn mentions(tokens: TokenStream, word: &str) -> bool {
    tokens.into_iter().any(|tree| match tree {
        TokenTree::Group(group) => mentions(group.stream(), word),
        TokenTree::Ident(ident) => ident == word,
        _ => false,
    })
}

/// A `$item:item` of a `macro_rules!` comes in invisible brackets.
fn unwrap_invisible(tokens: TokenStream) -> TokenStream {
    let mut trees = tokens.clone().into_iter();
    match (trees.next(), trees.next()) {
        (Some(TokenTree::Group(group)), None) if group.delimiter() == Delimiter::None => {
            unwrap_invisible(group.stream())
        }
        _ => tokens,
    }
}

/// The braces of a body, also of a `$body:block`.
fn braces(tree: &TokenTree) -> Option<Group> {
    let TokenTree::Group(group) = tree else {
        return None;
    };
    match group.delimiter() {
        Delimiter::Brace => Some(group.clone()),
        Delimiter::None => {
            let mut trees = group.stream().into_iter();
            let only = trees.next()?;
            trees.next().is_none().then(|| braces(&only))?
        }
        _ => None,
    }
}

/// Parts the `#![…]` at the beginning from the rest.
fn split_inner(tokens: TokenStream) -> (TokenStream, TokenStream) {
    let mut trees = tokens.into_iter().peekable();
    let mut inner = TokenStream::new();
    let is = |tree: Option<&TokenTree>, char| matches!(tree, Some(TokenTree::Punct(punct)) if punct.as_char() == char);
    while is(trees.peek(), '#') {
        let mut ahead = trees.clone();
        ahead.next();
        if !is(ahead.peek(), '!') {
            break;
        }
        inner.extend(trees.by_ref().take(3));
    }
    (inner, trees.collect())
}

fn collect(pat: &Pat, bindings: &mut Vec<Binding>) {
    match pat {
        Pat::Ident(pat) => {
            bindings.push(Binding {
                ident: pat.ident.clone(),
                cfg: Vec::new(),
                lints: Vec::new(),
                mutable: pat.by_ref.is_none() && pat.mutability.is_some(),
            });
            if let Some((_, inner)) = &pat.subpat {
                collect(inner, bindings);
            }
        }
        Pat::Paren(pat) => collect(&pat.pat, bindings),
        Pat::Reference(pat) => collect(&pat.pat, bindings),
        Pat::Type(pat) => collect(&pat.pat, bindings),
        Pat::Slice(pat) => pat.elems.iter().for_each(|pat| collect(pat, bindings)),
        Pat::Tuple(pat) => pat.elems.iter().for_each(|pat| collect(pat, bindings)),
        Pat::TupleStruct(pat) => pat.elems.iter().for_each(|pat| collect(pat, bindings)),
        Pat::Struct(pat) => {
            let fields = pat.fields.iter();
            fields.for_each(|field| collect(&field.pat, bindings));
        }
        // Each case binds the same names.
        Pat::Or(pat) => {
            if let Some(first) = pat.cases.first() {
                collect(first, bindings);
            }
        }
        _ => {}
    }
}

/// An item that is no function.
struct Other(&'static str);

fn other_item(input: ParseStream<'_>) -> Option<Other> {
    let ahead = input.fork();
    let mut what = None;
    // `unsafe impl`, `auto trait`, `default impl`.
    for _ in 0..3 {
        what = if ahead.peek(Token![struct]) {
            Some("a struct")
        } else if ahead.peek(Token![enum]) {
            Some("an enum")
        } else if ahead.peek(Token![union]) && ahead.peek2(syn::Ident) {
            Some("a union")
        } else if ahead.peek(Token![impl]) {
            Some("an impl block")
        } else if ahead.peek(Token![trait]) {
            Some("a trait")
        } else if ahead.peek(Token![mod]) {
            Some("a module")
        } else if ahead.peek(Token![use]) {
            Some("a use declaration")
        } else if ahead.peek(Token![type]) {
            Some("a type alias")
        } else if ahead.peek(Token![static]) {
            Some("a static")
        } else if ahead.peek(Token![const]) && !is_function(&ahead) {
            Some("a constant")
        } else if ahead.peek(Token![extern]) && !is_function(&ahead) {
            Some("an extern block")
        } else if ahead.peek(Token![macro]) || ahead.peek2(Token![!]) || ahead.peek2(Token![::]) {
            Some("a macro")
        } else {
            None
        };
        let modifier = ahead.peek(Token![unsafe]) || ahead.peek(Token![auto]);
        if what.is_some() || !modifier || ahead.parse::<TokenTree>().is_err() {
            break;
        }
    }
    what.map(Other)
}

/// Whether `fn` follows the modifiers.
fn is_function(input: ParseStream<'_>) -> bool {
    let ahead = input.fork();
    while let Ok(tree) = ahead.parse::<TokenTree>() {
        match tree {
            TokenTree::Ident(ident) if ident == "fn" => return true,
            TokenTree::Ident(ident)
                if ["const", "async", "unsafe", "safe", "extern"]
                    .iter()
                    .any(|word| ident == word) => {}
            TokenTree::Literal(_) => {}
            _ => return false,
        }
    }
    false
}

impl Other {
    fn error(&self, kind: &str, at: Span) -> Error {
        let Self(what) = self;
        let hint = match *what {
            "an impl block" | "a trait" => "; put it on the methods inside",
            "a module" => "; put it on the functions inside",
            _ => "",
        };
        Error::new(
            at,
            format!("`#[{kind}]` belongs on a function; this is {what}{hint}"),
        )
    }
}
