//! An intake that fails at random: the n-th request of a lane meets the same fault whenever the seed
//! is the same, whatever the other lane does meanwhile.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use fastrand::Rng;
use llmobs_tests::intake::{Intake, Reply};

use crate::seen::Seen;

/// The intake, what it has taken, and whether it is healthy.
pub(crate) struct World {
    pub(crate) intake: Intake,
    pub(crate) seen: Arc<Seen>,
    healthy: Arc<AtomicBool>,
}

impl World {
    /// With `passing`, only faults after which nothing may be given up.
    pub(crate) fn new(seed: u64, passing: bool) -> Self {
        let mut intake = Intake::start();
        intake.allow_violations();
        let seen = Arc::new(Seen::default());
        let healthy = Arc::new(AtomicBool::new(false));
        let (taken, well) = (Arc::clone(&seen), Arc::clone(&healthy));
        // Which lane is first is a matter of time: each draws from its own.
        let mut lanes = [0, 1].map(|lane| Rng::with_seed(seed.wrapping_mul(2).wrapping_add(lane)));
        intake.script(move |request| {
            let fault = if well.load(Ordering::Relaxed) {
                Fault::None
            } else {
                let is_spans = request.spans().len() > 0;
                let any = Fault::any(&mut lanes[usize::from(is_spans)]);
                if passing { any.passing(is_spans) } else { any }
            };
            if fault.takes() {
                taken.take(request, fault.answers());
            }
            if fault.refuses() {
                taken.refuse(request);
            }
            fault.reply()
        });
        Self {
            intake,
            seen,
            healthy,
        }
    }

    pub(crate) fn recover(&self) {
        self.healthy.store(true, Ordering::Relaxed);
    }
}

/// What may happen to a request.
#[derive(Clone, Copy, Debug)]
enum Fault {
    None,
    Status(u16),
    Soon(u16),
    /// Nothing comes back, and it was not taken.
    Reset,
    Hang,
    /// It was taken, and nothing comes back.
    Silent,
    HangUp,
    /// The answer says less than it promises.
    Short,
    Slow,
}

impl Fault {
    fn any(rng: &mut Rng) -> Self {
        match rng.u8(..100) {
            0..50 => Self::None,
            50..60 => Self::Status(500),
            60..65 => Self::Status(503),
            65..70 => Self::Soon(429),
            70..74 => Self::Status(408),
            74..76 => Self::Soon(401),
            76..78 => Self::Status(413),
            78..80 => Self::Status(400),
            80..84 => Self::Reset,
            84..87 => Self::Hang,
            87..90 => Self::Silent,
            90..94 => Self::HangUp,
            94..97 => Self::Short,
            _ => Self::Slow,
        }
    }

    /// This, or in place of what loses an event, counted, one that does not.
    fn passing(self, is_spans: bool) -> Self {
        match self {
            Self::Status(400 | 413) => Self::Status(500),
            // An evaluation that is answered neither time is given up, taken or not; a span never is.
            Self::Hang | Self::Silent | Self::Reset if !is_spans => Self::HangUp,
            other => other,
        }
    }

    fn takes(self) -> bool {
        matches!(
            self,
            Self::None | Self::Silent | Self::HangUp | Self::Short | Self::Slow
        )
    }

    /// Whether who sent it is told that it was taken: the status says so, whatever follows.
    fn answers(self) -> bool {
        matches!(self, Self::None | Self::Short | Self::Slow)
    }

    fn refuses(self) -> bool {
        matches!(self, Self::Status(400 | 413))
    }

    fn reply(self) -> Reply {
        match self {
            Self::None => Reply::default(),
            Self::Status(status) => Reply::status(status),
            Self::Soon(status) => Reply::status(status).header("Retry-After", "1"),
            Self::Reset => Reply::reset(),
            Self::Hang | Self::Silent => Reply::hang(),
            Self::HangUp => Reply::drop_connection(),
            Self::Short => Reply::default().header("content-length", "1000"),
            Self::Slow => Reply::default().after(Duration::from_millis(200)),
        }
    }
}
