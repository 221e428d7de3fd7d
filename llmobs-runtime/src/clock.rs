//! Time: one clock reading at each end of a span; the wall clock is worked out later.

use std::sync::OnceLock;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// How far the wall clock may be from an anchor before that is replaced.
const DRIFT: Duration = Duration::from_millis(1);

/// A pair of readings that turns an [`Instant`] into wall-clock time.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Anchor {
    instant: Instant,
    unix: Duration,
}

impl Anchor {
    /// Reads both clocks now.
    pub(crate) fn now() -> Self {
        Self {
            instant: Instant::now(),
            unix: unix_now(),
        }
    }

    /// Reads both clocks again where the wall clock was set, or has drifted, since.
    ///
    /// Two readings are never at the same moment: an anchor of each drain's own would put
    /// spans of different drains into another order than that of their starts. So this one
    /// stays while the wall clock agrees with it, as far as that can be told.
    pub(crate) fn follow(&mut self) {
        let fresh = Self::now();
        let uncertain = fresh.instant.elapsed();
        let expected = self.unix_ns(fresh.instant);
        let actual = fresh.unix_ns(fresh.instant);
        let apart = Duration::from_nanos(expected.abs_diff(actual));
        if apart > DRIFT + uncertain {
            *self = fresh;
        }
    }

    /// Nanoseconds since the Unix epoch at `at`, which may lie before or after the anchor.
    pub(crate) fn unix_ns(&self, at: Instant) -> u64 {
        u64::try_from(self.unix(at).as_nanos()).unwrap_or(u64::MAX)
    }

    fn unix(&self, at: Instant) -> Duration {
        if at >= self.instant {
            self.unix
                .saturating_add(at.saturating_duration_since(self.instant))
        } else {
            self.unix
                .saturating_sub(self.instant.saturating_duration_since(at))
        }
    }
}

/// Seconds since the epoch at `at`, by an anchor taken once in the process: the
/// leading 32 bits of a trace id need no second clock reading.
pub(crate) fn unix_seconds(at: Instant) -> u32 {
    static FIRST: OnceLock<Anchor> = OnceLock::new();
    let unix = FIRST.get_or_init(Anchor::now).unix(at);
    u32::try_from(unix.as_secs()).unwrap_or(u32::MAX)
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

    #[test]
    fn an_anchor_stays_until_the_wall_clock_goes_another_way() {
        let now = Anchor::now();
        let off_by = |far: Duration| {
            let unix = now.unix + far;
            let instant = now.instant;
            let mut anchor = Anchor { instant, unix };
            anchor.follow();
            anchor.unix != unix
        };
        assert!(!off_by(Duration::ZERO));
        assert!(!off_by(Duration::from_micros(200)));
        // Longer than a thread is put aside between the readings.
        assert!(off_by(Duration::from_secs(3600)));
    }
}
