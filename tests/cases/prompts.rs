//! `prompt!` as code: what it gives, and that neither side's names disturb the other's.
//! What must not compile is in `tests/ui`, templates in files are in `tests/scenarios`.

#![deny(warnings, clippy::all, clippy::pedantic, clippy::nursery)]
#![deny(
    unused,
    unused_braces,
    unused_parens,
    unused_qualifications,
    trivial_casts
)]

use std::cell::RefCell;
use std::fmt;

use llmobs::{Annotation, Message, Prompt, prompt};
use serde_json::{Value, json};

use crate::support::{only, record};

#[test]
fn a_prompt_of_the_macro_is_the_one_of_the_builder() {
    let text = String::from("good morning");
    let prompt = prompt!(
        "translate",
        "Translate {{text}} to {{lang}}: {{ text }}",
        text,
        lang = "French"
    );
    let built = Prompt::new("translate")
        .template("Translate {{text}} to {{lang}}: {{ text }}")
        .variable("text", &text)
        .variable("lang", "French");
    assert_eq!(prompt, built);
    assert_eq!(
        prompt.text(),
        "Translate good morning to French: good morning"
    );
    assert_eq!(text, "good morning", "it is borrowed");
    assert_eq!(prompt!("bare", "No places.").text(), "No places.");
}

#[test]
fn a_chat_template_of_the_macro_is_the_one_of_the_builder() {
    let prompt = prompt!(
        "chat",
        [
            ("system", "You {{x}}"),
            placeholder("history"),
            ("user", "{{q}}"),
        ],
        x = "y",
        q = 1,
    );
    let built = Prompt::new("chat")
        .chat_message("system", "You {{x}}")
        .chat_placeholder("history")
        .chat_message("user", "{{q}}")
        .variable("x", "y")
        .variable("q", 1);
    assert_eq!(prompt, built);
    assert_eq!(
        prompt.messages(),
        [Message::system("You y"), Message::user("1")]
    );
}

/// What golden 09 shows of the span of this name.
fn golden(name: &str) -> Value {
    fn find(value: &Value, name: &str) -> Option<Value> {
        let is_span = value["name"] == name && value["meta"]["input"]["prompt"].is_object();
        if is_span {
            return Some(value["meta"]["input"]["prompt"].clone());
        }
        match value {
            Value::Array(list) => list.iter().find_map(|value| find(value, name)),
            Value::Object(map) => map.values().find_map(|value| find(value, name)),
            _ => None,
        }
    }
    let text = include_str!("../goldens/data/09-prompt.json");
    let golden: Value = serde_json::from_str(text).unwrap();
    let mut prompt = find(&golden, name).expect("the golden has this span");
    prompt["ml_app"] = json!("cases");
    prompt
}

#[llmobs::llm(model_name = "m")]
fn greet(name: &str) -> String {
    let p = prompt!("greet", "Hi {{name}} {{context}}", name, context = "c")
        .version("1.0.0")
        .label("production")
        .tag("team", "x")
        .context_variables(["context"])
        .query_variables(["name"]);
    llmobs::annotate(None, Annotation::new().prompt(p.clone())).unwrap();
    p.text()
}

#[llmobs::llm(model_name = "m")]
fn chat() {
    let history = [("system", "You {{x}}"); 1];
    let p = prompt!(
        "chat",
        [
            ("system", "You {{x}}"),
            placeholder("history"),
            ("user", "{{q}}")
        ],
        x = "y",
        q = history.len()
    );
    llmobs::annotate(None, Annotation::new().prompt(p)).unwrap();
}

#[test]
fn what_is_sent_is_what_golden_09_shows() {
    let (text, spans) = record(|| greet("Bob"));
    assert_eq!(text, "Hi Bob c");
    assert_eq!(
        only(&spans)["meta"]["input"]["prompt"],
        golden("p_full"),
        "a template of one text"
    );
    let ((), spans) = record(chat);
    let mut expected = golden("p_chat");
    // The golden leaves this variable out, which the macro does not allow.
    expected["variables"]["q"] = json!("1");
    assert_eq!(only(&spans)["meta"]["input"]["prompt"], expected);
}

#[test]
fn values_are_evaluated_once_and_in_order() {
    let log = RefCell::new(Vec::new());
    let noted = |name| {
        log.borrow_mut().push(name);
        name
    };
    let prompt = prompt!(
        {
            noted("id");
            "id"
        },
        "{{b}}{{a}}{{b}}",
        a = noted("a"),
        b = noted("b")
    );
    assert_eq!(prompt.text(), "bab");
    assert_eq!(*log.borrow(), ["id", "a", "b"]);
}

#[test]
fn values_of_all_sorts_may_be_borrowed() {
    struct User {
        name: String,
        age: u8,
    }
    let mut owned = User {
        name: "Ann".to_owned(),
        age: 7,
    };
    let user = &mut owned;
    let boxed: Box<str> = "box".into();
    let dynamic: &dyn fmt::Display = &1.5;
    let prompt = prompt!(
        "p",
        "{{name}} {{user.age}} {{boxed}} {{dynamic}} {{letters}} {{sum}} {{text}}",
        name = user.name,
        "user.age" = user.age,
        boxed,
        dynamic,
        letters = *boxed,
        sum = 1 + 2,
        text = format_args!("<{}>", user.name),
    );
    assert_eq!(prompt.text(), "Ann 7 box 1.5 box 3 <Ann>");
    user.age += 1;
    assert_eq!((user.name.len(), &*boxed), (3, "box"));
}

#[test]
fn values_may_leave_the_function_and_wait() {
    fn parse(text: &str) -> Result<Prompt, std::num::ParseIntError> {
        Ok(prompt!("p", "{{n}}", n = text.parse::<u8>()?))
    }
    async fn wait() -> Prompt {
        prompt!("p", "{{n}}", n = std::future::ready(3).await)
    }
    fn is_send<T: Send>(value: T) -> T {
        value
    }
    assert_eq!(parse("2").unwrap().text(), "2");
    assert!(parse("x").is_err());
    let prompt = futures::executor::block_on(is_send(wait()));
    assert_eq!(prompt.text(), "3");
}

#[test]
fn no_word_is_taken_from_the_variables() {
    let (version, label, tags, file, id, template) = (1, 2, 3, 4, 5, 6);
    let r#type = 7;
    let prompt = prompt!(
        "p",
        "{{version}}{{label}}{{tags}}{{file}}{{id}}{{template}}{{type}}{{crate}}{{for}}",
        version,
        label,
        tags,
        file = file,
        id,
        template,
        r#type,
        "crate" = 8,
        for = 9,
    );
    assert_eq!(prompt.text(), "123456789");
}

#[test]
fn two_braces_that_stay_come_from_a_variable() {
    let prompt = prompt!("p", "{{open}}x}} {{{x}}} {x}", open = "{{", x = 1);
    assert_eq!(prompt.text(), "{{x}} {1} {x}");
}

#[allow(non_upper_case_globals, dead_code, non_camel_case_types, unused_macros)]
mod shadowed {
    const FILE: u8 = 1;
    const prompt: u8 = 2;
    struct Prompt;
    struct String;
    struct TemplateFile;
    mod std {}
    mod core {}
    mod llmobs_runtime {}
    macro_rules! include_str {
        () => {};
    }
    macro_rules! concat {
        () => {};
    }

    pub(super) fn text(name: u8) -> ::llmobs::Prompt {
        ::llmobs::prompt!("p", "{{name}}{{FILE}}{{prompt}}", name, FILE, prompt)
    }

    pub(super) fn file() -> ::llmobs::Prompt {
        ::llmobs::prompt!(file = "prompts.txt", FILE, prompt = FILE + prompt)
    }
}

mod no_prelude {
    #![no_implicit_prelude]

    pub(super) struct Named(pub(super) u8);

    impl ::std::fmt::Display for Named {
        fn fmt(&self, f: &mut ::std::fmt::Formatter<'_>) -> ::std::fmt::Result {
            ::std::fmt::Display::fmt(&self.0, f)
        }
    }

    impl Named {
        pub(super) fn text(&self) -> ::llmobs::Prompt {
            ::llmobs::prompt!("p", "{{self}}{{a}}", self, a = self.0)
        }

        pub(super) fn file(&self) -> ::llmobs::Prompt {
            ::llmobs::prompt!("p", file = "prompts.txt", FILE = self, prompt = 2)
        }

        pub(super) fn chat(&self) -> ::llmobs::Prompt {
            ::llmobs::prompt!("p", [("user", "{{a}}"), placeholder("b")], a = self)
        }
    }
}

#[test]
fn names_of_the_user_are_like_ours_or_like_nobodys() {
    assert_eq!(shadowed::text(0).text(), "012");
    assert_eq!(shadowed::file().text(), "1 and 3");
    assert_eq!(shadowed::file().id(), "prompts");
    let named = no_prelude::Named(4);
    assert_eq!(named.text().text(), "44");
    assert_eq!(named.file().text(), "4 and 2");
    assert_eq!(named.chat().text(), "4");
}

mod renamed {
    pub(super) use ::llmobs as observe;

    pub(super) fn by_path(a: u8) -> observe::Prompt {
        observe::prompt!("p", "{{a}}", a, crate = crate::prompts::renamed::observe)
    }

    pub(super) fn by_runtime(a: u8) -> llmobs_runtime::Prompt {
        observe::prompt!(
            file = "prompts.txt",
            crate = llmobs_runtime,
            FILE = a,
            prompt = a
        )
    }

    pub(super) mod llmobs {
        pub(in super::super) fn below_a_module_of_our_name(a: u8) -> ::llmobs::Prompt {
            ::llmobs::prompt!("p", "{{a}}", a)
        }
    }
}

#[test]
fn the_crate_may_be_elsewhere() {
    assert_eq!(renamed::by_path(1).text(), "1");
    assert_eq!(renamed::by_runtime(1).text(), "1 and 1");
    assert_eq!(renamed::llmobs::below_a_module_of_our_name(1).text(), "1");
}

macro_rules! asked {
    ($id:expr, $template:literal, $($name:ident = $value:expr),*) => {
        prompt!($id, $template, $($name = $value),*)
    };
    (local $name:ident) => {
        prompt!("p", "{{name}}{{hidden}}", name = $name, hidden = { let hidden = 1; hidden })
    };
    (whole $value:expr) => {
        prompt!("p", "{{whole}}", whole = $value)
    };
    (file $path:expr, $name:ident) => {
        prompt!(file = $path, $name, FILE = $name)
    };
}

#[test]
fn other_macros_may_make_prompts() {
    let hidden = 5;
    assert_eq!(
        asked!("p", "{{a}}{{b}}", a = 1 + 1, b = hidden).text(),
        "25"
    );
    assert_eq!(asked!(local hidden).text(), "51");
    assert_eq!(asked!(whole 1 + 1).text(), "2");
    let prompt = hidden + 1;
    assert_eq!(asked!(file "prompts.txt", prompt).text(), "6 and 6");
}

/// As an application holds its prompts: nothing of it lives for ever.
struct Stored {
    id: String,
    text: String,
    version: Option<String>,
}

impl Stored {
    fn prompt(&self) -> Prompt {
        let [role, variable] = ["user", "word"].map(|name| format!("{name}-{}", self.id));
        Prompt::new(&*self.id)
            .template(&*self.text)
            .version(self.version.as_deref())
            .label(&self.id)
            .chat_message(&*role, &self.text)
            .chat_placeholder(&*variable)
            .variable(&*variable, 1)
            .tag(&*variable, 2)
    }

    fn of_the_macro(&self) -> Prompt {
        prompt!(&*self.id, "Say {{word}}", word = &self.text)
    }
}

#[test]
fn a_prompt_takes_text_that_is_borrowed() {
    let text = "{{word-stored under a name of more than thirty bytes}}";
    let mut stored = Stored {
        id: "stored under a name of more than thirty bytes".to_owned(),
        text: text.to_owned(),
        version: None,
    };
    let prompt = stored.prompt();
    assert_eq!((prompt.id(), prompt.text()), (&*stored.id, "1".to_owned()));
    assert_eq!(stored.of_the_macro().text(), format!("Say {text}"));
    assert_eq!(
        Prompt::new("p").version("2").version(None::<&str>),
        Prompt::new("p").version("2")
    );
    stored.version = Some("2".to_owned());
    assert_ne!(stored.prompt(), prompt);
}

#[test]
fn a_prompt_may_be_within_a_prompt() {
    let outer = prompt!(
        "outer",
        "<{{inner}}>",
        inner = prompt!("inner", "{{x}}", x = 1).text()
    );
    assert_eq!(outer.text(), "<1>");
}

#[test]
fn a_panic_of_a_value_is_the_users_own() {
    struct Broken;
    impl fmt::Display for Broken {
        fn fmt(&self, _: &mut fmt::Formatter<'_>) -> fmt::Result {
            panic!("broken")
        }
    }
    assert!(std::panic::catch_unwind(|| prompt!("p", "{{a}}", a = Broken)).is_err());
}
