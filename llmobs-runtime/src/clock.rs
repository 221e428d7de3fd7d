//! Time: one reading at each end of a span, in ticks; the worker makes wall-clock time of it.

mod ticks;

use std::collections::VecDeque;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use crate::process::Published;

/// How far the wall clock may be from a segment before another one begins.
const DRIFT: Duration = Duration::from_millis(1);
/// How long after the worker has looked at the clock moments may be told: longer than it takes to look
/// again, whatever else it has to do.
const AFTER: Duration = Duration::from_secs(600);
/// How long ticks are counted for a guess of their length. The seconds in trace ids live by the
/// first one until the worker knows better.
const GUESS: Duration = Duration::from_micros(50);

/// A moment in this process.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Moment(u64);

/// A moment, once there is one. One word: records hold it, and their size is time.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Reached(u64);

impl Reached {
    /// The counter never stands at zero, which says that there is none.
    #[inline]
    pub(crate) fn at(moment: Moment) -> Self {
        Self(moment.0)
    }

    #[inline]
    pub(crate) fn moment(self) -> Option<Moment> {
        self.is_reached().then_some(Moment(self.0))
    }

    #[inline]
    pub(crate) fn is_reached(self) -> bool {
        self.0 != 0
    }
}

impl Moment {
    /// Before all others.
    pub(crate) const ZERO: Self = Self(0);

    #[inline]
    pub(crate) fn now() -> Self {
        Self(ticks::now())
    }

    /// Seconds from this one until now, as well as the length of a tick is known.
    pub(crate) fn elapsed_seconds(self) -> f64 {
        Self::now().ticks_since(self).max(0.0) * Shared::get().latest.tick * 1e-9
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

/// From a moment on, until the next segment: what the wall clock says of moments.
///
/// A moment's time is told by the segment that it lies in, whenever it is asked for. Were the length
/// of a tick made better for moments that have passed, spans that the worker takes at different times
/// would lose the order of their starts.
#[derive(Clone, Copy, Debug)]
struct Segment {
    from: Moment,
    unix: Duration,
    /// The same for the seconds in trace ids.
    unix_seconds: f64,
    /// The length of a tick in nanoseconds.
    tick: f64,
    /// When it was last known to go on.
    last: Moment,
}

impl Segment {
    fn new(from: Moment, unix: Duration, tick: f64) -> Self {
        Self {
            from,
            last: from,
            unix,
            unix_seconds: unix.as_secs_f64(),
            tick,
        }
    }

    /// Whether a moment lies in it, or after it and not by much: where the counter has begun anew, the
    /// moments from before that would else be far in the future.
    fn has(&self, at: Moment) -> bool {
        at.ticks_since(self.from) >= 0.0 && at.ticks_since(self.last) * self.tick <= nanos(AFTER)
    }

    fn unix(&self, at: Moment) -> Duration {
        let since = at.ticks_since(self.from) * self.tick;
        if since >= 0.0 {
            self.unix.saturating_add(duration(since))
        } else {
            self.unix.saturating_sub(duration(-since))
        }
    }
}

/// What a process begins with, and what its workers have learned since.
struct Shared {
    first: Reading,
    latest: Segment,
}

/// The newest; those before stay where they are, which is a few in a day. No `Once`: a fork in the
/// middle of one would leave it so in the child.
static SHARED: Published<Shared> = Published::new();

impl Shared {
    fn get() -> &'static Self {
        SHARED.get().unwrap_or_else(|| {
            ticks::choose();
            let first = Reading::take();
            let unix = unix_now();
            let latest = Segment::new(first.moment, unix, first.guess_tick());
            SHARED.publish_first(Self { first, latest })
        })
    }
}

/// Chooses the clock of the process, before the first span: this takes some 50 µs, once.
pub(crate) fn choose() {
    Shared::get();
}

/// What turns a [`Moment`] into wall-clock time.
#[derive(Clone, Debug)]
pub(crate) struct Anchor {
    /// By which the length of a tick is learned.
    base: Reading,
    /// The oldest first; never empty.
    segments: VecDeque<Segment>,
    /// Whether the length of a tick has been learned.
    learned: bool,
}

/// For how many segments spans may be open.
const SEGMENTS: usize = 64;
/// How long ticks are counted at least to learn their length: to a millionth.
const BASELINE: Duration = Duration::from_millis(50);
/// And at most, so that a machine that moves to another one is noticed.
const LONGEST_BASELINE: Duration = Duration::from_secs(10);

impl Anchor {
    pub(crate) fn now() -> Self {
        let shared = Shared::get();
        let mut anchor = Self {
            base: shared.first,
            segments: VecDeque::from([shared.latest]),
            learned: ticks::are_nanoseconds(),
        };
        anchor.follow();
        anchor
    }

    /// Begins a segment where the length of a tick was learned, and where the wall clock was set,
    /// or has drifted, since.
    pub(crate) fn follow(&mut self) {
        let fresh = Reading::take();
        let unix = unix_now();
        let uncertain = fresh.instant.elapsed();
        let latest = self.latest();
        let since = fresh.instant.saturating_duration_since(self.base.instant);
        let tick = match fresh.tick_since(&self.base) {
            // The counter goes on evenly, by what the kernel says of it.
            Some(tick) if (tick / latest.tick - 1.0).abs() < 0.01 => {
                (since >= BASELINE && !ticks::are_nanoseconds()).then_some(tick)
            }
            // After a machine was suspended it may begin anew.
            _ => {
                self.base = fresh;
                return self.begin(Segment::new(fresh.moment, unix, fresh.guess_tick()));
            }
        };
        if let Some(latest) = self.segments.back_mut() {
            latest.last = fresh.moment;
        }
        let told = latest.unix(fresh.moment);
        if told.abs_diff(unix) > DRIFT + uncertain {
            let tick = tick.unwrap_or(latest.tick);
            self.begin(Segment::new(fresh.moment, unix, tick));
        } else if let (false, Some(tick)) = (self.learned, tick) {
            // What was told of this moment stays true.
            self.learned = true;
            self.begin(Segment::new(fresh.moment, told, tick));
        }
        if since >= LONGEST_BASELINE {
            self.base = fresh;
        }
    }

    fn begin(&mut self, segment: Segment) {
        if self.segments.len() == SEGMENTS {
            self.segments.pop_front();
        }
        self.segments.push_back(segment);
        let first = Shared::get().first;
        SHARED.publish(Shared {
            first,
            latest: segment,
        });
    }

    fn latest(&self) -> Segment {
        let latest = self.segments.back();
        latest.copied().unwrap_or(Shared::get().latest)
    }

    fn segment_of(&self, at: Moment) -> Segment {
        let mut newest_first = self.segments.iter().rev();
        let segment = newest_first.find(|segment| segment.has(at));
        // Or one after which the machine slept for long.
        let mut newest_first = self.segments.iter().rev();
        let segment = segment.or_else(|| newest_first.find(|one| at.ticks_since(one.from) >= 0.0));
        let segment = segment.or(self.segments.front());
        segment.copied().unwrap_or(Shared::get().latest)
    }

    /// Nanoseconds since the Unix epoch at `at`, which may lie before or after all that was learned.
    pub(crate) fn unix_ns(&self, at: Moment) -> u64 {
        u64::try_from(self.segment_of(at).unix(at).as_nanos()).unwrap_or(u64::MAX)
    }

    /// Nanoseconds from `earlier` to `later`; none where that is before it. However the wall clock
    /// was set between them, unless the counter has begun anew.
    pub(crate) fn ns_between(&self, earlier: Moment, later: Moment) -> u64 {
        let ticks = later.ticks_since(earlier);
        if ticks < 0.0 {
            return self.unix_ns(later).saturating_sub(self.unix_ns(earlier));
        }
        let between = duration(ticks * self.segment_of(later).tick);
        u64::try_from(between.as_nanos()).unwrap_or(u64::MAX)
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

/// Seconds since the epoch at `at`, by the latest segment: the leading 32 bits of a trace id need no
/// second clock reading.
#[allow(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "the cast holds at the ends of what there is, which is meant"
)]
#[inline]
pub(crate) fn unix_seconds(at: Moment) -> u32 {
    let segment = &Shared::get().latest;
    let since = at.ticks_since(segment.from) * (segment.tick * 1e-9);
    (segment.unix_seconds + since) as u32
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
    fn a_moment_before_all_that_was_learned_is_earlier_on_the_wall_clock() {
        let anchor = Anchor::now();
        let first = anchor.segments[0].from;
        let at_first = anchor.unix_ns(first);
        assert!(anchor.unix_ns(Moment(first.0 - 1_000)) < at_first);
        let before = Moment::now();
        std::thread::sleep(Duration::from_millis(1));
        assert!(anchor.unix_ns(before) < anchor.unix_ns(Moment::now()));
    }

    /// As if the clocks had been `far` apart when it was made.
    fn off_by(far: Duration) -> Anchor {
        let mut anchor = Anchor::now();
        for segment in &mut anchor.segments {
            segment.unix += far;
        }
        anchor
    }

    #[test]
    fn a_segment_goes_on_until_the_wall_clock_goes_another_way() {
        let moved = |far: Duration| {
            let mut anchor = off_by(far);
            anchor.learned = true;
            let segments = anchor.segments.len();
            anchor.follow();
            anchor.segments.len() > segments
        };
        assert!(!moved(Duration::ZERO));
        assert!(!moved(Duration::from_micros(200)));
        // Longer than a thread is put aside between the readings.
        assert!(moved(Duration::from_secs(3600)));
    }

    #[test]
    fn what_was_told_of_a_moment_stays_so_whatever_is_learned_later() {
        let mut anchor = Anchor::now();
        anchor.learned = false;
        let (parent, child) = (Moment::now(), Moment::now());
        let told = anchor.unix_ns(child);
        std::thread::sleep(BASELINE);
        anchor.follow();
        // The clock is set as well.
        for segment in &mut anchor.segments {
            segment.unix += Duration::from_secs(3600);
        }
        let set = anchor.unix_ns(child);
        assert_eq!(set - told, 3_600_000_000_000);
        anchor.follow();
        assert_eq!(anchor.unix_ns(child), set);
        assert!(anchor.unix_ns(parent) <= set);
        let length = anchor.ns_between(parent, Moment::now());
        assert!(length < 10_000_000_000, "{length}");
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
    fn a_counter_that_begins_anew_begins_a_segment() {
        let mut anchor = Anchor::now();
        // As if it had stood far higher before.
        anchor.base.moment.0 += 1 << 60;
        for segment in &mut anchor.segments {
            segment.from.0 += 1 << 60;
        }
        anchor.follow();
        let (now, unix) = (anchor.unix_ns(Moment::now()), unix_now().as_nanos());
        assert!(
            u128::from(now).abs_diff(unix) < 500_000_000,
            "{now}, {unix}"
        );
    }

    #[test]
    fn a_moment_after_a_long_sleep_is_told_by_the_newest_segment_before_it() {
        let now = Moment::now();
        let mut anchor = Anchor::now();
        let second = Duration::from_secs(1);
        let first = Segment::new(Moment(now.0), second, 1.0);
        let set_ahead = Segment::new(Moment(now.0 + 10), second * 3_600, 1.0);
        anchor.segments = VecDeque::from([first, set_ahead]);
        let half_an_hour: u64 = 1_800 * 1_000_000_000;
        let told = anchor.unix_ns(Moment(now.0 + 10 + half_an_hour));
        assert_eq!(told, 3_600 * 1_000_000_000 + half_an_hour);
    }

    #[test]
    fn a_span_that_was_open_when_the_counter_began_anew_keeps_its_start() {
        let mut anchor = Anchor::now();
        // As if it had stood far higher before: some days, at 2.5 GHz.
        let up: u64 = 1 << 50;
        anchor.base.moment.0 += up;
        for segment in &mut anchor.segments {
            segment.from.0 += up;
            segment.last.0 += up;
        }
        let start = Moment(Moment::now().0 + up);
        let told = anchor.unix_ns(start);
        std::thread::sleep(Duration::from_millis(2));
        anchor.follow();
        assert_eq!(anchor.unix_ns(start), told);
        let length = anchor.ns_between(start, Moment::now());
        assert!((1_000_000..5_000_000_000).contains(&length), "{length}");
    }

    #[test]
    fn the_seconds_of_a_trace_id_are_those_of_the_wall_clock() {
        choose();
        let seconds = i64::from(unix_seconds(Moment::now()));
        let wall = i64::try_from(unix_now().as_secs()).unwrap();
        assert!((seconds - wall).abs() <= 1, "{seconds}, {wall}");
    }

    #[test]
    fn a_segment_that_is_off_by_less_than_a_second_does_not_go_on() {
        let moved = || {
            let mut anchor = off_by(Duration::from_millis(50));
            anchor.learned = true;
            let segments = anchor.segments.len();
            anchor.follow();
            anchor.segments.len() > segments
        };
        // A thread that is put aside between two readings knows less.
        assert!((0..1_000).any(|_| moved()));
    }
}
