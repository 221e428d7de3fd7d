//! The wait of a lane between two tries: a shutdown ends it where that may help, and need not wait
//! where it cannot.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::Notify;

/// How long a backoff may be at most once a shutdown has begun: it has little time.
const LONGEST_IN_A_HURRY: Duration = Duration::from_millis(500);

#[derive(Default)]
pub(super) struct Pause {
    state: Mutex<State>,
    cut_short: Notify,
}

#[derive(Default)]
struct State {
    now: Option<Now>,
    in_a_hurry: bool,
}

/// A pause that lasts.
struct Now {
    until: Instant,
    why: Why,
}

/// Why there is a pause.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Why {
    /// The server has asked for it.
    Asked,
    /// Somebody has to mend something.
    Barred,
    /// Failures in a row.
    Backoff,
}

impl Pause {
    pub(super) async fn last(&self, delay: Duration, why: Why) {
        let cut_short = self.cut_short.notified();
        let delay = {
            let mut state = self.lock();
            let delay = match why {
                Why::Backoff if state.in_a_hurry => delay.min(LONGEST_IN_A_HURRY),
                _ => delay,
            };
            let until = Instant::now() + delay;
            state.now = Some(Now { until, why });
            delay
        };
        match why {
            Why::Asked => tokio::time::sleep(delay).await,
            Why::Barred | Why::Backoff => drop(tokio::time::timeout(delay, cut_short).await),
        }
        self.lock().now = None;
    }

    /// The program is about to end: what failed is tried again now, and soon after that, unless the
    /// server asks for a pause.
    pub(super) fn cut_short(&self) {
        let mut state = self.lock();
        state.in_a_hurry = true;
        state.now.take_if(|now| now.why != Why::Asked);
        self.cut_short.notify_waiters();
    }

    /// Whether nothing is tried until then.
    pub(super) fn outlasts(&self, deadline: Instant) -> bool {
        let state = self.lock();
        state.now.as_ref().is_some_and(|now| now.until > deadline)
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
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
    fn what_we_wait_of_ourselves_ends_early_and_what_a_server_asks_for_does_not() {
        for (why, ends) in [
            (Why::Backoff, true),
            (Why::Barred, true),
            (Why::Asked, false),
        ] {
            let (_, over) = while_it_lasts(why, Pause::cut_short);
            assert_eq!(over, ends);
        }
    }

    #[test]
    fn in_a_hurry_backoffs_are_short_and_other_pauses_are_not() {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_time()
            .build();
        runtime.unwrap().block_on(async {
            let pause = Pause::default();
            pause.cut_short();
            let soon = Instant::now() + LONGEST_IN_A_HURRY * 2;
            for (why, is_long) in [
                (Why::Backoff, false),
                (Why::Barred, true),
                (Why::Asked, true),
            ] {
                let mut lasting = std::pin::pin!(pause.last(HOUR, why));
                let short = Duration::from_millis(1);
                let over = tokio::time::timeout(short, &mut lasting).await;
                assert!(over.is_err());
                assert_eq!(pause.outlasts(soon), is_long);
            }
        });
    }

    #[test]
    fn it_outlasts_what_is_before_its_end_and_nothing_once_it_is_cut_short() {
        let now = Instant::now();
        assert!(!Pause::default().outlasts(now));
        while_it_lasts(Why::Backoff, |pause| {
            assert!(pause.outlasts(now + HOUR / 2));
            assert!(!pause.outlasts(now + HOUR * 2));
            let until = pause.lock().now.as_ref().map(|now| now.until);
            assert!(!pause.outlasts(until.unwrap()), "at its end is not later");
            pause.cut_short();
            assert!(!pause.outlasts(now));
        });
    }
}
