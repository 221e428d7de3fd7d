//! The grammar of an attribute's arguments.
//!
//! Every mistake is noted on its very token, and reading goes on behind the next comma:
//! all of them are reported at once.

use std::collections::BTreeSet;

use proc_macro2::{Ident, Span, TokenStream, TokenTree};
use quote::ToTokens;
use syn::ext::IdentExt as _;
use syn::parse::{ParseStream, Parser as _};
use syn::{Error, Expr, ExprLit, Lit, LitBool, LitStr, Path, Token, token};

use crate::kind::Kind;
use crate::names::{Form, Key, suggestion};

/// What an attribute says.
#[derive(Default)]
pub(crate) struct Args {
    pub(crate) root: Option<Path>,
    /// `name`, `session_id` and the like, in the order in which they stand.
    pub(crate) texts: Vec<(Key, Expr)>,
    pub(crate) tags: Vec<Pair>,
    pub(crate) metadata: Vec<Pair>,
    pub(crate) input: Option<Expr>,
    pub(crate) output: Option<Expr>,
    pub(crate) capture_input: Option<LitBool>,
    pub(crate) capture_output: Option<LitBool>,
    pub(crate) skip: Vec<Ident>,
    pub(crate) stream: Option<Span>,
    pub(crate) future: Option<Span>,
}

/// One `key = value` of `tags(…)` or `metadata(…)`.
pub(crate) struct Pair {
    pub(crate) key: LitStr,
    pub(crate) value: Expr,
}

/// All mistakes so far.
#[derive(Default)]
pub(crate) struct Errors(Option<Error>);

impl Errors {
    pub(crate) fn push(&mut self, error: Error) {
        match &mut self.0 {
            Some(all) => all.combine(error),
            None => self.0 = Some(error),
        }
    }

    pub(crate) fn at(&mut self, span: Span, message: impl std::fmt::Display) {
        self.push(Error::new(span, message));
    }

    pub(crate) fn on(&mut self, tokens: impl ToTokens, message: impl std::fmt::Display) {
        self.push(Error::new_spanned(tokens, message));
    }

    pub(crate) fn into_inner(self) -> Option<Error> {
        self.0
    }
}

impl Args {
    /// Reads the arguments of `#[kind(…)]`; what is wrong goes into `errors`.
    pub(crate) fn parse(kind: Kind, tokens: TokenStream, errors: &mut Errors) -> Self {
        let mut args = Self::default();
        let read = |input: ParseStream<'_>| {
            args.read(kind, input, errors);
            Ok(())
        };
        if let Err(error) = read.parse2(tokens) {
            errors.push(error);
        }
        args
    }

    fn read(&mut self, kind: Kind, input: ParseStream<'_>, errors: &mut Errors) {
        let mut seen = BTreeSet::new();
        while !input.is_empty() {
            if let Err(error) = self.argument(kind, input, &mut seen, errors) {
                errors.push(error);
                skip_to_comma(input);
            } else if !input.is_empty() && !input.peek(Token![,]) {
                errors.push(input.error("expected `,` before the next argument"));
                skip_to_comma(input);
            }
            // Behind the skip there is a comma or the end.
            let _ = input.parse::<Token![,]>();
        }
    }

    fn argument(
        &mut self,
        kind: Kind,
        input: ParseStream<'_>,
        seen: &mut BTreeSet<Key>,
        errors: &mut Errors,
    ) -> syn::Result<()> {
        if input.peek(Lit) {
            let literal: Lit = input.parse()?;
            let hint = match &literal {
                Lit::Str(text) => format!(": write `name = {}`", text.token()),
                _ => String::new(),
            };
            let message = format!("arguments of `#[{}]` have a name{hint}", kind.name());
            return Err(Error::new(literal.span(), message));
        }
        if !input.peek(Ident::peek_any) {
            let message = format!("expected the name of an argument of `#[{}]`", kind.name());
            return Err(input.error(message));
        }
        let ident = input.call(Ident::parse_any)?;
        let Some(key) = Key::of(&ident) else {
            return Err(Error::new(ident.span(), unknown(kind, &ident)));
        };
        if !key.allowed(kind) {
            errors.at(ident.span(), key.not_allowed(kind));
        } else if !seen.insert(key) {
            errors.at(ident.span(), format_args!("`{key}` is given twice"));
        }
        check_form(key, &ident, input)?;
        match key {
            Key::Tags => self.tags.extend(pairs(key, input, errors)?),
            Key::Metadata => self.metadata.extend(pairs(key, input, errors)?),
            Key::Skip => self.skip.extend(skipped(input, errors)?),
            Key::Stream => self.stream = Some(ident.span()),
            Key::Future => self.future = Some(ident.span()),
            Key::Crate => self.root = Some(root(input)?),
            Key::CaptureInput => self.capture_input = Some(boolean(key, input)?),
            Key::CaptureOutput => self.capture_output = Some(boolean(key, input)?),
            Key::Input => self.input = Some(value(input)?),
            Key::Output => self.output = Some(closure(input)?),
            text => {
                let expr = value(input)?;
                check_text(key, &expr, errors);
                self.texts.push((text, expr));
            }
        }
        Ok(())
    }
}

fn unknown(kind: Kind, ident: &Ident) -> String {
    let allowed = Key::ALL.into_iter().filter(|key| key.allowed(kind));
    let allowed: Vec<&str> = allowed.map(Key::name).collect();
    let name = ident.unraw().to_string();
    match suggestion(&name, &allowed) {
        Some(near) => format!("unknown argument `{name}`; did you mean `{near}`?"),
        None => format!(
            "unknown argument `{name}`; `#[{}]` takes {}",
            kind.name(),
            list(&allowed)
        ),
    }
}

fn list(names: &[&str]) -> String {
    let quoted: Vec<String> = names.iter().map(|name| format!("`{name}`")).collect();
    quoted.join(", ")
}

/// Whether what follows the name has the form that it should have.
fn check_form(key: Key, ident: &Ident, input: ParseStream<'_>) -> syn::Result<()> {
    let form = key.form();
    let right = match form {
        Form::Value => input.peek(Token![=]) && !input.peek(Token![==]),
        Form::List => input.peek(token::Paren),
        Form::Word => input.is_empty() || input.peek(Token![,]),
    };
    if right {
        return Ok(());
    }
    let message = format!("write {}", key.usage());
    Err(if input.is_empty() || input.peek(Token![,]) {
        Error::new(ident.span(), format!("`{key}` needs a value: {message}"))
    } else {
        input.error(message)
    })
}

/// `= expr`.
pub(crate) fn value(input: ParseStream<'_>) -> syn::Result<Expr> {
    let equals: Token![=] = input.parse()?;
    if input.is_empty() || input.peek(Token![,]) {
        return Err(Error::new(equals.span, "expected a value behind `=`"));
    }
    let mut expr = input.parse()?;
    // An `$e:expr` or a `$l:literal` of a `macro_rules!` comes in invisible brackets.
    while let Expr::Group(group) = expr {
        expr = *group.expr;
    }
    Ok(expr)
}

fn boolean(key: Key, input: ParseStream<'_>) -> syn::Result<LitBool> {
    let expr = value(input)?;
    match expr {
        Expr::Lit(ExprLit {
            lit: Lit::Bool(literal),
            ..
        }) => Ok(literal),
        other => Err(Error::new_spanned(
            other,
            format_args!("`{key}` is `true` or `false`, written out: the macro has to know"),
        )),
    }
}

/// What `output` is given: a closure, or the path of a function.
fn closure(input: ParseStream<'_>) -> syn::Result<Expr> {
    let expr = value(input)?;
    let wrong = match &expr {
        Expr::Closure(closure) => closure.inputs.len() != 1 || closure.asyncness.is_some(),
        Expr::Path(_) => false,
        _ => true,
    };
    if wrong {
        let message = "`output` is a closure of one argument, the returned value: \
                       write `output = |returned| …`";
        return Err(Error::new_spanned(expr, message));
    }
    Ok(expr)
}

pub(crate) fn root(input: ParseStream<'_>) -> syn::Result<Path> {
    let _: Token![=] = input.parse()?;
    if input.peek(LitStr) {
        let text: LitStr = input.parse()?;
        let message = format!(
            "`crate` is a path: write `crate = {}`, without quotes",
            text.value()
        );
        return Err(Error::new(text.span(), message));
    }
    input.call(Path::parse_mod_style)
}

fn check_text(key: Key, expr: &Expr, errors: &mut Errors) {
    let Expr::Lit(ExprLit { lit, .. }) = expr else {
        return;
    };
    match lit {
        Lit::Str(text) if text.value().is_empty() => {
            errors.on(lit, format_args!("`{key}` is empty; leave it out instead"));
        }
        Lit::Str(_) => {}
        _ => errors.on(lit, format_args!("`{key}` is text: write `{key} = \"…\"`")),
    }
}

/// `(k = v, "k.k" = v)`.
fn pairs(key: Key, input: ParseStream<'_>, errors: &mut Errors) -> syn::Result<Vec<Pair>> {
    let content;
    syn::parenthesized!(content in input);
    let mut pairs: Vec<Pair> = Vec::new();
    while !content.is_empty() {
        match pair(key, &content) {
            Ok(pair) => {
                if pair.key.value().is_empty() {
                    errors.at(pair.key.span(), format_args!("a key of `{key}` is empty"));
                } else if pairs
                    .iter()
                    .any(|other| other.key.value() == pair.key.value())
                {
                    let twice = format!("key {:?} of `{key}` is given twice", pair.key.value());
                    errors.at(pair.key.span(), twice);
                }
                pairs.push(pair);
                if !content.is_empty() && !content.peek(Token![,]) {
                    errors.push(content.error("expected `,` before the next key"));
                    skip_to_comma(&content);
                }
            }
            Err(error) => {
                errors.push(error);
                skip_to_comma(&content);
            }
        }
        let _ = content.parse::<Token![,]>();
    }
    Ok(pairs)
}

fn pair(key: Key, input: ParseStream<'_>) -> syn::Result<Pair> {
    let name = if input.peek(LitStr) {
        input.parse()?
    } else if input.peek(Ident::peek_any) {
        let ident = input.call(Ident::parse_any)?;
        LitStr::new(&ident.unraw().to_string(), ident.span())
    } else {
        let message =
            format!("a key of `{key}` is a name or a string: `{key}(team = …, \"team.name\" = …)`");
        return Err(input.error(message));
    };
    if input.peek(Token![.]) || input.peek(Token![-]) {
        let message = format!("a key of `{key}` that is more than a name is a string: `\"…\" = …`");
        return Err(input.error(message));
    }
    if !input.peek(Token![=]) {
        let message = format!("key {:?} of `{key}` needs a value: `= …`", name.value());
        return Err(if input.is_empty() || input.peek(Token![,]) {
            Error::new(name.span(), message)
        } else {
            input.error(message)
        });
    }
    Ok(Pair {
        key: name,
        value: value(input)?,
    })
}

/// `(a, b)`.
fn skipped(input: ParseStream<'_>, errors: &mut Errors) -> syn::Result<Vec<Ident>> {
    let content;
    syn::parenthesized!(content in input);
    let mut names: Vec<Ident> = Vec::new();
    while !content.is_empty() {
        if let Ok(name) = content.call(Ident::parse_any) {
            if name == "self" {
                errors.at(name.span(), "`self` is never captured: nothing to skip");
            } else if names.contains(&name) {
                errors.at(name.span(), format_args!("`{name}` is skipped twice"));
            }
            names.push(name);
            if !content.is_empty() && !content.peek(Token![,]) {
                errors.push(content.error(if content.peek(Token![.]) {
                    "`skip` lists whole arguments; what a part of one is captured as is told by `input = …`"
                } else {
                    "expected `,` before the next name"
                }));
            }
        } else {
            errors.push(content.error("`skip` lists names of arguments: `skip(api_key)`"));
        }
        skip_to_comma(&content);
        let _ = content.parse::<Token![,]>();
    }
    Ok(names)
}

/// Goes to the next comma, which stays, or to the end.
pub(crate) fn skip_to_comma(input: ParseStream<'_>) {
    while !input.is_empty() && !input.peek(Token![,]) {
        if input.parse::<TokenTree>().is_err() {
            return;
        }
    }
}
