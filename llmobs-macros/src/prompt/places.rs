//! Where a template has places for variables.
//!
//! `prompt!` reads a template when the program is compiled, and `Prompt` when it runs, by
//! the same rules: this file stands in llmobs-macros and in llmobs-runtime, which cannot
//! depend on each other, and a test holds the two alike.

use std::borrow::Cow;

/// A part of a template; all of them, one behind the other, are the template.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Part<'a> {
    /// Text that stays, as does what is not closed.
    Text(&'a str),
    /// `{{ name }}`, and the name alone.
    Place { whole: &'a str, name: &'a str },
    /// `{{` without `}}` before the next `{{` or the end.
    Unclosed(&'a str),
}

/// The parts of a template, from left to right.
pub(crate) fn parts(template: &str) -> Parts<'_> {
    Parts(template)
}

pub(crate) struct Parts<'a>(&'a str);

impl<'a> Parts<'a> {
    fn take(&mut self, length: usize) -> &'a str {
        let (part, rest) = self.0.split_at(length);
        self.0 = rest;
        part
    }
}

impl<'a> Iterator for Parts<'a> {
    type Item = Part<'a>;

    fn next(&mut self) -> Option<Part<'a>> {
        let text = self.0;
        if text.is_empty() {
            return None;
        }
        let open = text.find("{{").unwrap_or(text.len());
        if open > 0 {
            return Some(Part::Text(self.take(open)));
        }
        let Some(close) = text.find("}}") else {
            return Some(Part::Unclosed(self.take(text.len())));
        };
        // Of many braces the last two open: `{{{name}}}` is a place in braces.
        match text[..close].rfind("{{") {
            Some(1) => Some(Part::Text(self.take(1))),
            Some(open) if open > 1 => Some(Part::Unclosed(self.take(open))),
            _ => Some(Part::Place {
                whole: self.take(close + 2),
                name: text[2..close].trim(),
            }),
        }
    }
}

/// The beginning of `text` for a message, on one line.
pub(crate) fn excerpt(text: &str) -> Cow<'_, str> {
    let line = text.lines().next().unwrap_or_default();
    let end = line.char_indices().nth(40).map(|(end, _)| end);
    match end {
        Some(end) => Cow::Owned(format!("{}…", &line[..end])),
        None if line.len() < text.len() => Cow::Owned(format!("{line}…")),
        None => Cow::Borrowed(line),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn place<'a>(whole: &'a str, name: &'a str) -> Part<'a> {
        Part::Place { whole, name }
    }

    #[test]
    fn the_parts_of_a_template() {
        use Part::{Text, Unclosed};
        for (template, expected) in [
            ("", vec![]),
            ("a { b } }} {c}", vec![Text("a { b } }} {c}")]),
            (
                "a{{b}}{{ c.d }}e",
                vec![
                    Text("a"),
                    place("{{b}}", "b"),
                    place("{{ c.d }}", "c.d"),
                    Text("e"),
                ],
            ),
            ("{{{a}}}", vec![Text("{"), place("{{a}}", "a"), Text("}")]),
            (
                "{{{{a}}}}",
                vec![Unclosed("{{"), place("{{a}}", "a"), Text("}}")],
            ),
            ("{{a {{b}}", vec![Unclosed("{{a "), place("{{b}}", "b")]),
            (
                "é{{ é }}{{",
                vec![Text("é"), place("{{ é }}", "é"), Unclosed("{{")],
            ),
            ("{{}}", vec![place("{{}}", "")]),
            ("{{ a }", vec![Unclosed("{{ a }")]),
        ] {
            assert_eq!(parts(template).collect::<Vec<_>>(), expected, "{template}");
        }
    }

    #[test]
    fn an_excerpt_is_short_and_on_one_line() {
        assert_eq!(excerpt("{{a"), "{{a");
        assert_eq!(excerpt("{{a\nb"), "{{a…");
        assert_eq!(excerpt(&"é".repeat(41)), "é".repeat(40) + "…");
    }
}
