//! Each of llmobs's rows beside a peer's that does the like, whoever is ahead.

use serde_json::{Value, json};

use super::{Rows, THREADS};
use crate::Result;
use crate::report::{self, Figures, multiple, number};

const LLM: &str = "#[llm], three strings";
const TRACE: &str = "#[trace], three strings";
const INSTRUMENT: &str = "#[instrument], three arguments";

/// A group and a variant of it.
type Which = (&'static str, &'static str);

/// Ours, and theirs.
const PAIRS: [(Which, Which); 14] = [
    (("llmobs", "#[llm]"), ("fastrace", "#[trace]")),
    (
        ("llmobs", "#[llm], in a workflow"),
        ("fastrace", "#[trace]"),
    ),
    (("llmobs", LLM), ("fastrace", TRACE)),
    (
        ("llmobs", LLM),
        ("fastrace", "a root and #[trace], three strings"),
    ),
    (("llmobs", LLM), ("registry", INSTRUMENT)),
    (("llmobs", LLM), ("otel", INSTRUMENT)),
    (("llmobs", LLM), ("logfire", "span!, three strings")),
    (
        ("llmobs", "#[workflow], three arguments"),
        ("otel", INSTRUMENT),
    ),
    (("seen", LLM), ("registry", INSTRUMENT)),
    (("seen", LLM), ("otel", INSTRUMENT)),
    (("llmobs", "async #[llm]"), ("fastrace", "async #[trace]")),
    (
        ("llmobs", "async #[llm]"),
        ("registry", "async #[instrument]"),
    ),
    (
        ("llmobs", "async #[llm], 100 further polls"),
        ("fastrace", "async #[trace], 100 further polls"),
    ),
    (
        ("llmobs", "async #[llm], 100 further polls"),
        ("registry", "async #[instrument], 100 further polls"),
    ),
];

/// On several threads at once.
const CONTENDING: [(Which, Which); 2] = [
    (("llmobs, contending", LLM), ("fastrace, contending", TRACE)),
    (
        ("llmobs, contending", LLM),
        ("otel, contending", INSTRUMENT),
    ),
];

/// One of ours beside one of theirs.
pub(super) struct Pair {
    ours: String,
    theirs: String,
    figures: [Figures; 2],
}

pub(super) fn of(rows: &Rows) -> Result<Vec<Pair>> {
    let pair = |(ours, theirs): (Which, Which), threads: u32| -> Result<Pair> {
        let name = |(group, name): Which| match threads {
            1 => format!("{group}: {name}"),
            _ => format!(
                "{}: {name}, {threads} threads",
                group.replace(", contending", "")
            ),
        };
        let figures = |(group, name)| rows.on_threads(group, name, threads);
        Ok(Pair {
            ours: name(ours),
            theirs: name(theirs),
            figures: [figures(ours)?, figures(theirs)?],
        })
    };
    let alone = PAIRS.into_iter().map(|both| pair(both, 1));
    let several = THREADS.into_iter().filter(|&threads| threads > 1);
    let contending = several.flat_map(|threads| CONTENDING.map(|both| pair(both, threads)));
    alone.chain(contending).collect()
}

pub(super) fn print(pairs: &[Pair]) {
    println!("beside the peers, minimum (median); over 1 × the peer is ahead\n");
    let rows: Vec<_> = pairs.iter().map(Pair::cells).collect();
    report::table(&["llmobs", "peer", "ours", "theirs", "×", ""], &rows);
}

impl Pair {
    /// Ours as a multiple of theirs.
    fn multiple(&self) -> Figures {
        let [ours, theirs] = self.figures;
        ours.multiple_of(theirs)
    }

    fn is_behind(&self) -> bool {
        self.multiple().minimum > 1.0
    }

    fn cells(&self) -> Vec<String> {
        let [ours, theirs] = self.figures;
        let times = self.multiple();
        let ahead = if self.is_behind() {
            "the peer is ahead"
        } else {
            ""
        };
        vec![
            self.ours.clone(),
            self.theirs.clone(),
            number(ours.minimum),
            number(theirs.minimum),
            format!("{} ({})", multiple(times.minimum), multiple(times.median)),
            ahead.to_owned(),
        ]
    }

    pub(super) fn json(&self) -> Value {
        let [ours, theirs] = self.figures;
        let times = self.multiple();
        json!({
            "llmobs": self.ours, "peer": self.theirs,
            "ours": { "minimum": ours.minimum, "median": ours.median },
            "theirs": { "minimum": theirs.minimum, "median": theirs.median },
            "multiple": { "minimum": times.minimum, "median": times.median },
            "peer_ahead": self.is_behind(),
        })
    }
}
