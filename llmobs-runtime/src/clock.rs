//! Time: one reading at each end of a span, in ticks; the worker makes wall-clock time of it.

mod ticks;

use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// How far the wall clock may be from an anchor before that is moved.
const DRIFT: Duration = Duration::from_millis(1);
/// How long ticks are counted for a guess of their length. The seconds in trace ids live by the
/// first one until the worker knows better.
const GUESS: Duration = Duration::from_micros(50);

/// A moment in this process.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Moment(u64);

impl Moment {
    #[inline]
    pub(crate) fn now() -> Self {
        Self(ticks::now())
    }

    /// Seconds from this one until now, as well as the length of a tick is known.
    pub(crate) fn elapsed_seconds(self) -> f64 {
        Self::now().ticks_since(self).max(0.0) * First::get().tick() * 1e-9
    }

    /// Ticks from `earlier` to this one.
    #[allow(
        clippy::cast_precision_loss,
        clippy::cast_possible_wrap,
        reason = "2^53 ticks are weeks; later than that by less than a microsecond is no harm"
    )]
    #[inline]
    fn ticks_since(self, earlier: Self) -> f64 {
        self.0.wrapping_sub(earlier.0) as i64 as f64
    }
}

/// The same moment by the two clocks that go on evenly.
#[derive(Clone, Copy, Debug)]
struct Reading {
    moment: Moment,
    instant: Instant,
}

impl Reading {
    /// Of several, the one that had the least between its ends.
    fn take() -> Self {
        let mut best = Self::once();
        for _ in 0..4 {
            let other = Self::once();
            if other.0 < best.0 {
                best = other;
            }
        }
        best.1
    }

    fn once() -> (u64, Self) {
        let before = Moment::now();
        let instant = Instant::now();
        let width = Moment::now().0.wrapping_sub(before.0);
        let moment = Moment(before.0.wrapping_add(width / 2));
        (width, Self { moment, instant })
    }

    /// The length of a tick, from now on for a short while.
    fn guess_tick(&self) -> f64 {
        while self.instant.elapsed() < GUESS {
            std::hint::spin_loop();
        }
        Self::take().tick_since(self).unwrap_or(1.0)
    }

    /// The length of a tick in nanoseconds, as it was from `earlier` until now.
    fn tick_since(&self, earlier: &Self) -> Option<f64> {
        let ticks = self.moment.ticks_since(earlier.moment);
        let elapsed = self.instant.checked_duration_since(earlier.instant)?;
        let tick = nanos(elapsed) / ticks;
        (ticks > 0.0 && tick > 0.0).then_some(tick)
    }
}

/// What all clients of the process begin with.
struct First {
    reading: Reading,
    unix: Duration,
    unix_seconds: f64,
    /// The length of a tick, as the bits of an `f64`: better known with time.
    tick: AtomicU64,
}

static FIRST: OnceLock<First> = OnceLock::new();

impl First {
    fn get() -> &'static Self {
        FIRST.get_or_init(|| {
            ticks::choose();
            let reading = Reading::take();
            let unix = unix_now();
            let tick = reading.guess_tick();
            Self {
                reading,
                unix,
                unix_seconds: unix.as_secs_f64(),
                tick: AtomicU64::new(tick.to_bits()),
            }
        })
    }

    fn tick(&self) -> f64 {
        f64::from_bits(self.tick.load(Ordering::Relaxed))
    }
}

/// Chooses the clock of the process, before the first span: this takes some 50 µs, once.
pub(crate) fn choose() {
    First::get();
}

/// What turns a [`Moment`] into wall-clock time.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Anchor {
    reading: Reading,
    unix: Duration,
    /// The length of a tick in nanoseconds.
    tick: f64,
}

impl Anchor {
    pub(crate) fn now() -> Self {
        let first = First::get();
        let mut anchor = Self {
            reading: first.reading,
            unix: first.unix,
            tick: first.tick(),
        };
        anchor.follow();
        anchor
    }

    /// Learns the length of a tick better, and moves where the wall clock was set, or has drifted,
    /// since.
    ///
    /// Two readings are never at the same moment: an anchor of each drain's own would put
    /// spans of different drains into another order than that of their starts. So this one
    /// stays while the wall clock agrees with it, as far as that can be told.
    pub(crate) fn follow(&mut self) {
        let fresh = Reading::take();
        let unix = unix_now();
        let uncertain = fresh.instant.elapsed();
        match fresh.tick_since(&self.reading) {
            // The counter goes on evenly, by what the kernel says of it.
            Some(tick) if (tick / self.tick - 1.0).abs() < 0.01 => self.tick = tick,
            // After a machine was suspended it may begin anew.
            _ => {
                *self = Self {
                    reading: fresh,
                    unix,
                    tick: fresh.guess_tick(),
                }
            }
        }
        First::get()
            .tick
            .store(self.tick.to_bits(), Ordering::Relaxed);
        let apart = self.unix(fresh.moment).abs_diff(unix);
        if apart > DRIFT + uncertain {
            *self = Self {
                reading: fresh,
                unix,
                ..*self
            };
        }
    }

    /// Nanoseconds since the Unix epoch at `at`, which may lie before or after the anchor.
    pub(crate) fn unix_ns(&self, at: Moment) -> u64 {
        u64::try_from(self.unix(at).as_nanos()).unwrap_or(u64::MAX)
    }

    /// Nanoseconds from `earlier` to `later`; none where that is before it.
    pub(crate) fn ns_between(&self, earlier: Moment, later: Moment) -> u64 {
        let between = duration(later.ticks_since(earlier) * self.tick);
        u64::try_from(between.as_nanos()).unwrap_or(u64::MAX)
    }

    fn unix(&self, at: Moment) -> Duration {
        let since = at.ticks_since(self.reading.moment) * self.tick;
        if since >= 0.0 {
            self.unix.saturating_add(duration(since))
        } else {
            self.unix.saturating_sub(duration(-since))
        }
    }
}

fn nanos(duration: Duration) -> f64 {
    duration.as_secs_f64() * 1e9
}

/// Of nanoseconds; below zero none.
#[allow(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "the cast holds at the ends of what there is, which is meant"
)]
fn duration(nanos: f64) -> Duration {
    Duration::from_nanos(nanos.round() as u64)
}

/// Seconds since the epoch at `at`, by the process's first look at the wall clock: the leading 32
/// bits of a trace id need no second clock reading.
#[allow(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "the cast holds at the ends of what there is, which is meant"
)]
#[inline]
pub(crate) fn unix_seconds(at: Moment) -> u32 {
    let first = First::get();
    let since = at.ticks_since(first.reading.moment) * (first.tick() * 1e-9);
    (first.unix_seconds + since) as u32
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
    fn a_moment_before_the_anchor_is_earlier_on_the_wall_clock() {
        let mut anchor = Anchor::now();
        let before = Moment::now();
        std::thread::sleep(Duration::from_millis(2));
        anchor.follow();
        let at_anchor = anchor.unix_ns(anchor.reading.moment);
        assert!(anchor.unix_ns(Moment(anchor.reading.moment.0 - 1_000)) < at_anchor);
        assert!(anchor.unix_ns(before) < anchor.unix_ns(Moment::now()));
    }

    #[test]
    fn an_anchor_stays_until_the_wall_clock_goes_another_way() {
        let now = Anchor::now();
        let off_by = |far: Duration| {
            let mut anchor = Anchor {
                unix: now.unix + far,
                ..now
            };
            let unix = anchor.unix;
            anchor.follow();
            anchor.unix != unix
        };
        assert!(!off_by(Duration::ZERO));
        assert!(!off_by(Duration::from_micros(200)));
        // Longer than a thread is put aside between the readings.
        assert!(off_by(Duration::from_secs(3600)));
    }

    #[test]
    fn ticks_are_as_long_as_the_clock_of_the_standard_library_says() {
        let mut anchor = Anchor::now();
        let (instant, moment) = (Instant::now(), Moment::now());
        std::thread::sleep(Duration::from_millis(20));
        let later = Moment::now();
        let elapsed = instant.elapsed();
        anchor.follow();
        let measured = Duration::from_nanos(anchor.ns_between(moment, later));
        assert!(measured >= Duration::from_millis(20), "{measured:?}");
        assert!(
            measured <= elapsed + Duration::from_micros(100),
            "{measured:?}, {elapsed:?}"
        );
        assert_eq!(anchor.ns_between(later, moment), 0);
    }

    #[test]
    fn a_counter_that_begins_anew_moves_the_anchor() {
        let mut anchor = Anchor::now();
        // As if it had stood far higher before.
        anchor.reading.moment.0 += 1 << 60;
        anchor.follow();
        let (now, unix) = (anchor.unix(Moment::now()), unix_now());
        assert!(
            now.abs_diff(unix) < Duration::from_millis(500),
            "{now:?}, {unix:?}"
        );
    }

    #[test]
    fn the_seconds_of_a_trace_id_are_those_of_the_wall_clock() {
        choose();
        let seconds = i64::from(unix_seconds(Moment::now()));
        let wall = i64::try_from(unix_now().as_secs()).unwrap();
        assert!((seconds - wall).abs() <= 1, "{seconds}, {wall}");
    }
}
