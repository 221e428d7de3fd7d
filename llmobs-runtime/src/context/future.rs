//! Futures that make a span or a context current during each of their polls.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::task::{Context as TaskContext, Poll};

use pin_project_lite::pin_project;

use super::{Attached, Context};
use crate::annotation::AnnotationContext;
use crate::span::Span;

/// Ways to run a future under a span or a context.
pub trait FutureExt: Future + Sized {
    /// Makes `span` current during each poll. A handle is held until the future ends or
    /// is dropped.
    fn in_span(self, span: &Span) -> InSpan<Self> {
        InSpan {
            future: Some(self),
            span: span.clone(),
        }
    }

    /// Makes what is current now current during each poll: for a future that is spawned.
    fn in_current_context(self) -> InContext<Self> {
        self.in_context(Context::current())
    }

    /// Makes `context` current during each poll.
    fn in_context(self, context: Context) -> InContext<Self> {
        InContext {
            future: Some(self),
            context,
        }
    }

    /// Puts `annotations` in force during each poll: for spans that start in it.
    fn in_annotation_context(self, annotations: AnnotationContext) -> InAnnotationContext<Self> {
        InAnnotationContext {
            future: Some(self),
            annotations,
        }
    }
}

impl<F: Future> FutureExt for F {}

pin_project! {
    /// A future that runs under a span: [`FutureExt::in_span`].
    #[must_use = "futures do nothing unless polled"]
    pub struct InSpan<F> {
        #[pin]
        future: Option<F>,
        span: Span,
    }

    impl<F> PinnedDrop for InSpan<F> {
        fn drop(this: Pin<&mut Self>) {
            let mut this = this.project();
            let _in = Attached::span(this.span);
            this.future.set(None);
        }
    }
}

pin_project! {
    /// A future that runs under a context: [`FutureExt::in_current_context`].
    #[must_use = "futures do nothing unless polled"]
    pub struct InContext<F> {
        #[pin]
        future: Option<F>,
        context: Context,
    }

    impl<F> PinnedDrop for InContext<F> {
        fn drop(this: Pin<&mut Self>) {
            let mut this = this.project();
            let _in = this.context.attach();
            this.future.set(None);
        }
    }
}

pin_project! {
    /// A future that runs under an annotation context: [`FutureExt::in_annotation_context`].
    #[must_use = "futures do nothing unless polled"]
    pub struct InAnnotationContext<F> {
        #[pin]
        future: Option<F>,
        annotations: AnnotationContext,
    }

    impl<F> PinnedDrop for InAnnotationContext<F> {
        fn drop(this: Pin<&mut Self>) {
            let mut this = this.project();
            let _in = this.annotations.enter();
            this.future.set(None);
        }
    }
}

impl<F: Future> Future for InSpan<F> {
    type Output = F::Output;

    fn poll(self: Pin<&mut Self>, task: &mut TaskContext<'_>) -> Poll<Self::Output> {
        let mut this = self.project();
        let Some(future) = this.future.as_mut().as_pin_mut() else {
            return Poll::Pending;
        };
        let output = {
            let _in = Attached::span(this.span);
            std::task::ready!(future.poll(task))
        };
        {
            let _in = Attached::span(this.span);
            this.future.set(None);
        }
        *this.span = Span::idle();
        Poll::Ready(output)
    }
}

impl<F: Future> Future for InContext<F> {
    type Output = F::Output;

    fn poll(self: Pin<&mut Self>, task: &mut TaskContext<'_>) -> Poll<Self::Output> {
        let mut this = self.project();
        let _in = this.context.attach();
        match this.future.as_mut().as_pin_mut() {
            Some(future) => future.poll(task),
            None => Poll::Pending,
        }
    }
}

impl<F: Future> Future for InAnnotationContext<F> {
    type Output = F::Output;

    fn poll(self: Pin<&mut Self>, task: &mut TaskContext<'_>) -> Poll<Self::Output> {
        let mut this = self.project();
        let _in = this.annotations.enter();
        match this.future.as_mut().as_pin_mut() {
            Some(future) => future.poll(task),
            None => Poll::Pending,
        }
    }
}

impl<F> fmt::Debug for InSpan<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("InSpan")
            .field(&self.span)
            .finish_non_exhaustive()
    }
}

impl<F> fmt::Debug for InContext<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("InContext")
            .field(&self.context)
            .finish_non_exhaustive()
    }
}

impl<F> fmt::Debug for InAnnotationContext<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("InAnnotationContext")
            .field(&self.annotations)
            .finish_non_exhaustive()
    }
}
