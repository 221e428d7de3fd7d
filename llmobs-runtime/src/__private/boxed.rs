//! Futures in a pinned box, by what the names in a signature come to: an alias called `BoxFuture`
//! may be anything.
//!
//! A box is made anew of the type that the signature has, which is one of a few; the value tells
//! which. Everything else comes back as it is, and the span covers the call.

use std::fmt;
use std::future::Future;
use std::pin::Pin;

use super::future::Instrumented;
use super::ladder::Ret;
use super::start::Entered;
use crate::span::Span;

/// How the box is made anew.
macro_rules! boxes {
    ($($(#[$doc:meta])* $trait:ident $tag:ident ($($auto:ident)*) ($($ref:tt)*);)*) => {$(
        $(#[$doc])*
        #[derive(Clone, Copy)]
        pub struct $tag;

        pub trait $trait {
            fn __llmobs_boxed(&self) -> $tag {
                $tag
            }
        }

        impl<'a, O> $trait for $($ref)* Ret<'_, Pin<Box<dyn Future<Output = O> $(+ $auto)* + 'a>>> {}

        impl $tag {
            /// The future with the span over it.
            pub fn wrap<'a, O, D>(
                self,
                entered: Option<Entered>,
                future: Pin<Box<dyn Future<Output = O> $(+ $auto)* + 'a>>,
                done: D,
            ) -> Pin<Box<dyn Future<Output = O> $(+ $auto)* + 'a>>
            where
                O: 'a,
                D: Fn(&Span, &O) $(+ $auto)* + 'a,
            {
                Box::pin(Instrumented::started(entered, future, done))
            }
        }

        impl fmt::Debug for $tag {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(stringify!($tag))
            }
        }
    )*};
}

boxes! {
    /// A future for one thread.
    BoxedLocal Local () (&&);
    /// The usual one.
    BoxedSend Sends (Send) (&&&);
    /// One that may be looked at from several threads.
    BoxedSync Syncs (Send Sync) (&&&&);
    /// One that may be moved out of its box as well.
    BoxedUnpin Unpins (Send Unpin) (&&&&&);
}

/// Neither.
#[derive(Clone, Copy, Debug)]
pub struct Other;

/// A future in something else.
pub trait NoBoxedFuture {
    #[deprecated(
        note = "this function returns a future that is in no `Pin<Box<dyn Future>>`, whatever its name \
                says, so its span covers the call and not the work: use `async fn`, or return `impl \
                Future`"
    )]
    fn __llmobs_boxed(&self) -> Other {
        Other
    }
}

impl<F: Future + ?Sized> NoBoxedFuture for &Ret<'_, F> {}

/// Every other type.
pub trait NoBox {
    fn __llmobs_boxed(&self) -> Other {
        Other
    }
}

impl<T: ?Sized> NoBox for Ret<'_, T> {}

#[allow(clippy::unused_self, reason = "it is called as for the others")]
impl Other {
    /// The value; the span ends here. Nothing is noted of it: it is not what the work comes to.
    pub fn wrap<F, D: Fn(&Span, &F)>(self, entered: Option<Entered>, future: F, done: D) -> F {
        let _ = (entered, done);
        future
    }
}
