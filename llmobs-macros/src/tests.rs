//! The attribute as a function from tokens to tokens.

use std::fmt::Write as _;
use std::fs;
use std::path::Path;

use proc_macro2::{Delimiter, Spacing, TokenStream, TokenTree};
use quote::quote;

use crate::attr::{Args, Errors};
use crate::kind::Kind;
use crate::shape::{self, Boxed, Shape};
use crate::signature::Function;

fn expand(kind: Kind, args: TokenStream, item: TokenStream) -> syn::Result<TokenStream> {
    crate::expand(kind, args, item)
}

/// All errors of an attribute on a harmless function.
fn errors(kind: Kind, args: TokenStream) -> Vec<String> {
    let expanded = expand(
        kind,
        args,
        quote!(
            fn f(a: u8) -> u8 {
                a
            }
        ),
    );
    let Err(error) = expanded else {
        return Vec::new();
    };
    error.into_iter().map(|error| error.to_string()).collect()
}

#[test]
fn every_mistake_is_told_at_once() {
    let told = errors(
        Kind::Tool,
        quote!(
            nmae = 1,
            model_name = "m",
            name = "",
            name,
            capture_input = 1,
            tags(a),
            skip(b),
            x
        ),
    );
    assert_eq!(told.len(), 9, "{told:#?}");
    assert_eq!(told[0], "unknown argument `nmae`; did you mean `name`?");
}

#[test]
fn every_argument_is_allowed_where_it_belongs() {
    let common = quote!(
        name = "n", session_id = "s", ml_app = a, agent_service = x.y, tags(a = 1, "b.c" = 2, type = 3),
        metadata(k = f(1, 2)), output = |r| r, capture_input = true, skip(a), crate = a::b,
    );
    for kind in Kind::ALL {
        let none: [&str; 0] = [];
        assert_eq!(errors(kind, common.clone()), none);
        let model = errors(kind, quote!(model_name = "m", model_provider = "p"));
        assert_eq!(model.len(), if kind.has_model() { 0 } else { 2 });
        let version = errors(kind, quote!(version = "1"));
        assert_eq!(version.len(), usize::from(kind != Kind::Agent));
    }
}

#[test]
fn the_function_is_emitted_after_a_mistake_and_after_a_panic_of_ours() {
    let item = quote!(
        #[inline]
        fn f(a: u8) -> u8 {
            a
        }
    );
    let wrong = crate::attribute(Kind::Llm, quote!(x = 1), item.clone()).to_string();
    assert!(
        wrong.starts_with(&item.to_string()) && wrong.contains("compile_error"),
        "{wrong}"
    );

    let hook = std::panic::take_hook();
    std::panic::set_hook(Box::new(|_| {}));
    let broken = crate::fallback::guard("#[llm]", item.clone(), || panic!("ours")).to_string();
    std::panic::set_hook(hook);
    assert!(
        broken.starts_with(&item.to_string()) && broken.contains("please report"),
        "{broken}"
    );
}

#[test]
fn what_cannot_be_wrapped_is_told() {
    let path: TokenStream = format!("::llmobs::__private::{}::switch!", crate::version())
        .parse()
        .unwrap();
    for (item, told) in [
        (
            quote!(
                const fn f() {}
            ),
            "const fn",
        ),
        (
            quote!(
                unsafe extern "C" fn f(a: u8, mut b: ...) {}
            ),
            "variable arguments",
        ),
        (quote!(fn f() { #path { {} {} } }), "already"),
    ] {
        let error = expand(Kind::Task, quote!(), item).unwrap_err().to_string();
        assert!(error.contains(told), "{error}");
    }
}

#[test]
fn the_path_carries_the_version() {
    let tokens = expand(
        Kind::Llm,
        quote!(),
        quote!(
            fn f() {}
        ),
    )
    .unwrap()
    .to_string();
    let version = env!("CARGO_PKG_VERSION").replace('.', "_");
    let path = format!(":: llmobs :: __private :: v{version} ::");
    assert!(tokens.contains(&path), "{tokens}");
    let tokens = expand(
        Kind::Llm,
        quote!(crate = a::b),
        quote!(
            fn f() {}
        ),
    )
    .unwrap()
    .to_string();
    assert!(
        tokens.contains(&format!("a :: b :: __private :: v{version}")),
        "{tokens}"
    );
    assert!(!tokens.contains("llmobs :: __private"), "{tokens}");
}

#[test]
fn a_body_is_never_parsed() {
    let item = quote!(fn f() { let x = a. ; match { => } });
    assert!(expand(Kind::Task, quote!(), item).is_ok());
}

#[test]
fn an_opaque_type_is_written_as_an_underscore() {
    let cases = [
        (
            quote!(Result<impl Iterator<Item = impl Fn(u8) -> u8> + 'a, E>),
            quote!(Result<_, E>),
        ),
        (quote!((impl A, [impl B<C, D = E>; 2])), quote!((_, [_; 2]))),
        (
            quote!(&'a (dyn F<X = impl Y> + Send)),
            quote!(&'a (dyn F<X = _> + Send)),
        ),
        (quote!(fn(u8) -> !), quote!(fn(u8) -> !)),
    ];
    for (ty, erased) in cases {
        let ty = syn::parse2(ty).unwrap();
        assert_eq!(shape::erased(&ty).to_string(), erased.to_string());
    }
}

#[test]
fn the_return_type_tells_the_shape() {
    let shape = |output: TokenStream, args: TokenStream| {
        let function = Function::parse("task", quote!(fn f() -> #output {})).unwrap();
        let args = Args::parse(Kind::Task, args, &mut Errors::default());
        match function.shape(args.future.is_some()) {
            Shape::Sync => "sync".to_owned(),
            Shape::Async => "async".to_owned(),
            Shape::Future { output, form } => {
                let output = output.map(|ty| shape::erased(&ty).to_string());
                format!("future {} {form:?}", output.unwrap_or_default())
            }
        }
    };
    let none = || quote!();
    for (output, expected) in [
        (quote!(impl Future<Output = u8> + Send), "future u8 Bare"),
        (
            quote!(impl Send + ::core::future::Future<Output = impl X>),
            "future _ Bare",
        ),
        (quote!(BoxFuture<'static, u8>), "future u8 Named"),
        (quote!(BoxFuture<u8, Error>), "future  Named"),
        (quote!(BoxFuture<u8, E>), "sync"),
        (quote!(impl Future<Item = u8, Error = E>), "sync"),
        (quote!(Pin<Box<dyn Future<u8>>>), "sync"),
        (quote!(Pin<Box<dyn Future<Output = u8>, A>>), "sync"),
        (
            quote!(::core::pin::Pin<Box<dyn Future<Output = u8>>>),
            "future u8 Boxed",
        ),
        (
            quote!(futures::future::LocalBoxFuture<'_, Result<u8, E>>),
            "future Result < u8 , E > Named",
        ),
        (
            quote!(Pin<Box<dyn Future<Output = ()> + Send + 'a>>),
            "future () Named",
        ),
        (
            quote!((Pin<Box<(dyn Future<Output = u8> + 'a)>>)),
            "future u8 Named",
        ),
        (quote!(Result<impl Future<Output = u8>, E>), "sync"),
        (quote!(impl Stream<Item = u8>), "sync"),
        (quote!(Ready<u8>), "sync"),
        (quote!(!), "sync"),
    ] {
        assert_eq!(shape(output.clone(), none()), expected, "{output}");
    }
    assert_eq!(shape(quote!(Alias), quote!(future)), "future  Boxed");
    assert_eq!(
        shape(quote!(BoxFuture<u8, E>), quote!(future)),
        "future  Boxed"
    );
}

#[test]
fn a_stream_is_found_wherever_the_signature_shows_one() {
    let found = |output: TokenStream| {
        let function = Function::parse("task", quote!(fn f() -> #output {})).unwrap();
        let returned = function.shape(false).streamed(&function.sig)?;
        let items = returned.items();
        let item = items.item.as_ref().map(|ty| shape::erased(ty).to_string());
        let what = if items.is_iterator {
            "iterator"
        } else {
            "stream"
        };
        let boxed = match items.boxed {
            None => "",
            Some(Boxed::Pinned) => " pinned",
            Some(Boxed::Plain) => " boxed",
        };
        Some(format!("{what} of {}{boxed}", item.unwrap_or_default()))
    };
    for (output, expected) in [
        (quote!(impl Stream<Item = T> + Send + 'a), "stream of T"),
        (quote!(impl Send + futures::Stream), "stream of "),
        (quote!((impl FusedStream<Item = T>)), "stream of T"),
        (quote!(BoxStream<'_, Result<T, E>>), "stream of  pinned"),
        (quote!(a::LocalBoxStream<'a, T>), "stream of  pinned"),
        (
            quote!(Pin<Box<dyn Stream<Item = T> + Send>>),
            "stream of T pinned",
        ),
        (
            quote!(Box<dyn Stream<Item = T> + Unpin>),
            "stream of T boxed",
        ),
        (
            quote!(io::Result<Option<BoxStream<'a, T>>>),
            "stream of  pinned",
        ),
        (quote!(AppResult<impl Stream<Item = T>>), "stream of T"),
        (
            quote!(impl Future<Output = Result<impl Stream<Item = impl X>, E>>),
            "stream of _",
        ),
        (
            quote!(BoxFuture<'a, Option<BoxStream<'a, T>>>),
            "stream of  pinned",
        ),
        (
            quote!(impl ExactSizeIterator<Item = &'a T> + use<'a>),
            "iterator of & 'a T",
        ),
        (
            quote!(Result<Box<dyn Iterator<Item = T>>, E>),
            "iterator of T boxed",
        ),
    ] {
        assert_eq!(found(output.clone()).as_deref(), Some(expected), "{output}");
    }
    for output in [
        quote!(Tokens),
        quote!(Vec<BoxStream<'a, T>>),
        quote!(&mut dyn Iterator<Item = T>),
        quote!(Result<Tokens, E>),
        quote!(BoxFuture<'a, T>),
        quote!(impl IntoIterator<Item = T>),
    ] {
        assert_eq!(found(output.clone()), None, "{output}");
    }
}

#[test]
fn what_is_no_function_is_named() {
    for (item, what) in [
        (
            quote!(
                pub struct S;
            ),
            "a struct",
        ),
        (quote!(unsafe impl S {}), "an impl block"),
        (
            quote!(
                pub(crate) auto trait T {}
            ),
            "a trait",
        ),
        (
            quote!(
                extern "C" {}
            ),
            "an extern block",
        ),
        (
            quote!(
                const X: u8 = 1;
            ),
            "a constant",
        ),
        (
            quote!(
                static X: u8 = 1;
            ),
            "a static",
        ),
        (quote!(union U { a: u8 }), "a union"),
        (quote!(a::b! {}), "a macro"),
    ] {
        let error = Function::parse("task", item).err().unwrap().to_string();
        assert!(error.contains(&format!("this is {what}")), "{error}");
    }
    for item in [
        quote!(
            const unsafe extern "C" fn f() {}
        ),
        quote!(
            async fn union() {}
        ),
        quote!(
            unsafe extern "C" fn f() {}
        ),
    ] {
        let error = Function::parse("task", item.clone()).err();
        assert!(error.is_none(), "{item}: {error:?}");
    }
    let error = Function::parse(
        "task",
        quote!(
            fn f(&self) -> u8;
        ),
    )
    .err()
    .unwrap();
    assert!(error.to_string().contains("needs a body"), "{error}");
}

/// Four functions: what their expansions are is in `expansions/`.
fn shapes() -> [(&'static str, TokenStream); 4] {
    [
        (
            "sync",
            quote!(
                pub fn f(&self, a: &str, mut b: u8) -> Result<u8, E> {
                    b += 1;
                    g(a, b)
                }
            ),
        ),
        (
            "async",
            quote!(
                pub async fn f(&self, a: &str, mut b: u8) -> Result<u8, E> {
                    b += 1;
                    g(a, b).await
                }
            ),
        ),
        (
            "future",
            quote!(
                fn f(a: String) -> BoxFuture<'static, u8> {
                    g(a).boxed()
                }
            ),
        ),
        (
            "stream",
            quote!(
                async fn f(a: String) -> Result<impl Stream<Item = T>, E> {
                    g(a).await
                }
            ),
        ),
    ]
}

#[test]
fn expansions_are_what_they_were() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/expansions");
    let mut changed = Vec::new();
    for kind in Kind::ALL {
        let mut text = String::new();
        for (shape, item) in shapes() {
            let mut args = if kind.has_model() {
                quote!(model_name = "m")
            } else {
                quote!(name = a.len())
            };
            if shape == "stream" {
                args.extend(quote!(, stream));
            }
            let tokens = expand(kind, args, item).unwrap();
            let _ = write!(text, "// {shape}\n{}\n", lines(tokens));
        }
        let path = folder.join(kind.name()).with_extension("txt");
        if std::env::var_os("LLMOBS_UPDATE_EXPANSIONS").is_some() {
            fs::create_dir_all(&folder).unwrap();
            fs::write(&path, &text).unwrap();
        }
        if fs::read_to_string(&path).ok().as_deref() != Some(&text) {
            changed.push(kind.name());
        }
    }
    assert!(
        changed.is_empty(),
        "expansions of {changed:?} changed; look at them with LLMOBS_UPDATE_EXPANSIONS=1 and git diff"
    );
}

/// Tokens with a statement to a line, the private path as `P`.
pub(crate) fn lines(tokens: TokenStream) -> String {
    let mut text = String::new();
    print(tokens, 0, &mut text);
    let path = format!("::llmobs::__private::{}::", crate::version());
    text.replace(&path, "P::")
}

fn print(tokens: TokenStream, depth: usize, text: &mut String) {
    let line = |text: &mut String, depth| {
        text.truncate(text.trim_end().len());
        let _ = write!(text, "\n{:1$}", "", depth * 4);
    };
    let mut joint = false;
    for tree in tokens {
        let last = text.chars().next_back().unwrap_or(' ');
        let after_word = last.is_alphanumeric() || last == '_' || last == '"';
        let after_keyword = ["use", "if", "let", "match", "return", "mut", "in"]
            .iter()
            .any(|word| text.ends_with(&format!(" {word}")));
        let space = !joint
            && match &tree {
                TokenTree::Group(group) if group.delimiter() == Delimiter::Brace => last != ' ',
                TokenTree::Group(_) => ",=".contains(last) || after_keyword,
                TokenTree::Punct(punct) => match punct.as_char() {
                    '=' | '-' | '|' => after_word || last == ')' || last == '>',
                    ':' | '&' => ",=".contains(last) || after_keyword,
                    _ => false,
                },
                _ => after_word || ",=>|})]".contains(last),
            };
        if space {
            text.push(' ');
        }
        joint = false;
        match tree {
            TokenTree::Group(group) if group.delimiter() == Delimiter::Brace => {
                text.push('{');
                line(text, depth + 1);
                print(group.stream(), depth + 1, text);
                line(text, depth);
                text.push('}');
                line(text, depth);
            }
            TokenTree::Group(group) => {
                let (open, close) = match group.delimiter() {
                    Delimiter::Parenthesis => ("(", ")"),
                    Delimiter::Bracket => ("[", "]"),
                    _ => ("", ""),
                };
                text.push_str(open);
                print(group.stream(), depth, text);
                text.push_str(close);
            }
            TokenTree::Punct(punct) => {
                if punct.as_char() == ';' {
                    text.truncate(text.trim_end().len());
                }
                text.push(punct.as_char());
                joint = punct.spacing() == Spacing::Joint || punct.as_char() == '\'';
                if punct.as_char() == ';' {
                    line(text, depth);
                }
            }
            tree => {
                let _ = write!(text, "{tree}");
            }
        }
    }
}
