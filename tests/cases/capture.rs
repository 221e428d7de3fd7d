//! What is captured, kind by kind.

use std::cell::Cell;
use std::collections::HashMap;
use std::fmt;
use std::future::Future;
use std::rc::Rc;
use std::sync::atomic::AtomicU32;
use std::sync::{Arc, Mutex, RwLock, mpsc};

use futures::executor::block_on;
use llmobs::{
    Annotation, Capture, Document, Message, agent, annotate, embedding, llm, retrieval, task, tool,
    workflow,
};
use serde_json::{Value, json};

use crate::support::{input, only, output, record, record_with};

macro_rules! each_kind {
    ($($kind:ident)*) => {$(
        mod $kind {
            #[llmobs::$kind]
            pub(super) fn bare(text: &str) -> String {
                text.to_owned()
            }

            #[allow(dead_code, reason = "three kinds are asked")]
            #[llmobs::$kind(capture_input = true, capture_output = true)]
            pub(super) fn all(text: &str) -> String {
                text.to_owned()
            }
        }
    )*};
}

each_kind!(llm workflow agent tool task embedding retrieval);

#[test]
fn each_kind_captures_what_ddtrace_does() {
    let ((), spans) = record(|| {
        llm::bare("t");
        embedding::bare("t");
        retrieval::bare("t");
        workflow::bare("t");
        agent::bare("t");
        tool::bare("t");
        task::bare("t");
    });
    let side = |at: usize, side: &str| spans[at]["meta"].get(side).cloned().unwrap_or_default();
    assert_eq!(side(0, "input"), Value::Null);
    assert_eq!(
        side(0, "output"),
        json!({"messages": [{"content": "t", "role": ""}]})
    );
    assert_eq!(
        (side(1, "input"), side(1, "output")),
        (Value::Null, Value::Null)
    );
    assert_eq!(side(2, "input"), json!({"value": r#"{"text":"t"}"#}));
    assert_eq!(side(2, "output"), Value::Null);
    for at in 3..7 {
        assert_eq!(side(at, "input"), json!({"value": r#"{"text":"t"}"#}));
        assert_eq!(side(at, "output"), json!({"value": "t"}));
    }
}

#[test]
fn capture_is_turned_on_where_it_is_off() {
    let ((), spans) = record(|| {
        llm::all("t");
        embedding::all("t");
        retrieval::all("t");
    });
    let message = json!({"messages": [{"content": "t", "role": ""}]});
    let document = json!({"documents": [{"text": "t"}]});
    assert_eq!(spans[0]["meta"]["input"], message);
    assert_eq!(spans[1]["meta"]["input"], document);
    assert_eq!(spans[1]["meta"]["output"], json!({"value": "t"}));
    assert_eq!(spans[2]["meta"]["output"], document);
}

#[llm(capture_input = true)]
fn chat(messages: &[Message]) -> Vec<Message> {
    vec![Message::assistant(format!("{} heard", messages.len()))]
}

#[llm(capture_input = true)]
fn two(prompt: &str, temperature: f64) -> (u8, Vec<f64>) {
    (u8::from(prompt.is_empty()), vec![temperature])
}

#[embedding(capture_input = true, capture_output = true, model_name = "e")]
fn embed(texts: &[&str]) -> Vec<Vec<f32>> {
    vec![vec![0.5]; texts.len()]
}

#[retrieval(capture_output = true)]
fn search(query: &str) -> Vec<Document> {
    vec![Document::new(query).name("n").score(0.5)]
}

#[test]
fn messages_and_documents_go_as_what_they_are() {
    let ((), spans) = record(|| {
        chat(&[Message::system("s"), Message::user("u")]);
        two("p", 0.5);
        embed(&["a", "b"]);
        search("q");
    });
    let meta = |at: usize| &spans[at]["meta"];
    assert_eq!(
        meta(0)["input"]["messages"][1],
        json!({"role": "user", "content": "u"})
    );
    assert_eq!(
        meta(0)["output"]["messages"],
        json!([{"role": "assistant", "content": "2 heard"}])
    );
    assert_eq!(
        meta(1)["input"]["messages"],
        json!([{"role": "", "content": r#"{"prompt":"p","temperature":0.5}"#}])
    );
    assert_eq!(
        meta(1)["output"]["messages"],
        json!([{"role": "", "content": "[0,[0.5]]"}])
    );
    assert_eq!(
        meta(2)["input"]["documents"],
        json!([{"text": "a"}, {"text": "b"}])
    );
    assert_eq!(meta(2)["output"]["value"], "[[0.5],[0.5]]");
    assert_eq!(
        meta(3)["output"]["documents"],
        json!([{"text": "q", "name": "n", "score": 0.5}])
    );
}

#[agent]
fn by_hand(p: u8) -> u8 {
    annotate(None, Annotation::new().input("mine").output("manual")).unwrap();
    p
}

#[test]
fn what_is_annotated_by_hand_wins() {
    let (_, spans) = record(|| by_hand(1));
    assert_eq!(input(only(&spans)), json!("mine"));
    assert_eq!(output(only(&spans)), json!("manual"));
}

#[task]
fn shared(
    lock: &Mutex<u8>,
    shared: Arc<RwLock<Vec<u8>>>,
    sender: mpsc::Sender<u8>,
    counter: Rc<AtomicU32>,
    bytes: &[u8],
    array: [u8; 4],
) -> Arc<Mutex<u8>> {
    let _held = lock.lock();
    drop((shared, sender, counter, bytes, array));
    Arc::new(Mutex::new(7))
}

#[test]
fn locks_channels_and_atomics_are_not_looked_into() {
    let lock = Mutex::new(1);
    let ((), spans) = record(|| {
        // A held lock would make serde wait forever, were it asked.
        let held = Arc::new(RwLock::new(vec![1]));
        let _guard = held.write().unwrap();
        let sender = mpsc::channel().0;
        shared(
            &lock,
            Arc::clone(&held),
            sender,
            Rc::default(),
            &[1, 2, 3],
            [0; 4],
        );
    });
    let input = input(only(&spans));
    for (name, part) in [
        ("lock", "Mutex<u8>"),
        ("shared", "RwLock<alloc::vec::Vec<u8>>"),
        ("sender", "Sender<u8>"),
        ("counter", "Rc<"),
        ("bytes", "<3 bytes>"),
        ("array", "<4 bytes>"),
    ] {
        let text = input[name].as_str().unwrap();
        assert!(text.contains(part), "{name}: {text}");
    }
    assert!(output(only(&spans)).as_str().unwrap().contains("Mutex<u8>"));
}

#[task]
fn many_shared(
    maybe: Option<&Mutex<u8>>,
    list: &[Arc<RwLock<u8>>],
    array: [AtomicU32; 2],
    none: Option<Arc<Mutex<u8>>>,
    bytes: Option<Vec<u8>>,
    borrowed: std::borrow::Cow<'_, [u8]>,
) -> Option<Vec<u8>> {
    drop((maybe, list, array, none, borrowed));
    bytes
}

#[test]
fn a_lock_in_an_option_or_a_list_is_not_waited_for() {
    let (told, finished) = mpsc::channel();
    // On a thread of its own: serde would lock what this very thread holds.
    std::thread::spawn(move || {
        let lock = Mutex::new(1);
        let list = [Arc::new(RwLock::new(1))];
        let _held = (lock.lock().unwrap(), list[0].write().unwrap());
        let run = || {
            let bytes = Some(vec![1, 2]);
            many_shared(
                Some(&lock),
                &list,
                [0, 1].map(AtomicU32::new),
                None,
                bytes,
                (&[1][..]).into(),
            )
        };
        told.send(record(run).1).unwrap();
    });
    let spans = finished
        .recv_timeout(std::time::Duration::from_secs(10))
        .unwrap();
    let input = input(only(&spans));
    for (name, part) in [
        ("maybe", "Mutex<u8>"),
        ("list", "RwLock<u8>"),
        ("array", "AtomicU32"),
        ("bytes", "<2 bytes>"),
        ("borrowed", "<1 bytes>"),
    ] {
        let text = input[name].as_str().unwrap();
        assert!(text.contains(part), "{name}: {text}");
    }
    assert_eq!(input["none"], Value::Null);
    assert_eq!(output(only(&spans)), json!("<2 bytes>"));
}

#[task(metadata(stop = [1, 1000], none = [0; 0], some = Some(vec![-1])), output = |_| vec![1, 2])]
fn numbers<const N: usize>(few: [u64; N]) -> impl PartialEq<Vec<i32>> {
    let _ = few;
    vec![1, 1000]
}

#[test]
fn a_list_of_numbers_is_no_list_of_bytes() {
    let (returned, spans) = record(|| numbers([7; 2]));
    assert!(returned == vec![1, 1000]);
    assert_eq!(
        only(&spans)["meta"]["metadata"],
        json!({"stop": [1, 1000], "none": [], "some": [-1]})
    );
    assert_eq!(input(&spans[0]), json!({"few": [7, 7]}));
    assert_eq!(output(&spans[0]), json!([1, 2]));
}

#[derive(Debug)]
#[allow(dead_code, reason = "read by `Debug`")]
struct Login {
    user: &'static str,
    api_key: String,
}

#[task(metadata(login = login))]
fn log_in(login: Login, fail: bool) -> Result<Login, Login> {
    if fail { Err(login) } else { Ok(login) }
}

#[test]
fn case_57_secrets_in_what_debug_prints_stay_here() {
    let login = || Login {
        user: "me",
        api_key: "k-1".to_owned(),
    };
    let ((), spans) = record(|| {
        log_in(login(), false).unwrap();
        log_in(login(), true).unwrap_err();
    });
    let shown = r#"Login { user: "me", api_key: [redacted] }"#;
    assert_eq!(input(&spans[0]), json!({"login": shown, "fail": false}));
    assert_eq!(output(&spans[0]), json!(shown));
    assert_eq!(spans[0]["meta"]["metadata"], json!({"login": shown}));
    assert_eq!(spans[1]["meta"]["error"]["message"], shown);
    assert!(!format!("{spans:?}").contains("k-1"));
}

/// What has no JSON form.
#[derive(Clone, Debug)]
struct Account {
    user: &'static str,
    #[allow(dead_code, reason = "only printed")]
    password: Option<&'static str>,
}

#[tool]
fn sign_in(
    account: &Account,
    others: Vec<Account>,
    by_name: HashMap<String, Account>,
    token: Option<Account>,
) -> Option<(Account, u8)> {
    let _ = (others, by_name, token);
    (account.user != "eve").then(|| (account.clone(), 1))
}

#[task]
fn refuse(account: Account) -> Result<(), Account> {
    Err(account)
}

#[test]
fn secrets_in_debug_text_stay_here() {
    let account = |user| Account {
        user,
        password: Some("HUNTER \" HUNTER"),
    };
    let ((), spans) = record(|| {
        let by_name = HashMap::from([("api_key".to_owned(), account("c"))]);
        sign_in(
            &account("a"),
            vec![account("b")],
            by_name,
            Some(account("d")),
        );
        assert!(refuse(account("e")).is_err());
    });
    let shown = |user| format!("Account {{ user: \"{user}\", password: [redacted] }}");
    assert_eq!(
        input(&spans[0]),
        json!({
            "account": shown("a"),
            "others": format!("[{}]", shown("b")),
            "by_name": "{\"api_key\": [redacted]}",
            "token": shown("d"),
        })
    );
    assert_eq!(output(&spans[0]), json!(format!("({}, 1)", shown("a"))));
    assert_eq!(input(&spans[1]), json!({"account": shown("e")}));
    assert_eq!(spans[1]["meta"]["error"]["message"], shown("e"));
    assert!(!format!("{spans:?}").contains("HUNTER"));
}

struct Hostile;
impl serde::Serialize for Hostile {
    fn serialize<S: serde::Serializer>(&self, _: S) -> Result<S::Ok, S::Error> {
        panic!("I am not to be read")
    }
}
impl std::fmt::Display for Hostile {
    fn fmt(&self, _: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        panic!("I am not to be shown")
    }
}

#[task(tags(hostile = Hostile), output = |_| -> u8 { panic!("nor this") })]
fn hostile(value: &Hostile) -> Result<(), Hostile> {
    let _ = value;
    Err(Hostile)
}

#[test]
fn case_36_a_capture_that_panics_harms_nobody() {
    let (result, spans) = record(|| hostile(&Hostile));
    assert!(result.is_err());
    let span = only(&spans);
    assert_eq!(span["status"], "error");
    let mark = format!(
        "<{}: its Display panicked>",
        std::any::type_name::<Hostile>()
    );
    assert_eq!(span["meta"]["error"]["message"], mark);
    let tags = span["tags"].as_array().unwrap();
    assert!(tags.contains(&json!(format!("hostile:{mark}"))), "{tags:?}");
}

thread_local! {
    /// How often a `Watched` was looked at.
    static LOOKS: Cell<usize> = const { Cell::new(0) };
}

struct Watched;

impl fmt::Debug for Watched {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        LOOKS.set(LOOKS.get() + 1);
        f.write_str("Watched")
    }
}

fn told(by_hand: bool) {
    if by_hand {
        annotate(None, Annotation::new().output("by hand")).unwrap();
    }
}

#[workflow]
fn handed(value: Watched, by_hand: bool) -> Watched {
    told(by_hand);
    value
}

#[workflow]
async fn handed_async(value: Watched, by_hand: bool) -> Watched {
    told(by_hand);
    value
}

#[allow(
    clippy::manual_async_fn,
    reason = "a future that is returned is another way"
)]
#[workflow]
fn handed_later(value: Watched, by_hand: bool) -> impl Future<Output = Watched> {
    async move {
        told(by_hand);
        value
    }
}

/// A way to hand a value through, with an output by hand or without.
type Way = (&'static str, fn(bool) -> Watched);

#[test]
fn what_nobody_will_see_is_not_looked_at() {
    for (capture, by_hand, looks) in [
        (Capture::Full, false, 2),
        // The argument alone.
        (Capture::Full, true, 1),
        (Capture::Metadata, false, 0),
        (Capture::Metadata, true, 0),
        (Capture::None, false, 0),
    ] {
        let ways: [Way; 3] = [
            ("returned", |by_hand| handed(Watched, by_hand)),
            ("async", |by_hand| block_on(handed_async(Watched, by_hand))),
            ("later", |by_hand| block_on(handed_later(Watched, by_hand))),
        ];
        for (way, call) in ways {
            LOOKS.set(0);
            let (Watched, spans) = record_with(capture, || call(by_hand));
            assert_eq!(LOOKS.get(), looks, "{way}, {capture:?}, {by_hand}");
            only(&spans);
        }
    }
}

#[tool(output = |text| text.len())]
fn selected(text: &str) -> Result<&str, u8> {
    Ok(text)
}

struct Reply {
    content: String,
}

#[llm(output = |reply| &reply.content)]
async fn selected_async(content: String) -> anyhow::Result<Reply> {
    tokio::task::yield_now().await;
    Ok(Reply { content })
}

#[workflow(capture_output = false, capture_input = false)]
fn quiet(text: &str) -> usize {
    text.len()
}

#[test]
fn the_output_is_what_the_closure_selects() {
    let (_, spans) = record(|| selected("abc"));
    assert_eq!(output(only(&spans)), json!(3));
    let (_, spans) = crate::support::record_future(selected_async("c".into()));
    assert_eq!(
        only(&spans)["meta"]["output"]["messages"][0]["content"],
        "c"
    );
    let (_, spans) = record(|| quiet("abc"));
    let meta = &only(&spans)["meta"];
    assert_eq!((meta.get("input"), meta.get("output")), (None, None));
}
