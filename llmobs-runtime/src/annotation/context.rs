//! Annotations for every span that is started within a scope.

use std::fmt;
use std::sync::Arc;

use crate::capture;
use crate::context::{Attached, Entry};
use crate::kind::SpanKind;
use crate::prompt::Prompt;
use crate::report;
use crate::span::SpanInner;
use crate::tags::{self, SESSION};
use crate::text::{IntoText, Text};

/// What to add to every span that starts while this is entered: those of annotated
/// functions that are called within, and of the functions that they call.
///
/// Spans that have started before are left alone. Contexts nest: the outer one is applied
/// first, and the inner one wins. A tag of the span's own wins over both, and so does what
/// is annotated later. While llmobs is not enabled, entering one does nothing.
///
/// It is in force where the thread is: [`Context::current`](crate::Context::current) and
/// [`in_current_context`](crate::FutureExt::in_current_context) carry it to other threads
/// and tasks. As in ddtrace (golden 15), save that there a scope belongs to a trace.
///
/// ```
/// # use llmobs_runtime as llmobs;
/// use llmobs::{AnnotationContext, Span};
///
/// let tenant = AnnotationContext::new().tag("tenant", "acme");
/// {
///     let _in = tenant.enter();
///     let span = Span::workflow("answer").start(); // carries tenant:acme
/// }
/// ```
#[derive(Clone, Debug, Default)]
#[must_use = "an annotation context is in force once it is entered"]
pub struct AnnotationContext {
    parts: Arc<Parts>,
}

#[derive(Clone, Debug, Default)]
struct Parts {
    name: Option<Text>,
    tags: Vec<(Text, Text)>,
    prompt: Option<Arc<Prompt>>,
    cost_tags: Vec<Text>,
    agent_version: Option<Text>,
}

impl AnnotationContext {
    /// A context that adds nothing yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// The name of the spans, in place of their own. An empty one, or `None`, is no name.
    pub fn name(mut self, name: impl IntoText) -> Self {
        self.parts().name = name.into_text().filter(|name| !name.is_empty());
        self
    }

    /// A tag, sent as `key:value`; the value is what its `Display` gives. The tag
    /// `session_id` also sets the session, unless the span has one of its own.
    pub fn tag(mut self, key: impl IntoText, value: impl fmt::Display) -> Self {
        if let Some(key) = key.into_text() {
            tags::set(&mut self.parts().tags, key, capture::told(&value));
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

    /// The prompt of the `llm` spans. Of one that has a template and chat messages the template is
    /// left out; the first time a log line tells.
    pub fn prompt(mut self, mut prompt: Prompt) -> Self {
        if let Some(flaw) = prompt.mend() {
            report::once(report::Kind::Prompt, || flaw);
        }
        prompt.bound();
        self.parts().prompt = Some(Arc::new(prompt));
        self
    }

    /// Tags by which costs are broken down, by their keys. A span whose tags lack one
    /// when it starts goes without that one.
    pub fn cost_tags<K: IntoText>(mut self, keys: impl IntoIterator<Item = K>) -> Self {
        let keys = keys.into_iter().filter_map(K::into_text);
        self.parts().cost_tags.extend(keys);
        self
    }

    /// The version of the `agent` spans, unless they have one of their own.
    pub fn agent_version(mut self, version: impl IntoText) -> Self {
        self.parts().agent_version = version.into_text().filter(|text| !text.is_empty());
        self
    }

    /// Puts it in force on this thread until the guard is dropped.
    ///
    /// In async code use [`in_annotation_context`](crate::FutureExt::in_annotation_context):
    /// a guard that is held across an `.await` stays on the thread while other tasks run
    /// there; it is not `Send`, so that a spawned future that holds it does not compile.
    pub fn enter(&self) -> AnnotationGuard {
        AnnotationGuard {
            _attached: Attached::entry(Entry::Annotations(self.clone())),
        }
    }

    /// Runs `f` with it in force.
    pub fn in_scope<R>(&self, f: impl FnOnce() -> R) -> R {
        let _guard = self.enter();
        f()
    }

    fn parts(&mut self) -> &mut Parts {
        Arc::make_mut(&mut self.parts)
    }
}

/// Takes an annotation context out of force, when dropped. It belongs to its thread.
#[must_use = "the annotation context is in force only while this guard lives"]
pub struct AnnotationGuard {
    _attached: Attached,
}

impl fmt::Debug for AnnotationGuard {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("AnnotationGuard")
    }
}

/// The contexts that are in force at a place, the outermost first.
pub(crate) type Annotations = Arc<[AnnotationContext]>;

/// Adds what contexts say to a span that is about to start. Its own tags stay.
pub(crate) fn apply(contexts: &[AnnotationContext], span: &mut SpanInner) -> Vec<Text> {
    let mut cost_tags = Vec::new();
    let kind = span.kind;
    let mut data = std::mem::take(span.data_mut());
    let own = std::mem::take(&mut data.tags);
    let own_version = data
        .extra
        .as_mut()
        .and_then(|extra| extra.agent_version.take());
    for AnnotationContext { parts } in contexts {
        span.set_name(parts.name.clone());
        // Before the tags: how the prompt came about may be told there.
        if let Some(prompt) = &parts.prompt {
            let (key, value) = tags::PROMPT_METHOD;
            tags::set(&mut data.tags, key.into(), value.into());
            data.extra().add_prompt(Arc::clone(prompt));
        }
        for (key, value) in &parts.tags {
            tags::set(&mut data.tags, key.clone(), value.clone());
        }
        cost_tags.extend(parts.cost_tags.iter().cloned());
        if kind == SpanKind::Agent && parts.agent_version.is_some() {
            data.extra().agent_version.clone_from(&parts.agent_version);
        }
    }
    if own_version.is_some() {
        data.extra().agent_version = own_version;
    }
    if data.session.is_some() {
        data.tags.retain(|(key, _)| key != SESSION);
    }
    for (key, value) in own {
        tags::set(&mut data.tags, key, value);
    }
    *span.data_mut() = data;
    cost_tags
}
