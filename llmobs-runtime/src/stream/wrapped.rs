//! The stream and the iterator that are given in place of the user's.

use std::fmt;
use std::iter::FusedIterator;
use std::pin::Pin;
use std::task::{Context, Poll};

use futures_core::Stream;
use futures_core::stream::FusedStream;
use pin_project_lite::pin_project;

use super::Chunk;
use super::output::StreamOutput;
use super::tracked::Tracked;

/// The items of a stream say themselves what they add: they are [`Chunk`]s.
#[derive(Clone, Copy, Debug)]
pub struct Chunks;

/// How items are added to the output.
pub trait Collect<T> {
    fn collect(&mut self, item: &T, output: &mut StreamOutput);
}

impl<T: Chunk> Collect<T> for Chunks {
    fn collect(&mut self, item: &T, output: &mut StreamOutput) {
        output.chunk(item);
    }
}

impl<T, F: FnMut(&T, &mut StreamOutput)> Collect<T> for F {
    fn collect(&mut self, item: &T, output: &mut StreamOutput) {
        self(item, output);
    }
}

pin_project! {
    /// A stream that runs under a span: [`Span::wrap_stream`](crate::Span::wrap_stream).
    #[must_use = "streams do nothing unless polled"]
    pub struct SpanStream<S, C> {
        #[pin]
        stream: Option<S>,
        collect: C,
        tracked: Tracked,
    }

    impl<S, C> PinnedDrop for SpanStream<S, C> {
        fn drop(this: Pin<&mut Self>) {
            let mut this = this.project();
            this.tracked.abandon(|| this.stream.set(None));
        }
    }
}

impl<S, C> SpanStream<S, C> {
    pub(crate) fn new(tracked: Tracked, stream: S, collect: C) -> Self {
        Self::of(tracked, Some(stream), collect)
    }

    fn of(tracked: Tracked, stream: Option<S>, collect: C) -> Self {
        Self {
            stream,
            collect,
            tracked,
        }
    }
}

impl<S: Stream, C: Collect<S::Item>> Stream for SpanStream<S, C> {
    type Item = S::Item;

    #[inline]
    fn poll_next(self: Pin<&mut Self>, task: &mut Context<'_>) -> Poll<Option<S::Item>> {
        let this = self.project();
        let Some(mut stream) = this.stream.as_pin_mut() else {
            return Poll::Ready(None);
        };
        if !this.tracked.is_running() {
            return stream.poll_next(task);
        }
        let polled = this.tracked.step(|| stream.as_mut().poll_next(task));
        match &polled {
            Poll::Ready(Some(item)) => {
                let collect = this.collect;
                this.tracked.item(|output| collect.collect(item, output));
                this.tracked.left(|| stream.size_hint());
            }
            Poll::Ready(None) => this.tracked.end(),
            Poll::Pending => {}
        }
        polled
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        self.stream.as_ref().map_or((0, Some(0)), Stream::size_hint)
    }
}

impl<S: FusedStream, C: Collect<S::Item>> FusedStream for SpanStream<S, C> {
    fn is_terminated(&self) -> bool {
        self.stream.as_ref().is_none_or(S::is_terminated)
    }
}

/// A clone has no span: the items of the first are the output.
impl<S: Clone, C: Clone> Clone for SpanStream<S, C> {
    fn clone(&self) -> Self {
        Self::of(Tracked::idle(), self.stream.clone(), self.collect.clone())
    }
}

/// An iterator that runs under a span: [`Span::wrap_iterator`](crate::Span::wrap_iterator).
#[must_use = "iterators do nothing unless asked for items"]
pub struct SpanIterator<I, C> {
    iterator: Option<I>,
    collect: C,
    tracked: Tracked,
}

impl<I, C> SpanIterator<I, C> {
    pub(crate) fn new(tracked: Tracked, iterator: I, collect: C) -> Self {
        Self {
            iterator: Some(iterator),
            collect,
            tracked,
        }
    }
}

impl<I: Iterator, C: Collect<I::Item>> SpanIterator<I, C> {
    #[inline]
    fn step(&mut self, step: impl FnOnce(&mut I) -> Option<I::Item>) -> Option<I::Item> {
        let iterator = self.iterator.as_mut()?;
        if !self.tracked.is_running() {
            return step(iterator);
        }
        let item = self.tracked.step(|| step(iterator));
        match &item {
            Some(item) => {
                let collect = &mut self.collect;
                self.tracked.item(|output| collect.collect(item, output));
                self.tracked.left(|| iterator.size_hint());
            }
            None => self.tracked.end(),
        }
        item
    }
}

impl<I: Iterator, C: Collect<I::Item>> Iterator for SpanIterator<I, C> {
    type Item = I::Item;

    #[inline]
    fn next(&mut self) -> Option<I::Item> {
        self.step(I::next)
    }

    /// Items that are skipped are no part of the output: the inner iterator may know how
    /// not to make them.
    #[inline]
    fn nth(&mut self, n: usize) -> Option<I::Item> {
        self.step(|iterator| iterator.nth(n))
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        self.iterator
            .as_ref()
            .map_or((0, Some(0)), Iterator::size_hint)
    }
}

/// Items from the back stand in the output where they came.
impl<I: DoubleEndedIterator, C: Collect<I::Item>> DoubleEndedIterator for SpanIterator<I, C> {
    #[inline]
    fn next_back(&mut self) -> Option<I::Item> {
        self.step(I::next_back)
    }

    #[inline]
    fn nth_back(&mut self, n: usize) -> Option<I::Item> {
        self.step(|iterator| iterator.nth_back(n))
    }
}

impl<I: ExactSizeIterator, C: Collect<I::Item>> ExactSizeIterator for SpanIterator<I, C> {}

impl<I: FusedIterator, C: Collect<I::Item>> FusedIterator for SpanIterator<I, C> {}

/// A clone has no span: the items of the first are the output.
impl<I: Clone, C: Clone> Clone for SpanIterator<I, C> {
    fn clone(&self) -> Self {
        Self {
            iterator: self.iterator.clone(),
            collect: self.collect.clone(),
            tracked: Tracked::idle(),
        }
    }
}

impl<I, C> Drop for SpanIterator<I, C> {
    fn drop(&mut self) {
        self.tracked.abandon(|| self.iterator = None);
    }
}

impl<S, C> fmt::Debug for SpanStream<S, C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("SpanStream")
            .field(&self.tracked)
            .finish_non_exhaustive()
    }
}

impl<I, C> fmt::Debug for SpanIterator<I, C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("SpanIterator")
            .field(&self.tracked)
            .finish_non_exhaustive()
    }
}
