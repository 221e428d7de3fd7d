//! The memory of spans that nobody but their thread refers to. It goes with the span to the
//! worker and comes back, so that such a span costs no allocation and is written once.
#![allow(
    unsafe_code,
    reason = "a span of 600 bytes that is moved once, where safe code moves it three times"
)]

use std::mem::{forget, replace};
use std::ptr;
use std::sync::{Arc, Mutex, PoisonError};

use super::SpanInner;
use crate::annotation::Annotations;
use crate::context::Origin;
use crate::kind::SpanKind;
use crate::prefetch;
use crate::process::PerProcess;

/// How many empty ones are kept for all threads: about 2 MB.
const SPARE: usize = 4_096;
/// How many a thread takes of them at a time.
const AT_ONCE: usize = 32;

static EMPTY: PerProcess<Mutex<Vec<Slot>>> = PerProcess::new();

/// Room for a span, with the span in it or without.
pub(crate) struct Slot(Box<Room>);

struct Room {
    span: Option<SpanInner>,
    /// What it starts with, until it is settled.
    annotations: Option<Annotations>,
    /// Its name in the program's memory: the attribute's, or that of the function where the
    /// attribute has an expression.
    literal: &'static &'static str,
}

impl Slot {
    #[inline]
    pub(crate) fn span(&self) -> Option<&SpanInner> {
        self.0.span.as_ref()
    }

    #[inline]
    pub(crate) fn span_mut(&mut self) -> Option<&mut SpanInner> {
        self.0.span.as_mut()
    }

    /// The span, and a name for it that lives as long as the process.
    #[inline]
    pub(crate) fn open(&self) -> Option<(&SpanInner, &'static &'static str)> {
        Some((self.span()?, self.0.literal))
    }

    #[inline]
    pub(crate) fn set_literal(&mut self, name: &'static &'static str) {
        self.0.literal = name;
    }

    /// The span, for more than one to refer to. It leaves the slot empty.
    pub(crate) fn share(&mut self) -> Option<Arc<SpanInner>> {
        let span = ptr::from_ref(self.0.span.as_ref()?);
        let mut shared = Arc::<SpanInner>::new_uninit();
        let place = Arc::get_mut(&mut shared)?.as_mut_ptr();
        // SAFETY: one span is read, which is there, and written to memory of its own that nobody else
        // has. It counts as moved: what stood in the slot is overwritten and not dropped.
        unsafe {
            ptr::copy_nonoverlapping(span, place, 1);
            ptr::write(&raw mut self.0.span, None);
            Some(shared.assume_init())
        }
    }

    /// Begins the span of an annotated function there, which is told more before it is settled.
    #[allow(
        clippy::inline_always,
        reason = "what it makes is large; out of a call it would be moved, and that waited for"
    )]
    #[inline(always)]
    pub(crate) fn draft(
        &mut self,
        kind: SpanKind,
        name: &'static &'static str,
        randoms: [u64; 3],
        origin: Origin,
    ) {
        let Origin {
            client,
            parent,
            remote,
            annotations,
        } = origin;
        // It is empty, but to look whether it is would be to wait for memory that another
        // processor has written.
        forget(replace(&mut self.0.annotations, annotations));
        self.0.literal = name;
        let span = &mut self.0.span;
        forget(span.replace(SpanInner::fresh(client, kind, name, true, randoms)));
        if let Some(span) = span
            && (parent.is_some() || remote.is_some())
        {
            span.inherit(parent, remote);
        }
    }

    /// See [`SpanInner::settle`].
    #[inline]
    pub(crate) fn settle(&mut self) {
        let annotations = self.0.annotations.take();
        if let Some(span) = self.span_mut() {
            span.settle(annotations);
        }
    }

    /// Asks for the memory that the next span will be written to.
    #[inline]
    pub(crate) fn prefetch(&self) {
        prefetch::for_write(&*self.0);
    }

    pub(crate) fn clear(&mut self) {
        self.0.span = None;
    }

    /// An empty one, after which `spare` has some for the next ones.
    #[cold]
    #[inline(never)]
    pub(crate) fn new(spare: &mut Vec<Self>) -> Self {
        let mut empty = EMPTY.get().lock().unwrap_or_else(PoisonError::into_inner);
        let rest = empty.len().saturating_sub(AT_ONCE);
        spare.extend(empty.drain(rest..));
        drop(empty);
        spare.pop().unwrap_or_else(|| {
            Self(Box::new(Room {
                span: None,
                annotations: None,
                literal: &"",
            }))
        })
    }

    /// Gives empty ones to threads that need some.
    pub(crate) fn give_back(slots: &mut Vec<Self>) {
        let mut empty = EMPTY.get().lock().unwrap_or_else(PoisonError::into_inner);
        let room = SPARE.saturating_sub(empty.len()).min(slots.len());
        empty.extend(slots.drain(..room));
        drop(empty);
        slots.clear();
    }
}
