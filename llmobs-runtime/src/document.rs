//! What a `retrieval` finds and an `embedding` takes.

use serde::{Deserialize, Serialize};

use crate::evaluation::shortened;
use crate::given::IntoNumber;
use crate::number::Number;

/// A piece of text with where it comes from and how well it fits; the wire form of
/// `meta.output.documents` (retrieval) and `meta.input.documents` (embedding), recorded
/// from ddtrace 4.16.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Document {
    pub(crate) text: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) name: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) id: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) score: Option<serde_json::Value>,
    #[serde(skip)]
    pub(crate) bad_score: Option<Number>,
}

impl Document {
    /// A document that is only its text.
    pub fn new(text: impl Into<String>) -> Self {
        Self {
            text: text.into(),
            ..Self::default()
        }
    }

    /// Its text.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// Its text, to be changed.
    pub fn text_mut(&mut self) -> &mut String {
        &mut self.text
    }

    /// Its name, such as a path or a title. An empty one is left out.
    pub fn name(mut self, name: impl Into<String>) -> Self {
        self.name = Some(name.into()).filter(|name| !name.is_empty());
        self
    }

    /// Its id in the store it comes from. An empty one is left out.
    pub fn id(mut self, id: impl Into<String>) -> Self {
        self.id = Some(id.into()).filter(|id| !id.is_empty());
        self
    }

    /// How well it fits, in the store's own scale. A score of 0 is kept (Python's SDK
    /// loses it); NaN and the infinities are left out, and `annotate` returns an error.
    pub fn score(mut self, score: impl IntoNumber) -> Self {
        let score = score.into_number();
        self.score = score.to_json();
        self.bad_score = self.score.is_none().then_some(score);
        self
    }

    /// Takes out a score that the wire does not allow; the text stays. Tells what was wrong.
    pub(crate) fn mend(&mut self) -> Option<String> {
        let foreign = self.score.take_if(|score| !score.is_number());
        let flaw = self.flaw();
        self.bad_score = None;
        flaw.or_else(|| {
            let score = foreign.filter(|score| !score.is_null())?;
            let name = self.name.as_deref().unwrap_or_default();
            let score = shortened(&score.to_string());
            Some(format!(
                "the score of document {name:?} must be a number, not {score}"
            ))
        })
    }

    pub(crate) fn flaw(&self) -> Option<String> {
        let score = self.bad_score?;
        let name = self.name.as_deref().unwrap_or_default();
        Some(format!(
            "the score of document {name:?} must be finite, not {score}"
        ))
    }
}

impl From<&str> for Document {
    fn from(text: &str) -> Self {
        Self::new(text)
    }
}

impl From<String> for Document {
    fn from(text: String) -> Self {
        Self::new(text)
    }
}
