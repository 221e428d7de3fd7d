//! The template of a `prompt!` that stands in a file.

use std::collections::BTreeSet;
use std::panic::Location;
use std::sync::atomic::{AtomicBool, Ordering};

use crate::prompt::places::{self, Part, excerpt};
use crate::report;

/// The file of one `prompt!`. The macro does not read files, so that what is in it is
/// checked at the first use.
#[derive(Debug)]
pub struct TemplateFile {
    path: &'static str,
    text: &'static str,
    /// The variables that it is given.
    variables: &'static [&'static str],
    checked: AtomicBool,
}

impl TemplateFile {
    pub const fn new(
        path: &'static str,
        text: &'static str,
        variables: &'static [&'static str],
    ) -> Self {
        Self {
            path,
            text,
            variables,
            checked: AtomicBool::new(false),
        }
    }

    /// The template. What is wrong with it is told once; it is used all the same.
    #[inline]
    #[track_caller]
    pub fn text(&self) -> &'static str {
        if !self.checked.load(Ordering::Relaxed) {
            self.check();
        }
        self.text
    }

    #[cold]
    #[inline(never)]
    #[track_caller]
    fn check(&self) {
        if self.checked.swap(true, Ordering::Relaxed) {
            return;
        }
        let flaws = flaws(self.text, self.variables);
        if !flaws.is_empty() {
            let place = Location::caller();
            report::warn(|| {
                format!(
                    "the template {} does not fit its `prompt!` at {place}: {}",
                    self.path,
                    flaws.join("; ")
                )
            });
        }
    }
}

fn flaws(template: &str, variables: &[&str]) -> Vec<String> {
    let mut flaws = Vec::new();
    let mut named = BTreeSet::new();
    for part in places::parts(template) {
        match part {
            Part::Text(_) => {}
            Part::Unclosed(text) => flaws.push(format!("`{}` is not closed", excerpt(text))),
            Part::Place { whole, name } => {
                if named.insert(name) && !variables.contains(&name) {
                    flaws.push(format!("no variable for `{}`", excerpt(whole)));
                }
            }
        }
    }
    let unused = variables.iter().filter(|name| !named.contains(**name));
    flaws.extend(unused.map(|name| format!("no place for the variable `{name}`")));
    if template.is_empty() {
        flaws.push("it is empty".to_owned());
    }
    flaws
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_that_does_not_fit_is_named() {
        assert_eq!(flaws("{{a}} {{ b }} {{a}}", &["a", "b"]), [""; 0]);
        assert_eq!(
            flaws("{{a}} {{b}} {{a}} {{b", &["c"]),
            [
                "no variable for `{{a}}`",
                "no variable for `{{b}}`",
                "`{{b` is not closed",
                "no place for the variable `c`"
            ]
        );
        assert_eq!(flaws("", &[]), ["it is empty"]);
    }
}
