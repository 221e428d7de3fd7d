//! Ids: ours are numbers, foreign ones are opaque text.

use std::borrow::Cow;
use std::cell::Cell;
use std::fmt;
use std::hash::{BuildHasher as _, Hash, Hasher as _, RandomState};
use std::str::FromStr;
use std::sync::Arc;
use std::time::{Instant, SystemTime};

use serde::{Deserialize, Serialize};

use crate::process::Process;

/// A trace id of 128 bits. Ours are 32 bits of Unix seconds, 32 zero bits, 64 random bits,
/// printed as 32 lower-case hex digits (golden 01).
/// Packed, or each span would have 16 bytes of nothing for the alignment of two of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(Rust, packed(8))]
pub(crate) struct TraceId(pub(crate) u128);

impl TraceId {
    pub(crate) fn new(seconds: u32, random: u64) -> Self {
        Self(u128::from(seconds) << 96 | u128::from(random))
    }

    /// The half that sampling looks at.
    #[allow(clippy::cast_possible_truncation, reason = "the lower half is meant")]
    pub(crate) fn low(self) -> u64 {
        self.0 as u64
    }

    /// Reads the one spelling that `Display` gives.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let plain = text.len() == 32
            && text
                .bytes()
                .all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b));
        if !plain {
            return None;
        }
        u128::from_str_radix(text, 16).ok().map(Self)
    }

    /// The spelling of an APM trace id: a decimal number where 64 bits hold it (as in ddtrace).
    pub(crate) fn apm_text(self) -> String {
        u64::try_from(self.0).map_or_else(|_| self.to_string(), |low| low.to_string())
    }
}

impl fmt::Display for TraceId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:032x}", { self.0 })
    }
}

/// The id of an LLM Observability trace: a number, or what another process said.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum LlmTraceId {
    Number(TraceId),
    Text(Arc<str>),
}

impl fmt::Display for LlmTraceId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Number(id) => id.fmt(f),
            Self::Text(text) => f.write_str(text),
        }
    }
}

/// A generator of a thread. Not fastrand's own, which the program may seed: two processes
/// with the same seed would make the same ids.
struct Generator {
    /// Where it was seeded: a forked child has that of its parent, which goes on with it.
    process: Cell<Option<Process>>,
    state: Cell<u64>,
}

thread_local! {
    static GENERATOR: Generator = const {
        Generator { process: Cell::new(None), state: Cell::new(0) }
    };
}

/// A random 64-bit number that is not zero: a span id.
pub(crate) fn random() -> u64 {
    let [number] = randoms();
    number
}

/// Several of them.
#[inline]
pub(crate) fn randoms<const N: usize>() -> [u64; N] {
    GENERATOR.with(|generator| {
        let process = Some(Process::current());
        if generator.process.get() != process {
            generator.state.set(seed());
            generator.process.set(process);
        }
        let mut random = fastrand::Rng::with_seed(generator.state.get());
        let numbers = std::array::from_fn(|_| random.u64(1..));
        generator.state.set(random.get_seed());
        numbers
    })
}

/// What no other thread and no other process has: a child is born with the random keys of
/// its parent, but not with its id.
#[cold]
fn seed() -> u64 {
    let mut hasher = RandomState::new().build_hasher();
    std::process::id().hash(&mut hasher);
    std::thread::current().id().hash(&mut hasher);
    SystemTime::now().hash(&mut hasher);
    Instant::now().hash(&mut hasher);
    hasher.finish()
}

/// The identity of a span: what an evaluation is joined to.
///
/// [`export_span`](crate::export_span) gives one; so does parsing the text form
/// (`<trace_id>:<span_id>`) or the JSON form (`{"span_id": …, "trace_id": …}`), so that an
/// evaluation can be submitted hours later by another process. Both ids are opaque,
/// non-empty text: Datadog's own documentation has ids beyond 64 bits.
///
/// Every context survives both forms. In the text form a colon in the trace id is `%3A`, and a
/// percent sign `%25`: the ids of tracers have neither.
///
/// ```
/// # use llmobs_runtime as llmobs;
/// use llmobs::SpanContext;
///
/// let stored = r#"{"span_id":"61399242116139924211","trace_id":"13932955089405749200"}"#;
/// let context: SpanContext = serde_json::from_str(stored)?;
/// assert_eq!(context.to_string(), "13932955089405749200:61399242116139924211");
/// assert_eq!(context.to_string().parse::<SpanContext>()?, context);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(into = "Ids", try_from = "Ids")]
pub struct SpanContext(Repr);

#[derive(Clone, PartialEq, Eq, Hash)]
enum Repr {
    Ours { trace: TraceId, span: u64 },
    Foreign { trace: Box<str>, span: Box<str> },
}

/// The JSON form.
#[derive(Serialize, Deserialize)]
struct Ids {
    span_id: String,
    trace_id: String,
}

impl SpanContext {
    /// A context from ids that came from elsewhere.
    ///
    /// # Errors
    ///
    /// [`SpanContextError`] where an id is empty.
    pub fn new(
        span_id: impl Into<String>,
        trace_id: impl Into<String>,
    ) -> Result<Self, SpanContextError> {
        let (span, trace) = (span_id.into(), trace_id.into());
        if span.is_empty() {
            return Err(SpanContextError::EmptySpanId { trace_id: trace });
        }
        if trace.is_empty() {
            return Err(SpanContextError::EmptyTraceId { span_id: span });
        }
        // One spelling, one representation: equality is then equality of the text.
        let number = span.parse().ok().filter(|n: &u64| n.to_string() == span);
        Ok(Self(match (TraceId::parse(&trace), number) {
            (Some(trace), Some(span)) => Repr::Ours { trace, span },
            _ => Repr::Foreign {
                trace: trace.into(),
                span: span.into(),
            },
        }))
    }

    /// Bytes that it holds beside itself.
    pub(crate) fn weight(&self) -> usize {
        match &self.0 {
            Repr::Foreign { trace, span } => trace.len() + span.len(),
            Repr::Ours { .. } => 0,
        }
    }

    pub(crate) fn ours(trace: &LlmTraceId, span: u64) -> Self {
        Self(match trace {
            LlmTraceId::Number(trace) => Repr::Ours {
                trace: *trace,
                span,
            },
            LlmTraceId::Text(trace) => Repr::Foreign {
                trace: (**trace).into(),
                span: span.to_string().into(),
            },
        })
    }

    /// The span's id: a decimal number for spans of this library.
    pub fn span_id(&self) -> Cow<'_, str> {
        match &self.0 {
            Repr::Ours { span, .. } => Cow::Owned(span.to_string()),
            Repr::Foreign { span, .. } => Cow::Borrowed(span),
        }
    }

    /// The LLM Observability trace id: 32 hex digits for spans of this library.
    pub fn trace_id(&self) -> Cow<'_, str> {
        match &self.0 {
            Repr::Ours { trace, .. } => Cow::Owned(trace.to_string()),
            Repr::Foreign { trace, .. } => Cow::Borrowed(trace),
        }
    }
}

impl fmt::Display for SpanContext {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Repr::Ours { trace, span } => write!(f, "{trace}:{span}"),
            Repr::Foreign { trace, span } => {
                let mut rest = &**trace;
                while let Some(at) = rest.find([':', '%']) {
                    let (plain, escaped) = rest.split_at(at);
                    f.write_str(plain)?;
                    f.write_str(if escaped.starts_with(':') {
                        COLON
                    } else {
                        PERCENT
                    })?;
                    rest = &escaped[1..];
                }
                write!(f, "{rest}:{span}")
            }
        }
    }
}

/// A colon of a trace id in the text form, which is parted at its first colon.
const COLON: &str = "%3A";
/// Three characters that stand for a colon have to be told apart from the same three in a text.
const PERCENT: &str = "%25";

impl fmt::Debug for SpanContext {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SpanContext({self})")
    }
}

impl FromStr for SpanContext {
    type Err = SpanContextError;

    /// Splits at the first colon: the trace id stands before it, with `%3A` for a colon and `%25`
    /// for a percent sign, and the span id after it, as it is.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let (trace, span) = text
            .split_once(':')
            .ok_or_else(|| SpanContextError::NoColon { text: text.into() })?;
        if !trace.contains('%') {
            return Self::new(span, trace);
        }
        // The percent sign last: before, it would make escapes out of what stood there as text.
        let trace = trace.replace(COLON, ":").replace(PERCENT, "%");
        Self::new(span, trace)
    }
}

impl From<SpanContext> for Ids {
    fn from(context: SpanContext) -> Self {
        Self {
            span_id: context.span_id().into_owned(),
            trace_id: context.trace_id().into_owned(),
        }
    }
}

impl TryFrom<Ids> for SpanContext {
    type Error = SpanContextError;

    fn try_from(ids: Ids) -> Result<Self, Self::Error> {
        Self::new(ids.span_id, ids.trace_id)
    }
}

/// Why a text is no [`SpanContext`].
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SpanContextError {
    /// The text form has no colon.
    #[error("{text:?} is no span context: expected `<trace_id>:<span_id>`")]
    NoColon {
        /// What was given.
        text: String,
    },
    /// The span id is empty.
    #[error("the span id is empty (trace id {trace_id:?})")]
    EmptySpanId {
        /// The trace id beside it.
        trace_id: String,
    },
    /// The trace id is empty.
    #[error("the trace id is empty (span id {span_id:?})")]
    EmptyTraceId {
        /// The span id beside it.
        span_id: String,
    },
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_trace_id_is_32_hex_digits_with_the_seconds_first() {
        let id = TraceId(0x6b02_9035_0000_0000_5af1_d082_4f64_ccff);
        assert_eq!(id.to_string(), "6b029035000000005af1d0824f64ccff");
        assert_eq!(TraceId::parse(&id.to_string()), Some(id));
    }

    #[test]
    fn a_seed_of_the_program_for_its_own_numbers_is_not_one_for_ids() {
        let ids = || {
            fastrand::seed(7);
            [random(), random(), random()]
        };
        assert_ne!(ids(), ids());
    }

    #[test]
    fn a_context_survives_text_and_json() {
        let ours = SpanContext::ours(&LlmTraceId::Number(TraceId::new(7, random())), random());
        assert_eq!(ours.to_string().parse(), Ok(ours.clone()));
        let json = serde_json::to_string(&ours).unwrap();
        assert_eq!(serde_json::from_str::<SpanContext>(&json).unwrap(), ours);
    }

    #[test]
    fn foreign_ids_keep_their_spelling() {
        for (span, trace) in [
            ("007", "6b029035000000005af1d0824f64ccff"),
            ("7", "6B029035000000005AF1D0824F64CCFF"),
            ("61399242116139924211", "13932955089405749200"),
            ("ключ", "a:b"),
        ] {
            let context = SpanContext::new(span, trace).unwrap();
            assert_eq!(context.span_id(), span);
            assert_eq!(context.trace_id(), trace);
        }
    }

    #[test]
    fn the_text_of_ids_with_colons_and_percent_signs() {
        for (span, trace, text) in [
            ("1", "a:b", "a%3Ab:1"),
            ("1:2", "a", "a:1:2"),
            ("%3A", "%3A", "%253A:%3A"),
            ("1", "::%25", "%3A%3A%2525:1"),
            ("7", "6b029035", "6b029035:7"),
        ] {
            let context = SpanContext::new(span, trace).unwrap();
            assert_eq!(context.to_string(), text);
            assert_eq!(text.parse(), Ok(context));
        }
        // A text that no `Display` has written is taken as it stands.
        let context: SpanContext = "50%:%".parse().unwrap();
        assert_eq!((&*context.trace_id(), &*context.span_id()), ("50%", "%"));
    }

    proptest::proptest! {
        #[test]
        fn every_context_survives_its_text(span in "[a%:0-9A25ä]{1,12}", trace in "[a%:0-9A25ä]{1,12}") {
            let context = SpanContext::new(span, trace.clone()).unwrap();
            proptest::prop_assert_eq!(context.to_string().parse(), Ok(context.clone()));
            let json = serde_json::to_string(&context).unwrap();
            proptest::prop_assert_eq!(serde_json::from_str::<SpanContext>(&json).unwrap(), context);
            // Headers may give a trace such an id.
            let ours = SpanContext::ours(&LlmTraceId::Text(trace.into()), 7);
            proptest::prop_assert_eq!(ours.to_string().parse(), Ok(ours.clone()));
        }
    }

    #[test]
    fn an_empty_id_is_an_error_that_shows_the_other() {
        let error = ":7".parse::<SpanContext>().unwrap_err();
        assert!(error.to_string().contains("\"7\""), "{error}");
        let error = SpanContext::new("", "t9").unwrap_err();
        assert!(error.to_string().contains("\"t9\""), "{error}");
        let error = "nonsense".parse::<SpanContext>().unwrap_err();
        assert!(error.to_string().contains("nonsense"), "{error}");
        let json = serde_json::from_str::<SpanContext>(r#"{"span_id":"","trace_id":"t"}"#);
        assert!(json.is_err());
    }
}
