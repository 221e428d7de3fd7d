//! `prompt!`: its grammar. `check` holds the template against the variables, `expand`
//! writes the call.

mod check;
mod expand;
mod places;

use std::path::Path as FilePath;

use proc_macro2::{Ident, Span, TokenStream};
use quote::ToTokens;
use syn::ext::IdentExt as _;
use syn::parse::{ParseStream, Parser as _};
use syn::{Error, Expr, ExprLit, Lit, LitStr, Path, Token, token};

use crate::attr::{Errors, root, skip_to_comma, value};
use crate::fallback;

const FORM: &str = "write `prompt!(\"id\", \"… {{name}} …\", name = …)`";
const NO_COMMA: &str = "expected `,` before the next argument";

/// What a `prompt!` says.
#[derive(Default)]
struct Call {
    id: Option<Expr>,
    template: Option<Template>,
    variables: Vec<Variable>,
    /// Whether there is a variable that could not be read.
    unread: bool,
    root: Option<Path>,
}

enum Template {
    Text(LitStr),
    Chat(Vec<Part>),
    /// A literal, or a macro such as `concat!`.
    File(Expr),
}

/// One part of a chat template.
enum Part {
    Message { role: LitStr, content: LitStr },
    Placeholder(LitStr),
}

struct Variable {
    name: LitStr,
    value: TokenStream,
}

/// The expansion of `prompt!(tokens)`.
pub(crate) fn prompt(tokens: TokenStream) -> TokenStream {
    fallback::guard("prompt!", TokenStream::new(), || {
        let mut errors = Errors::default();
        let call = Call::parse(tokens, &mut errors);
        check::check(&call, &mut errors);
        Ok(match errors.into_inner() {
            None => expand::prompt(&call),
            Some(error) => expand::beside(&call, &error),
        })
    })
}

impl Call {
    fn parse(tokens: TokenStream, errors: &mut Errors) -> Self {
        let mut call = Self::default();
        let read = |input: ParseStream<'_>| {
            call.read(input, errors);
            Ok(())
        };
        if let Err(error) = read.parse2(tokens) {
            errors.push(error);
        }
        call
    }

    fn read(&mut self, input: ParseStream<'_>, errors: &mut Errors) {
        if input.is_empty() {
            errors.at(
                Span::call_site(),
                format_args!("a prompt is missing: {FORM}"),
            );
            return;
        }
        if !at_file(input) {
            self.id = argument(input, errors, id);
            if let Some(template) = self.id.as_ref().and_then(|id| without_id(id, input)) {
                let message = "this is a template: the id of the prompt comes before it, `prompt!(\"id\", \"…\")`";
                errors.on(&template, message);
                self.template = Some(Template::Text(template));
            } else if input.is_empty() {
                if let Some(id) = &self.id {
                    errors.on(
                        id,
                        format_args!("a template is missing behind the id: {FORM}"),
                    );
                }
                return;
            }
        }
        if self.template.is_none() {
            self.template = argument(input, errors, |input| template(input, self.id.is_some()));
        }
        if self.id.is_none() && matches!(self.template, Some(Template::File(_))) && at_text(input) {
            let message = "the id of the prompt comes before the file: `prompt!(\"id\", file = …)`";
            errors.push(input.error(message));
            skip_to_comma(input);
            let _ = input.parse::<Token![,]>();
        }
        while !input.is_empty() {
            let variable = argument(input, errors, |input| self.variable(input));
            self.unread |= variable.is_none();
        }
    }

    /// `name`, `name = expr`, `"any name" = expr` or `crate = path`.
    fn variable(&mut self, input: ParseStream<'_>) -> syn::Result<()> {
        if input.peek(Token![crate]) && input.peek2(Token![=]) {
            let ident = input.call(Ident::parse_any)?;
            if self.root.replace(root(input)?).is_some() {
                return Err(Error::new(ident.span(), "`crate` is given twice"));
            }
            return Ok(());
        }
        let ahead = input.fork();
        let Some(name) = key(&ahead)? else {
            return Err(nameless(input));
        };
        let value = if at_equals(&ahead) {
            key(input)?;
            value(input)?.into_token_stream()
        } else if !ahead.is_empty() && !ahead.peek(Token![,]) {
            if ahead.peek(Token![:]) || ahead.peek(Token![=>]) {
                let message = format!("write `{} = …`", shown(&name));
                return Err(ahead.error(message));
            }
            return Err(nameless(input));
        } else {
            if input.peek(LitStr) {
                return Err(nameless(input));
            }
            let ident = input.call(Ident::parse_any)?;
            if ident != "self" && syn::parse2::<Ident>(ident.to_token_stream()).is_err() {
                let message = format!("`{ident}` is a word of the language: write `{ident} = …`");
                return Err(Error::new(ident.span(), message));
            }
            ident.into_token_stream()
        };
        self.variables.push(Variable { name, value });
        Ok(())
    }
}

/// Reads one argument and the comma behind it; what is wrong goes into `errors`.
fn argument<T>(
    input: ParseStream<'_>,
    errors: &mut Errors,
    read: impl FnOnce(ParseStream<'_>) -> syn::Result<T>,
) -> Option<T> {
    let argument = match read(input) {
        Ok(_) if !input.is_empty() && !input.peek(Token![,]) => {
            errors.push(input.error(NO_COMMA));
            None
        }
        Ok(argument) => Some(argument),
        Err(error) => {
            errors.push(error);
            None
        }
    };
    skip_to_comma(input);
    let _ = input.parse::<Token![,]>();
    argument
}

/// Whether `=` is next, alone.
fn at_equals(input: ParseStream<'_>) -> bool {
    input.peek(Token![=]) && !input.peek(Token![==]) && !input.peek(Token![=>])
}

/// Whether `file = …` is next.
fn at_file(input: ParseStream<'_>) -> bool {
    let ahead = input.fork();
    ahead.parse::<Ident>().is_ok_and(|ident| ident == "file") && at_equals(&ahead)
}

/// A string that is no name of a variable.
fn at_text(input: ParseStream<'_>) -> bool {
    input.peek(LitStr) && !input.peek2(Token![=])
}

fn id(input: ParseStream<'_>) -> syn::Result<Expr> {
    let expr: Expr = input.parse()?;
    match literal(&expr) {
        Some(Lit::Str(text)) if text.value().trim().is_empty() => Err(Error::new_spanned(
            text,
            "the id of the prompt is empty: calls are grouped by it",
        )),
        Some(Lit::Str(_)) | None => Ok(expr),
        Some(other) => Err(Error::new_spanned(other, "the id of the prompt is text")),
    }
}

/// The template, if it stands where the id should.
fn without_id(id: &Expr, behind: ParseStream<'_>) -> Option<LitStr> {
    let more = at_text(behind) || behind.peek(token::Bracket) || at_file(behind);
    match literal(id) {
        Some(Lit::Str(text)) if !more && text.value().contains("{{") => Some(text.clone()),
        _ => None,
    }
}

fn template(input: ParseStream<'_>, has_id: bool) -> syn::Result<Template> {
    if at_file(input) {
        let _: Ident = input.parse()?;
        return file(value(input)?, has_id);
    }
    let expr: Expr = input.parse()?;
    if let Expr::Array(array) = bare(&expr) {
        if array.elems.is_empty() {
            return Err(Error::new_spanned(array, "a chat template has messages"));
        }
        let parts = array.elems.iter().map(part);
        return Ok(Template::Chat(parts.collect::<syn::Result<_>>()?));
    }
    if let Some(Lit::Str(text)) = literal(&expr) {
        return Ok(Template::Text(text.clone()));
    }
    let hint = match bare(&expr) {
        Expr::Macro(call) if call.mac.path.is_ident("include_str") => {
            let path = &call.mac.tokens;
            format!("write `file = {path}`")
        }
        _ => "a file is `file = \"…\"`, and what is made at run time `Prompt::new(id).template(…)`"
            .to_owned(),
    };
    let message = format!("the template is a string literal, so that it can be checked; {hint}");
    Err(Error::new_spanned(expr, message))
}

fn file(path: Expr, has_id: bool) -> syn::Result<Template> {
    match (literal(&path), bare(&path)) {
        (Some(Lit::Str(text)), _) => {
            if text.value().is_empty() {
                return Err(Error::new_spanned(text, "the path of the file is empty"));
            }
            if !has_id && stem(text).is_none() {
                let message = "this path has no name for an id: write `prompt!(\"id\", file = …)`";
                return Err(Error::new_spanned(text, message));
            }
        }
        (None, Expr::Macro(_)) if has_id => {}
        (None, Expr::Macro(_)) => {
            let message =
                "only a path that is a literal gives an id: write `prompt!(\"id\", file = …)`";
            return Err(Error::new_spanned(path, message));
        }
        _ => {
            let message = "the path of the file is a string literal, relative to this source file";
            return Err(Error::new_spanned(path, message));
        }
    }
    Ok(Template::File(path))
}

/// The id of a file without one: its name without the ending.
fn stem(path: &LitStr) -> Option<String> {
    let path = path.value();
    let stem = FilePath::new(&path).file_stem()?;
    Some(stem.to_str()?.to_owned())
}

/// `("role", "content")` or `placeholder("name")`.
fn part(expr: &Expr) -> syn::Result<Part> {
    let text = |expr: &Expr, what: &str| match literal(expr) {
        Some(Lit::Str(text)) if what != "content" && text.value().is_empty() => Err(
            Error::new_spanned(text, format_args!("the {what} is empty")),
        ),
        Some(Lit::Str(text)) => Ok(text.clone()),
        _ => {
            let message = format!("the {what} is a string literal, so that it can be checked");
            Err(Error::new_spanned(expr, message))
        }
    };
    match bare(expr) {
        Expr::Tuple(tuple) if tuple.elems.len() == 2 => Ok(Part::Message {
            role: text(&tuple.elems[0], "role")?,
            content: text(&tuple.elems[1], "content")?,
        }),
        Expr::Call(call) if is_placeholder(&call.func) && call.args.len() == 1 => Ok(
            Part::Placeholder(text(&call.args[0], "name of the placeholder")?),
        ),
        _ => Err(Error::new_spanned(
            expr,
            "a part of a chat template is `(\"role\", \"content\")` or `placeholder(\"name\")`",
        )),
    }
}

fn is_placeholder(function: &Expr) -> bool {
    matches!(function, Expr::Path(path) if path.path.is_ident("placeholder"))
}

/// The name of a variable, if one is next.
fn key(input: ParseStream<'_>) -> syn::Result<Option<LitStr>> {
    if input.peek(LitStr) {
        return input.parse().map(Some);
    }
    if !input.peek(Ident::peek_any) {
        return Ok(None);
    }
    let ident = input.call(Ident::parse_any)?;
    Ok(Some(LitStr::new(&ident.unraw().to_string(), ident.span())))
}

/// What stands where a variable should.
fn nameless(input: ParseStream<'_>) -> Error {
    match input.parse::<Expr>() {
        Ok(Expr::Path(path)) if path.path.get_ident().is_some() => input.error(NO_COMMA),
        Ok(expr) => Error::new_spanned(
            expr,
            "a variable that is more than a name needs one: write `name = …`",
        ),
        Err(error) => error,
    }
}

/// A name as it is written before `=`.
fn shown(name: &LitStr) -> String {
    let value = name.value();
    match syn::parse_str::<Ident>(&value) {
        Ok(ident) => ident.to_string(),
        Err(_) => format!("{value:?}"),
    }
}

fn literal(expr: &Expr) -> Option<&Lit> {
    match bare(expr) {
        Expr::Lit(ExprLit { lit, attrs }) if attrs.is_empty() => Some(lit),
        _ => None,
    }
}

/// Without what `$x:expr` of another macro puts around it.
fn bare(expr: &Expr) -> &Expr {
    match expr {
        Expr::Group(group) => bare(&group.expr),
        other => other,
    }
}

#[cfg(test)]
mod tests;
