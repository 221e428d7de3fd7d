//! Links between spans that are not parent and child.

use serde::{Deserialize, Serialize};

use crate::id::SpanContext;

/// A link from another span to this one, for [`Annotation::link`](crate::Annotation::link):
/// what came out of the other went into this one, unless it says otherwise.
///
/// On the wire: an entry of `span_links`, as ddtrace sends them.
///
/// ```
/// # use llmobs_runtime as llmobs;
/// use llmobs::{Annotation, Span, SpanContext, SpanLink};
///
/// let search: SpanContext = "6b02903500000000fd3aa7b191cc3984:4639900545327866994".parse()?;
/// Span::llm("answer").start().annotate(Annotation::new().link(SpanLink::new(&search)))?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[must_use = "a link does nothing until it is given to an annotation"]
pub struct SpanLink {
    #[serde(flatten)]
    context: SpanContext,
    attributes: Ends,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Ends {
    from: LinkEnd,
    to: LinkEnd,
}

/// Which side of a span a [`SpanLink`] begins or ends at.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum LinkEnd {
    /// What went into it.
    Input,
    /// What came out of it.
    Output,
}

impl SpanLink {
    /// From the other span's output to this one's input.
    pub fn new(other: &SpanContext) -> Self {
        Self {
            context: other.clone(),
            attributes: Ends {
                from: LinkEnd::Output,
                to: LinkEnd::Input,
            },
        }
    }

    /// Bytes that it holds beside itself.
    pub(crate) fn weight(&self) -> usize {
        let Self {
            context,
            attributes: Ends { from: _, to: _ },
        } = self;
        context.weight()
    }

    /// At which side of the other span it begins, and at which side of this one it ends.
    pub fn ends(mut self, from: LinkEnd, to: LinkEnd) -> Self {
        self.attributes = Ends { from, to };
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_link_has_the_ids_and_the_ends() {
        let other = SpanContext::new("5", "t").unwrap();
        let link = SpanLink::new(&other).ends(LinkEnd::Input, LinkEnd::Input);
        let expected = json!({
            "span_id": "5", "trace_id": "t",
            "attributes": {"from": "input", "to": "input"},
        });
        assert_eq!(serde_json::to_value(&link).unwrap(), expected);
        assert_eq!(serde_json::from_value::<SpanLink>(expected).unwrap(), link);
    }
}
