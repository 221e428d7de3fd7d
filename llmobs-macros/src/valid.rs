//! What is wrong although its grammar is right.

use proc_macro2::Span;
use syn::spanned::Spanned as _;
use syn::{Expr, ExprLit, Lit, ReturnType};

use crate::attr::{Args, Errors};
use crate::kind::Kind;
use crate::names::suggestion;
use crate::shape;
use crate::signature::Function;

/// Checks the attribute against the function below it.
pub(crate) fn check(kind: Kind, args: &Args, function: &Function, errors: &mut Errors) {
    let sig = &function.sig;
    if let Some(constness) = &sig.constness {
        let message = format!(
            "`#[{}]` cannot measure a `const fn`: it may run in the compiler",
            kind.name()
        );
        errors.at(constness.span(), message);
    }
    if let Some(variadic) = &sig.variadic {
        let message = "a function with C's variable arguments cannot be wrapped";
        errors.at(variadic.dots.spans[0], message);
    }
    if function.body.is_instrumented() {
        let message = "this function has an attribute of llmobs already; a span has one kind";
        errors.at(Span::call_site(), message);
    }
    skip(args, function, errors);
    capture(args, function, errors);
    future(args, function, errors);
    stream(args, function, errors);
}

fn skip(args: &Args, function: &Function, errors: &mut Errors) {
    if args.skip.is_empty() {
        return;
    }
    let bindings = function.bindings();
    let names: Vec<String> = bindings
        .iter()
        .map(|binding| binding.ident.to_string())
        .collect();
    for skipped in args.skip.iter().filter(|name| *name != "self") {
        let name = skipped.to_string();
        if !names.contains(&name) {
            let names: Vec<&str> = names.iter().map(String::as_str).collect();
            let hint = suggestion(&name, &names)
                .map_or_else(String::new, |near| format!("; did you mean `{near}`?"));
            errors.at(
                skipped.span(),
                format_args!("no argument is called `{name}`{hint}"),
            );
        }
    }
}

fn capture(args: &Args, function: &Function, errors: &mut Errors) {
    if let (Some(_), Some(capture)) = (&args.input, &args.capture_input) {
        let message = if capture.value {
            "`input` takes the place of the arguments: leave `capture_input` out"
        } else {
            "`input` says what the input is: leave `capture_input = false` out"
        };
        errors.at(capture.span, message);
    }
    if let Some(output) = &args.output {
        if let Some(capture) = args
            .capture_output
            .as_ref()
            .filter(|capture| !capture.value)
        {
            let message = "`output` says what the output is: leave `capture_output = false` out";
            errors.at(capture.span, message);
        }
        if shape::is_never(&function.sig.output) {
            errors.on(output, "this function never returns: it has no output");
        }
    }
}

fn future(args: &Args, function: &Function, errors: &mut Errors) {
    let sig = &function.sig;
    if let Some(span) = args.future {
        if sig.asyncness.is_some() {
            errors.at(
                span,
                "an `async fn` is a future by itself: leave `future` out",
            );
        } else if matches!(sig.output, ReturnType::Default) {
            errors.at(
                span,
                "`future` is for a function that returns a boxed future",
            );
        }
    }
}

fn stream(args: &Args, function: &Function, errors: &mut Errors) {
    const FORMS: &str = "`impl Stream<Item = …>`, `BoxStream<…>`, `Pin<Box<dyn Stream<Item = …>>>`, \
                         `impl Iterator<Item = …>`, `Box<dyn Iterator<Item = …>>`, alone or in a \
                         `Result`, an `Option` or a future";
    let Some(span) = args.stream else { return };
    let ty = match &function.sig.output {
        ReturnType::Type(_, ty) if !shape::is_never(&function.sig.output) => ty,
        _ => {
            let message = "`stream` is for a function that returns a stream or an iterator";
            return errors.at(span, message);
        }
    };
    let shape = function.shape(args.future.is_some());
    if shape.streamed(&function.sig).is_none() {
        let what = if shape::is_name(ty) {
            "what stands behind a name cannot be seen here"
        } else {
            "there is none in this one"
        };
        let message = format!(
            "`stream` needs a stream or an iterator in the signature, and {what}: write {FORMS}"
        );
        errors.on(ty, message);
    }
}

/// A literal's text.
pub(crate) fn literal(expr: &Expr) -> Option<&syn::LitStr> {
    match expr {
        Expr::Lit(ExprLit {
            lit: Lit::Str(text),
            attrs,
        }) if attrs.is_empty() => Some(text),
        _ => None,
    }
}
