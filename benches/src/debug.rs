//! What the capture of an argument by its `Debug` costs in a debug build, beside `format!("{:?}")`
//! of the same value.

use std::process::Command;

use serde_json::json;

use crate::child::{self, Measurer};
use crate::report::{self, Budget, Figures, Limit, Yardstick, number};
use crate::{Options, Result};

const ROUNDS: usize = 30;

/// One variant and what was measured of it, in nanoseconds a call.
struct Row {
    name: String,
    calls: u32,
    measured: Vec<f64>,
}

pub fn run(options: &Options) -> Result<()> {
    let header = report::header(&[]);
    let program = child::build("llmobs-bench-debug", &[])?;
    let mut measurer = Measurer::start("debug", &mut Command::new(program))?;
    let variants = measurer.variants.iter().cloned();
    let mut rows: Vec<Row> = variants
        .map(|(name, calls)| Row {
            name,
            calls,
            measured: Vec::new(),
        })
        .collect();
    let rounds = if options.quick { 2 } else { ROUNDS };
    for _ in 0..rounds {
        for (which, row) in rows.iter_mut().enumerate() {
            row.measured.push(measurer.alone(which, row.calls)?);
        }
    }
    let budgets = budgets(&rows)?;
    if options.json {
        let row_json = |row: &Row| {
            let Figures { minimum, median } = Figures::of(&row.measured);
            json!({ "name": row.name, "minimum": minimum, "median": median })
        };
        let result = json!({
            "header": report::header_json(&header),
            "unit": "nanoseconds of the calling thread's CPU time, a call",
            "rounds": rounds,
            "variants": rows.iter().map(row_json).collect::<Vec<_>>(),
            "budgets": budgets.iter().map(Budget::json).collect::<Vec<_>>(),
        });
        println!("{result:#}");
    } else {
        report::print_header(&header);
        println!("a debug build; CPU time of the calling thread in nanoseconds a call\n");
        let cells = rows.iter().map(|row| {
            let Figures { minimum, median } = Figures::of(&row.measured);
            vec![row.name.clone(), number(minimum), number(median)]
        });
        report::table(&["what", "minimum", "median"], &cells.collect::<Vec<_>>());
        report::budgets(&budgets);
    }
    report::verdict(&budgets, options)
}

/// The capture is what a call takes over one whose argument is skipped.
fn budgets(rows: &[Row]) -> Result<Vec<Budget>> {
    let of = |value: &str, how: &str| -> Result<Figures> {
        let name = format!("{value}: {how}");
        let row = rows.iter().find(|row| row.name == name);
        let row = row.ok_or_else(|| format!("nothing was measured of {name}"))?;
        Ok(Figures::of(&row.measured).times(1.0 / 1_000.0))
    };
    let values = rows
        .iter()
        .filter_map(|row| row.name.strip_suffix(": captured"));
    let budget = |value: &str| {
        let printed = Yardstick {
            of: "format!(\"{:?}\")",
            figures: of(value, "format!")?,
        };
        let capture = of(value, "captured")?.over(of(value, "skipped")?);
        let what = format!("debug build, captured by `Debug`: {value}");
        Ok(Budget::new(
            &what,
            "µs",
            capture,
            Limit::Times(3.0, printed),
        ))
    };
    values.map(budget).collect()
}
