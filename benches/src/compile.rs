//! How long annotated functions take to compile: the same 500, bare and annotated, each in a
//! crate of its own whose dependencies are built before, in turns.

use std::fmt::Write as _;
use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Instant;

use serde_json::json;

use crate::clock::children_cpu;
use crate::report::{self, Budget, Figures, Limit, Yardstick};
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
            let (cpu, wall) = (Figures::of(&row.cpu), Figures::of(&row.wall));
            json!({
                "crate": row.name, "how": row.how,
                "cpu_seconds": { "median": cpu.median, "minimum": cpu.minimum },
                "wall_seconds": { "median": wall.median, "minimum": wall.minimum },
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
            let (cpu, wall) = (Figures::of(&row.cpu), Figures::of(&row.wall));
            cells.push(format!("{:.2} ({:.2})", cpu.minimum, cpu.median));
            cells.push(format!("{:.2}", wall.minimum));
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

/// Milliseconds for each function, beside what `#[instrument]` takes in the same run.
fn budgets(rows: &[Row], functions: u32) -> Result<Vec<Budget>> {
    let of = |name: &str, how: &str| -> Result<Figures> {
        let find = |name: &str| {
            let row = rows.iter().find(|row| row.name == name && row.how == how);
            Ok::<_, &str>(Figures::of(&row.ok_or("a crate without a row")?.cpu))
        };
        let functions = find(name)?.over(find("empty")?).each(functions);
        Ok(functions.times(1_000.0))
    };
    let instrument = Yardstick {
        of: "#[instrument]",
        figures: of("instrument", "check")?,
    };
    let does_the_same = Yardstick {
        of: "#[instrument(err, ret)]",
        figures: of("instrument-err-ret", "build")?,
    };
    let mut budgets = Vec::new();
    for (how, yardstick) in HOW.into_iter().zip([&instrument, &does_the_same]) {
        budgets.push(Budget::new(
            &format!("{how}: a bare function"),
            "ms",
            of("bare", how)?,
            Limit::Beside(yardstick.clone()),
        ));
    }
    for name in ["llm", "workflow"] {
        budgets.push(Budget::new(
            &format!("check: #[{name}]"),
            "ms",
            of(name, "check")?,
            Limit::Times(1.0, instrument.clone()),
        ));
        budgets.push(Budget::new(
            &format!("build: #[{name}]"),
            "ms",
            of(name, "build")?,
            Limit::Times(2.0 / 3.0, does_the_same.clone()),
        ));
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
