//! Span events as an indented text tree.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

/// The tree of these span events: a line each, `kind name`, with `[error]` after one that failed; children below
/// their parent in the order of their starts.
///
/// A span whose parent is not among them stands at the left, marked `[parent elsewhere]`.
///
/// ```
/// let spans = [
///     serde_json::json!({"name": "answer", "span_id": "1", "parent_id": "undefined", "trace_id": "t",
///         "start_ns": 1, "status": "error", "meta": {"span": {"kind": "workflow"}}}),
///     serde_json::json!({"name": "search", "span_id": "2", "parent_id": "1", "trace_id": "t",
///         "start_ns": 2, "status": "ok", "meta": {"span": {"kind": "retrieval"}}}),
/// ];
/// assert_eq!(llmobs_tests::tree(&spans), "workflow answer [error]\n  retrieval search\n");
/// ```
pub fn tree(spans: &[Value]) -> String {
    Tree::of(spans).render()
}

/// A tree with more than names; begins at [`Tree::of`], ends at [`Tree::render`].
#[derive(Clone, Debug)]
pub struct Tree<'a> {
    spans: Vec<&'a Value>,
    tags: Vec<String>,
    io: bool,
}

impl<'a> Tree<'a> {
    /// A tree of these span events.
    pub fn of(spans: &'a [Value]) -> Self {
        let mut spans: Vec<&Value> = spans.iter().collect();
        spans.sort_by_key(|span| span["start_ns"].as_u64());
        Tree {
            spans,
            tags: Vec::new(),
            io: false,
        }
    }

    /// Shows the tags of these keys after the name, as `{key:value}`.
    pub fn tags(mut self, keys: &[&str]) -> Self {
        self.tags.extend(keys.iter().map(|&key| key.to_owned()));
        self
    }

    /// Shows input and output, each in a line of its own below the span.
    pub fn io(mut self) -> Self {
        self.io = true;
        self
    }

    /// The text, with a line feed after each line.
    pub fn render(&self) -> String {
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
        let mut out = String::new();
        let mut written = BTreeSet::new();
        for root in roots {
            self.write(root, 0, &children, &mut written, &mut out);
        }
        // Only parents in a circle are left.
        for index in 0..self.spans.len() {
            if !written.contains(&index) {
                out.push_str("[circle]\n");
                self.write(index, 1, &children, &mut written, &mut out);
            }
        }
        out
    }

    fn write(
        &self,
        index: usize,
        depth: usize,
        children: &BTreeMap<Key<'a>, Vec<usize>>,
        written: &mut BTreeSet<usize>,
        out: &mut String,
    ) {
        if !written.insert(index) {
            return;
        }
        let span = self.spans[index];
        let indent = "  ".repeat(depth);
        out.push_str(&format!(
            "{indent}{} {}",
            text(&span["meta"]["span"]["kind"]),
            text(&span["name"])
        ));
        if span["status"] == "error" {
            out.push_str(" [error]");
        }
        if depth == 0 && span["parent_id"] != "undefined" {
            out.push_str(" [parent elsewhere]");
        }
        for tag in span["tags"]
            .as_array()
            .into_iter()
            .flatten()
            .filter_map(Value::as_str)
        {
            if tag
                .split_once(':')
                .is_some_and(|(key, _)| self.tags.iter().any(|shown| shown == key))
            {
                out.push_str(&format!(" {{{tag}}}"));
            }
        }
        out.push('\n');
        if self.io {
            for (direction, arrow) in [("input", "<"), ("output", ">")] {
                for content in span["meta"][direction]
                    .as_object()
                    .into_iter()
                    .flat_map(|content| content.values())
                {
                    out.push_str(&format!("{indent}  {arrow} {}\n", text(content)));
                }
            }
        }
        for &child in children.get(&key(span, "span_id")).into_iter().flatten() {
            self.write(child, depth + 1, children, written, out);
        }
    }
}

/// A span within its trace: an id may come back in another one.
type Key<'a> = (&'a str, &'a str);

fn key<'a>(span: &'a Value, id: &str) -> Key<'a> {
    (
        span["trace_id"].as_str().unwrap_or_default(),
        span[id].as_str().unwrap_or_default(),
    )
}

fn text(value: &Value) -> String {
    value
        .as_str()
        .map_or_else(|| value.to_string(), str::to_owned)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn span(id: &str, parent: &str, kind: &str, name: &str, start: u64) -> Value {
        json!({
            "span_id": id, "parent_id": parent, "trace_id": "t", "name": name, "start_ns": start, "status": "ok",
            "meta": {"span": {"kind": kind}}, "tags": ["env:", "cancelled:true"],
        })
    }

    #[test]
    fn children_stand_below_their_parent_in_start_order() {
        let mut root = span("1", "undefined", "workflow", "answer", 10);
        root["status"] = json!("error");
        let spans = [
            span("3", "1", "llm", "generate", 12),
            span("2", "1", "retrieval", "search", 11),
            span("4", "2", "tool", "index", 13),
            root,
        ];
        assert_eq!(
            tree(&spans),
            "workflow answer [error]\n  retrieval search\n    tool index\n  llm generate\n"
        );
    }

    #[test]
    fn a_parent_that_is_not_there_is_marked() {
        assert_eq!(
            tree(&[span("2", "1", "task", "a", 1)]),
            "task a [parent elsewhere]\n"
        );
    }

    #[test]
    fn the_same_id_in_another_trace_is_no_parent() {
        let mut other = span("1", "undefined", "task", "root", 1);
        other["trace_id"] = json!("u");
        assert_eq!(
            tree(&[other, span("2", "1", "task", "a", 2)]),
            "task root\ntask a [parent elsewhere]\n"
        );
    }

    #[test]
    fn a_circle_ends() {
        let spans = [
            span("1", "2", "task", "a", 1),
            span("2", "1", "task", "b", 2),
        ];
        assert_eq!(tree(&spans), "[circle]\n  task a\n    task b\n");
    }

    #[test]
    fn tags_and_content_are_shown_on_request() {
        let mut root = span("1", "undefined", "task", "a", 1);
        root["meta"]["input"] = json!({"value": "in"});
        root["meta"]["output"] = json!({"messages": [{"content": "out"}]});
        let spans = [root];
        let text = Tree::of(&spans).tags(&["cancelled"]).io().render();
        assert_eq!(
            text,
            "task a {cancelled:true}\n  < in\n  > [{\"content\":\"out\"}]\n"
        );
    }
}
