//! `kill -9` at random moments, and the process is started again.

use std::io::{BufRead as _, BufReader};
use std::path::Path;
use std::process::{Child, ChildStdout, Command, Stdio};
use std::time::{Duration, Instant};

use fastrand::Rng;
use serde_json::Value;

use crate::Options;
use crate::random::World;
use crate::seen::Kind;
use crate::work::EVALUATED;

/// What was finished so long before a kill is there afterwards.
const SAFE: Duration = Duration::from_secs(1);

pub(crate) fn run(options: &Options) {
    let times: u32 = options.get("--times", 20);
    let rate: u32 = options.get("--rate", 2_000);
    let seed = options.get("--seed", fastrand::u64(..1_000_000));
    println!("kills: {times} times two processes, {rate} spans/s each, --seed {seed}");
    let dir = std::env::temp_dir().join(format!("llmobs-kills-{}", std::process::id()));
    let world = World::new(seed, true);
    let mut rng = Rng::with_seed(seed);

    let mut runs = Vec::new();
    for round in 0..times {
        // Two at a time share the folder.
        let both = [round * 2, round * 2 + 1].map(|run| {
            let (child, out) = start(&world, &dir, run, rate);
            let life = Duration::from_millis(rng.u64(1_200..3_000));
            std::thread::spawn(move || killed(run, child, out, life))
        });
        for run in both {
            let run = run.join().expect("the process was started and killed");
            let Run { number, made, safe } = run;
            println!("process {number}: {made} spans made, {safe} of them safe");
            runs.push(run);
        }
        world.intake.forget();
    }

    world.recover();
    let (mut child, mut out) = start(&world, &dir, times * 2, 0);
    let mut last = String::new();
    out.read_line(&mut last)
        .expect("the last process tells its counts");
    assert!(child.wait().expect("it was started").success());
    println!("the last one: {}", last.trim());
    let last: Value = serde_json::from_str(&last).expect("counts");
    for kind in ["spans", "evaluations"] {
        let counts = &last[kind];
        let of = |name: &str| counts[name].as_u64().expect("a count");
        assert_eq!((of("waiting"), of("spooled")), (0, 0), "{kind}: {counts}");
        assert_eq!(counts["dropped"], serde_json::json!([]), "{kind}");
        assert_eq!(of("made") + of("recovered"), of("delivered"), "{kind}");
    }

    let mut again = 0;
    for run in &runs {
        for (kind, every) in [(Kind::Span, 1), (Kind::Evaluation, EVALUATED as usize)] {
            let safe = (0..run.safe).step_by(every);
            let missing = world.seen.missing(kind, run.number, safe);
            let (number, count) = (run.number, missing.len());
            let some = &missing[..count.min(20)];
            assert_eq!(
                count, 0,
                "run {number}, {kind:?}: safe, and not there: {some:?}"
            );
            again += world.seen.of(kind, number).1;
        }
    }
    std::fs::remove_dir_all(&dir).expect("the folder of the spool");
    println!("everything that was safe has arrived; {again} events came more than once");
}

/// One process, from start to kill.
struct Run {
    number: u32,
    made: u32,
    safe: u32,
}

fn start(world: &World, dir: &Path, run: u32, rate: u32) -> (Child, BufReader<ChildStdout>) {
    let mut child = Command::new(std::env::current_exe().expect("this program"))
        .args(["work", "--url", world.intake.url()])
        .arg("--dir")
        .arg(dir)
        .args(["--run", &run.to_string(), "--rate", &rate.to_string()])
        .stdout(Stdio::piped())
        .spawn()
        .expect("this program starts again");
    let out = child.stdout.take().expect("it is piped");
    (child, BufReader::new(out))
}

fn killed(number: u32, mut child: Child, out: BufReader<ChildStdout>, life: Duration) -> Run {
    let reader = std::thread::spawn(move || {
        let lines = out.lines().map_while(Result::ok);
        let told = lines.filter_map(|line| Some((Instant::now(), line.parse().ok()?)));
        told.collect::<Vec<(Instant, u32)>>()
    });
    std::thread::sleep(life);
    // SIGKILL, on Unix.
    let at = Instant::now();
    child.kill().expect("it runs");
    child.wait().expect("it was started");
    let told = reader.join().expect("lines");
    let safe = told.iter().rev().find(|(when, _)| *when + SAFE <= at);
    Run {
        number,
        made: told.last().map_or(0, |(_, end)| *end),
        safe: safe.map_or(0, |(_, end)| *end),
    }
}
