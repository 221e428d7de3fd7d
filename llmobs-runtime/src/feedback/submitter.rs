//! Who gave feedback.

use serde::{Deserialize, Serialize};

use super::FeedbackError;
use crate::text::IntoText;

/// Who gave feedback: an id, and of what type they are.
///
/// Made by `From` out of an id alone. The id is opaque text of your own; it must not be
/// empty (checked when the feedback is submitted).
///
/// ```
/// # use llmobs_runtime as llmobs;
/// use llmobs::{Feedback, Submitter};
///
/// let of_a_user = Feedback::new("stars", 4, "user-17");
/// let of_staff = Feedback::new("stars", 2, Submitter::new("anna").of_type("support"));
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Submitter {
    id: String,
    #[serde(rename = "type", default, skip_serializing_if = "Option::is_none")]
    kind: Option<String>,
}

impl Submitter {
    /// The submitter of this id.
    ///
    /// ```
    /// # use llmobs_runtime::Submitter;
    /// assert_eq!(Submitter::new("user-17"), "user-17".into());
    /// ```
    pub fn new(id: impl Into<String>) -> Self {
        Self {
            id: id.into(),
            kind: None,
        }
    }

    /// Of what type the submitter is, such as `user` or `support`, in words of your own.
    /// Empty text is left out.
    ///
    /// ```
    /// # use llmobs_runtime::Submitter;
    /// let support = Submitter::new("anna").of_type("support");
    /// ```
    #[must_use = "the submitter is given back"]
    pub fn of_type(mut self, kind: impl IntoText) -> Self {
        let kind = kind.into_text().map(String::from);
        self.kind = kind.filter(|kind| !kind.is_empty());
        self
    }

    pub(super) fn checked(self, label: &str) -> Result<Self, FeedbackError> {
        if self.id.is_empty() {
            let label = label.to_owned();
            let kind = self.kind;
            return Err(FeedbackError::InvalidSubmitter { label, kind });
        }
        Ok(self)
    }

    /// Bytes that it holds beside itself.
    pub(crate) fn weight(&self) -> usize {
        let Self { id, kind } = self;
        id.capacity() + kind.as_ref().map_or(0, String::capacity)
    }
}

impl From<&str> for Submitter {
    fn from(id: &str) -> Self {
        Self::new(id)
    }
}

impl From<String> for Submitter {
    fn from(id: String) -> Self {
        Self::new(id)
    }
}

impl From<&String> for Submitter {
    fn from(id: &String) -> Self {
        Self::new(id)
    }
}

impl From<&Submitter> for Submitter {
    fn from(submitter: &Submitter) -> Self {
        submitter.clone()
    }
}
