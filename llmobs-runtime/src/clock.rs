//! Time: one clock reading at each end of a span; the wall clock is worked out later.

use std::sync::OnceLock;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// A pair of readings that turns an [`Instant`] into wall-clock time.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Anchor {
    instant: Instant,
    unix: Duration,
}

impl Anchor {
    /// Reads both clocks now. The worker takes a fresh one at every drain, so that a
    /// wall clock that is set while the process runs is followed.
    pub(crate) fn now() -> Self {
        Self {
            instant: Instant::now(),
            unix: unix_now(),
        }
    }

    /// Nanoseconds since the Unix epoch at `at`, which may lie before or after the anchor.
    pub(crate) fn unix_ns(&self, at: Instant) -> u64 {
        let unix = if at >= self.instant {
            self.unix
                .saturating_add(at.saturating_duration_since(self.instant))
        } else {
            self.unix
                .saturating_sub(self.instant.saturating_duration_since(at))
        };
        u64::try_from(unix.as_nanos()).unwrap_or(u64::MAX)
    }
}

/// Seconds since the epoch at `at`, by an anchor taken once in the process: the
/// leading 32 bits of a trace id need no second clock reading.
pub(crate) fn unix_seconds(at: Instant) -> u32 {
    static FIRST: OnceLock<Anchor> = OnceLock::new();
    let ns = FIRST.get_or_init(Anchor::now).unix_ns(at);
    u32::try_from(ns / 1_000_000_000).unwrap_or(u32::MAX)
}

/// Milliseconds since the Unix epoch.
pub(crate) fn unix_ms() -> u64 {
    u64::try_from(unix_now().as_millis()).unwrap_or(u64::MAX)
}

fn unix_now() -> Duration {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or(Duration::ZERO)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_instant_before_the_anchor_is_earlier_on_the_wall_clock() {
        let before = Instant::now();
        std::thread::sleep(Duration::from_millis(2));
        let anchor = Anchor::now();
        let at_anchor = anchor.unix_ns(anchor.instant);
        assert!(anchor.unix_ns(before) < at_anchor);
        assert!(anchor.unix_ns(Instant::now()) >= at_anchor);
    }
}
