//! The macro as a function from tokens to tokens.

use proc_macro2::TokenStream;
use quote::quote;

use super::{Call, check, prompt};
use crate::attr::Errors;
use crate::tests::lines;

fn errors(tokens: TokenStream) -> Vec<String> {
    let mut errors = Errors::default();
    let call = Call::parse(tokens, &mut errors);
    check::check(&call, &mut errors);
    let error = errors.into_inner();
    let errors = error.into_iter().flatten();
    errors.map(|error| error.to_string()).collect()
}

fn written(tokens: TokenStream) -> String {
    lines(prompt(tokens)).trim().to_owned()
}

#[test]
fn what_fits_has_no_errors() {
    for tokens in [
        quote!("id", "no places"),
        quote!("id", "{{a}} {{ b }} {{a}} {c} }}", a, b = 1 + 1,),
        quote!(
            "id",
            "{{type}}{{self}}{{file}}{{version}}",
            r#type,
            self,
            file = f,
            version
        ),
        quote!("id", "{{type}}{{crate}}", type = 1, "crate" = 2, crate = a::b),
        quote!(
            "id",
            "{{user.name}}{{ Straße }}",
            "user.name" = 1,
            Straße = 2
        ),
        quote!(ID, "{{{a}}}", a),
        quote!(
            "id",
            [("system", "{{a}}"), placeholder("h"), ("user", "{{b}}")],
            a,
            b
        ),
        quote!(file = "a.txt", x, file = 1),
        quote!("id", file = concat!("a", ".txt"), x),
    ] {
        assert_eq!(errors(tokens.clone()), [""; 0], "{tokens}");
    }
}

#[test]
fn one_mistake_is_one_error() {
    for (tokens, told) in [
        (quote!(), "a prompt is missing"),
        (quote!("id"), "a template is missing behind the id"),
        (quote!("", "t"), "the id of the prompt is empty"),
        (quote!(" ", "t"), "the id of the prompt is empty"),
        (quote!(1, "t"), "the id of the prompt is text"),
        (
            quote!("Translate {{a}}", a),
            "the id of the prompt comes before it",
        ),
        (quote!("id", ""), "the template is empty"),
        (quote!("id", template), "`Prompt::new(id).template(…)`"),
        (
            quote!("id", format!("a"), a),
            "`Prompt::new(id).template(…)`",
        ),
        (
            quote!("id", include_str!("a.txt"), a),
            "write `file = \"a.txt\"`",
        ),
        (quote!("id", 1), "a string literal"),
        (quote!("id" "t"), "expected `,`"),
        (
            quote!("id", "{{a}}"),
            "no variable for `{{a}}`: add `a` or `a = …`",
        ),
        (quote!("id", "{{ a }}{{a}}"), "no variable for `{{ a }}`"),
        (quote!("id", "{{type}}"), "add `\"type\" = …`"),
        (quote!("id", "{{a.b}}"), "add `\"a.b\" = …`"),
        (quote!("id", "{{}}"), "`{{}}` has no name"),
        (quote!("id", "t", a), "no place for `a`"),
        (
            quote!("id", "{{text}}", txet),
            "no place for `txet`; did you mean `text`?",
        ),
        (
            quote!("id", "{text}", text),
            "a place has two braces, `{{text}}`",
        ),
        (quote!("id", "{{a}}", a, a = 1), "`a` is given twice"),
        (quote!("id", "{{a}}", a, "a" = 1), "`a` is given twice"),
        (quote!("id", "{{a", a), "`{{a` is not closed"),
        (quote!("id", "{{a {{b}}", a, b), "`{{a ` is not closed"),
        (quote!("id", "{{a}}", user.a), "needs one: write `name = …`"),
        (quote!("id", "{{a}}", &a), "needs one: write `name = …`"),
        (quote!("id", "{{a}}", "a"), "needs one: write `name = …`"),
        (quote!("id", "{{a}}", a: b), "write `a = …`"),
        (quote!("id", "{{a}}", a => b), "write `a = …`"),
        (quote!("id", "{{a}}", a =), "expected a value behind `=`"),
        (quote!("id", "{{a}}", a b), "expected `,`"),
        (quote!("id", "{{type}}", type), "write `type = …`"),
        (
            quote!("id", "{{a}}", "" = 1),
            "the name of a variable is empty",
        ),
        (quote!("id", "{{a}}", "{{a}}" = 1), "without braces"),
        (quote!("id", "{{a}}", " a" = 1), "write \"a\""),
        (
            quote!("id", "{{a}}", a, crate = b, crate = c),
            "`crate` is given twice",
        ),
        (quote!("id", "{{a}}", a, crate = "b"), "`crate` is a path"),
        (quote!("id", []), "a chat template has messages"),
        (
            quote!("id", [("user", text)]),
            "the content is a string literal",
        ),
        (quote!("id", [("", "t")]), "the role is empty"),
        (
            quote!("id", ["t"]),
            "`(\"role\", \"content\")` or `placeholder(\"name\")`",
        ),
        (
            quote!("id", [placeholder(history)]),
            "the name of the placeholder is a string",
        ),
        (
            quote!("id", [("user", "{{a}}"), ("user", "{{a}}")]),
            "no variable for `{{a}}`",
        ),
        (quote!(file = ""), "the path of the file is empty"),
        (
            quote!(file = path),
            "the path of the file is a string literal",
        ),
        (quote!(file = ".."), "no name for an id"),
        (
            quote!(file = concat!("a", ".txt")),
            "write `prompt!(\"id\", file = …)`",
        ),
        (quote!(file = "a.txt", a, a), "`a` is given twice"),
    ] {
        let errors = errors(tokens.clone());
        let one = matches!(&errors[..], [error] if error.contains(told));
        assert!(one, "{tokens}: {errors:#?}");
    }
}

#[test]
fn several_mistakes_are_told_at_once() {
    let told = errors(quote!("", "{{a}}{{c}}{{", b.c, d, d));
    assert_eq!(told.len(), 4, "{told:#?}");
    let told = errors(quote!("id", "{{one}}{{two}}", three, four));
    assert_eq!(told.len(), 4, "{told:#?}");
}

#[test]
fn what_it_becomes() {
    assert_eq!(
        written(quote!("id", "{{a}} {{b}}", a, b = x + 1)),
        r#"P::Prompt::new("id").template("{{a}} {{b}}").variable("a", &(a)).variable("b", &(x+1))"#
    );
    assert_eq!(
        written(quote!(ID, [("user", "u"), placeholder("h")], crate = q)),
        format!(
            r#"q::__private::{}::Prompt::new(ID).chat_message("user", "u").chat_placeholder("h")"#,
            crate::version()
        )
    );
    let file = written(quote!(file = "b/a.txt", x));
    assert!(
        file.starts_with(r#"P::Prompt::new("a").template("#),
        "{file}"
    );
    assert!(
        file.contains(r#"P::include_str!("b/a.txt"), &["x"]"#),
        "{file}"
    );
}

#[test]
fn after_a_mistake_it_still_is_a_prompt() {
    let text = written(quote!("id", "{{a}}", a, b));
    assert!(text.contains("compile_error"), "{text}");
    assert!(text.contains("let _ = &(a);"), "{text}");
    assert!(text.contains(r#"P::Prompt::new("")"#), "{text}");
}
