//! Random texts of `Debug`, derived and not.

use std::collections::BTreeMap;

use super::*;
use crate::capture::printed;

/// Any bytes: the reading ends, and what has no structure hides its end.
#[test]
fn any_text_is_followed_or_given_up() {
    const PARTS: [&str; 26] = [
        "password",
        "token",
        "secret",
        "a",
        "api_key",
        "cookie_count",
        ": ",
        "=",
        "::",
        ", ",
        ",",
        "(",
        ")",
        "[",
        "]",
        "{",
        "}",
        "\"",
        "'",
        "\\",
        " ",
        "\n",
        "ü",
        "7",
        "..",
        "Some",
    ];
    let mut random = fastrand::Rng::with_seed(7);
    for _ in 0..100_000 {
        let parts = random.usize(..24);
        let mut text: String = (0..parts).map(|_| PARTS[random.usize(..26)]).collect();
        for is_cut in [true, false] {
            let hidden = printed::redact(text.clone(), is_cut);
            assert!(hidden.len() <= text.len() + parts * REDACTED.len());
        }
        text.insert_str(0, "password: ");
        text.push('Q');
        if !text.contains([',', '(', ')', '[', ']', '{', '}', '"', '\'']) {
            assert!(
                !printed::redact(text.clone(), false).contains('Q'),
                "{text}"
            );
        }
    }
}

// What is printed is read by nobody else.
#[allow(dead_code)]
#[derive(Debug)]
enum Tree {
    Leaf(String),
    Unit,
    Number(f64),
    Character(char),
    List(Vec<Tree>),
    Pair(Box<Tree>, Option<Box<Tree>>),
    Map(Vec<()>, BTreeMap<String, Tree>),
    Struct {
        name: Box<Tree>,
        password: Box<Tree>,
        after: Box<Tree>,
    },
    Bearer(Box<Tree>),
}

/// Makes trees whose texts have a mark: `Q` if they are secrets, else `Z`.
struct Trees {
    random: fastrand::Rng,
    /// Texts that are no secrets.
    seen: usize,
}

impl Trees {
    fn text(&mut self, is_secret: bool) -> String {
        const CHARACTERS: [char; 16] = [
            '"', '\'', '\\', ' ', ',', ':', '=', '(', ')', '[', ']', '{', '}', '\n', 'ü', 'x',
        ];
        self.seen += usize::from(!is_secret);
        let length = self.random.usize(..8);
        let mut text: String = (0..length)
            .map(|_| CHARACTERS[self.random.usize(..16)])
            .collect();
        text.push(if is_secret { 'Q' } else { 'Z' });
        text
    }

    fn character(&mut self) -> char {
        *self
            .random
            .choice(&['"', '\'', '\\', ',', '{', 'ü'])
            .unwrap()
    }

    fn boxed(&mut self, depth: usize, is_secret: bool) -> Box<Tree> {
        Box::new(self.tree(depth, is_secret))
    }

    fn map(&mut self, depth: usize, is_secret: bool) -> BTreeMap<String, Tree> {
        [
            ("password", true),
            ("a", false),
            ("X-Api-Key", true),
            ("\" (b", false),
        ]
        .map(|(name, hides)| (name.to_owned(), self.tree(depth, is_secret || hides)))
        .into()
    }

    fn tree(&mut self, depth: usize, is_secret: bool) -> Tree {
        let below = depth + 1;
        match self.random.usize(if depth < 5 { 0..9 } else { 0..4 }) {
            0 => Tree::Leaf(self.text(is_secret)),
            1 => Tree::Unit,
            2 => Tree::Number(self.random.f64()),
            3 => Tree::Character(self.character()),
            4 => Tree::List((0..3).map(|_| self.tree(below, is_secret)).collect()),
            5 => Tree::Pair(
                self.boxed(below, is_secret),
                Some(self.boxed(below, is_secret)),
            ),
            6 => Tree::Map(vec![()], self.map(below, is_secret)),
            7 => Tree::Struct {
                name: self.boxed(below, is_secret),
                password: self.boxed(below, true),
                after: self.boxed(below, is_secret),
            },
            _ => Tree::Bearer(self.boxed(below, true)),
        }
    }
}

fn boundary(text: &str, mut at: usize) -> usize {
    while !text.is_char_boundary(at) {
        at -= 1;
    }
    at
}

#[test]
fn any_derived_text_loses_its_secrets_and_nothing_else() {
    let random = fastrand::Rng::with_seed(11);
    let mut trees = Trees { random, seen: 0 };
    for _ in 0..3_000 {
        trees.seen = 0;
        let tree = trees.tree(0, false);
        for text in [format!("{tree:?}"), format!("{tree:#?}")] {
            let hidden = printed::redact(text.clone(), false);
            assert!(!hidden.contains('Q'), "{text}\n{hidden}");
            assert_eq!(hidden.matches('Z').count(), trees.seen, "{text}\n{hidden}");
            let start = &text[..boundary(&text, trees.random.usize(..=text.len()))];
            let hidden = printed::redact(start.to_owned(), true);
            assert!(!hidden.contains('Q'), "{start}\n{hidden}");
        }
    }
}

/// One sign too many, anywhere but in a name: the text is no longer what it seems.
#[test]
fn a_derived_text_with_a_stray_sign_shows_no_secret() {
    let random = fastrand::Rng::with_seed(13);
    let mut trees = Trees { random, seen: 0 };
    for _ in 0..20_000 {
        let mut text = format!("{:?}", trees.tree(0, false));
        let at = boundary(&text, trees.random.usize(..=text.len()));
        let is_name = ["password", "X-Api-Key", "Bearer"].iter().any(|name| {
            let mut names = text.match_indices(name);
            names.any(|(start, _)| start < at && at < start + name.len())
        });
        if is_name {
            continue;
        }
        let sign = *trees
            .random
            .choice(&['"', '\'', '\\', '(', ')', '{', '}', ',', ' ', ':', '=', ']'])
            .unwrap();
        if sign == ',' && text[..at].ends_with("Bearer") {
            // `[Bearer,(…)]` is a list of two.
            continue;
        }
        text.insert(at, sign);
        for is_cut in [true, false] {
            let hidden = printed::redact(text.clone(), is_cut);
            assert!(
                !hidden.contains('Q'),
                "{sign} {at} {is_cut}: {text}\n{hidden}"
            );
        }
    }
}
