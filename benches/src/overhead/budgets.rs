//! The budgets of the calling thread.

use super::{Figures, Rows};
use crate::Result;
use crate::report::Budget;
use crate::subjects::{FURTHER, ITEMS};

const STRINGS: &str = "#[llm], three strings";
const ARGUMENTS: &str = "#[workflow], three arguments";

pub(super) fn of(rows: &Rows, python: bool) -> Result<Vec<Budget>> {
    let mut budgets = Vec::new();
    while_off(rows, &mut budgets)?;
    beside_peers(rows, python, &mut budgets)?;
    enabled(rows, &mut budgets)?;
    Ok(budgets)
}

fn while_off(rows: &Rows, budgets: &mut Vec<Budget>) -> Result<()> {
    let of = |name: &str| rows.of("disabled", name);
    let without = |name: &str| rows.of("not enabled", name);
    let mut must = |what: &str, figures: Figures, limit: f64| {
        budgets.push(figures.must(what, Some(limit)));
    };
    must(
        "not enabled, over the bare function",
        without(STRINGS)?.over(without("bare")?),
        4.0,
    );
    must(
        "disabled, over the bare function",
        of(STRINGS)?.over(of("bare")?),
        4.0,
    );
    must(
        "the same, with arguments and an output to capture",
        of(ARGUMENTS)?.over(of("bare, a number returned")?),
        4.0,
    );
    let (bare, ours) = (of("bare async")?, of("async #[llm]")?);
    must(
        "disabled, an async call, over a bare one",
        ours.over(bare),
        12.0,
    );
    let bare_polls = of("bare async, 100 further polls")?.over(bare);
    let polls = of("async #[llm], 100 further polls")?.over(ours);
    must(
        "disabled, a poll, over a bare one",
        polls.over(bare_polls).each(FURTHER),
        6.0,
    );
    Ok(())
}

fn beside_peers(rows: &Rows, python: bool, budgets: &mut Vec<Budget>) -> Result<()> {
    let of = |name: &str| rows.of("llmobs", name);
    let fastrace = |name: &str| rows.of("fastrace", name);
    let theirs = fastrace("#[trace], three strings")?;
    let otel = rows.of("otel", "#[instrument], three arguments")?;
    let making = of("bare, three strings made first")?;
    // What each of ours has to be below: fastrace's with the same strings. Where ours is without
    // the making of the strings, fastrace's is without its formatting.
    let ours = [
        ("#[llm], three strings", of(STRINGS)?, theirs),
        (
            "#[llm], three strings, in a workflow",
            of("#[llm], three strings, in a workflow")?,
            theirs,
        ),
        (
            "#[llm], three strings, a longer model",
            of("#[llm], three strings, a longer model")?,
            fastrace("#[trace], three strings, a longer model")?,
        ),
        (
            "#[llm], three strings made first, over the making",
            of("#[llm], three strings made first")?.over(making),
            theirs.over(fastrace("bare, three strings formatted")?),
        ),
    ];
    let mut must = |what: String, figures: Figures, limit: f64| {
        budgets.push(figures.must(&what, Some(limit)));
    };
    for (what, ours, fastrace) in ours {
        must(format!("{what}: fastrace's"), ours, fastrace.minimum);
        must(
            format!("{what}: 1/8 of tracing-opentelemetry's"),
            ours,
            otel.minimum / 8.0,
        );
        if python {
            let ddtrace = rows.of("ddtrace", "@llm")?;
            must(
                format!("{what}: 1/1000 of ddtrace's"),
                ours,
                ddtrace.minimum / 1_000.0,
            );
        }
    }
    Ok(())
}

fn enabled(rows: &Rows, budgets: &mut Vec<Budget>) -> Result<()> {
    let of = |name: &str| rows.of("llmobs", name);
    let mut must = |what: &str, figures: Figures, limit: Option<f64>| {
        budgets.push(figures.must(what, limit));
    };
    must(
        "#[workflow], three arguments and the output",
        of(ARGUMENTS)?,
        Some(500.0),
    );
    must(
        "the same, text returned",
        of("#[workflow], three arguments, text returned")?,
        Some(500.0),
    );
    must(
        "#[llm], 10 kB of messages annotated",
        of("#[llm], 10 kB of messages")?,
        Some(2_000.0),
    );
    must("export_span(None)", of("export_span(None)")?, Some(30.0));
    must(
        "annotate(None, tag), the first of a span",
        of("#[llm] with annotate(None, tag)")?.over(of("#[llm]")?),
        Some(100.0),
    );
    must(
        "annotate(None, tag), a further one",
        of("annotate(None, tag) again")?,
        Some(100.0),
    );
    let polls = of("async #[llm], 100 further polls")?.over(of("async #[llm]")?);
    must("enabled, a further poll", polls.each(FURTHER), Some(20.0));
    let stream = |items: u32| of(&format!("#[llm(stream)] of {items}"));
    let items = stream(ITEMS)?.over(stream(0)?);
    must("enabled, an item of a stream", items.each(ITEMS), None);
    Ok(())
}

impl Figures {
    /// The difference of the minima, and of the medians.
    fn over(self, less: Self) -> Self {
        Self {
            minimum: self.minimum - less.minimum,
            median: self.median - less.median,
        }
    }

    fn each(self, count: u32) -> Self {
        Self {
            minimum: self.minimum / f64::from(count),
            median: self.median / f64::from(count),
        }
    }

    fn must(self, what: &str, limit: Option<f64>) -> Budget {
        Budget {
            what: what.to_owned(),
            unit: "ns",
            minimum: self.minimum,
            median: self.median,
            limit,
        }
    }
}
