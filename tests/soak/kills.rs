//! `kill -9` at random moments, and the process is started again.

use std::io::{BufRead as _, BufReader};
use std::path::Path;
use std::process::{Child, ChildStdout, Command, Stdio};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::{Duration, Instant};

use fastrand::Rng;
use llmobs::EventKind;
use serde_json::Value;

use crate::Options;
use crate::random::World;
use crate::seen::{Id, KINDS, Left, made_with, some};
use crate::work::{Made, STEP};

/// A span that was finished so long before a kill is there afterwards, on a machine that has time for the process.
const SAFE: Duration = Duration::from_secs(1);
/// And so many times as long as one of its threads had to wait for a processor: what is finished goes through
/// a few looks at the queue before it is on disk, each of which may have to wait like that.
const LOOKS: u32 = 8;
/// How long what a process had sent may be on its way into the intake.
const ON_ITS_WAY: Duration = Duration::from_secs(60);
/// How long it may take until something is safe.
const LONGEST_LIFE: Duration = Duration::from_secs(60);

pub(crate) fn run(options: &Options) {
    let times: u32 = options.get("--times", 20);
    let rate: u32 = options.get("--rate", 2_500);
    let seed = options.get("--seed", fastrand::u64(..1_000_000));
    println!(
        "kills: {times} times two processes, of which one in four ends in order, {rate} spans/s \
         each, --seed {seed}"
    );
    let dir = std::env::temp_dir().join(format!("llmobs-kills-{}", std::process::id()));
    let world = World::new(seed, true);
    let mut rng = Rng::with_seed(seed);

    let mut runs = Vec::new();
    let mut left = Left::default();
    let mut early = 0;
    for round in 0..times {
        let starts = [round * 2, round * 2 + 1].map(|number| {
            let life = Duration::from_millis(rng.u64(1_200..3_000));
            (number, life, number % 4 == 3)
        });
        // Two at a time share the folder.
        let both = std::thread::scope(|scope| {
            let (world, dir) = (&world, &dir);
            let both = starts.map(|(number, life, in_order)| {
                let process = Process::start(world, dir, number, rate);
                scope.spawn(move || process.live(world, life, in_order))
            });
            both.map(|run| run.join().expect("the process was started and has ended"))
        });
        for run in both {
            run.print();
            runs.push(run);
        }
        world.intake.forget();
        world.intake.wait_until_closed(ON_ITS_WAY);
        // What is on disk stays there until it has arrived, safe or not when its process was killed.
        let before = std::mem::replace(&mut left, Left::read(&dir));
        for kind in KINDS {
            let gone = gone(&world, kind, &before, &left);
            assert_eq!(
                gone,
                [],
                "round {round}, {kind:?}: gone from the spool, and not there"
            );
        }
        // Whoever takes over what is said of a span takes over the span as well, if that was on disk.
        let too_early = world.seen.early().split_off(early);
        early += too_early.len();
        let too_early: Vec<_> = too_early
            .into_iter()
            .filter(|(_, id)| {
                [&before, &left]
                    .iter()
                    .any(|left| left.has(EventKind::Span, *id))
            })
            .collect();
        assert!(
            too_early.is_empty(),
            "round {round}: sent before their spans, which were on disk: {:?}",
            some(&too_early)
        );
    }
    let killed = || runs.iter().filter(|run| run.told.is_none());
    let safe: u64 = killed().map(|run| u64::from(run.safe.spans)).sum();
    let late = killed().filter(|run| run.safe.spans == 0).count();
    println!(
        "{} were killed, {late} of them before any span was safe, {safe} spans were; {} ended in order",
        killed().count(),
        runs.len() - killed().count()
    );
    assert!(safe > 0, "nothing was ever safe");

    // From here on, the last one is alone.
    world.recover();
    let last = Process::start(&world, &dir, times * 2, 0).last();
    println!("the last one: {last}");
    assert_adds_up("the last one", &last);
    for kind in KINDS {
        let of = |name: &str| count(&last, kind, name);
        assert_eq!((of("made"), of("spooled")), (0, 0), "{kind:?}: {last}");
        assert_eq!(of("recovered"), left.count(kind), "{kind:?} in the spool");
        assert_eq!(Left::read(&dir).count(kind), 0, "{kind:?} in the spool");
    }
    for kind in KINDS {
        let gone = gone(&world, kind, &left, &Left::default());
        assert_eq!(gone, [], "{kind:?}: gone from the spool, and not there");
    }
    // A span that was not on disk when its process was killed is not there to be waited for.
    let too_early: Vec<_> = world.seen.early().split_off(early);
    let too_early: Vec<_> = too_early
        .into_iter()
        .filter(|(_, id)| left.has(EventKind::Span, *id))
        .collect();
    assert!(
        too_early.is_empty(),
        "the last one sent these before their spans: {:?}",
        some(&too_early)
    );
    let told = runs.iter().filter_map(|run| run.told.as_ref());
    let recovered: u64 = told
        .chain([&last])
        .flat_map(|told| KINDS.map(|kind| count(told, kind, "recovered")))
        .sum();
    assert!(recovered > 0, "nothing was ever recovered");

    let mut again = 0;
    for run in &runs {
        for kind in KINDS {
            let fates = world.seen.fates(kind, run.number, run.safe.end(kind));
            let missing = fates.iter().filter(|(_, fate)| fate.taken == 0);
            let missing: Vec<u32> = missing.map(|(id, _)| id.n).collect();
            let (number, count) = (run.number, missing.len());
            assert_eq!(
                count,
                0,
                "run {number}, {kind:?}: safe, and not there (was the machine so busy that a second is \
                 not enough?): {:?}",
                some(&missing)
            );
            again += fates.iter().filter(|(_, fate)| fate.taken > 1).count();
        }
    }
    std::fs::remove_dir_all(&dir).expect("the folder of the spool");
    println!(
        "everything that was safe, or on disk, has arrived; {recovered} events were recovered by processes that \
         told, {again} came more than once; {early} evaluations and feedback came before their \
         spans, which were not on disk when their process was killed"
    );
}

/// Some of what stood in the spool, stands there no more, and has not arrived.
fn gone(world: &World, kind: EventKind, before: &Left, now: &Left) -> Vec<Id> {
    let is_gone = |id: &Id| !now.has(kind, *id) && world.seen.fate(kind, *id).taken == 0;
    before.of(kind).filter(is_gone).take(20).collect()
}

/// One process, from start to end.
struct Run {
    number: u32,
    made: u32,
    safe: Made,
    /// Its counts, where it was not killed.
    told: Option<Value>,
}

impl Run {
    fn print(&self) {
        let (number, made, safe) = (self.number, self.made, self.safe.spans);
        match &self.told {
            Some(told) => println!("process {number} ended in order, {made} spans made: {told}"),
            None if safe == 0 => println!(
                "process {number} was killed, {made} spans made; note: none was safe, it was late"
            ),
            None => println!("process {number} was killed, {made} spans made, {safe} of them safe"),
        }
    }
}

/// A process that makes events, or, with the rate 0, sends those that are there.
struct Process {
    number: u32,
    child: Child,
    out: BufReader<ChildStdout>,
}

impl Process {
    fn start(world: &World, dir: &Path, number: u32, rate: u32) -> Self {
        let mut child = Command::new(std::env::current_exe().expect("this program"))
            .args(["work", "--url", world.intake.url()])
            .arg("--dir")
            .arg(dir)
            .args(["--run", &number.to_string(), "--rate", &rate.to_string()])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("this program starts again");
        let out = BufReader::new(child.stdout.take().expect("it is piped"));
        Self { number, child, out }
    }

    /// Ends it after `life`: by a kill, or in order, so that it tells its counts.
    fn live(self, world: &World, life: Duration, in_order: bool) -> Run {
        let Self {
            number,
            mut child,
            out,
        } = self;
        let lines = Arc::new(Mutex::new(Vec::new()));
        let reader = std::thread::spawn({
            let lines = Arc::clone(&lines);
            move || {
                for line in out.lines().map_while(Result::ok) {
                    lock(&lines).push((Instant::now(), line));
                }
            }
        });
        std::thread::sleep(life);
        // Every second one lives until something of it is safe, whatever the machine has to do besides.
        let since = Instant::now();
        while number % 2 == 0 && since.elapsed() < LONGEST_LIFE {
            if safe_by(Instant::now(), &told_of(&lock(&lines))).is_some() {
                break;
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        let ended = child.try_wait().expect("it was started");
        assert_eq!(ended, None, "process {number} has ended by itself");
        // Nobody else has sent its events by now.
        let mut early = world.seen.early();
        early.retain(|(_, id)| id.run == number);
        // SIGKILL, on Unix.
        let at = Instant::now();
        if in_order {
            drop(child.stdin.take());
        } else {
            child.kill().expect("it runs");
        }
        let status = child.wait().expect("it was started");
        assert_eq!(status.success(), in_order, "process {number}: {status}");
        reader.join().expect("lines");
        let mut lines = std::mem::take(&mut *lock(&lines));
        let told = in_order.then(|| {
            let (_, told) = lines.pop().expect("it tells its counts");
            serde_json::from_str(&told).expect("counts")
        });
        let told_of = told_of(&lines);
        let made = told_of.last().map_or_else(Made::default, |(_, made)| *made);
        let safe = safe_by(at, &told_of);
        assert!(
            early.is_empty(),
            "process {number} sent these before their spans: {:?}",
            some(&early)
        );
        if let Some(told) = &told {
            assert_adds_up(&format!("process {number}"), told);
            for kind in KINDS {
                assert_eq!(
                    count(told, kind, "made"),
                    made_with(kind, made.spans),
                    "{kind:?}"
                );
            }
        }
        Run {
            number,
            made: made.spans,
            // One that ends in order leaves nothing behind that is not safe.
            safe: match told {
                Some(_) => made,
                None => safe.unwrap_or_default(),
            },
            told,
        }
    }

    fn last(mut self) -> Value {
        let mut told = String::new();
        self.out
            .read_line(&mut told)
            .expect("the last process tells its counts");
        assert!(self.child.wait().expect("it was started").success());
        serde_json::from_str(&told).expect("counts")
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().expect("nobody panics with it")
}

/// The spans that a process has told of, and when.
fn told_of(lines: &[(Instant, String)]) -> Vec<(Instant, Made)> {
    let made = |(when, line): &(Instant, String)| {
        let (spans, feedback) = line.split_once(' ')?;
        let (spans, feedback) = (spans.parse().ok()?, feedback.parse().ok()?);
        Some((*when, Made { spans, feedback }))
    };
    lines.iter().filter_map(made).collect()
}

/// The spans that are safe where the process is killed `at` that moment. It tells of what it has made every ten
/// milliseconds: where that comes later, the machine has no time for it, and for its worker neither.
fn safe_by(at: Instant, told_of: &[(Instant, Made)]) -> Option<Made> {
    let whens = told_of.iter().map(|(when, _)| *when);
    let gaps = whens.clone().zip(whens.skip(1).chain([at]));
    let longest = gaps
        .map(|(one, next)| next.saturating_duration_since(one))
        .max()?;
    let safe = SAFE + longest.saturating_sub(2 * STEP) * LOOKS;
    let mut newest_first = told_of.iter().rev();
    newest_first
        .find(|(when, _)| *when + safe <= at)
        .map(|(_, made)| *made)
}

fn count(told: &Value, kind: EventKind, name: &str) -> u64 {
    told[plural(kind)][name].as_u64().expect("a count")
}

fn plural(kind: EventKind) -> &'static str {
    match kind {
        EventKind::Span => "spans",
        EventKind::Evaluation => "evaluations",
        _ => "feedback",
    }
}

/// For each kind: every event is delivered or in the spool. Nothing was given up but what was sent
/// twice without an answer, which no span is; the intake has taken that.
fn assert_adds_up(what: &str, told: &Value) {
    for kind in KINDS {
        let of = |name: &str| count(told, kind, name);
        let unanswered = match kind {
            EventKind::Span => 0,
            _ => told[plural(kind)]["dropped"]["unanswered"]
                .as_u64()
                .unwrap_or_default(),
        };
        let settled = of("delivered") + of("spooled") + unanswered;
        assert_eq!(of("made") + of("recovered"), settled, "{what}: {told}");
        assert_eq!(of("waiting"), 0, "{what}: {told}");
    }
}
