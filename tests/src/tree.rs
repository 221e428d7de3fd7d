//! Span events as an indented text tree: that of the testing kit, which our users have too.

pub use llmobs::testing::{Tree, tree};

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

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
        root["meta"]["output"] = json!({"messages": [
            {"content": "out", "role": ""},
            {"content": "two\nlines", "role": "assistant"},
            {"content": "", "role": "assistant", "tool_calls": [{"name": "f", "arguments": {"a": 1}}]},
        ]});
        let spans = [root];
        let text = Tree::of(&spans).tags(&["cancelled"]).io().to_string();
        assert_eq!(
            text,
            "task a {cancelled:true}\n  < in\n  > out\n  > assistant: two\\nlines\n  > assistant: f({\"a\":1})\n"
        );
    }
}
