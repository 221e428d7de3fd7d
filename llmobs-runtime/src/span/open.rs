//! Which spans are open: what the end of a client has to know, and what costs those that start and end
//! spans next to nothing.
//!
//! A span that others may refer to has a [`Place`] from its start to its end, where one reference to it
//! stands: the one that goes to the worker at the end, so that nothing is counted for it. The span that
//! a thread [owns](crate::context) is told of at the thread's [`Mark`]. Both are written by plain stores
//! and live as long as the process; threads take several places at a time and use them again.
//!
//! A thread that looks holds the lock of [`OPEN`]. A reference that stood in a place is let go of only after a
//! passage through that lock ([`Held`]), so that who looks never finds a span that is gone.
#![allow(
    unsafe_code,
    reason = "a reference that stands where another thread may look"
)]

use std::ops::Deref;
use std::ptr;
use std::sync::atomic::{AtomicPtr, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::SpanInner;
use crate::client::ClientInner;
use crate::process::PerProcess;

/// How many places a thread takes, and gives back, at a time.
const AT_ONCE: usize = 32;
/// From how many on it gives some back.
const MOST: usize = 2 * AT_ONCE;

static OPEN: PerProcess<Mutex<Open>> = PerProcess::new();

#[derive(Default)]
struct Open {
    places: Vec<&'static [Place]>,
    free: Vec<&'static Place>,
    marks: Vec<&'static Mark>,
    free_marks: Vec<&'static Mark>,
}

fn open() -> MutexGuard<'static, Open> {
    OPEN.get().lock().unwrap_or_else(PoisonError::into_inner)
}

/// A place for the reference to an open span; null where there is none.
#[derive(Default)]
pub(crate) struct Place(AtomicPtr<SpanInner>);

impl Place {
    #[inline]
    fn keep(&self, span: &Arc<SpanInner>) {
        let kept = Arc::into_raw(Arc::clone(span)).cast_mut();
        self.0.store(kept, Ordering::Release);
    }

    /// The span that stands here, which may have ended just now.
    fn span<'a>(&self, _lock: &'a MutexGuard<'_, Open>) -> Option<&'a SpanInner> {
        // SAFETY: null, or from `keep`. That reference is let go of after a passage through the lock,
        // which this thread holds: if the passage was before, null or a later span is what is read
        // here; else the span is there until the lock is free.
        unsafe { self.0.load(Ordering::Acquire).as_ref() }
    }
}

/// The place of a span, once it has one.
#[derive(Default)]
pub(super) struct At(AtomicPtr<Place>);

impl At {
    #[inline]
    fn set(&self, place: &'static Place) {
        let place = ptr::from_ref(place).cast_mut();
        self.0.store(place, Ordering::Relaxed);
    }

    #[inline]
    fn get(&self) -> Option<&'static Place> {
        // SAFETY: null, or from a place that lives as long as the process and is only shared.
        unsafe { self.0.load(Ordering::Relaxed).as_ref() }
    }
}

/// A reference that stood in a place.
pub(crate) struct Held(Arc<SpanInner>);

impl Held {
    /// The reference to a span that has just ended, for which this is called once.
    pub(super) fn ended(span: &Arc<SpanInner>) -> Self {
        let Some(place) = span.place.get() else {
            return Self(Arc::clone(span));
        };
        place.0.store(ptr::null_mut(), Ordering::Release);
        // SAFETY: `keep` has left one reference to this span in its place, and the end of a span,
        // which comes once, is all that takes it out.
        Self(unsafe { Arc::from_raw(Arc::as_ptr(span)) })
    }

    /// The record that is referred to.
    pub(crate) fn record(&self) -> &Arc<SpanInner> {
        &self.0
    }

    /// Its place, for another span.
    pub(crate) fn place(&self) -> Option<&'static Place> {
        self.0.place.get()
    }
}

impl From<Arc<SpanInner>> for Held {
    fn from(span: Arc<SpanInner>) -> Self {
        Self(span)
    }
}

impl Deref for Held {
    type Target = Arc<SpanInner>;

    fn deref(&self) -> &Arc<SpanInner> {
        &self.0
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        // A thread that has seen it in its place has looked away.
        drop(open());
    }
}

/// The span that a thread owns: its name, and whose it is. Each is one word, and they need not belong
/// together: who looks while they change may find the name of the span that has just ended with the
/// client of the one that starts.
#[derive(Default)]
struct Mark {
    client: AtomicPtr<ClientInner>,
    /// Null where there is no span.
    name: AtomicPtr<&'static str>,
}

impl Mark {
    /// For the thread whose mark it is.
    #[inline]
    fn set(&self, client: *const ClientInner, name: &'static &'static str) {
        self.client.store(client.cast_mut(), Ordering::Relaxed);
        let name = ptr::from_ref(name).cast_mut();
        self.name.store(name, Ordering::Release);
    }

    #[inline]
    fn clear(&self) {
        self.name.store(ptr::null_mut(), Ordering::Release);
    }

    /// The name of a span of `client`, which is compared and not followed.
    fn name_of(&self, client: &ClientInner) -> Option<&'static str> {
        // SAFETY: null, or from a reference that lives as long as the process and is only shared.
        let name = unsafe { self.name.load(Ordering::Acquire).as_ref() }?;
        let is_of_client = ptr::eq(self.client.load(Ordering::Relaxed), client);
        is_of_client.then_some(*name)
    }
}

/// The places and the mark that a thread has.
pub(crate) struct Here {
    mark: Option<&'static Mark>,
    free: Vec<&'static Place>,
}

impl Here {
    pub(crate) const fn new() -> Self {
        Self {
            mark: None,
            free: Vec::new(),
        }
    }

    /// The thread owns a span of that client and that name from now on.
    #[inline]
    pub(crate) fn owns(&mut self, client: *const ClientInner, name: &'static &'static str) {
        let mark = self.mark.unwrap_or_else(|| self.new_mark());
        mark.set(client, name);
    }

    /// The thread owns no span any more.
    #[inline]
    pub(crate) fn owns_none(&self) {
        if let Some(mark) = self.mark {
            mark.clear();
        }
    }

    #[cold]
    #[inline(never)]
    fn new_mark(&mut self) -> &'static Mark {
        let mut open = open();
        let mark = open.free_marks.pop().unwrap_or_else(|| {
            let mark: &'static Mark = Box::leak(Box::default());
            open.marks.push(mark);
            mark
        });
        self.mark = Some(mark);
        mark
    }

    /// Others may refer to this span from now on, which has just begun or was the thread's own: it
    /// stands in a place until its end.
    #[inline]
    pub(crate) fn keep(&mut self, span: &Arc<SpanInner>) {
        let place = self.free.pop().unwrap_or_else(|| self.new_place());
        span.place.set(place);
        place.keep(span);
    }

    #[cold]
    #[inline(never)]
    fn new_place(&mut self) -> &'static Place {
        let mut open = open();
        if open.free.is_empty() {
            let places: Vec<Place> = (0..=AT_ONCE).map(|_| Place::default()).collect();
            let places: &'static [Place] = places.leak();
            open.places.push(places);
            open.free.extend(places);
        }
        let rest = open.free.len().saturating_sub(AT_ONCE + 1);
        self.free.extend(open.free.drain(rest..));
        drop(open);
        // There is one at least.
        self.free.pop().unwrap_or_else(|| self.new_place())
    }

    /// Takes back the place of a span that has ended.
    #[inline]
    pub(crate) fn give_back(&mut self, place: &'static Place) {
        if self.free.len() < self.free.capacity() {
            self.free.push(place);
        } else {
            self.give_back_some(place);
        }
    }

    /// A thread that ends more spans than it starts must not keep all their places.
    #[cold]
    #[inline(never)]
    fn give_back_some(&mut self, place: &'static Place) {
        if self.free.len() >= MOST {
            open().free.extend(self.free.drain(..AT_ONCE));
        }
        self.free.reserve_exact(MOST - self.free.len().min(MOST));
        self.free.push(place);
    }

    /// In a child that was forked: what the thread has is its parent's.
    pub(crate) fn begin_anew(&mut self) {
        self.mark = None;
        self.free.clear();
    }
}

impl Drop for Here {
    fn drop(&mut self) {
        if self.mark.is_none() && self.free.is_empty() {
            return;
        }
        self.owns_none();
        let mut open = open();
        open.free_marks.extend(self.mark.take());
        open.free.append(&mut self.free);
    }
}

/// Takes back the place of a span that has ended where the thread has nothing any more.
pub(crate) fn give_back(place: &'static Place) {
    open().free.push(place);
}

/// The names of the spans of `client` that are open, on whatever thread and in whatever task.
pub(crate) fn names(client: &ClientInner) -> Vec<String> {
    let mut names = Vec::new();
    each(client, |name| names.push(name()));
    names
}

/// How many spans of `client` are open.
pub(crate) fn count(client: &ClientInner) -> u64 {
    let mut count = 0;
    each(client, |_| count += 1);
    count
}

fn each(client: &ClientInner, mut found: impl FnMut(&dyn Fn() -> String)) {
    let open = open();
    for name in open.marks.iter().filter_map(|mark| mark.name_of(client)) {
        found(&|| name.to_owned());
    }
    for place in open.places.iter().copied().flatten() {
        let span = place.span(&open);
        let is_of_client = |span: &&SpanInner| ptr::eq(&raw const *span.client, client);
        if let Some(span) = span.filter(is_of_client)
            && span.is_open()
        {
            found(&|| span.current_name().into());
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::config::{Config, Destination};
    use crate::context::function;
    use crate::export::memory::Memory;
    use crate::kind::SpanKind;
    use crate::span::Span;
    use std::sync::mpsc::channel;
    use std::thread;

    fn client() -> crate::LlmObs {
        let config = Config::new().tracing_spans(false);
        let config = config.destination(Destination::Memory(Memory::new()));
        config.build().unwrap()
    }

    fn sorted(client: &crate::LlmObs) -> Vec<String> {
        let mut names = client.open_names();
        names.sort();
        names
    }

    #[test]
    fn spans_are_open_from_their_start_to_their_end_wherever_they_are() {
        let (client, other) = (client(), client());
        let _foreign = other.scope(|| Span::task("foreign").start());
        let kept = client.scope(|| Span::task(String::from("kept by hand")).start());
        let handed = client.scope(|| Span::task("ends elsewhere").start());
        let (entered, is_in) = channel();
        let (leave, may_leave) = channel::<()>();
        let of_thread = client.clone();
        let thread = thread::spawn(move || {
            of_thread.scope(|| {
                let start = |name: &'static &'static str| {
                    let mut slot = function::draft(name, SpanKind::Task).unwrap();
                    slot.settle();
                    function::enter(slot).unwrap()
                };
                let outer = start(&"outer");
                let inner = start(&"inner");
                entered.send(()).unwrap();
                may_leave.recv().unwrap();
                function::finish(inner);
                entered.send(()).unwrap();
                may_leave.recv().unwrap();
                function::finish(outer);
                handed.finish().unwrap();
            });
        });
        is_in.recv().unwrap();
        let all = ["ends elsewhere", "inner", "kept by hand", "outer"];
        assert_eq!(sorted(&client), all);
        assert_eq!(client.stats().open, 4);
        leave.send(()).unwrap();
        is_in.recv().unwrap();
        assert_eq!(sorted(&client), ["ends elsewhere", "kept by hand", "outer"]);
        leave.send(()).unwrap();
        thread.join().unwrap();
        assert_eq!(sorted(&client), ["kept by hand"]);
        let again = kept.clone();
        drop(kept);
        assert_eq!(sorted(&client), ["kept by hand"]);
        drop(again);
        assert_eq!(client.stats().open, 0);
    }

    #[test]
    fn the_name_of_a_span_of_a_thread_s_own_is_that_of_the_attribute_or_of_the_function() {
        use crate::__private::v0_1_0::{Kind, literal, start, text};

        let client = client();
        client.scope(|| {
            let mut named = start(&"function", Kind::Task);
            named.name(literal(&"attribute"));
            let named = named.enter();
            assert_eq!(sorted(&client), ["attribute"]);
            drop(named);
            // In the memory that it leaves.
            let mut unnamed = start(&"function", Kind::Task);
            unnamed.name(literal(&""));
            let unnamed = unnamed.enter();
            assert_eq!(sorted(&client), ["function"]);
            drop(unnamed);
            let mut made = start(&"function", Kind::Task);
            made.name(text(String::from("made")));
            let made = made.enter();
            assert_eq!(sorted(&client), ["function"]);
            drop(made);
            assert!(sorted(&client).is_empty());
        });
    }

    #[test]
    fn who_looks_while_spans_start_and_end_finds_whole_ones() {
        let client = client();
        let (end, ended) = channel::<()>();
        let threads: Vec<_> = (0..2)
            .map(|_| {
                let client = client.clone();
                let end = end.clone();
                thread::spawn(move || {
                    client.scope(|| {
                        for turn in 0..2_000 {
                            let mut slot = function::draft(&"own", SpanKind::Task).unwrap();
                            slot.settle();
                            let token = function::enter(slot).unwrap();
                            if turn % 2 == 0 {
                                drop(Span::task(format!("child {turn}")).start());
                            }
                            function::finish(token);
                        }
                    });
                    drop(end);
                })
            })
            .collect();
        drop(end);
        while ended.try_recv() == Err(std::sync::mpsc::TryRecvError::Empty) {
            for name in client.open_names() {
                assert!(name == "own" || name.starts_with("child "), "{name}");
            }
        }
        for thread in threads {
            thread.join().unwrap();
        }
        assert_eq!(client.stats().open, 0);
    }
}
