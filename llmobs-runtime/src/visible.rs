//! The `tracing` span that goes beside each of ours, so that logs, consoles and
//! OpenTelemetry nest and correlate. It never carries input or output, and whether a
//! filter hides it changes nothing in what is delivered.

use tracing::level_filters::LevelFilter;

use crate::client::ClientInner;
use crate::id::LlmTraceId;
use crate::kind::SpanKind;
use crate::text::Text;

macro_rules! open {
    ($kind:ident, $name:ident, $trace:ident, $span:ident, $model:ident, $provider:ident,
     $($variant:ident $literal:literal)*) => {
        match $kind {
            $(SpanKind::$variant => tracing::info_span!(
                target: "llmobs",
                $literal,
                otel.name = &**$name,
                llmobs.kind = $literal,
                llmobs.trace_id = %$trace,
                llmobs.span_id = $span,
                model_name = filled($model),
                model_provider = filled($provider),
            ),)*
        }
    };
}

/// An empty field is none.
fn filled(text: &str) -> Option<&str> {
    (!text.is_empty()).then_some(text)
}

/// Opens the span, unless the configuration or every subscriber says no.
#[inline]
pub(crate) fn open(
    client: &ClientInner,
    kind: SpanKind,
    name: &Text,
    trace: &LlmTraceId,
    span: u64,
    [model, provider]: [&Text; 2],
) -> Option<Box<tracing::Span>> {
    // Mostly there is nobody to see it, which is told by a look at a number.
    if LevelFilter::current() < LevelFilter::INFO || !client.settings.tracing_spans {
        return None;
    }
    open_seen(kind, name, trace, span, [model, provider])
}

#[inline(never)]
fn open_seen(
    kind: SpanKind,
    name: &Text,
    trace: &LlmTraceId,
    span: u64,
    [model, provider]: [&Text; 2],
) -> Option<Box<tracing::Span>> {
    let opened = open!(kind, name, trace, span, model, provider,
        Llm "llm" Workflow "workflow" Agent "agent" Tool "tool" Task "task"
        Embedding "embedding" Retrieval "retrieval");
    (!opened.is_disabled()).then(|| Box::new(opened))
}
