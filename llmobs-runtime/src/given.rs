//! The types that setters take where any of many will do.
//!
//! Each trait is implemented for all that converts into its target, by one implementation that the
//! compiler does not show: an argument that converts into nothing gets one short error, which names
//! what to do, in place of a list of conversions.

use serde_json::Value;

use crate::annotation::Io;
use crate::evaluation::EvaluationValue;
use crate::feedback::{FeedbackValue, Submitter};
use crate::number::{self, Number};

macro_rules! given {
    ($(
        $(#[doc = $doc:literal])*
        $trait:ident :: $method:ident -> $target:ty, |$given:ident| $made:expr;
        $message:literal, $label:literal, $note:literal;
    )*) => {$(
        $(#[doc = $doc])*
        ///
        /// It is implemented for these types alone.
        #[diagnostic::on_unimplemented(message = $message, label = $label, note = $note)]
        pub trait $trait {
            #[doc(hidden)]
            fn $method(self) -> $target;
        }

        #[diagnostic::do_not_recommend]
        impl<T: Into<$target>> $trait for T {
            fn $method(self) -> $target {
                let $given = self;
                $made
            }
        }
    )*};
}

given! {
    /// A value of metadata, of settings or of arguments: whatever becomes a [`Value`] by `Into`, such as
    /// text, a number, a `bool`, and an `Option` or a list of these. What is `Serialize` becomes one by
    /// `serde_json::json!(value)`.
    IntoJson::into_json -> Value, |value| number::json(value);
        "`{Self}` is no JSON for llmobs",
        "expected text, a number, a `bool`, a `serde_json::Value`, or an `Option` or a list of these",
        "what is `Serialize` is given as `serde_json::json!(value)`";

    /// A metric or a score: whatever becomes a [`Number`] by `Into`, which is every integer of up to 64
    /// bits and every float.
    IntoNumber::into_number -> Number, |number| number.into();
        "`{Self}` is no number for llmobs",
        "expected an integer of up to 64 bits or a float",
        "what is text, a `bool` or an enum goes into the metadata or a tag";

    /// An input or an output: whatever becomes an [`Io`] by `Into`, which is text, `(role, content)`, a
    /// [`Message`](crate::Message), a [`Document`](crate::Document), a [`Value`], and a list of any of
    /// these.
    IntoIo::into_io -> Io, |io| io.into();
        "`{Self}` is no input or output for llmobs",
        "expected text, `(role, content)`, a `Message`, a `Document`, a `serde_json::Value`, or a list of one of these",
        "what is `Serialize` is given by `input_json(&value)` or `output_json(&value)`";

    /// The value of an evaluation: whatever becomes an [`EvaluationValue`] by `Into`, which is a number, a
    /// category as text, a `bool`, and a [`Value`] that is an object.
    IntoEvaluationValue::into_evaluation_value -> EvaluationValue, |value| value.into();
        "`{Self}` is no value of an evaluation for llmobs",
        "expected a number, text, a `bool` or a `serde_json::Value` that is an object",
        "what is `Serialize`, and an object as JSON, is given as `serde_json::json!(value)`";

    /// The value of feedback: whatever becomes a [`FeedbackValue`] by `Into`, which is all that an
    /// [`EvaluationValue`] is made of, and [`FeedbackValue::text`].
    IntoFeedbackValue::into_feedback_value -> FeedbackValue, |value| value.into();
        "`{Self}` is no value of feedback for llmobs",
        "expected a number, text, a `bool`, a `serde_json::Value` or `FeedbackValue::text(…)`",
        "what is `Serialize` is given as `serde_json::json!(value)`";

    /// The user who gives feedback: whatever becomes a [`Submitter`] by `Into`, which is an id as text, and a
    /// [`Submitter`].
    IntoSubmitter::into_submitter -> Submitter, |submitter| submitter.into();
        "`{Self}` is no submitter for llmobs",
        "expected an id as `&str` or `String`, or a `Submitter`",
        "an id that is no text becomes one by `.to_string()`";
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::Annotation;

    struct Mine;

    impl From<Mine> for Value {
        fn from(_: Mine) -> Self {
            "mine".into()
        }
    }

    impl From<Mine> for Number {
        fn from(_: Mine) -> Self {
            7.into()
        }
    }

    impl From<Mine> for Io {
        fn from(_: Mine) -> Self {
            "text of mine".into()
        }
    }

    #[test]
    fn conversions_of_the_users_own_and_of_generic_code_are_taken() {
        fn generic(value: impl Into<Value>, number: impl Into<Number>) -> Annotation {
            Annotation::new().metadata("k", value).metric("m", number)
        }

        let annotation = generic(Mine, Mine).input(Mine);
        assert_eq!(annotation.metadata, [("k".to_owned(), json!("mine"))]);
        assert_eq!(annotation.metrics, [("m".to_owned(), 7.into())]);
        assert_eq!(annotation.io.unwrap().input, Some("text of mine".into()));
        let narrow = Annotation::new().metadata("k", [0.7_f32]);
        assert_eq!(narrow.metadata, [("k".to_owned(), json!([0.7]))]);
    }
}
