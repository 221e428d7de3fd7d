//! The body of a request, which knows whether all of it has left us: what a server has not
//! got to its end it cannot have taken.

use std::convert::Infallible;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll};

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};

/// How much the HTTP client gets at once. It asks for more when its own buffer, of some
/// hundred kilobytes, has room.
const PIECE: usize = 64 * 1024;

/// Whether the last piece of a body was handed over, from where it may have reached the server.
#[derive(Clone, Debug, Default)]
pub(crate) struct Sent(Arc<AtomicBool>);

impl Sent {
    #[cfg(test)]
    pub(crate) fn all() -> Self {
        Self(Arc::new(true.into()))
    }

    pub(crate) fn whole(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }
}

/// A body in pieces; its length is known, so it goes without chunks.
pub(super) struct Sending {
    rest: Bytes,
    sent: Sent,
}

impl Sending {
    /// It tells `sent` when it is over.
    pub(super) fn new(body: Vec<u8>, sent: &Sent) -> Self {
        Self {
            rest: body.into(),
            sent: sent.clone(),
        }
    }

    /// The body of a request that has none.
    pub(super) fn nothing() -> Self {
        Self::new(Vec::new(), &Sent::default())
    }
}

impl Body for Sending {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        if self.rest.is_empty() {
            return Poll::Ready(None);
        }
        let length = self.rest.len().min(PIECE);
        let piece = self.rest.split_to(length);
        if self.rest.is_empty() {
            self.sent.0.store(true, Ordering::Relaxed);
        }
        Poll::Ready(Some(Ok(Frame::data(piece))))
    }

    fn is_end_stream(&self) -> bool {
        self.rest.is_empty()
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.rest.len() as u64)
    }
}
