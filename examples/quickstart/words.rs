//! Words and sentences, as a search sees them.

use std::collections::BTreeSet;

pub(crate) type Words = BTreeSet<String>;

/// Words that say nothing about what a text is about.
const STOP_WORDS: &[&str] = &[
    "a", "an", "and", "are", "as", "at", "be", "by", "can", "do", "does", "for", "from", "has",
    "how", "i", "if", "in", "is", "it", "its", "my", "no", "not", "of", "on", "one", "or", "so",
    "that", "the", "their", "them", "there", "they", "this", "to", "was", "what", "when", "where",
    "which", "who", "why", "with", "you", "your",
];

/// Lower-case words, in order; a plural counts as its singular.
pub(crate) fn words(text: &str) -> impl Iterator<Item = String> + '_ {
    text.split(|c: char| !c.is_alphanumeric() && c != '_')
        .filter(|word| !word.is_empty())
        .map(|word| {
            let word = word.to_lowercase();
            match word.strip_suffix('s') {
                Some(stem) if stem.len() > 2 && !stem.ends_with('s') => stem.to_owned(),
                _ => word,
            }
        })
}

/// The words that carry meaning.
pub(crate) fn content_words(text: &str) -> Words {
    words(text)
        .filter(|word| !STOP_WORDS.contains(&word.as_str()))
        .collect()
}

/// How many of `part` are in `whole`, from 0 to 1.
#[allow(clippy::cast_precision_loss)]
pub(crate) fn share(part: &Words, whole: &Words) -> f64 {
    if part.is_empty() {
        return 0.0;
    }
    part.intersection(whole).count() as f64 / part.len() as f64
}

/// Sentences, cut at a full stop that is followed by white space.
pub(crate) fn sentences(text: &str) -> Vec<String> {
    let text = text.split_whitespace().collect::<Vec<_>>().join(" ");
    text.split_inclusive(". ")
        .map(|sentence| sentence.trim().to_owned())
        .filter(|sentence| content_words(sentence).len() > 2)
        .collect()
}
