//! How long annotated functions take to compile: the same 500, bare and annotated, each in a
//! crate of its own whose dependencies are built before, in turns.

use std::fmt::Write as _;
use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Instant;

use serde_json::json;

use crate::clock::children_cpu;
use crate::report::{self, Budget, median_and_minimum};
use crate::{Options, Result};

const FUNCTIONS: u32 = 500;
const RUNS: usize = 5;

/// A crate, and what stands over each of its functions. `empty` has none: what cargo and rustc
/// take for any crate is no function's.
const CRATES: [(&str, &str); 7] = [
    ("empty", ""),
    ("bare", ""),
    ("llm", "#[llmobs::llm(name = \"call\", model_name = model)]"),
    ("workflow", "#[llmobs::workflow]"),
    ("instrument-skip-all", "#[tracing::instrument(skip_all)]"),
    ("instrument", "#[tracing::instrument]"),
    ("instrument-err-ret", "#[tracing::instrument(err, ret)]"),
];
const HOW: [&str; 2] = ["check", "build"];

/// One crate, compiled in one way.
struct Row {
    name: &'static str,
    how: &'static str,
    cpu: Vec<f64>,
    wall: Vec<f64>,
}

pub fn run(options: &Options) -> Result<()> {
    let header = report::header(&[]);
    let (functions, runs) = if options.quick {
        (10, 1)
    } else {
        (FUNCTIONS, RUNS)
    };
    // Beside what this program was built to, so that the dependencies stay for the next time.
    let program = std::env::current_exe()?;
    let target = program.ancestors().nth(2).ok_or("no target folder")?;
    let folder = target.join("compile");
    generate(&folder, functions)?;
    for how in HOW {
        cargo(&folder, how, &["--workspace"])?;
    }
    let mut rows: Vec<Row> = Vec::new();
    for (name, _) in CRATES {
        rows.extend(HOW.map(|how| Row {
            name,
            how,
            cpu: Vec::new(),
            wall: Vec::new(),
        }));
    }
    for _ in 0..runs {
        for row in &mut rows {
            let source = folder.join(row.name).join("src/lib.rs");
            // Cargo compiles what is newer than what it made of it.
            fs::write(&source, fs::read(&source)?)?;
            let (cpu, start) = (children_cpu(), Instant::now());
            cargo(&folder, row.how, &["--package", row.name])?;
            row.wall.push(start.elapsed().as_secs_f64());
            row.cpu.push(children_cpu() - cpu);
        }
    }
    let budgets = budgets(&rows, functions)?;
    if options.json {
        let row_json = |row: &Row| {
            let (median, minimum) = median_and_minimum(&row.cpu);
            let (wall, least_wall) = median_and_minimum(&row.wall);
            json!({
                "crate": row.name, "how": row.how,
                "cpu_seconds": { "median": median, "minimum": minimum },
                "wall_seconds": { "median": wall, "minimum": least_wall },
            })
        };
        let result = json!({
            "header": report::header_json(&header),
            "functions": functions, "runs": runs,
            "crates": rows.iter().map(row_json).collect::<Vec<_>>(),
            "budgets": budgets.iter().map(Budget::json).collect::<Vec<_>>(),
        });
        println!("{result:#}");
        return report::verdict(&budgets, options);
    }
    report::print_header(&header);
    println!(
        "{functions} functions, half of them async, three arguments, a Result; the crate alone, not incremental;"
    );
    println!(
        "cargo's and rustc's CPU time in seconds, minimum (median), and the least wall time; {runs} runs in turns\n"
    );
    let cells = CRATES.iter().map(|(name, attribute)| {
        let over = if attribute.is_empty() {
            name
        } else {
            attribute
        };
        let mut cells = vec![format!("`{over}`")];
        for row in rows.iter().filter(|row| row.name == *name) {
            let (median, minimum) = median_and_minimum(&row.cpu);
            let (_, wall) = median_and_minimum(&row.wall);
            cells.push(format!("{minimum:.2} ({median:.2})"));
            cells.push(format!("{wall:.2}"));
        }
        cells
    });
    report::table(
        &["", "check", "wall", "debug build", "wall"],
        &cells.collect::<Vec<_>>(),
    );
    report::budgets(&budgets);
    report::verdict(&budgets, options)
}

/// Milliseconds for each function.
fn budgets(rows: &[Row], functions: u32) -> Result<Vec<Budget>> {
    let of = |name: &str, how: &str| -> Result<(f64, f64)> {
        let find = |name: &str| {
            let row = rows.iter().find(|row| row.name == name && row.how == how);
            Ok::<_, &str>(median_and_minimum(&row.ok_or("a crate without a row")?.cpu))
        };
        let ((median, minimum), empty) = (find(name)?, find("empty")?);
        let each = |seconds: f64| seconds * 1_000.0 / f64::from(functions);
        Ok((each(median - empty.0), each(minimum - empty.1)))
    };
    let mut budgets = Vec::new();
    let mut must = |what: String, (median, minimum): (f64, f64), limit: Option<f64>| {
        budgets.push(Budget {
            what,
            unit: "ms",
            minimum,
            median,
            limit,
        });
    };
    for how in HOW {
        must(format!("{how}: a bare function"), of("bare", how)?, None);
    }
    let instrument = of("instrument", "check")?.1;
    let does_the_same = of("instrument-err-ret", "build")?.1;
    for name in ["llm", "workflow"] {
        must(
            format!("check: #[{name}], must be #[instrument]'s"),
            of(name, "check")?,
            Some(instrument),
        );
        must(
            format!("build: #[{name}], must be 2/3 of #[instrument(err, ret)]'s"),
            of(name, "build")?,
            Some(does_the_same / 1.5),
        );
    }
    Ok(budgets)
}

fn generate(folder: &Path, functions: u32) -> Result<()> {
    let members: Vec<&str> = CRATES.iter().map(|(name, _)| *name).collect();
    let llmobs = concat!(env!("CARGO_MANIFEST_DIR"), "/..");
    let manifest = format!(
        "[workspace]\nresolver = \"3\"\nmembers = {members:?}\n\
         [workspace.dependencies]\nllmobs = {{ path = {llmobs:?} }}\ntracing = \"0.1\"\n"
    );
    fs::create_dir_all(folder)?;
    fs::write(folder.join("Cargo.toml"), manifest)?;
    // The versions that are measured elsewhere here; cargo takes out what is not needed.
    let lock = concat!(env!("CARGO_MANIFEST_DIR"), "/Cargo.lock");
    fs::copy(lock, folder.join("Cargo.lock"))?;
    for (name, attribute) in CRATES {
        let package = folder.join(name);
        fs::create_dir_all(package.join("src"))?;
        let manifest = format!(
            "[package]\nname = \"{name}\"\nversion = \"0.0.0\"\nedition = \"2024\"\n\
             [dependencies]\nllmobs.workspace = true\ntracing.workspace = true\n"
        );
        fs::write(package.join("Cargo.toml"), manifest)?;
        let mut source = String::new();
        let functions = if name == "empty" { 0 } else { functions };
        for number in 0..functions {
            let asynchronous = if number % 2 == 0 { "" } else { "async " };
            write!(
                source,
                "{attribute}
pub {asynchronous}fn call_{number}(model: &str, question: String, retries: u32) -> Result<String, std::io::Error> {{
    let mut answer = format!(\"{{model}} {{question}} {number}\");
    for _ in 0..retries {{ answer.push('.'); }}
    if answer.len() > 4_096 {{ return Err(std::io::Error::other(\"too long\")); }}
    let length = answer.len();
    Ok(format!(\"{{answer}} {{length}}\"))
}}
"
            )?;
        }
        fs::write(package.join("src/lib.rs"), source)?;
    }
    Ok(())
}

fn cargo(folder: &Path, how: &str, which: &[&str]) -> Result<()> {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let status = Command::new(cargo)
        .arg(how)
        .args(["--quiet", "--offline"])
        .args(which)
        .current_dir(folder)
        .env("CARGO_TARGET_DIR", folder.join("target"))
        .env("CARGO_INCREMENTAL", "0")
        .env_remove("RUSTFLAGS")
        .stdout(Stdio::null())
        .status()?;
    if status.success() {
        Ok(())
    } else {
        Err(format!("cargo {how} {which:?}: {status}").into())
    }
}
