//! `DD_LLMOBS_SAMPLING_RULES`: a JSON list of rates for tags of the root.

use serde_json::{Map, Value};

use super::ConfigWarning;
use super::check;
use crate::sampling::SamplingRule;

pub(super) const VARIABLE: &str = "DD_LLMOBS_SAMPLING_RULES";
const LIST: &str = r#"a JSON list of {"tags": {"key": "pattern"}, "sample_rate": 0 to 1}"#;

/// The rules that can be used, and what is wrong with the others.
pub(super) fn parse(text: &str) -> (Vec<SamplingRule>, Vec<ConfigWarning>) {
    if text.is_empty() {
        return (Vec::new(), Vec::new());
    }
    let warning = |value: &str, used| ConfigWarning::new(VARIABLE, value, LIST, used);
    let Ok(Value::Array(entries)) = serde_json::from_str(text) else {
        return (Vec::new(), vec![warning(text, "no rules")]);
    };
    let mut rules = Vec::new();
    let mut warnings = Vec::new();
    for entry in entries {
        match rule(&entry) {
            Some(rule) => rules.push(rule),
            None => warnings.push(warning(&entry.to_string(), "the other rules")),
        }
    }
    (rules, warnings)
}

/// A rule with a key that is none of ours is left out: without its tags, which may be what
/// the key was meant for, it would fit every trace.
fn rule(entry: &Value) -> Option<SamplingRule> {
    let known = |key: &String| key == "tags" || key == "sample_rate";
    if !entry.as_object()?.keys().all(known) {
        return None;
    }
    let rate = entry.get("sample_rate")?.as_f64()?;
    if !check::SAMPLE_RATE.accepts(rate) {
        return None;
    }
    let none = Map::new();
    let tags = match entry.get("tags") {
        None => &none,
        Some(tags) => tags.as_object()?,
    };
    let mut rule = SamplingRule::new(rate);
    for (key, pattern) in tags {
        rule = rule.tag(key, pattern.as_str().filter(|_| !key.is_empty())?);
    }
    Some(rule)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rules_are_read_and_what_is_none_is_told() {
        let (rules, warnings) = parse(
            r#"[{"tags":{"tier":"free*"},"sample_rate":0},{"sample_rate":0.5},
                {"tags":{"a":1},"sample_rate":1},{"tags":{},"sample_rate":2},7,
                {"tags":{"":"x"},"sample_rate":1},{"tag":{"tier":"x"},"sample_rate":0}]"#,
        );
        let expected = [
            SamplingRule::new(0.0).tag("tier", "free*"),
            SamplingRule::new(0.5),
        ];
        assert_eq!(rules, expected);
        let told: Vec<&str> = warnings.iter().map(|warning| &*warning.value).collect();
        let wrong = [
            r#"{"sample_rate":1,"tags":{"a":1}}"#,
            r#"{"sample_rate":2,"tags":{}}"#,
            "7",
            r#"{"sample_rate":1,"tags":{"":"x"}}"#,
            r#"{"sample_rate":0,"tag":{"tier":"x"}}"#,
        ];
        assert_eq!(told, wrong);
    }

    #[test]
    fn a_wrong_rule_from_code_is_an_error_that_shows_it() {
        let error = |rule| {
            let config = crate::Config::new().sampling_rule(SamplingRule::new(1.0));
            config
                .sampling_rule(rule)
                .settings()
                .unwrap_err()
                .to_string()
        };
        for rate in [1.5, -0.1, f64::NAN] {
            let told = error(SamplingRule::new(rate));
            assert!(
                told.contains("sampling_rule") && told.contains(&format!("{rate:?}")),
                "{told}"
            );
        }
        let told = error(SamplingRule::new(1.0).tag("", "lost"));
        assert!(
            told.contains("sampling_rule") && told.contains("lost"),
            "{told}"
        );
    }

    #[test]
    fn rules_from_code_take_the_place_of_those_of_the_variable() {
        let given = r#"[{"sample_rate":0.5}]"#;
        let vars = |name: &str| (name == VARIABLE).then(|| given.into());
        let config = crate::Config::from_vars(vars).unwrap();
        let rules = |config: &crate::Config| config.settings().unwrap().sampling_rules;
        assert_eq!(*rules(&config), [SamplingRule::new(0.5)]);
        let code = SamplingRule::new(0.25).tag("a", "b");
        assert_eq!(*rules(&config.sampling_rule(code.clone())), [code]);
    }

    #[test]
    fn what_is_no_list_gives_no_rules_and_a_warning() {
        for text in ["{}", "nonsense", r#"{"sample_rate":1}"#] {
            let (rules, warnings) = parse(text);
            assert!(rules.is_empty());
            assert_eq!(warnings[0].value, text);
        }
        assert_eq!(parse(""), (Vec::new(), Vec::new()));
    }
}
