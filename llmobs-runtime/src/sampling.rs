//! Sampling: which traces the backend is asked to keep. Everything is sent either way.

use std::sync::Arc;

/// Knuth's factor, by which every Datadog SDK turns a trace id into a sampling decision
/// (as in ddtrace).
const SAMPLING_FACTOR: u64 = 1_111_111_111_111_111_111;

/// A rate for the traces whose root carries some tags, for
/// [`Config::sampling_rule`](crate::Config::sampling_rule).
///
/// Rules are tried in order, and the first that fits decides; where none does,
/// [`Config::sample_rate`](crate::Config::sample_rate) is the rate. A rule fits if each of
/// its tags is among the tags of the trace's first span in this process, those that llmobs
/// sets (`env`, `service`, `ml_app`) included, when the trace is decided: at the first end
/// of one of its spans, or when its headers are first injected.
///
/// ```
/// # use llmobs_runtime as llmobs;
/// use llmobs::{Config, SamplingRule};
///
/// let config = Config::new()
///     .sampling_rule(SamplingRule::new(1.0).tag("tier", "gold"))
///     .sampling_rule(SamplingRule::new(0.0).tag("tier", "free*").tag("env", "dev?"))
///     .sample_rate(0.5);
/// ```
#[derive(Clone, Debug, PartialEq)]
#[must_use = "a rule does nothing until it is given to a configuration"]
pub struct SamplingRule {
    pub(crate) rate: f64,
    pub(crate) tags: Vec<(String, String)>,
}

impl SamplingRule {
    /// The share of the traces to keep, from 0 to 1. Anything else is an error when llmobs
    /// is enabled.
    pub fn new(sample_rate: f64) -> Self {
        Self {
            rate: sample_rate,
            tags: Vec::new(),
        }
    }

    /// A tag that the root has to carry. `*` stands for any text and `?` for one character;
    /// upper and lower case are the same.
    pub fn tag(mut self, key: impl Into<String>, pattern: impl Into<String>) -> Self {
        self.tags.push((key.into(), pattern.into()));
        self
    }

    pub(crate) fn fits<'a>(&self, tag: impl Fn(&str) -> Option<&'a str>) -> bool {
        let fits = |(key, pattern): &(String, String)| {
            tag(key).is_some_and(|value| matches(pattern, value))
        };
        self.tags.iter().all(fits)
    }
}

/// Whether a pattern with `*` and `?` is the whole of a text. Goes back to the last `*`
/// only, so that a hostile pattern takes no more than the product of the lengths.
fn matches(pattern: &str, text: &str) -> bool {
    let lower = |text: &str| text.to_lowercase().chars().collect::<Vec<char>>();
    let (pattern, text) = (lower(pattern), lower(text));
    let (mut p, mut t) = (0, 0);
    let mut star = None;
    while t < text.len() {
        match pattern.get(p) {
            Some('*') => {
                star = Some((p, t));
                p += 1;
            }
            Some(&c) if c == '?' || c == text[t] => {
                p += 1;
                t += 1;
            }
            _ => match star {
                Some((at, from)) => {
                    star = Some((at, from + 1));
                    p = at + 1;
                    t = from + 1;
                }
                None => return false,
            },
        }
    }
    pattern[p..].iter().all(|&c| c == '*')
}

/// What was decided for a trace. Either half is missing where the process that decided
/// did not say it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Sampling {
    /// The rate as it is written on the wire.
    pub(crate) rate: Option<Arc<str>>,
    pub(crate) keep: Option<bool>,
}

impl Sampling {
    /// The decision for the trace whose APM id ends in `low`; `text` is the rate as it goes
    /// on the wire.
    pub(crate) fn decide(low: u64, rate: f64, text: Arc<str>) -> Self {
        Self {
            keep: Some(keep(low, rate)),
            rate: Some(text),
        }
    }

    pub(crate) fn decision(&self) -> Option<&'static str> {
        self.keep.map(|keep| if keep { "1" } else { "0" })
    }
}

/// Whether the backend should keep the trace. The event is sent either way (golden 33).
#[allow(
    clippy::cast_possible_truncation,
    clippy::cast_precision_loss,
    clippy::cast_sign_loss,
    reason = "the rate lies between 0 and 1, and the reference computes in floats"
)]
fn keep(low: u64, rate: f64) -> bool {
    let threshold = (rate * u64::MAX as f64) as u64;
    low.wrapping_mul(SAMPLING_FACTOR) <= threshold && rate > 0.0
}

/// A rate as it goes on the wire: at most six decimals, no zeros at the end, and no sign,
/// which `-0.0` has.
pub(crate) fn rate_text(rate: f64) -> String {
    let text = format!("{:.6}", rate.abs());
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sampling_keeps_everything_at_one_and_nothing_at_zero() {
        for _ in 0..1_000 {
            let low = crate::id::random();
            assert!(keep(low, 1.0));
            assert!(!keep(low, 0.0));
        }
    }

    #[test]
    fn sampling_marks_about_its_rate() {
        let kept = (0..10_000)
            .filter(|_| keep(crate::id::random(), 0.2))
            .count();
        assert!((1_700..2_300).contains(&kept), "{kept} of 10000 at 0.2");
    }

    #[test]
    fn a_rate_of_minus_zero_is_written_as_zero() {
        let rates = [-0.0, 0.0, 1.0, 0.25, 0.123_456_7].map(rate_text);
        assert_eq!(rates, ["0", "0", "1", "0.25", "0.123457"]);
    }

    #[test]
    fn a_pattern_is_the_whole_text_in_any_case() {
        for (pattern, text) in [
            ("free*", "FREE-1"),
            ("free*", "free"),
            ("*", ""),
            ("*a*b*", "xxaxxbxx"),
            ("d?v", "dÉv"),
            ("**", "x"),
        ] {
            assert!(matches(pattern, text), "{pattern} {text}");
        }
        for (pattern, text) in [
            ("free", "free-1"),
            ("?", ""),
            ("a*b", "a-c"),
            ("", "x"),
            ("*a?", "a"),
        ] {
            assert!(!matches(pattern, text), "{pattern} {text}");
        }
        assert!(!matches(&"*a".repeat(50), &"b".repeat(10_000)));
    }

    #[test]
    fn a_rule_wants_all_of_its_tags() {
        let rule = SamplingRule::new(0.5).tag("env", "prod*").tag("team", "?");
        let root = |key: &str| match key {
            "env" => Some("Production"),
            "team" => Some("a"),
            _ => None,
        };
        assert!(rule.fits(root));
        assert!(!rule.clone().tag("nope", "*").fits(root));
        assert!(SamplingRule::new(1.0).fits(root), "no tags fit everything");
    }
}
