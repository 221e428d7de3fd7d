//! The budgets of the calling thread: multiples of what fastrace's span with three strings takes
//! in the same run, or of what another peer takes that is named.
//!
//! docs/benchmarks.md tells why fastrace's is a fair scale. It is 161 ns there: 3.1 times is 500 ns,
//! 0.62 times 100 ns, 0.12 times 20 ns, 0.025 times 4 ns.

use super::Rows;
use crate::Result;
use crate::report::{Budget, Figures, Limit, Yardstick};
use crate::subjects::{FURTHER, ITEMS};

const STRINGS: &str = "#[llm], three strings";
const ARGUMENTS: &str = "#[workflow], three arguments";

pub(super) fn of(rows: &Rows, python: bool) -> Result<Vec<Budget>> {
    let fastrace = Yardstick {
        of: "fastrace's",
        figures: rows.of("fastrace", "#[trace], three strings")?,
    };
    let kernel = Yardstick {
        of: "the kernel's",
        figures: rows.of("kernel", "two readings, three strings, a record")?,
    };
    let mut budgets = vec![Budget::new(
        "the yardstick: fastrace's span with three strings",
        "ns",
        fastrace.figures,
        Limit::Beside(kernel),
    )];
    while_off(rows, &fastrace, &mut budgets)?;
    beside_peers(rows, &fastrace, python, &mut budgets)?;
    enabled(rows, &fastrace, &mut budgets)?;
    Ok(budgets)
}

fn while_off(rows: &Rows, fastrace: &Yardstick, budgets: &mut Vec<Budget>) -> Result<()> {
    let of = |name: &str| rows.of("disabled", name);
    let without = |name: &str| rows.of("not enabled", name);
    let mut must = |what: &str, figures: Figures, most: f64| {
        let limit = Limit::Times(most, fastrace.clone());
        budgets.push(Budget::new(what, "ns", figures, limit));
    };
    must(
        "not enabled, over the bare function",
        without(STRINGS)?.over(without("bare")?),
        0.025,
    );
    must(
        "disabled, over the bare function",
        of(STRINGS)?.over(of("bare")?),
        0.025,
    );
    must(
        "the same, with arguments and an output to capture",
        of(ARGUMENTS)?.over(of("bare, a number returned")?),
        0.025,
    );
    let (bare, ours) = (of("bare async")?, of("async #[llm]")?);
    must(
        "disabled, an async call, over a bare one",
        ours.over(bare),
        0.075,
    );
    let bare_polls = of("bare async, 100 further polls")?.over(bare);
    let polls = of("async #[llm], 100 further polls")?.over(ours);
    must(
        "disabled, a poll, over a bare one",
        polls.over(bare_polls).each(FURTHER),
        0.037,
    );
    Ok(())
}

fn beside_peers(
    rows: &Rows,
    theirs: &Yardstick,
    python: bool,
    budgets: &mut Vec<Budget>,
) -> Result<()> {
    let of = |name: &str| rows.of("llmobs", name);
    let fastrace = |figures| Yardstick {
        of: "fastrace's",
        figures,
    };
    let otel = Yardstick {
        of: "tracing-opentelemetry's",
        figures: rows.of("otel", "#[instrument], three arguments")?,
    };
    let made_first = of("#[llm], three strings made first")?;
    let making = of("bare, three strings made first")?;
    let formatting = rows.of("fastrace", "bare, three strings formatted")?;
    let longer = rows.of("fastrace", "#[trace], three strings, a longer model")?;
    // Each of ours beside fastrace's with the same strings. OpenTelemetry's and ddtrace's spans make
    // no strings first: there, ours is without the making.
    let ours = [
        (STRINGS, of(STRINGS)?, theirs.clone()),
        (
            "#[llm], three strings, in a workflow",
            of("#[llm], three strings, in a workflow")?,
            theirs.clone(),
        ),
        (
            "#[llm], three strings, a longer model",
            of("#[llm], three strings, a longer model")?,
            fastrace(longer),
        ),
        (
            "#[llm], three strings made first, over the making",
            made_first.over(making),
            fastrace(theirs.figures.over(formatting)),
        ),
    ];
    let ddtrace = if python {
        Some(Yardstick {
            of: "ddtrace's",
            figures: rows.of("ddtrace", "@llm")?,
        })
    } else {
        None
    };
    for (what, ours, fastrace) in ours {
        let mut add = |limit: Limit| budgets.push(Budget::new(what, "ns", ours, limit));
        add(if what.ends_with(", over the making") {
            // What is taken off fastrace's is more than the making: the freeing of its strings is in
            // it, which another thread does.
            Limit::Beside(fastrace)
        } else {
            Limit::Times(1.0, fastrace)
        });
        add(Limit::Times(1.0 / 8.0, otel.clone()));
        if let Some(ddtrace) = &ddtrace {
            add(Limit::Times(1.0 / 1_000.0, ddtrace.clone()));
        }
    }
    budgets.push(Budget::new(
        "#[llm], three strings made first",
        "ns",
        made_first,
        Limit::Times(1.0, theirs.clone()),
    ));
    Ok(())
}

fn enabled(rows: &Rows, fastrace: &Yardstick, budgets: &mut Vec<Budget>) -> Result<()> {
    let of = |name: &str| rows.of("llmobs", name);
    let annotated = |name: &str| rows.of("annotated", name);
    let mut add = |what: &str, figures: Figures, limit: Limit| {
        budgets.push(Budget::new(what, "ns", figures, limit));
    };
    let most = |most: f64| Limit::Times(most, fastrace.clone());
    add(
        "#[workflow], three arguments and the output",
        of(ARGUMENTS)?,
        most(3.1),
    );
    add(
        "the same, text returned",
        of("#[workflow], three arguments, text returned")?,
        most(3.1),
    );
    add(
        "#[llm], 10 kB of messages annotated",
        rows.of("large", "#[llm], 10 kB of messages")?,
        most(12.4),
    );
    add("export_span(None)", of("export_span(None)")?, most(0.19));
    add(
        "annotate(None, tag), the first of a span",
        annotated("#[llm] with annotate(None, tag)")?.over(annotated("#[llm]")?),
        most(0.62),
    );
    add(
        "annotate(None, tag), a further one",
        annotated("annotate(None, tag) again")?,
        most(0.62),
    );
    let polls = of("async #[llm], 100 further polls")?.over(of("async #[llm]")?);
    add("enabled, a further poll", polls.each(FURTHER), most(0.12));
    let stream = |items: u32| of(&format!("#[llm(stream)] of {items}"));
    let items = stream(ITEMS)?.over(stream(0)?);
    add(
        "enabled, an item of a stream",
        items.each(ITEMS),
        Limit::Beside(fastrace.clone()),
    );
    Ok(())
}
