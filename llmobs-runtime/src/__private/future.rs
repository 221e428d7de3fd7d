//! The future of an annotated function: its span is current during each poll, and ends
//! when the future does.

use std::cell::RefCell;
use std::fmt;
use std::future::Future;
use std::mem::ManuallyDrop;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::pin::Pin;
use std::task::{Context, Poll};

use pin_project_lite::pin_project;

use super::start::Entered;
use crate::client;
use crate::context::Lent;
use crate::failure::SpanError;
use crate::passing;
use crate::span::Span;

thread_local! {
    /// Never dropped: so it is there as long as the stack of the thread is, and where a program
    /// ends in the middle of that poll nobody is told of the span's end any more, as with that
    /// stack.
    static FIRST_POLL: RefCell<ManuallyDrop<FirstPoll>> =
        const { RefCell::new(ManuallyDrop::new(FirstPoll::No)) };
}

/// Where the body of an `async fn` leaves its span during its first poll.
enum FirstPoll {
    /// No such poll is going on.
    No,
    Waiting,
    Begun(Entered),
}

fn swap_first_poll(new: FirstPoll) -> FirstPoll {
    let swap = |slot: &RefCell<ManuallyDrop<FirstPoll>>| {
        let mut slot = slot.try_borrow_mut().ok()?;
        Some(std::mem::replace(&mut **slot, new))
    };
    let old = FIRST_POLL.try_with(swap);
    old.ok().flatten().unwrap_or(FirstPoll::No)
}

/// Hands the span to the future whose first poll this is. Where llmobs was enabled in
/// the very moment in which that poll began, there is none, and the span ends here.
pub(super) fn begun(entered: Entered) {
    let mut waits = Some(entered);
    let hand_over = |slot: &RefCell<ManuallyDrop<FirstPoll>>| {
        if let Ok(mut slot) = slot.try_borrow_mut()
            && matches!(**slot, FirstPoll::Waiting)
            && let Some(entered) = waits.take()
        {
            **slot = FirstPoll::Begun(entered);
        }
    };
    // Without that thread-local there is no such future either.
    let _ = FIRST_POLL.try_with(hand_over);
}

/// The first poll is about to begin; gives what another that is going on waits for.
#[cold]
#[inline(never)]
fn before_first_poll() -> FirstPoll {
    swap_first_poll(FirstPoll::Waiting)
}

/// The first poll is over; keeps the span that the body has started, if it has.
#[cold]
#[inline(never)]
fn after_first_poll(outer: FirstPoll, kept: &mut Span) -> State {
    match swap_first_poll(outer) {
        FirstPoll::Begun(entered) => {
            *kept = entered.leave();
            State::Running
        }
        _ => State::Idle,
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum State {
    /// Not polled yet: the body itself starts the span.
    Fresh,
    Running,
    /// Ended, or never enabled.
    Idle,
}

pin_project! {
    /// A future that runs under the span of its function.
    #[must_use = "futures do nothing unless polled"]
    pub struct Instrumented<F, D> {
        #[pin]
        future: Option<F>,
        span: Span,
        state: State,
        done: D,
    }

    impl<F, D> PinnedDrop for Instrumented<F, D> {
        fn drop(this: Pin<&mut Self>) {
            if this.state != State::Running {
                return;
            }
            let mut this = this.project();
            {
                let _in = Lent::new(this.span);
                this.future.set(None);
            }
            this.span.mark_cancelled();
            // Not by the drop of the handle, which would call a panic that passes by an
            // error of this span.
            this.span.end_and_leave();
        }
    }
}

/// What becomes of the span, and of what the future came to.
pub trait Done<T> {
    type Output;

    /// With a span that is open still.
    fn done(&self, span: &mut Span, output: T) -> Self::Output;

    /// Where llmobs was not enabled.
    fn idle(&self, output: T) -> Self::Output;
}

/// The closure notes it, and the span ends.
impl<T, D: Fn(&Span, &T)> Done<T> for D {
    type Output = T;

    #[inline]
    fn done(&self, span: &mut Span, output: T) -> T {
        self(span, &output);
        // Lets go of it as well, while the future may still be kept.
        span.end_and_leave();
        output
    }

    #[inline]
    fn idle(&self, output: T) -> T {
        output
    }
}

/// The closure takes the span over, for the stream that the future came to.
pub struct Handover<D>(D);

impl<T, R, D: Fn(Span, T) -> R> Done<T> for Handover<D> {
    type Output = R;

    #[inline]
    fn done(&self, span: &mut Span, output: T) -> R {
        self.0(std::mem::replace(span, Span::idle()), output)
    }

    #[inline]
    fn idle(&self, output: T) -> R {
        self.0(Span::idle(), output)
    }
}

impl<F: Future, D: Fn(&Span, &F::Output)> Instrumented<F, D> {
    /// For an `async fn`: its body starts the span when it is first polled.
    #[inline]
    pub fn lazy(future: F, done: D) -> Self {
        Self::fresh(future, done)
    }

    /// For a function that returns a future: the span has started with the call.
    #[inline]
    pub fn started(entered: Option<Entered>, future: F, done: D) -> Self {
        Self::running(entered, future, done)
    }
}

impl<F: Future, R, D: Fn(Span, F::Output) -> R> Instrumented<F, Handover<D>> {
    /// As [`lazy`](Self::lazy), for a future of a stream.
    #[inline]
    pub fn lazy_stream(future: F, done: D) -> Self {
        Self::fresh(future, Handover(done))
    }

    /// As [`started`](Self::started), for a future of a stream.
    #[inline]
    pub fn started_stream(entered: Option<Entered>, future: F, done: D) -> Self {
        Self::running(entered, future, Handover(done))
    }
}

impl<F, D> Instrumented<F, D> {
    #[inline]
    fn fresh(future: F, done: D) -> Self {
        Self {
            future: Some(future),
            span: Span::idle(),
            state: State::Fresh,
            done,
        }
    }

    #[inline]
    fn running(entered: Option<Entered>, future: F, done: D) -> Self {
        let (span, state) = match entered {
            Some(entered) => (entered.leave(), State::Running),
            None => (Span::idle(), State::Idle),
        };
        Self {
            future: Some(future),
            span,
            state,
            done,
        }
    }
}

impl<F: Future, D: Done<F::Output>> Future for Instrumented<F, D> {
    type Output = D::Output;

    #[inline]
    fn poll(self: Pin<&mut Self>, task: &mut Context<'_>) -> Poll<D::Output> {
        let this = self.project();
        let Some(future) = this.future.as_pin_mut() else {
            return Poll::Pending;
        };
        let poll = AssertUnwindSafe(|| future.poll(task));
        let polled = match *this.state {
            State::Running => {
                let _in = Lent::new(this.span);
                catch_unwind(poll)
            }
            State::Fresh if client::any_enabled() => {
                let outer = before_first_poll();
                let polled = catch_unwind(poll);
                *this.state = after_first_poll(outer, this.span);
                polled
            }
            State::Fresh | State::Idle => {
                *this.state = State::Idle;
                Ok(poll.0())
            }
        };
        match polled {
            Ok(Poll::Pending) => Poll::Pending,
            Ok(Poll::Ready(output)) => Poll::Ready(match *this.state {
                State::Running => {
                    *this.state = State::Idle;
                    this.done.done(this.span, output)
                }
                State::Fresh | State::Idle => this.done.idle(output),
            }),
            Err(payload) => {
                *this.state = State::Idle;
                // The user may have ended the span by hand.
                let _ = this.span.end(Some(SpanError::panic(&*payload)));
                passing::resumes(&*payload);
                resume_unwind(payload)
            }
        }
    }
}

impl<D> fmt::Debug for Handover<D> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Handover")
    }
}

/// States the `Output` that the signature declares, before a ladder looks at it.
#[inline]
pub fn typed<T, F: Future<Output = T>>(future: F) -> F {
    future
}

/// What the future comes to, where nobody will ask for it.
#[allow(clippy::empty_loop, reason = "never called")]
pub fn output_of<F: Future>(_: F) -> F::Output {
    loop {}
}

impl<F, D> fmt::Debug for Instrumented<F, D> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Instrumented")
            .field(&self.span)
            .finish_non_exhaustive()
    }
}
