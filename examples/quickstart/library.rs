//! The Markdown files of a folder, cut into passages and ranked by BM25.

use std::collections::HashMap;
use std::fs;
use std::io;
use std::path::Path;

use crate::words::{content_words, words};

/// How much the frequency of a word in one passage counts, and the passage's length.
const K1: f64 = 1.2;
const B: f64 = 0.75;

/// A paragraph or a list, with the heading that it stands under.
pub(crate) struct Passage {
    pub(crate) file: String,
    pub(crate) line: usize,
    pub(crate) text: String,
    counts: HashMap<String, usize>,
}

pub(crate) struct Library {
    passages: Vec<Passage>,
    /// In how many passages a word stands.
    spread: HashMap<String, usize>,
    average_length: f64,
}

impl Library {
    /// Reads every `.md` file below `root`, save for hidden folders and build output.
    #[allow(clippy::cast_precision_loss)]
    pub(crate) fn read(root: &Path) -> io::Result<Self> {
        let mut passages = Vec::new();
        let mut folders = vec![root.to_path_buf()];
        while let Some(folder) = folders.pop() {
            for entry in fs::read_dir(&folder).map_err(at(&folder))? {
                let path = entry.map_err(at(&folder))?.path();
                let name = path.file_name().unwrap_or_default().to_string_lossy();
                if path.is_dir() && !name.starts_with('.') && name != "target" {
                    folders.push(path);
                } else if path.extension().is_some_and(|extension| extension == "md") {
                    let file = path.strip_prefix(root).unwrap_or(&path).to_string_lossy();
                    let text = fs::read_to_string(&path).map_err(at(&path))?;
                    cut(&file, &text, &mut passages);
                }
            }
        }
        let mut spread = HashMap::new();
        for word in passages
            .iter()
            .flat_map(|passage: &Passage| passage.counts.keys())
        {
            *spread.entry(word.clone()).or_insert(0) += 1;
        }
        let total: usize = passages.iter().map(Passage::length).sum();
        Ok(Self {
            average_length: total as f64 / passages.len().max(1) as f64,
            passages,
            spread,
        })
    }

    pub(crate) fn len(&self) -> usize {
        self.passages.len()
    }

    /// The `most` passages that fit a question best, with their scores.
    pub(crate) fn rank(&self, question: &str, most: usize) -> Vec<(f64, &Passage)> {
        let query = content_words(question);
        let mut ranked: Vec<_> = self
            .passages
            .iter()
            .map(|passage| {
                let scores = query.iter().map(|word| self.score(word, passage));
                (scores.sum::<f64>(), passage)
            })
            .filter(|(score, _)| *score > 0.0)
            .collect();
        ranked.sort_by(|a, b| b.0.total_cmp(&a.0));
        ranked.truncate(most);
        ranked
    }

    #[allow(clippy::cast_precision_loss)]
    fn score(&self, word: &str, passage: &Passage) -> f64 {
        let Some(&count) = passage.counts.get(word) else {
            return 0.0;
        };
        let count = count as f64;
        let spread = self.spread.get(word).copied().unwrap_or_default() as f64;
        let rarity = (1.0 + (self.passages.len() as f64 - spread + 0.5) / (spread + 0.5)).ln();
        let length = passage.length() as f64 / self.average_length;
        rarity * count * (K1 + 1.0) / (count + K1 * (1.0 - B + B * length))
    }
}

impl Passage {
    /// A passage, if there is enough in it to be worth finding.
    fn new(file: &str, line: usize, heading: &str, paragraph: &str) -> Option<Self> {
        let text = paragraph.trim().replace("**", "");
        if content_words(&text).len() < 5 {
            return None;
        }
        let mut counts = HashMap::new();
        for word in words(heading).chain(words(&text)) {
            *counts.entry(word).or_insert(0) += 1;
        }
        let file = file.to_owned();
        Some(Self {
            file,
            line,
            text,
            counts,
        })
    }

    fn length(&self) -> usize {
        self.counts.values().sum()
    }
}

/// Puts the path into an error, which does not name it by itself.
fn at(path: &Path) -> impl FnOnce(io::Error) -> io::Error {
    move |error| io::Error::new(error.kind(), format!("{}: {error}", path.display()))
}

/// Cuts a file at its empty lines and list items; code and tables are left out.
fn cut(file: &str, text: &str, passages: &mut Vec<Passage>) {
    let mut heading = String::new();
    let mut paragraph = String::new();
    let mut first_line = 1;
    let mut in_code = false;
    for (index, line) in text.lines().chain([""]).enumerate() {
        let trimmed = line.trim();
        if trimmed.starts_with("```") {
            in_code = !in_code;
        }
        let is_prose = !in_code
            && !line.starts_with("    ")
            && !["|", "#", "```"]
                .iter()
                .any(|mark| trimmed.starts_with(mark));
        let item = ["* ", "- ", "1. ", "2. ", "3. ", "4. ", "5. ", "6. "];
        let item = item.iter().find_map(|mark| trimmed.strip_prefix(mark));
        if !is_prose || trimmed.is_empty() || item.is_some() {
            passages.extend(Passage::new(file, first_line, &heading, &paragraph));
            paragraph.clear();
            first_line = index + if item.is_some() { 1 } else { 2 };
        }
        if is_prose {
            paragraph.extend([item.unwrap_or(trimmed), "\n"]);
        } else if trimmed.starts_with('#') {
            trimmed
                .trim_start_matches('#')
                .trim()
                .clone_into(&mut heading);
        }
    }
}
