//! Spans as an indented text tree, without ids and times.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::{self, Write as _};

use serde_json::Value;

use super::submitted::{Join, Submitted, join};

/// The tree of these span events, as text: a line each, `kind name`, with `[error]` after
/// one that failed; children below their parent in the order of their starts.
///
/// The events are those of [`Memory::spans`](crate::Memory::spans) or the `event` of a
/// journal's lines. A span whose parent is not among them stands at the left, marked
/// `[parent elsewhere]`.
///
/// ```
/// # use llmobs_runtime as llmobs;
/// let spans = [
///     serde_json::json!({"name": "answer", "span_id": "1", "parent_id": "undefined", "trace_id": "t",
///         "start_ns": 1, "status": "error", "meta": {"span": {"kind": "workflow"}}}),
///     serde_json::json!({"name": "search", "span_id": "2", "parent_id": "1", "trace_id": "t",
///         "start_ns": 2, "status": "ok", "meta": {"span": {"kind": "retrieval"}}}),
/// ];
/// assert_eq!(llmobs::testing::tree(&spans), "workflow answer [error]\n  retrieval search\n");
/// ```
pub fn tree(spans: &[Value]) -> String {
    Tree::of(spans).to_string()
}

/// Spans as text: [`Finished::tree`](super::Finished::tree), or [`Tree::of`] events.
///
/// It is compared with text (`assert_eq!(finished.tree(), "task count\n")`), printed with
/// `{}` (for snapshots), or checked by [`assert_is`](Self::assert_is). A line feed stands
/// after each line. What is in it is chosen before:
///
/// ```
/// # use llmobs_runtime as llmobs;
/// use llmobs::{Annotation, Evaluation, Span};
///
/// let llmobs = llmobs::testing::client();
/// llmobs.scope(|| {
///     let span = Span::llm("ask").start();
///     let said = Annotation::new().input("Hello").output(("assistant", "Hi"));
///     span.annotate(said.tag("customer", "acme")).unwrap();
///     llmobs::submit_evaluation(&span, Evaluation::new("polite", true)).unwrap();
/// });
/// llmobs.finished().tree().tags(&["customer"]).io().evaluations().assert_is("
///     llm ask {customer:acme}
///       < Hello
///       > assistant: Hi
///       = polite: true
/// ");
/// ```
#[derive(Clone)]
pub struct Tree<'a> {
    spans: Vec<&'a Value>,
    submitted: Vec<&'a Value>,
    tags: Vec<String>,
    io: bool,
    evaluations: bool,
    sorted: bool,
}

impl<'a> Tree<'a> {
    /// A tree of these span events.
    pub fn of(spans: &'a [Value]) -> Self {
        let mut spans: Vec<&Value> = spans.iter().collect();
        spans.sort_by_key(|span| span["start_ns"].as_u64());
        Tree {
            spans,
            submitted: Vec::new(),
            tags: Vec::new(),
            io: false,
            evaluations: false,
            sorted: false,
        }
    }

    pub(super) fn with_submitted(mut self, submitted: impl Iterator<Item = &'a Value>) -> Self {
        self.submitted.extend(submitted);
        self
    }

    /// Shows the tags of these keys after the name, as `{key:value}`, in the order of the
    /// keys' names.
    pub fn tags(mut self, keys: &[&str]) -> Self {
        self.tags.extend(keys.iter().map(|&key| key.to_owned()));
        self
    }

    /// Shows input (`<`), output (`>`) and error (`!`) below the span: each text, message
    /// (`role: content`, then its tool calls) and document in a line, the error as
    /// `type: message`. A line feed in them is shown as `\n`.
    pub fn io(mut self) -> Self {
        self.io = true;
        self
    }

    /// Shows evaluations below their span, as `= label: value`, with `[pass]` or `[fail]`
    /// if they say so; feedback with `[feedback]`. Those that belong to no span here stand
    /// at the end, with what they are joined to. Only for the tree of a
    /// [`Finished`](super::Finished).
    pub fn evaluations(mut self) -> Self {
        self.evaluations = true;
        self
    }

    /// Puts siblings, and the roots, in the order of their text instead of their starts:
    /// for work that runs on several threads at the same time.
    pub fn sorted(mut self) -> Self {
        self.sorted = true;
        self
    }

    /// Fails unless the tree is `expected`. Empty lines around that do not count, nor does
    /// an indentation that all of its lines have.
    ///
    /// # Panics
    ///
    /// With both trees, where they are not the same.
    #[track_caller]
    pub fn assert_is(&self, expected: &str) {
        let text = self.to_string();
        let (actual, expected): (Vec<&str>, _) = (text.lines().collect(), unindented(expected));
        if actual == expected {
            return;
        }
        let same = actual.iter().zip(&expected).take_while(|(a, b)| a == b);
        let at = same.count();
        panic!(
            "the tree differs in line {}\nexpected:\n{}actual:\n{}",
            at + 1,
            marked(&expected, at),
            marked(&actual, at)
        );
    }

    fn render(&self) -> String {
        let known: BTreeSet<_> = self.spans.iter().map(|span| key(span, "span_id")).collect();
        let mut children = BTreeMap::<_, Vec<usize>>::new();
        let mut roots = Vec::new();
        for (index, span) in self.spans.iter().enumerate() {
            let parent = key(span, "parent_id");
            if known.contains(&parent) {
                children.entry(parent).or_default().push(index);
            } else {
                roots.push(index);
            }
        }
        let mut writing = Writing {
            tree: self,
            children,
            written: BTreeSet::new(),
        };
        let mut out = writing.all(&roots, 0);
        // Only parents in a circle are left.
        for index in 0..self.spans.len() {
            if !writing.written.contains(&index) {
                out.push_str("[circle]\n");
                out.push_str(&writing.one(index, 1));
            }
        }
        if self.evaluations {
            for event in &self.submitted {
                if !self.spans.iter().any(|span| belongs(event, span)) {
                    let (line, joined) = (evaluation(event), joined(event));
                    let _ = writeln!(out, "= {line} [{joined}]");
                }
            }
        }
        out
    }

    fn details(&self, span: &'a Value, indent: &str) -> String {
        let mut out = String::new();
        let sides = [("input", "<"), ("output", ">")];
        for (side, arrow) in sides.into_iter().filter(|_| self.io) {
            for line in io_lines(&span["meta"][side]) {
                let _ = writeln!(out, "{indent}  {arrow} {}", one_line(&line));
            }
        }
        if let Some(error) = span["meta"].get("error").filter(|_| self.io) {
            let line = format!("{}: {}", text(&error["type"]), text(&error["message"]));
            let _ = writeln!(out, "{indent}  ! {}", one_line(&line));
        }
        if self.evaluations {
            for event in self.submitted.iter().filter(|event| belongs(event, span)) {
                let line = evaluation(event);
                let _ = writeln!(out, "{indent}  = {line}");
            }
        }
        out
    }

    fn head(&self, span: &'a Value, is_root: bool) -> String {
        let kind = text(&span["meta"]["span"]["kind"]);
        let mut out = format!("{kind} {}", text(&span["name"]));
        if span["status"] == "error" {
            out.push_str(" [error]");
        }
        if is_root && span["parent_id"] != "undefined" {
            out.push_str(" [parent elsewhere]");
        }
        let tags = span["tags"].as_array().into_iter().flatten();
        for tag in tags.filter_map(Value::as_str) {
            let key = tag.split_once(':').map(|(key, _)| key);
            if key.is_some_and(|key| self.tags.iter().any(|shown| shown == key)) {
                let _ = write!(out, " {{{tag}}}");
            }
        }
        one_line(&out)
    }
}

struct Writing<'t, 'a> {
    tree: &'t Tree<'a>,
    children: BTreeMap<Key<'a>, Vec<usize>>,
    written: BTreeSet<usize>,
}

impl Writing<'_, '_> {
    fn all(&mut self, spans: &[usize], depth: usize) -> String {
        let mut parts: Vec<String> = spans.iter().map(|&one| self.one(one, depth)).collect();
        if self.tree.sorted {
            parts.sort();
        }
        parts.concat()
    }

    fn one(&mut self, index: usize, depth: usize) -> String {
        if !self.written.insert(index) {
            return String::new();
        }
        let span = self.tree.spans[index];
        let indent = "  ".repeat(depth);
        let mut out = format!("{indent}{}\n", self.tree.head(span, depth == 0));
        out.push_str(&self.tree.details(span, &indent));
        let children = self.children.get(&key(span, "span_id"));
        let children = children.cloned().unwrap_or_default();
        out.push_str(&self.all(&children, depth + 1));
        out
    }
}

/// A span within its trace: an id may come back in another one.
type Key<'a> = (&'a str, &'a str);

fn key<'a>(span: &'a Value, id: &str) -> Key<'a> {
    let text = |key: &str| span[key].as_str().unwrap_or_default();
    (text("trace_id"), text(id))
}

/// Whether an evaluation or feedback is joined to the span.
pub(super) fn belongs(event: &Value, span: &Value) -> bool {
    match join(event) {
        Join::Span { span_id, trace_id } => {
            span["span_id"] == span_id && trace_id.is_none_or(|trace| span["trace_id"] == trace)
        }
        Join::Trace(trace) => span["trace_id"] == trace && span["parent_id"] == "undefined",
        Join::Tag { key, value } => {
            let mut tags = span["tags"].as_array().into_iter().flatten();
            tags.any(|tag| tag.as_str().and_then(|tag| tag.split_once(':')) == Some((key, value)))
        }
        Join::Else => false,
    }
}

fn evaluation(event: &Value) -> String {
    let submitted = Submitted::bare(event);
    let mut out = format!("{}: {}", submitted.label(), text(submitted.value()));
    if let Some(assessment) = submitted.assessment() {
        let _ = write!(out, " [{assessment}]");
    }
    if event["event_kind"] == "feedback" {
        out.push_str(" [feedback]");
    }
    one_line(&out)
}

/// What one is joined to that no span here is.
fn joined(event: &Value) -> String {
    match join(event) {
        Join::Span { .. } => "span elsewhere".to_owned(),
        Join::Trace(_) => "trace elsewhere".to_owned(),
        Join::Tag { key, value } => one_line(&format!("tag {key}:{value}")),
        Join::Else => "no span".to_owned(),
    }
}

fn one_line(text: &str) -> String {
    text.replace('\r', "\\r").replace('\n', "\\n")
}

/// Input or output, a line for each thing in it.
pub(super) fn io_lines(io: &Value) -> Vec<String> {
    let items = |key: &str| io[key].as_array().into_iter().flatten();
    let message = |message: &Value| {
        let role = message["role"].as_str().filter(|role| !role.is_empty());
        let role = role.map(|role| format!("{role}:"));
        let content = Some(text(&message["content"])).filter(|content| !content.is_empty());
        let calls = message["tool_calls"].as_array().into_iter().flatten();
        let calls = calls.map(|call| format!("{}({})", text(&call["name"]), call["arguments"]));
        let parts: Vec<String> = role.into_iter().chain(content).chain(calls).collect();
        parts.join(" ")
    };
    let value = io.get("value").map(text);
    let messages = items("messages").map(message);
    let documents = items("documents").map(|document| text(&document["text"]));
    value.into_iter().chain(messages).chain(documents).collect()
}

fn text(value: &Value) -> String {
    let text = value.as_str().map(str::to_owned);
    text.unwrap_or_else(|| value.to_string())
}

/// The lines of `text` without empty ones around them and without their common indentation.
fn unindented(text: &str) -> Vec<&str> {
    let is_blank = |line: &&str| line.trim().is_empty();
    let mut lines: Vec<&str> = text.lines().skip_while(is_blank).collect();
    while lines.last().is_some_and(is_blank) {
        lines.pop();
    }
    let indent = |line: &&str| line.len() - line.trim_start().len();
    let filled = lines.iter().filter(|line| !is_blank(line));
    let common = filled.map(indent).min().unwrap_or(0);
    let cut = |line: &str| -> usize { common.min(line.len()) };
    let lines = lines.into_iter();
    lines
        .map(|line| line.get(cut(line)..).unwrap_or_default())
        .collect()
}

/// These lines, with a mark before the one at `at`.
fn marked(lines: &[&str], at: usize) -> String {
    let mut out = String::new();
    for (index, line) in lines.iter().enumerate() {
        let mark = if index == at { '>' } else { ' ' };
        let _ = writeln!(out, "{mark} {line}");
    }
    if at >= lines.len() {
        out.push_str("> (nothing more)\n");
    }
    out
}

impl fmt::Display for Tree<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.render())
    }
}

/// As the `Debug` of its text, so that both sides of an `assert_eq!` look alike.
impl fmt::Debug for Tree<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.render(), f)
    }
}

impl PartialEq for Tree<'_> {
    fn eq(&self, other: &Self) -> bool {
        self.render() == other.render()
    }
}

macro_rules! equal_to_text {
    ($($text:ty)*) => {$(
        impl PartialEq<$text> for Tree<'_> {
            fn eq(&self, other: &$text) -> bool {
                self.render() == *other
            }
        }
    )*};
}

equal_to_text!(str &str String);
