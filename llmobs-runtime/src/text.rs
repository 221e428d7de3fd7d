//! The one way in for text: what builders and attributes accept where a name, a
//! model or a tag goes.

use std::borrow::Cow;
use std::sync::Arc;

/// Text as the runtime holds it: a literal is not copied.
pub(crate) type Text = Cow<'static, str>;

mod sealed {
    pub trait Sealed {}
}

/// What can be given as text: `&str`, `String`, `Cow<str>`, `Box<str>`, `Arc<str>`,
/// references to them, and an `Option` of any of these, where `None` means "not set".
///
/// Sealed: it is implemented for these types and no others.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is no text for llmobs",
    label = "expected `&str`, `String`, `Cow<str>`, `Box<str>`, `Arc<str>` or an `Option` of one",
    note = "turn it into text first, for example with `.to_string()`"
)]
pub trait IntoText: sealed::Sealed {
    /// The text, or `None` where nothing is set.
    #[doc(hidden)]
    fn into_text(self) -> Option<Cow<'static, str>>;
}

/// The same for what stands behind a reference, which has to be copied.
#[doc(hidden)]
pub trait TextRef: sealed::Sealed {
    /// A copy of the text, or `None` where nothing is set.
    fn copy_text(&self) -> Option<Cow<'static, str>>;
}

impl sealed::Sealed for str {}
impl TextRef for str {
    fn copy_text(&self) -> Option<Cow<'static, str>> {
        Some(Cow::Owned(self.to_owned()))
    }
}

macro_rules! text {
    ($($ty:ty: $owned:expr;)*) => {$(
        impl sealed::Sealed for $ty {}
        impl TextRef for $ty {
            fn copy_text(&self) -> Option<Cow<'static, str>> {
                (**self).copy_text()
            }
        }
        impl IntoText for $ty {
            fn into_text(self) -> Option<Cow<'static, str>> {
                let owned: fn($ty) -> String = $owned;
                Some(Cow::Owned(owned(self)))
            }
        }
    )*};
}

text! {
    String: |text| text;
    Cow<'_, str>: |text| text.into_owned();
    Box<str>: String::from;
    Arc<str>: |text| String::from(&*text);
}

impl<T: TextRef> sealed::Sealed for Option<T> {}
impl<T: TextRef> TextRef for Option<T> {
    fn copy_text(&self) -> Option<Cow<'static, str>> {
        self.as_ref().and_then(TextRef::copy_text)
    }
}
impl<T: IntoText + TextRef> IntoText for Option<T> {
    fn into_text(self) -> Option<Cow<'static, str>> {
        self.and_then(IntoText::into_text)
    }
}

impl<T: TextRef + ?Sized> sealed::Sealed for &T {}
impl<T: TextRef + ?Sized> TextRef for &T {
    fn copy_text(&self) -> Option<Cow<'static, str>> {
        (**self).copy_text()
    }
}
impl<T: TextRef + ?Sized> IntoText for &T {
    fn into_text(self) -> Option<Cow<'static, str>> {
        self.copy_text()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(value: impl IntoText) -> Option<String> {
        value.into_text().map(Cow::into_owned)
    }

    #[test]
    #[allow(
        clippy::needless_borrows_for_generic_args,
        reason = "the references are the case"
    )]
    fn every_form_of_text_is_taken() {
        let owned = String::from("a");
        for given in [
            text("a"),
            text(&&"a"),
            text(&owned),
            text(Cow::Borrowed("a")),
            text(&Cow::Borrowed("a")),
            text(Box::<str>::from("a")),
            text(Arc::<str>::from("a")),
            text(Some("a")),
            text(&Some(owned.clone())),
            text(Some(&owned)),
            text(owned),
        ] {
            assert_eq!(given.as_deref(), Some("a"));
        }
        assert_eq!(text(None::<String>), None);
        assert_eq!(text(&None::<&str>), None);
    }
}
