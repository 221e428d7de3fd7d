//! The limits for what users annotate by hand: cut in place, untouched within them.

use super::limits::{Budget, Limits, REST};
use super::{bound, bound_text, bound_within};
use crate::annotation::IoRepr;
use crate::document::Document;
use crate::message::{MediaPart, MediaSource, Message, ToolCall, ToolResult};
use crate::shrink;

/// An input or an output within the limits, which count for all of it together.
pub(crate) fn bound_io(io: IoRepr) -> IoRepr {
    match io {
        IoRepr::Text(text) => IoRepr::Text(bound_text(text)),
        IoRepr::Texts(texts) => IoRepr::Texts(bound_list(texts)),
        IoRepr::Messages(mut messages) => {
            // A picture must not take the room of the question that follows it.
            shrink::media_in_messages(&mut messages, Limits::EVENT.text);
            IoRepr::Messages(bound_list(messages))
        }
        IoRepr::Documents(documents) => IoRepr::Documents(bound_list(documents)),
        IoRepr::Json(value) => IoRepr::Json(bound(value)),
        IoRepr::Read(value) => IoRepr::Read(value),
    }
}

fn bound_list<T: Part>(mut parts: Vec<T>) -> Vec<T> {
    cut_list(&mut parts, &mut Budget::new(&Limits::EVENT));
    parts
}

/// A message within what is left of the limits.
pub(super) fn cut_message(message: &mut Message, budget: &mut Budget) {
    message.cut(budget);
}

/// The last of a list of messages that was cut.
pub(crate) fn rest_message() -> Message {
    Message::rest()
}

/// Something in a list that users give.
trait Part {
    /// The last item of a list that was cut.
    fn rest() -> Self;

    /// Cuts what has no room.
    fn cut(&mut self, budget: &mut Budget);
}

fn cut_list<T: Part>(parts: &mut Vec<T>, budget: &mut Budget) {
    budget.cut_list(parts, T::rest, T::cut);
}

fn cut_option(text: &mut Option<String>, budget: &mut Budget) {
    if let Some(text) = text {
        budget.cut(text);
    }
}

impl Part for String {
    fn rest() -> Self {
        REST.to_owned()
    }

    fn cut(&mut self, budget: &mut Budget) {
        budget.cut(self);
    }
}

impl Part for Message {
    fn rest() -> Self {
        REST.into()
    }

    fn cut(&mut self, budget: &mut Budget) {
        budget.cut(&mut self.role);
        budget.cut(&mut self.content);
        cut_list(&mut self.tool_calls, budget);
        cut_list(&mut self.tool_results, budget);
        cut_list(&mut self.audio_parts, budget);
        cut_list(&mut self.image_parts, budget);
    }
}

impl Part for ToolCall {
    fn rest() -> Self {
        Self::new(REST, serde_json::Map::new())
    }

    fn cut(&mut self, budget: &mut Budget) {
        budget.cut(&mut self.name);
        cut_option(&mut self.tool_id, budget);
        cut_option(&mut self.kind, budget);
        self.arguments = bound_within(budget, self.arguments.take());
    }
}

impl Part for ToolResult {
    fn rest() -> Self {
        Self::new(REST)
    }

    fn cut(&mut self, budget: &mut Budget) {
        cut_option(&mut self.name, budget);
        cut_option(&mut self.tool_id, budget);
        cut_option(&mut self.kind, budget);
        budget.cut(&mut self.result);
    }
}

impl Part for MediaPart {
    fn rest() -> Self {
        Self::attachment(REST, REST)
    }

    fn cut(&mut self, budget: &mut Budget) {
        budget.cut(&mut self.mime_type);
        match &mut self.source {
            MediaSource::Content(text) | MediaSource::AttachmentKey(text) => budget.cut(text),
        }
    }
}

impl Part for Document {
    fn rest() -> Self {
        Self::new(REST)
    }

    fn cut(&mut self, budget: &mut Budget) {
        cut_option(&mut self.name, budget);
        cut_option(&mut self.id, budget);
        budget.cut(&mut self.text);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    fn cut<T: Part + serde::Serialize>(mut parts: Vec<T>, text: usize, nodes: usize) -> Value {
        let depth = 2;
        let limits = Limits { text, nodes, depth };
        cut_list(&mut parts, &mut Budget::new(&limits));
        serde_json::to_value(parts).unwrap()
    }

    #[test]
    fn messages_are_whole_up_to_the_limits_and_marked_beyond() {
        let messages = || vec![Message::user("abcd"), Message::user("efgh")];
        let whole = serde_json::to_value(messages()).unwrap();
        for (text, nodes) in [(16, 2), (17, 3)] {
            assert_eq!(cut(messages(), text, nodes), whole);
        }
        assert_eq!(
            cut(messages(), 15, 2),
            json!([
                {"role": "user", "content": "abcd"},
                {"role": "user", "content": "efg…[1 bytes cut]"},
            ])
        );
        assert_eq!(
            cut(messages(), 7, 2),
            json!([
                {"role": "user", "content": "abc…[1 bytes cut]"},
                {"role": "", "content": "…[rest cut]"},
            ])
        );
        assert_eq!(
            cut(messages(), 16, 1),
            json!([
                {"role": "user", "content": "abcd"},
                {"role": "", "content": "…[rest cut]"},
            ])
        );
    }

    #[test]
    fn what_hangs_on_a_message_counts_too_and_stays_valid() {
        let message = Message::new("", "ab")
            .tool_call(ToolCall::new("f", json!({"k": [1]})).tool_id("i"))
            .tool_result(ToolResult::new("res").name("n"))
            .audio(MediaPart::base64("m", "data"))
            .image(MediaPart::attachment("m", "key"));
        let parts = || vec![message.clone()];
        let whole = serde_json::to_value(parts()).unwrap();
        assert_eq!(cut(parts(), 18, 8), whole);
        for (text, nodes) in [(17, 8), (18, 7)] {
            let cut = cut(parts(), text, nodes);
            assert_ne!(cut, whole);
            assert!(cut.to_string().contains('…'), "{cut}");
        }
        for text in 0..18 {
            let mut parts = parts();
            let limits = Limits {
                text,
                nodes: 9,
                depth: 2,
            };
            cut_list(&mut parts, &mut Budget::new(&limits));
            assert!(parts.iter().all(|message| message.flaw().is_none()));
        }
    }

    #[test]
    fn the_arguments_of_a_tool_call_are_cut_where_they_are_too_deep() {
        let call = ToolCall::new("f", json!({"k": [[1]]}));
        assert_eq!(
            cut(vec![call], 100, 100),
            json!([{"name": "f", "arguments": {"k": ["…[deeper than 2 levels]"]}}])
        );
    }

    #[test]
    fn texts_and_documents_are_cut_alike() {
        let texts = || vec!["abc".to_owned(), String::new(), "d".to_owned()];
        assert_eq!(cut(texts(), 4, 3), json!(texts()));
        assert_eq!(cut(texts(), 3, 3), json!(["abc", "", "…[1 bytes cut]"]));
        assert_eq!(cut(texts(), 4, 2), json!(["abc", "", "…[rest cut]"]));
        let document = || vec![Document::new("abc").name("n").id("i").score(1)];
        assert_eq!(cut(document(), 5, 1), json!(document()));
        assert_eq!(cut(document(), 4, 1)[0]["text"], "ab…[1 bytes cut]");
        assert_eq!(cut(document(), 5, 0), json!([{"text": "…[rest cut]"}]));
    }
}
