//! The current span: a stack for each thread, swapped in and out at every poll of a
//! wrapped future. Ours alone; a `tracing` filter cannot take it away.

pub(crate) mod function;
mod future;
mod guards;
mod stack;
#[cfg(test)]
mod tests;

use std::fmt;
use std::sync::Arc;

pub(crate) use function::push_finished;
pub use future::{FutureExt, InAnnotationContext, InContext, InSpan};
pub use guards::SpanGuard;
pub(crate) use guards::{Attached, Lent};
use stack::with_stack;
pub(crate) use stack::{
    Entry, Origin, Token, annotate_current, begin_anew, current_client, current_context,
    current_kind, keep, open_here, origin, torn_down,
};

use crate::annotation::Annotations;
use crate::client::ClientInner;
use crate::id::SpanContext;
use crate::remote::Remote;
use crate::span::{Span, SpanInner};

/// What is current at a place: the span, or that there is none. It is carried to another
/// thread, task or callback and made current there; it holds identity and inheritance
/// only and keeps no span open.
///
/// ```
/// # use llmobs_runtime as llmobs;
/// use llmobs::Context;
///
/// let context = Context::current();
/// std::thread::spawn(move || {
///     context.in_scope(|| { /* spans started here have the same parent */ })
/// });
/// ```
#[derive(Clone, Default)]
pub struct Context {
    /// One reference, since it is attached at each poll of a future; `None` is the root.
    parts: Option<Arc<Parts>>,
}

#[derive(Default)]
struct Parts {
    span: Option<Arc<SpanInner>>,
    /// Only where there is no span, which has one.
    client: Option<Arc<ClientInner>>,
    remote: Option<Arc<Remote>>,
    annotations: Option<Annotations>,
}

impl Context {
    fn of(parts: Parts) -> Self {
        Self {
            parts: Some(Arc::new(parts)),
        }
    }

    /// What is current on this thread.
    pub fn current() -> Self {
        let Some(origin) = origin() else {
            // What is scoped to a client that takes nothing is for no other one, there as here.
            let scoped = with_stack(|stack| stack.scoped().cloned()).flatten();
            return scoped.map_or_else(Self::default, Self::of_client);
        };
        let client = Some(origin.client).filter(|_| origin.parent.is_none());
        Self::of(Parts {
            span: origin.parent,
            client,
            remote: origin.remote,
            annotations: origin.annotations,
        })
    }

    /// No span and no annotations: what is started under it is the root of its own trace.
    pub fn root() -> Self {
        Self::default()
    }

    pub(crate) fn of_client(client: Arc<ClientInner>) -> Self {
        Self::of(Parts {
            client: Some(client),
            ..Parts::default()
        })
    }

    /// What another process said of the trace.
    pub(crate) fn of_remote(remote: Remote) -> Self {
        Self::of(Parts {
            remote: Some(Arc::new(remote)),
            ..Parts::default()
        })
    }

    fn span(&self) -> Option<&Arc<SpanInner>> {
        self.parts.as_ref()?.span.as_ref()
    }

    pub(crate) fn remote(&self) -> Option<&Arc<Remote>> {
        self.parts.as_ref()?.remote.as_ref()
    }

    fn annotations(&self) -> Option<&Annotations> {
        self.parts.as_ref()?.annotations.as_ref()
    }

    fn client(&self) -> Option<&Arc<ClientInner>> {
        let parts = self.parts.as_ref()?;
        let of_span = || parts.span.as_ref().map(|span| &span.client);
        parts.client.as_ref().or_else(of_span)
    }

    /// Makes this the current context of the thread until the guard is dropped.
    pub fn attach(&self) -> ContextGuard {
        ContextGuard {
            _attached: Attached::entry(Entry::Context(self.clone())),
        }
    }

    /// Runs `f` with this as the current context.
    pub fn in_scope<R>(&self, f: impl FnOnce() -> R) -> R {
        let _guard = self.attach();
        f()
    }

    /// The identity of the span that is current in it, which may be one of another process.
    pub fn span_context(&self) -> Option<SpanContext> {
        match (self.span(), self.remote()) {
            (Some(span), _) => Some(span.context()),
            (None, Some(remote)) => remote.context(),
            (None, None) => None,
        }
    }
}

impl From<&Span> for Context {
    fn from(span: &Span) -> Self {
        let of_span = |span: &Arc<SpanInner>| {
            Self::of(Parts {
                span: Some(Arc::clone(span)),
                ..Parts::default()
            })
        };
        span.inner().map_or_else(Self::default, of_span)
    }
}

impl fmt::Debug for Context {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Context")
            .field("span", &self.span_context())
            .finish_non_exhaustive()
    }
}

/// Restores what was current before, when dropped. Not for async code, as [`SpanGuard`];
/// there, [`FutureExt::in_context`].
#[must_use = "the context is current only while this guard lives"]
pub struct ContextGuard {
    _attached: Attached,
}

impl fmt::Debug for ContextGuard {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ContextGuard")
    }
}
