//! What annotations add to a span.

use std::mem::take;
use std::sync::Arc;

use super::extra::{PROMPT, TOOLS};
use super::{SpanData, SpanInner};
use serde_json::Map;

use crate::annotation::{AnnotateError, Annotation, Content, Extra, Io, IoError, Side};
use crate::capture;
use crate::evaluation::shortened;
use crate::kind::SpanKind;
use crate::number::Number;
use crate::report;
use crate::tags;
use crate::text::Text;
use crate::tool::ToolDefinition;
use crate::usage::TokenUsage;

/// The most links of one span: more than anybody reads, and about 1.5 MB of the event.
const MOST_LINKS: usize = 10_000;

/// What an annotation had no place for on the span.
#[derive(Default)]
struct LeftOut {
    cost_tag: Option<Text>,
    links: usize,
}

/// The first thing that was wrong; the rest is applied.
#[derive(Default)]
struct Flaw(Option<AnnotateError>);

impl Flaw {
    fn note(&mut self, error: AnnotateError) {
        self.0.get_or_insert(error);
    }

    fn invalid(&mut self, reason: Option<String>) {
        if let Some(reason) = reason {
            self.note(AnnotateError::InvalidValue { reason });
        }
    }

    /// Whether `kind` may have the field.
    fn fits(&mut self, may: bool, field: &'static str, kind: SpanKind) -> bool {
        if !may {
            self.note(AnnotateError::WrongKind { field, kind });
        }
        may
    }
}

/// What an annotation comes to on a span of some kind. What is wrong may go to a subscriber, and a
/// value's `Drop` is the user's: all of that happens here, and nothing of it where the span is held.
pub(crate) struct Checked<'a> {
    annotation: &'a mut Annotation,
    io: Option<Contents>,
    flaw: Flaw,
}

/// Input and output in the form of the kind.
struct Contents {
    input: Option<Content>,
    output: Option<Content>,
}

impl<'a> Checked<'a> {
    #[inline]
    pub(crate) fn new(annotation: &'a mut Annotation, kind: SpanKind) -> Self {
        let mut checked = Self {
            annotation,
            io: None,
            flaw: Flaw::default(),
        };
        checked.check(kind);
        checked
    }

    /// The first thing that was wrong.
    #[inline]
    pub(crate) fn result(self) -> Result<(), AnnotateError> {
        self.flaw.0.map_or(Ok(()), Err)
    }

    fn check(&mut self, kind: SpanKind) {
        let Self {
            annotation,
            io,
            flaw,
        } = self;
        if let Some(given) = annotation.io.take() {
            let mut content = |io: Option<Io>, side| match io?.into_content(kind, side) {
                Ok((content, wrong)) => {
                    flaw.invalid(wrong);
                    content
                }
                Err(IoError::WrongKind { field, kind }) => {
                    flaw.note(AnnotateError::WrongKind { field, kind });
                    None
                }
            };
            *io = Some(Contents {
                input: content(given.input, Side::Input),
                output: content(given.output, Side::Output),
            });
        }
        if !annotation.metadata.is_empty() {
            let metadata = Map::from_iter(take(&mut annotation.metadata));
            let mut metadata = capture::bound_map(metadata);
            flaw.invalid(metadata.remove("").map(|value| {
                let value = shortened(&value.to_string());
                format!("a property of the metadata has an empty key (value {value})")
            }));
            annotation.metadata.extend(metadata);
        }
        let tags = &mut annotation.tags;
        if let Some((_, value)) = tags.iter().find(|(key, _)| key.is_empty()) {
            let reason = format!("a tag has an empty key (value {:?})", shortened(value));
            flaw.invalid(Some(reason));
            tags.retain(|(key, _)| !key.is_empty());
        }
        if !annotation.metrics.is_empty() {
            let checked = |(key, number)| match metric(key, number) {
                Ok(metric) => Some(metric),
                Err(error) => {
                    flaw.note(error);
                    None
                }
            };
            let metrics = take(&mut annotation.metrics).into_iter();
            annotation.metrics = metrics.filter_map(checked).collect();
        }
        if let Some(extra) = &mut annotation.extra {
            check_extra(kind, extra, flaw);
        }
    }
}

/// Takes out what the span cannot carry.
fn check_extra(kind: SpanKind, extra: &mut Extra, flaw: &mut Flaw) {
    if let Some(mut prompt) = extra.prompt.take() {
        flaw.invalid(prompt.mend());
        prompt.bound();
        extra.prompt = Some(prompt);
    }
    if let Some(tools) = extra.tools.take()
        && flaw.fits(kind == SpanKind::Llm, "tool definitions", kind)
    {
        let (tools, wrong) = ToolDefinition::checked(tools);
        flaw.invalid(wrong);
        extra.tools = Some(tools);
    }
    if let Some(mut agent) = extra.agent.take()
        && flaw.fits(kind == SpanKind::Agent, "agent manifest", kind)
    {
        flaw.invalid(agent.take_flaw());
        agent.bound();
        extra.agent = Some(agent);
    }
    let mut model = |text: &mut Option<Text>, field| {
        if text.is_some() && !flaw.fits(kind.has_model(), field, kind) {
            *text = None;
        }
    };
    model(&mut extra.model_name, "model name");
    model(&mut extra.model_provider, "model provider");
    extra.intent = extra.intent.take().map(capture::bound_text);
}

impl SpanData {
    /// Adds what every span may have.
    #[inline]
    fn annotate(&mut self, annotation: &mut Annotation, io: &mut Option<Contents>) {
        if !annotation.metadata.is_empty() {
            self.details()
                .metadata
                .extend(take(&mut annotation.metadata));
        }
        if let Some(usage) = annotation.usage.take() {
            let details = self.details();
            usage.replace(&mut details.metrics);
            TokenUsage::add(&mut details.usage, usage);
        }
        if !annotation.metrics.is_empty() {
            tags::set_all(&mut self.details().metrics, take(&mut annotation.metrics));
        }
        if !annotation.tags.is_empty() {
            tags::set_all(&mut self.tags, take(&mut annotation.tags));
        }
        if let Some(Contents { input, output }) = io.take() {
            if input.is_some() {
                self.input = input;
            }
            if output.is_some() {
                self.output = output;
            }
        }
    }
}

impl SpanInner {
    /// Adds what there is to `checked`, of which nothing is left but what is wrong with it.
    pub(crate) fn annotate(&self, checked: &mut Checked<'_>) {
        if !self.client.is_of_parent() {
            self.apply(checked);
            if checked.flaw.0.is_some() {
                self.client.front.rejected();
            }
        }
    }

    /// The same on a span that nobody else has: mostly without a lock.
    pub(crate) fn annotate_own(&mut self, checked: &mut Checked<'_>) {
        let Checked {
            annotation,
            io,
            flaw,
        } = checked;
        let mut tags = annotation.tags.iter();
        let plain = annotation.extra.is_none() && tags.all(|(key, _)| key != tags::SESSION);
        if !plain || flaw.0.is_some() || self.client.is_of_parent() {
            return self.annotate(checked);
        }
        self.data_mut().annotate(annotation, io);
    }

    fn apply(&self, checked: &mut Checked<'_>) {
        let Checked {
            annotation,
            io,
            flaw,
        } = checked;
        let mut data = self.lock();
        if data.end.is_reached() {
            let name = self.name.to_string();
            flaw.0 = Some(AnnotateError::Ended { name });
            return;
        }
        let mut told_method = false;
        for (key, value) in &annotation.tags {
            told_method |= key == tags::PROMPT_METHOD.0;
            if key == tags::SESSION && !value.is_empty() {
                data.session = Some(self.first_session(Arc::from(&**value)));
            }
        }
        data.annotate(annotation, io);
        let Some(extra) = annotation.extra.take() else {
            return;
        };
        let left = self.add(&mut data, *extra, told_method);
        drop(data);
        flaw.invalid(left.cost_tag.map(|key| {
            let (key, name) = (shortened(&key), shortened(&self.name));
            format!("cost tag {key:?} is not among the tags of span {name:?}")
        }));
        flaw.invalid((left.links > 0).then(|| {
            let (count, name) = (left.links, shortened(&self.name));
            format!("span {name:?} has {MOST_LINKS} links, no more are taken: {count} are left out")
        }));
    }

    /// Adds what was checked; tells what had no place.
    fn add(&self, data: &mut SpanData, mut extra: Extra, told_method: bool) -> LeftOut {
        if let Some(model) = extra.model_name {
            data.model_name = model;
        }
        if let Some(provider) = extra.model_provider {
            data.model_provider = provider;
        }
        if let Some(version) = extra.agent.as_ref().and_then(|agent| agent.version.clone()) {
            data.extra().agent_version = Some(version);
        }
        if extra.prompt.is_some() && !told_method {
            let (key, value) = tags::PROMPT_METHOD;
            tags::set(&mut data.tags, key.into(), value.into());
        }
        let mine = data.extra();
        if extra.name.is_some() {
            mine.name = extra.name;
        }
        if let Some(prompt) = extra.prompt {
            mine.add_prompt(Arc::new(prompt));
            self.now_carries(PROMPT);
        }
        if let Some(tools) = extra.tools {
            mine.tools = Some(tools.into());
            self.now_carries(TOOLS);
        }
        if let Some(agent) = extra.agent {
            match &mut mine.agent {
                Some(mine) => mine.update(agent),
                None => mine.agent = Some(agent),
            }
        }
        if extra.intent.is_some() {
            mine.intent = extra.intent;
        }
        let room = MOST_LINKS.saturating_sub(mine.links.len());
        let links = extra.links.len().saturating_sub(room);
        extra.links.truncate(room);
        mine.links.extend(extra.links);
        let cost_tag = tags::add_cost_tags(self, data, extra.cost_tags);
        LeftOut { cost_tag, links }
    }
}

pub(crate) fn metric(key: String, number: Number) -> Result<(String, Number), AnnotateError> {
    if key.is_empty() {
        let reason = format!("a metric has an empty key (value {number})");
        return Err(AnnotateError::InvalidValue { reason });
    }
    if number.to_json().is_none() {
        let key = shortened(&key);
        let reason = format!("metric {key:?} must be finite, not {number}");
        return Err(AnnotateError::InvalidValue { reason });
    }
    if !key.contains('.') {
        return Ok((key, number));
    }
    let renamed = key.replace('.', "_");
    report::once(report::Kind::MetricKey, || {
        format!("metric {key:?} has a dot, which the backend does not take: sent as {renamed:?}")
    });
    Ok((renamed, number))
}
