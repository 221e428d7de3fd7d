//! The wait of a lane between two tries: a shutdown ends it where that may help, and need not wait
//! where it cannot.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::Notify;

#[derive(Default)]
pub(super) struct Pause {
    now: Mutex<Option<Now>>,
    cut_short: Notify,
}

/// A pause that lasts.
struct Now {
    until: Instant,
    why: Why,
}

/// Why there is a pause.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Why {
    /// The server has asked for it, or somebody has to mend something.
    Asked,
    /// Failures in a row.
    Backoff,
}

impl Pause {
    pub(super) async fn last(&self, delay: Duration, why: Why) {
        *self.lock() = Some(Now {
            until: Instant::now() + delay,
            why,
        });
        match why {
            Why::Asked => tokio::time::sleep(delay).await,
            Why::Backoff => drop(tokio::time::timeout(delay, self.cut_short.notified()).await),
        }
        *self.lock() = None;
    }

    /// The program is about to end: what failed is tried once more now, and so is what is being sent
    /// if it fails, unless the server asks for a pause.
    pub(super) fn cut_short(&self) {
        self.lock().take_if(|now| now.why == Why::Backoff);
        self.cut_short.notify_one();
    }

    /// Whether nothing is tried until then.
    pub(super) fn outlasts(&self, deadline: Instant) -> bool {
        self.lock().as_ref().is_some_and(|now| now.until > deadline)
    }

    fn lock(&self) -> MutexGuard<'_, Option<Now>> {
        self.now.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;

    const HOUR: Duration = Duration::from_secs(3_600);

    /// Runs `then` while a pause of an hour lasts; returns the pause, and whether it is over.
    fn while_it_lasts(why: Why, then: impl FnOnce(&Pause)) -> (Arc<Pause>, bool) {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_time()
            .build();
        runtime.unwrap().block_on(async {
            let pause = Arc::new(Pause::default());
            let lasting = Arc::clone(&pause);
            let task = tokio::spawn(async move { lasting.last(HOUR, why).await });
            tokio::task::yield_now().await;
            then(&pause);
            tokio::task::yield_now().await;
            (pause, task.is_finished())
        })
    }

    #[test]
    fn a_backoff_ends_early_and_what_a_server_asks_for_does_not() {
        let (_, over) = while_it_lasts(Why::Backoff, Pause::cut_short);
        assert!(over);
        let (_, over) = while_it_lasts(Why::Asked, Pause::cut_short);
        assert!(!over);
    }

    #[test]
    fn a_backoff_that_begins_after_it_was_cut_short_is_over_at_once_and_the_next_lasts() {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_time()
            .build();
        runtime.unwrap().block_on(async {
            let pause = Pause::default();
            pause.cut_short();
            pause.cut_short();
            pause.last(HOUR, Why::Backoff).await;
            let mut next = std::pin::pin!(pause.last(HOUR, Why::Backoff));
            let short = Duration::from_millis(1);
            assert!(tokio::time::timeout(short, &mut next).await.is_err());
        });
    }

    #[test]
    fn it_outlasts_what_is_before_its_end_and_nothing_once_it_is_cut_short() {
        let now = Instant::now();
        assert!(!Pause::default().outlasts(now));
        while_it_lasts(Why::Backoff, |pause| {
            assert!(pause.outlasts(now + HOUR / 2));
            assert!(!pause.outlasts(now + HOUR * 2));
            pause.cut_short();
            assert!(!pause.outlasts(now));
        });
    }
}
