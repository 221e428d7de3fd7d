//! A library that annotates its functions and leaves the switch to the application.
//!
//! Its `Cargo.toml` says `llmobs = { version = "…", default-features = false }`: no HTTP
//! client, no runtime, and the attributes expand to the bare functions. An application
//! that depends on it and on `llmobs` with its default features gets the spans.

use llmobs::{Annotation, tool, workflow};

/// Counts the words of each line.
#[workflow(tags(library = "wordcount"))]
pub fn count_lines(text: &str) -> Vec<usize> {
    let counts: Vec<usize> = text.lines().map(count_words).collect();
    let annotation = Annotation::new().metric("lines", counts.len());
    llmobs::annotate(None, annotation).ok();
    counts
}

/// Counts the words of one line.
#[tool]
pub fn count_words(line: &str) -> usize {
    line.split_whitespace().count()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_functions_work_without_llmobs() {
        assert_eq!(count_lines("one two\nthree"), [2, 1]);
        assert_eq!(llmobs::export_span(None), None);
    }
}
