//! What a span counts for while it waits, in the way of [`weight`].

use super::{SpanData, SpanDetails, SpanExtra, SpanInner};
use crate::agent::AgentManifest;
use crate::failure::SpanError;
use crate::link::SpanLink;
use crate::text::Text;
use crate::weight;

impl SpanInner {
    /// The record itself, and what it holds from its start on. The spans above it are others',
    /// and what headers said is bounded where it is read.
    #[inline]
    pub(super) fn weight_of_start(&self) -> usize {
        let Self {
            client: _,
            kind: _,
            name,
            span_id: _,
            trace: _,
            root: _,
            state: _,
            ml_app,
            start: _,
            decorated: _,
            has_tracing: _,
            panicking_at_start: _,
            handles: _,
            carries: _,
            place: _,
            data: _,
        } = self;
        size_of::<Self>() + name.weight() + weight::of_shared(ml_app.as_ref())
    }
}

impl SpanData {
    /// What it holds beside itself. Most spans have a model at most, and that in the record.
    #[inline]
    pub(super) fn weight(&self) -> usize {
        let Self {
            model_name,
            model_provider,
            session,
            end: _,
            above: _,
            tracing: _,
            // Of these, below.
            input: _,
            output: _,
            details: _,
            tags: _,
            error: _,
            extra: _,
        } = self;
        let mut weight = model_name.weight() + model_provider.weight();
        weight += weight::of_shared(session.as_ref());
        if self.holds_more() {
            weight += self.weight_of_more();
        }
        weight
    }

    #[inline(never)]
    fn weight_of_more(&self) -> usize {
        let Self {
            input,
            output,
            details,
            tags,
            error,
            extra,
            // Of these, above.
            model_name: _,
            model_provider: _,
            session: _,
            end: _,
            above: _,
            tracing: _,
        } = self;
        let mut weight = weight::of_list(tags, |(key, value)| key.weight() + value.weight());
        if let Some(details) = details {
            weight += size_of::<SpanDetails>() + details.weight();
        }
        for content in [input, output].into_iter().flatten() {
            weight += weight::of_content(content);
        }
        if let Some(error) = error {
            weight += size_of::<SpanError>() + error.weight();
        }
        if let Some(extra) = extra {
            weight += size_of::<SpanExtra>() + extra.weight();
        }
        weight
    }
}

impl SpanDetails {
    /// What it holds beside itself.
    fn weight(&self) -> usize {
        let Self {
            metadata,
            metrics,
            usage,
        } = self;
        let usage = usage.as_ref().map_or(0, |usage| size_of_val(&**usage));
        weight::of_map(metadata) + weight::of_list(metrics, |(key, _)| key.capacity()) + usage
    }
}

impl SpanExtra {
    /// What it holds beside itself. A prompt or tools that children share count once for each.
    fn weight(&self) -> usize {
        let Self {
            name,
            agent_version,
            prompt,
            tools,
            tool_version,
            cost_tags,
            agent,
            intent,
            links,
        } = self;
        let tools = tools.iter().flat_map(|tools| tools.iter());
        [name, agent_version]
            .into_iter()
            .flatten()
            .map(Text::weight)
            .sum::<usize>()
            + prompt.as_ref().map_or(0, |prompt| prompt.weight())
            + tools
                .map(|tool| size_of_val(tool) + tool.weight())
                .sum::<usize>()
            + weight::of_texts(tool_version.iter().chain(intent))
            + weight::of_list(cost_tags, Text::weight)
            + agent.as_ref().map_or(0, AgentManifest::weight)
            + weight::of_list(links, SpanLink::weight)
    }
}
