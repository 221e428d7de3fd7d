//! A future grows by at most 48 bytes.
#![allow(clippy::manual_async_fn, reason = "the form is what is measured")]

use std::future::Future;

use tokio::task::yield_now;

type Big = [u8; 1024];

mod bare {
    use super::{Big, Future, yield_now};

    pub(super) async fn nothing() {
        yield_now().await;
    }

    pub(super) async fn used(a: Big) -> Result<usize, std::io::Error> {
        yield_now().await;
        Ok(a.len())
    }

    pub(super) async fn owned(a: String) -> usize {
        yield_now().await;
        a.len()
    }

    pub(super) async fn returned(x: u8) -> Big {
        yield_now().await;
        [x; 1024]
    }

    pub(super) async fn hidden(a: Big) -> impl Sized {
        yield_now().await;
        a.len()
    }

    pub(super) fn future(a: Big) -> impl Future<Output = usize> {
        async move {
            yield_now().await;
            a.len()
        }
    }

    pub(super) async fn streamed(a: Big) -> Result<impl Iterator<Item = u8>, std::io::Error> {
        yield_now().await;
        Ok(a.into_iter())
    }

    pub(super) async fn mutable(mut a: Big) -> Big {
        yield_now().await;
        a[0] = 1;
        a
    }
}

mod spanned {
    use super::{Big, Future, yield_now};
    use llmobs::task;

    #[task]
    pub(super) async fn nothing() {
        yield_now().await;
    }

    #[task(name = format!("{}", a.len()))]
    pub(super) async fn used(a: Big) -> Result<usize, std::io::Error> {
        yield_now().await;
        Ok(a.len())
    }

    #[task]
    pub(super) async fn owned(a: String) -> usize {
        yield_now().await;
        a.len()
    }

    #[task]
    pub(super) async fn returned(x: u8) -> Big {
        yield_now().await;
        [x; 1024]
    }

    #[task]
    pub(super) async fn hidden(a: Big) -> impl Sized {
        yield_now().await;
        a.len()
    }

    #[task]
    pub(super) fn future(a: Big) -> impl Future<Output = usize> {
        async move {
            yield_now().await;
            a.len()
        }
    }

    #[task(stream)]
    pub(super) async fn streamed(a: Big) -> Result<impl Iterator<Item = u8>, std::io::Error> {
        yield_now().await;
        Ok(a.into_iter())
    }

    #[task]
    pub(super) async fn mutable(mut a: Big) -> Big {
        yield_now().await;
        a[0] = 1;
        a
    }
}

#[test]
fn case_24_a_future_grows_by_at_most_48_bytes() {
    let mut grown = Vec::new();
    macro_rules! measure {
        ($($name:ident($($arg:expr),*) $more:expr;)*) => {$(
            let bare = size_of_val(&bare::$name($($arg),*));
            let spanned = size_of_val(&spanned::$name($($arg),*));
            println!("{:10} {bare:5} -> {spanned:5}", stringify!($name));
            grown.push((stringify!($name), spanned - bare, 48 + $more));
        )*};
    }
    measure! {
        nothing() 0;
        used([0; 1024]) 0;
        owned(String::new()) 0;
        returned(1) 0;
        hidden([0; 1024]) 0;
        future([0; 1024]) 0;
        streamed([0; 1024]) 0;
        // It is declared anew, because the body may assign a borrow of its own to it.
        mutable([0; 1024]) 1024;
    }
    for (name, grown, allowed) in grown {
        assert!(grown <= allowed, "{name} grows by {grown} bytes");
    }
}
