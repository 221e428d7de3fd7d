//! What a user adds to a span: input, output, metadata, metrics, tags, and what only some
//! spans have.

mod context;
mod error;
mod io;
mod settle;

use std::fmt;

use serde::Serialize;
use serde_json::Value;

use crate::agent::AgentManifest;
use crate::capture;
use crate::given::{IntoIo, IntoJson, IntoNumber};
use crate::link::SpanLink;
use crate::number::Number;
use crate::prompt::Prompt;
use crate::text::{IntoText, Text};
use crate::tool::ToolDefinition;
use crate::usage::TokenUsage;

pub use context::{AnnotationContext, AnnotationGuard};
pub(crate) use context::{Annotations, apply};
pub use error::AnnotateError;
pub use io::Io;
pub(crate) use io::{Content, IoError, IoRepr, Side};

/// What to add to a span, for [`annotate`](crate::annotate) and
/// [`Span::annotate`](crate::Span::annotate).
///
/// Annotations of one span add up: metadata, metrics and tags by key, the later value
/// wins; input and output are replaced. What is set by hand wins over what an attribute
/// captures by itself. Building does nothing yet and cannot fail.
///
/// What is given by hand goes as it is: nothing in it is hidden by its name, as automatic
/// capture does. Input, output, metadata, the prompt, the tool definitions and an agent's
/// manifest each hold 5,000,000 bytes of text, 100,000 values and 64 levels; what is beyond
/// is cut and marked (`…[12 bytes cut]`, `…[rest cut]`, `…[deeper than 64 levels]`).
///
/// ```
/// # use llmobs_runtime as llmobs;
/// use llmobs::{Annotation, Message};
///
/// let annotation = Annotation::new()
///     .input([Message::system("Be short."), Message::user("What is Rust?")])
///     .output(("assistant", "A language."))
///     .metadata("temperature", 0.2)
///     .metric("input_tokens", 12)
///     .metric("output_tokens", 3)
///     .tag("tenant", "acme");
/// ```
#[derive(Clone, Debug, Default)]
#[must_use = "an annotation does nothing until it is given to `annotate`"]
pub struct Annotation {
    /// In a box, as the rest: so the others, which are moved about, pay a word for it.
    pub(crate) io: Option<Box<InAndOut>>,
    /// Later values win; a list, since dropping an empty map is not for nothing.
    pub(crate) metadata: Vec<(String, Value)>,
    pub(crate) metrics: Vec<(String, Number)>,
    pub(crate) usage: Option<Box<TokenUsage>>,
    pub(crate) tags: Vec<(Text, Text)>,
    pub(crate) extra: Option<Box<Extra>>,
}

/// What went into the step and what came out of it.
#[derive(Clone, Debug, Default)]
pub(crate) struct InAndOut {
    pub(crate) input: Option<Io>,
    pub(crate) output: Option<Io>,
}

/// What few annotations have: the others carry a word for it.
#[derive(Clone, Debug, Default)]
pub(crate) struct Extra {
    pub(crate) name: Option<Text>,
    pub(crate) model_name: Option<Text>,
    pub(crate) model_provider: Option<Text>,
    pub(crate) prompt: Option<Prompt>,
    pub(crate) tools: Option<Vec<ToolDefinition>>,
    pub(crate) cost_tags: Vec<Text>,
    pub(crate) agent: Option<AgentManifest>,
    pub(crate) intent: Option<String>,
    pub(crate) links: Vec<SpanLink>,
}

impl Annotation {
    /// An empty annotation.
    pub fn new() -> Self {
        Self::default()
    }

    /// What went into the step: messages for `llm`, documents for `embedding`, a value for
    /// the other kinds. Text fits every kind.
    pub fn input(mut self, input: impl IntoIo) -> Self {
        self.io.get_or_insert_default().input = Some(input.into_io());
        self
    }

    /// What came out of it: messages for `llm`, documents for `retrieval`, a value for the
    /// other kinds. Text fits every kind.
    pub fn output(mut self, output: impl IntoIo) -> Self {
        self.io.get_or_insert_default().output = Some(output.into_io());
        self
    }

    /// Any `Serialize` as the input. It is read at once, within the same limits. One that
    /// fails or panics gives a mark that says so: `<not captured: why>`.
    pub fn input_json<T: Serialize + ?Sized>(self, input: &T) -> Self {
        self.input(capture::as_given(input))
    }

    /// Any `Serialize` as the output, read as [`input_json`](Self::input_json) does.
    pub fn output_json<T: Serialize + ?Sized>(self, output: &T) -> Self {
        self.output(capture::as_given(output))
    }

    /// A property of the call, such as `temperature`. `value` is anything that becomes
    /// JSON: text, a number, a bool, a [`Value`]. Of a type that is `Serialize` it is
    /// `serde_json::json!(value)`.
    pub fn metadata(mut self, key: impl Into<String>, value: impl IntoJson) -> Self {
        self.metadata.push((key.into(), value.into_json()));
        self
    }

    /// A measure, such as `input_tokens`. A dot in the key becomes an underscore; a NaN or
    /// an infinity is refused by `annotate`.
    ///
    /// Any name will do. LLM Observability gives these a meaning:
    ///
    /// * tokens: `input_tokens`, `output_tokens`, `total_tokens`, `cache_read_input_tokens`,
    ///   `cache_write_input_tokens`, `ephemeral_5m_input_tokens`,
    ///   `ephemeral_1h_input_tokens`, `reasoning_output_tokens`, `billable_character_count`;
    /// * costs in US dollars, which win over the estimated ones: `input_cost`,
    ///   `output_cost`, `total_cost`;
    /// * times: `time_to_first_token`, `time_in_queue`, `time_in_model_prefill`,
    ///   `time_in_model_decode`, `time_in_model_inference`.
    pub fn metric(mut self, key: impl Into<String>, value: impl IntoNumber) -> Self {
        self.metrics.push((key.into(), value.into_number()));
        self
    }

    /// How many tokens the call took: the metrics that are known of it. Told more than once, what the
    /// later one knows wins ([`TokenUsage::merge`]); totals follow from what stands in the end.
    pub fn usage(mut self, usage: TokenUsage) -> Self {
        usage.replace(&mut self.metrics);
        TokenUsage::add(&mut self.usage, Box::new(usage));
        self
    }

    /// A tag, sent as `key:value`; the value is what its `Display` gives. The tag
    /// `session_id` also sets the span's session.
    pub fn tag(mut self, key: impl IntoText, value: impl fmt::Display) -> Self {
        if self.tags.capacity() == 0 {
            self.tags = Vec::with_capacity(4);
        }
        // Written where they stay: a processor waits for what was just moved.
        self.tags.push(Default::default());
        if let Some((place, told)) = self.tags.last_mut() {
            if key.put(place) {
                capture::tell(&value, told);
            } else {
                self.tags.pop();
            }
        }
        self
    }

    /// Several tags.
    pub fn tags<K: IntoText, V: fmt::Display>(
        mut self,
        tags: impl IntoIterator<Item = (K, V)>,
    ) -> Self {
        for (key, value) in tags {
            self = self.tag(key, value);
        }
        self
    }

    /// The prompt that the model was given, its template apart from its variables.
    ///
    /// Every kind takes one and only `llm` sends it: an `llm` span without a prompt of its
    /// own has that of its parent when it ends. Prompts of one span add up, field by field.
    /// Of one that has a template and chat messages the template is left out, and `annotate` returns
    /// an error.
    pub fn prompt(mut self, prompt: Prompt) -> Self {
        self.extra().prompt = Some(prompt);
        self
    }

    /// The tools that the model may call, in place of those before; `llm` only.
    pub fn tool_definitions(mut self, tools: impl IntoIterator<Item = ToolDefinition>) -> Self {
        self.extra().tools = Some(tools.into_iter().collect());
        self
    }

    /// Tags by which costs are broken down, by their keys. A key that is not among the
    /// span's tags, those of this annotation included, is refused by `annotate`.
    pub fn cost_tags<K: IntoText>(mut self, keys: impl IntoIterator<Item = K>) -> Self {
        let keys = keys.into_iter().filter_map(K::into_text);
        self.extra().cost_tags.extend(keys);
        self
    }

    /// What the agent is made of; `agent` only.
    pub fn agent(mut self, manifest: AgentManifest) -> Self {
        self.extra().agent = Some(manifest);
        self
    }

    /// What the step is meant to achieve, such as the reason that a model gives for calling
    /// a tool. An empty one is left out.
    pub fn intent(mut self, intent: impl Into<String>) -> Self {
        self.extra().intent = Some(intent.into()).filter(|intent| !intent.is_empty());
        self
    }

    /// Adds a link from another span to this one. A span takes 10,000; those beyond are
    /// refused by `annotate`.
    pub fn link(mut self, link: SpanLink) -> Self {
        self.extra().links.push(link);
        self
    }

    /// Renames the span. An empty name, or `None`, changes nothing. The `tracing` span
    /// beside it keeps its name.
    pub fn name(mut self, name: impl IntoText) -> Self {
        self.extra().name = name.into_text().filter(|name| !name.is_empty());
        self
    }

    /// The model's name, once it is known; `llm` and `embedding` only. An empty one, or
    /// `None`, changes nothing.
    pub fn model_name(mut self, model_name: impl IntoText) -> Self {
        self.extra().model_name = model_name.into_text().filter(|name| !name.is_empty());
        self
    }

    /// Who runs the model, once that is known; `llm` and `embedding` only. An empty one, or
    /// `None`, changes nothing.
    pub fn model_provider(mut self, model_provider: impl IntoText) -> Self {
        let provider = model_provider.into_text();
        self.extra().model_provider = provider.filter(|name| !name.is_empty());
        self
    }

    fn extra(&mut self) -> &mut Extra {
        self.extra.get_or_insert_default()
    }
}
