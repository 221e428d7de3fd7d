//! What few spans have, in a box, so that the others pay a word for it; and what a span
//! has from those above it when it ends.

use std::mem::take;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use serde_json::{Map, Value};

use super::{SpanData, SpanInner};
use crate::agent::AgentManifest;
use crate::kind::SpanKind;
use crate::link::SpanLink;
use crate::number::Number;
use crate::prompt::Prompt;
use crate::text::Text;
use crate::tool::ToolDefinition;
use crate::usage::TokenUsage;

/// Bits of what children look for.
pub(super) const PROMPT: u8 = 1;
pub(super) const TOOLS: u8 = 2;

/// The numbers and the metadata of a span.
#[derive(Default)]
pub(crate) struct SpanDetails {
    pub(crate) metadata: Map<String, Value>,
    pub(crate) metrics: Vec<(String, Number)>,
    /// Of which what `metrics` say as well is overruled by those.
    pub(crate) usage: Option<Box<TokenUsage>>,
}

#[derive(Default)]
pub(crate) struct SpanExtra {
    /// A name that took the place of the first one.
    pub(crate) name: Option<Text>,
    pub(crate) agent_version: Option<Text>,
    pub(crate) prompt: Option<Arc<Prompt>>,
    pub(crate) tools: Option<Arc<[ToolDefinition]>>,
    /// Of a tool: the version by which the model above knows it.
    pub(crate) tool_version: Option<String>,
    pub(crate) cost_tags: Vec<Text>,
    pub(crate) agent: Option<AgentManifest>,
    pub(crate) intent: Option<String>,
    pub(crate) links: Vec<SpanLink>,
}

impl SpanDetails {
    /// Takes the metrics out, with those that the usage is and that follow from it.
    pub(crate) fn numbers(&mut self) -> Vec<(String, Number)> {
        let mut metrics = take(&mut self.metrics);
        if let Some(usage) = self.usage.take() {
            usage.complete(&mut metrics);
        }
        metrics
    }
}

/// What a span has from those above it.
pub(super) enum Inherited {
    Prompt(Arc<Prompt>),
    ToolVersion(String),
}

impl SpanExtra {
    /// What children may still look at after the end.
    pub(super) fn kept(&self) -> Option<Box<Self>> {
        let kept = Self {
            name: self.name.clone(),
            prompt: self.prompt.clone(),
            tools: self.tools.clone(),
            ..Self::default()
        };
        let any = kept.name.is_some() || kept.prompt.is_some() || kept.tools.is_some();
        any.then(|| Box::new(kept))
    }

    /// A prompt that was annotated since one was looked for stays.
    pub(super) fn inherit(&mut self, inherited: Inherited) {
        match inherited {
            Inherited::Prompt(prompt) => {
                self.prompt.get_or_insert(prompt);
            }
            Inherited::ToolVersion(version) => self.tool_version = Some(version),
        }
    }

    /// Adds what a prompt says to the one that is there.
    pub(crate) fn add_prompt(&mut self, prompt: Arc<Prompt>) {
        Prompt::add(&mut self.prompt, prompt);
    }
}

impl SpanData {
    /// A span of that kind has this from those above it as it ends: an `llm` without a prompt that
    /// of its parent (golden 09), a `tool` its version from the nearest `llm` (golden 11). `name`
    /// is the one that it started with.
    #[inline]
    pub(super) fn inherited(
        &self,
        kind: SpanKind,
        name: &Text,
        has_prompt: bool,
    ) -> Option<Inherited> {
        let parent = self.above.parent.as_ref()?;
        match kind {
            SpanKind::Llm if !has_prompt && parent.carries(PROMPT) => {
                let prompt = parent.lock().extra.as_ref()?.prompt.clone();
                prompt.map(Inherited::Prompt)
            }
            SpanKind::Tool => {
                let tools = self.above.tools()?;
                let name = self.name_since(name);
                let tool = tools.iter().find(|tool| *tool.name == **name)?;
                tool.version.clone().map(Inherited::ToolVersion)
            }
            _ => None,
        }
    }
}

impl SpanInner {
    /// The tools that it was given.
    pub(super) fn tools(&self) -> Option<Arc<[ToolDefinition]>> {
        if !self.carries(TOOLS) {
            return None;
        }
        self.lock().extra.as_ref()?.tools.clone()
    }

    pub(super) fn carries(&self, what: u8) -> bool {
        self.carries.load(Ordering::Acquire) & what != 0
    }

    /// Says to children that there is something to look for.
    pub(super) fn now_carries(&self, what: u8) {
        self.carries.fetch_or(what, Ordering::Release);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_prompt_that_is_annotated_while_the_span_ends_is_not_replaced_by_the_parents() {
        let mut extra = SpanExtra::default();
        extra.add_prompt(Arc::new(Prompt::new("own")));
        extra.inherit(Inherited::Prompt(Arc::new(Prompt::new("parent's"))));
        assert_eq!(extra.prompt.unwrap().id(), "own");
    }
}
