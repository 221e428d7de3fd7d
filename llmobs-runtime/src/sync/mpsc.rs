//! A channel for models, of which loom knows no more than std promises: who receives sees what the
//! sender did before. Whether something is there yet may be seen late. (Loom's own does not try
//! both orders of a send and a look at an empty channel, nor a send to a receiver that is gone.)

use std::sync::mpsc;
pub(crate) use std::sync::mpsc::{SendError, TryRecvError};

use loom::sync::Arc;
use loom::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

#[derive(Default)]
struct Seen {
    sent: AtomicUsize,
    gone: AtomicBool,
}

pub(crate) struct Sender<T> {
    inner: mpsc::Sender<T>,
    seen: Arc<Seen>,
}

pub(crate) struct Receiver<T> {
    inner: mpsc::Receiver<T>,
    seen: Arc<Seen>,
    received: std::cell::Cell<usize>,
}

pub(crate) fn channel<T>() -> (Sender<T>, Receiver<T>) {
    let (sender, receiver) = mpsc::channel();
    let seen = Arc::new(Seen::default());
    let sender = Sender {
        inner: sender,
        seen: Arc::clone(&seen),
    };
    let receiver = Receiver {
        inner: receiver,
        seen,
        received: 0.into(),
    };
    (sender, receiver)
}

impl<T> Sender<T> {
    pub(crate) fn send(&self, value: T) -> Result<(), SendError<T>> {
        if self.seen.gone.load(Ordering::Acquire) {
            return Err(SendError(value));
        }
        self.inner.send(value)?;
        self.seen.sent.fetch_add(1, Ordering::Release);
        Ok(())
    }
}

impl<T> Receiver<T> {
    pub(crate) fn try_recv(&self) -> Result<T, TryRecvError> {
        let received = self.received.get();
        if self.seen.sent.load(Ordering::Acquire) == received {
            return Err(TryRecvError::Empty);
        }
        self.received.set(received + 1);
        self.inner.try_recv()
    }
}

impl<T> Drop for Receiver<T> {
    fn drop(&mut self) {
        self.seen.gone.store(true, Ordering::Release);
    }
}
