//! Attributes above, below and around ours, and ours inside of macros.

use llmobs::{task, tool, workflow};
use serde_json::{Value, json};

use crate::support::{has_tag, input, only, output, record, record_future};

#[task]
fn step() {}

// `cfg` and `cfg_attr`, above and below.

#[cfg(not(any()))]
#[workflow]
fn cfg_above() {
    step();
}

#[workflow]
#[cfg(not(any()))]
fn cfg_below() {
    step();
}

#[cfg_attr(not(any()), workflow)]
fn by_cfg_attr() {
    step();
}

#[cfg_attr(not(any()), workflow(name = "by_arguments", tags(a = 1)), inline)]
#[cfg_attr(any(), workflow)]
fn by_cfg_attr_with_arguments() {
    step();
}

#[cfg_attr(any(), workflow)]
fn not_by_cfg_attr() {
    step();
}

#[test]
fn case_38_cfg_may_stand_above_and_below() {
    let ((), spans) = record(|| {
        cfg_above();
        cfg_below();
        by_cfg_attr();
        by_cfg_attr_with_arguments();
        not_by_cfg_attr();
    });
    let expected = "workflow cfg_above
  task step
workflow cfg_below
  task step
workflow by_cfg_attr
  task step
workflow by_arguments
  task step
task step
";
    assert_eq!(llmobs_tests::tree(&spans), expected);
}

mod chosen {
    use llmobs::tool;

    // What is configured out takes its attribute along, wherever that stands.
    #[cfg(any())]
    #[no_such_attribute]
    pub(super) fn above(a: NoSuchType) {}

    #[cfg(not(any()))]
    #[tool]
    pub(super) fn above() {}

    #[llmobs::task]
    #[cfg(any())]
    pub(super) fn below(a: NoSuchType) {}

    #[tool]
    #[cfg(not(any()))]
    pub(super) fn below() {}
}

#[test]
fn case_38_a_function_may_be_chosen_by_cfg() {
    let ((), spans) = record(|| {
        chosen::above();
        chosen::below();
    });
    assert_eq!(llmobs_tests::tree(&spans), "tool above\ntool below\n");
}

// `tracing::instrument`, above and below: the same spans of ours.

#[tool]
#[tracing::instrument(ret, err)]
fn above_instrument(a: u8) -> Result<u8, String> {
    step();
    Err(format!("{a} failed"))
}

#[tracing::instrument(ret, err)]
#[tool]
fn below_instrument(a: u8) -> Result<u8, String> {
    step();
    Err(format!("{a} failed"))
}

#[tool]
#[tracing::instrument(skip_all)]
async fn above_instrument_async(a: u8) -> u8 {
    tokio::task::yield_now().await;
    step();
    a
}

#[tracing::instrument(skip_all)]
#[tool]
async fn below_instrument_async(a: u8) -> u8 {
    tokio::task::yield_now().await;
    step();
    a
}

/// What is in a span but its identity and its times.
fn content(span: &Value) -> Value {
    let name = span["name"].as_str().unwrap();
    let text = span["meta"].to_string().replace(name, "_");
    json!([text, span["status"], input(span), output(span)])
}

#[test]
fn case_38_instrument_above_and_below_makes_the_same_spans() {
    let ((), spans) = record(|| {
        assert_eq!(above_instrument(7), below_instrument(7));
    });
    let expected = "tool above_instrument [error]
  task step
tool below_instrument [error]
  task step
";
    assert_eq!(llmobs_tests::tree(&spans), expected);
    assert_eq!(content(&spans[0]), content(&spans[2]));

    let ((), spans) = record_future(async {
        assert_eq!(above_instrument_async(7).await, 7);
        assert_eq!(below_instrument_async(7).await, 7);
    });
    let expected = "tool above_instrument_async
  task step
tool below_instrument_async
  task step
";
    assert_eq!(llmobs_tests::tree(&spans), expected);
    assert_eq!(content(&spans[0]), content(&spans[2]));
    assert_eq!(input(&spans[0]), json!({"a": 7}));
}

#[async_trait::async_trait]
trait Asks {
    async fn ask(&self, question: &str) -> Result<String, String>;
}

struct Instrumented;

#[async_trait::async_trait]
impl Asks for Instrumented {
    #[tracing::instrument(skip(self))]
    #[tool]
    #[cfg(not(any()))]
    async fn ask(&self, question: &str) -> Result<String, String> {
        tokio::task::yield_now().await;
        step();
        Err(question.to_owned())
    }
}

#[test]
fn case_38_three_attributes_below_async_trait() {
    let (result, spans) = record_future(async { Instrumented.ask("why").await });
    assert_eq!(result, Err("why".to_owned()));
    assert_eq!(
        llmobs_tests::tree(&spans),
        "tool ask [error]\n  task step\n"
    );
    assert_eq!(input(&spans[0]), json!({"question": "why"}));
    assert_eq!(spans[0]["meta"]["error"]["message"], "why");
}

// What macros are given stands in the attribute, in the signature and in the body.

macro_rules! by_fragments {
    (
        $kind:ident $name:ident, $text:expr, $literal:literal, $capture:literal,
        $key:ident = $value:expr, $skipped:ident: $skipped_type:ty,
        $argument:ident: $type:ty => $output:ty, $select:expr, $body:block
    ) => {
        #[llmobs::$kind(
            name = $text,
            session_id = $literal,
            capture_output = $capture,
            tags($key = $value, $literal = 1),
            metadata($key = $value),
            skip($skipped),
            output = $select
        )]
        fn $name($skipped: $skipped_type, $argument: $type) -> $output $body
    };
    (async $root:path, $name:ident($pattern:pat => $type:ty) -> $output:ty { $tail:expr }) => {
        #[$root(crate = llmobs, input = $tail)]
        async fn $name($pattern: $type) -> $output {
            let tail = $tail;
            std::future::ready(()).await;
            tail
        }
    };
    (nested $($tokens:tt)*) => {
        by_fragments! { $($tokens)* }
    };
}

by_fragments!(
    tool fragments, concat!("a", "b"), "s", true, team = 1 + 1, secret: &str,
    n: Option<u8> => Result<u8, String>, |n| n + 1,
    {
        step();
        let n = n.ok_or_else(|| secret.to_owned())?;
        Ok(n)
    }
);

by_fragments!(nested async llmobs::task, patterned((a, b) => (u8, u8)) -> u8 { a + b });

#[test]
fn case_42_fragments_of_a_macro_stand_everywhere() {
    let ((), spans) = record(|| {
        assert_eq!(fragments("secret", Some(1)), Ok(1));
        assert_eq!(fragments("secret", None), Err("secret".to_owned()));
    });
    let expected = "tool ab\n  task step\ntool ab [error]\n  task step\n";
    assert_eq!(llmobs_tests::tree(&spans), expected);
    let first = &spans[0];
    assert_eq!((input(first), output(first)), (json!({"n": 1}), json!(2)));
    assert!(has_tag(first, "team:2") && has_tag(first, "s:1"));
    assert_eq!(first["session_id"], "s");
    assert_eq!(first["meta"]["metadata"]["team"], 2);
}

#[test]
fn case_42_fragments_in_an_async_function_of_a_macro_in_a_macro() {
    let (sum, spans) = record_future(patterned((1, 2)));
    assert_eq!(sum, 3);
    assert_eq!(input(only(&spans)), json!(3));
    assert_eq!(only(&spans)["name"], "patterned");
}

macro_rules! inner_functions {
    ($($name:ident)*) => {
        $(
            #[llmobs::workflow]
            fn $name() -> &'static str {
                macro_rules! makes {
                    () => {{
                        #[llmobs::task]
                        fn inner(text: &str) -> &str {
                            text
                        }
                        inner(stringify!($name))
                    }};
                }
                makes!()
            }
        )*
    };
}

inner_functions!(one two);

#[test]
fn case_42_a_macro_in_the_body_makes_a_function_of_its_own() {
    let ((), spans) = record(|| assert_eq!((one(), two()), ("one", "two")));
    let expected = "workflow one\n  task inner\nworkflow two\n  task inner\n";
    assert_eq!(llmobs_tests::tree(&spans), expected);
}
