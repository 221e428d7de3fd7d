//! The one way in for text, what builders and attributes accept where a name, a model or
//! a tag goes; and how it is held.

use std::borrow::Cow;
use std::cmp::Ordering;
use std::fmt;
use std::hash::{Hash, Hasher};
use std::ops::Deref;
use std::sync::Arc;

/// Bytes of a text that stands in the record itself: `claude-3-5-sonnet-20241022` has 26.
const SHORT: usize = 30;

/// Text as the runtime holds it: a literal is not copied, and what is short needs no
/// allocation, which costs the caller's thread more than all else that it does with a text.
#[derive(Clone)]
pub struct Text(Repr);

#[derive(Clone)]
enum Repr {
    Literal(&'static str),
    Short { len: u8, bytes: [u8; SHORT] },
    Long(Box<str>),
}

impl Text {
    #[inline]
    pub(crate) const fn literal(text: &'static str) -> Self {
        Self(Repr::Literal(text))
    }

    /// What it is made of, which is had for less than the text itself.
    pub(crate) fn bytes(&self) -> &[u8] {
        match &self.0 {
            Repr::Literal(text) => text.as_bytes(),
            Repr::Short { len, bytes } => bytes.get(..usize::from(*len)).unwrap_or_default(),
            Repr::Long(text) => text.as_bytes(),
        }
    }

    pub(crate) fn len(&self) -> usize {
        match &self.0 {
            Repr::Literal(text) => text.len(),
            Repr::Short { len, .. } => usize::from(*len),
            Repr::Long(text) => text.len(),
        }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Becomes a copy of `text`. What is short is written where it stays, and not read again until
    /// somebody wants it: a processor waits for pieces that were just written elsewhere.
    #[inline]
    pub(crate) fn copy_from(&mut self, text: &str) {
        if text.len() <= SHORT {
            self.copy_bytes(text.as_bytes());
        } else {
            self.copy_long(text);
        }
    }

    /// The same of a text that is short.
    #[inline]
    fn copy_bytes(&mut self, text: &[u8]) {
        let len = u8::try_from(text.len()).unwrap_or_default();
        let bytes = [0; SHORT];
        self.0 = Repr::Short { len, bytes };
        if let Repr::Short { bytes, .. } = &mut self.0 {
            copy_short(text, bytes);
        }
    }

    #[cold]
    #[inline(never)]
    fn copy_long(&mut self, text: &str) {
        self.0 = Repr::Long(text.into());
    }

    /// Bytes that it holds beside itself.
    #[inline]
    pub(crate) fn weight(&self) -> usize {
        match &self.0 {
            Repr::Long(text) => text.len(),
            Repr::Literal(_) | Repr::Short { .. } => 0,
        }
    }
}

/// In two pieces of a fixed length that overlap: a piece as long as the text would be a call.
#[inline]
fn copy_short(text: &[u8], bytes: &mut [u8; SHORT]) {
    fn pieces<const N: usize>(text: &[u8], bytes: &mut [u8; SHORT]) -> Option<()> {
        *bytes.first_chunk_mut::<N>()? = *text.first_chunk()?;
        let end = bytes.get_mut(text.len().checked_sub(N)?..text.len())?;
        end.copy_from_slice(text.last_chunk::<N>()?);
        Some(())
    }

    let copied = match text.len() {
        16.. => pieces::<16>(text, bytes),
        8.. => pieces::<8>(text, bytes),
        4.. => pieces::<4>(text, bytes),
        _ => None,
    };
    if copied.is_none() {
        for (byte, from) in bytes.iter_mut().zip(text) {
            *byte = *from;
        }
    }
}

impl Default for Text {
    fn default() -> Self {
        Self::literal("")
    }
}

/// Text that comes in pieces, up to a limit: then it refuses, which ends a `Debug` or a
/// `Display` that passes errors on. One that stays short needs no allocation.
///
/// A `Debug` writes a few bytes at a time, and a debug build compiles this without
/// optimisation: there each function that is called for a piece costs more than all that a
/// `String` of the standard library does, which is optimised always. So the way of a piece
/// has indices in place of calls.
pub(crate) struct TextBuffer {
    short: [u8; SHORT],
    /// All of it, once it is not short; zero behind the text.
    long: Option<Box<[u8]>>,
    len: usize,
    /// Bytes that are there to be written to, within the limit; none once it is cut.
    room: usize,
    limit: usize,
    cut: bool,
}

impl TextBuffer {
    /// Bytes of a piece that is copied by a loop; the copy of a longer one is a call.
    const PIECE: usize = 8;

    pub(crate) fn new(limit: usize) -> Self {
        Self {
            short: [0; SHORT],
            long: None,
            len: 0,
            room: SHORT.min(limit),
            limit,
            cut: false,
        }
    }

    pub(crate) fn len(&self) -> usize {
        self.len
    }

    /// Whether something had no room.
    pub(crate) fn is_cut(&self) -> bool {
        self.cut
    }

    /// Makes room and writes `text`, or as much of it as the limit lets.
    #[cold]
    fn write_more(&mut self, text: &str) -> fmt::Result {
        if self.cut {
            return Err(fmt::Error);
        }
        let head = head(text, self.limit - self.len);
        self.grow(self.len + head.len());
        // Has room now.
        let written = fmt::Write::write_str(self, head);
        if head.len() == text.len() {
            return written;
        }
        self.cut = true;
        self.room = 0;
        Err(fmt::Error)
    }

    fn grow(&mut self, needed: usize) {
        if needed > self.room {
            let room = needed.max(self.len * 2).max(256);
            let mut room = vec![0; room.min(self.limit).max(needed)].into_boxed_slice();
            if let Some(written) = room.get_mut(..self.len) {
                written.copy_from_slice(self.bytes());
            }
            self.room = room.len();
            self.long = Some(room);
        }
    }

    /// Puts the text with `end` behind it into `place`; it is empty then.
    pub(crate) fn move_to(&mut self, place: &mut Text, end: &str) {
        if self.long.is_some() || !end.is_empty() {
            let buffer = std::mem::replace(self, Self::new(self.limit));
            *place = (String::from(buffer) + end).into();
        } else {
            place.copy_bytes(self.bytes());
            self.len = 0;
        }
    }

    fn bytes(&self) -> &[u8] {
        let room = self.long.as_deref().unwrap_or(&self.short);
        room.get(..self.len).unwrap_or_default()
    }
}

impl fmt::Write for TextBuffer {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        let piece = text.as_bytes();
        let mut to = self.len;
        let end = to + piece.len();
        if end > self.room {
            return self.write_more(text);
        }
        let room: &mut [u8] = match &mut self.long {
            Some(long) => long,
            None => &mut self.short,
        };
        if piece.len() > Self::PIECE {
            room[to..end].copy_from_slice(piece);
        } else if let [first, second] = *piece {
            // The separators of fields and elements.
            room[to] = first;
            room[to + 1] = second;
        } else {
            let mut at = 0;
            // By twos, since each turn of a loop waits for the one before it.
            while at + 1 < piece.len() {
                room[to] = piece[at];
                room[to + 1] = piece[at + 1];
                at += 2;
                to += 2;
            }
            if at < piece.len() {
                room[to] = piece[at];
            }
        }
        self.len = end;
        Ok(())
    }

    fn write_char(&mut self, character: char) -> fmt::Result {
        if !character.is_ascii() || self.len >= self.room {
            return self.write_str(character.encode_utf8(&mut [0; 4]));
        }
        let room: &mut [u8] = match &mut self.long {
            Some(long) => long,
            None => &mut self.short,
        };
        room[self.len] = character as u8;
        self.len += 1;
        Ok(())
    }
}

impl From<TextBuffer> for String {
    fn from(buffer: TextBuffer) -> Self {
        let bytes = match buffer.long {
            Some(long) => {
                let mut bytes = long.into_vec();
                bytes.truncate(buffer.len);
                bytes
            }
            None => buffer.bytes().to_vec(),
        };
        // It was text when it was copied.
        String::from_utf8(bytes).unwrap_or_default()
    }
}

impl Deref for Text {
    type Target = str;

    fn deref(&self) -> &str {
        match &self.0 {
            Repr::Literal(text) => text,
            // It was text when it was copied.
            Repr::Short { .. } => std::str::from_utf8(self.bytes()).unwrap_or_default(),
            Repr::Long(text) => text,
        }
    }
}

impl From<&str> for Text {
    #[inline]
    fn from(text: &str) -> Self {
        let mut copy = Self::default();
        copy.copy_from(text);
        copy
    }
}

impl From<String> for Text {
    fn from(text: String) -> Self {
        if text.len() <= SHORT {
            (*text).into()
        } else {
            Self(Repr::Long(text.into()))
        }
    }
}

impl From<Text> for String {
    fn from(text: Text) -> Self {
        match text.0 {
            Repr::Long(text) => text.into(),
            _ => (*text).to_owned(),
        }
    }
}

impl From<Text> for Arc<str> {
    fn from(text: Text) -> Self {
        (*text).into()
    }
}

impl PartialEq for Text {
    fn eq(&self, other: &Self) -> bool {
        self.bytes() == other.bytes()
    }
}

impl Eq for Text {}

impl Ord for Text {
    fn cmp(&self, other: &Self) -> Ordering {
        self.bytes().cmp(other.bytes())
    }
}

impl PartialOrd for Text {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

/// As the text, and not by where it stands.
impl Hash for Text {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.bytes().hash(state);
    }
}

impl PartialEq<str> for Text {
    fn eq(&self, other: &str) -> bool {
        self.bytes() == other.as_bytes()
    }
}

impl fmt::Debug for Text {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&**self, f)
    }
}

impl fmt::Display for Text {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&**self, f)
    }
}

/// The longest start of `text` that has at most `bytes` and ends between characters.
pub(crate) fn head(text: &str, bytes: usize) -> &str {
    let mut end = bytes.min(text.len());
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    &text[..end]
}

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
    fn into_text(self) -> Option<Text>;

    /// Puts the text into `place`, unless it is empty; `false` where nothing is set.
    #[doc(hidden)]
    fn put(self, place: &mut Text) -> bool
    where
        Self: Sized,
    {
        let text = self.into_text();
        let is_set = text.is_some();
        if let Some(text) = text.filter(|text| !text.is_empty()) {
            *place = text;
        }
        is_set
    }
}

/// The same for what stands behind a reference, which has to be copied.
#[doc(hidden)]
pub trait TextRef: sealed::Sealed {
    /// A copy of the text, or `None` where nothing is set.
    fn copy_text(&self) -> Option<Text>;

    /// Puts a copy into `place`, unless it is empty; `false` where nothing is set.
    #[doc(hidden)]
    fn put_copy(&self, place: &mut Text) -> bool;
}

impl sealed::Sealed for str {}
impl TextRef for str {
    fn copy_text(&self) -> Option<Text> {
        Some(self.into())
    }

    fn put_copy(&self, place: &mut Text) -> bool {
        if !self.is_empty() {
            place.copy_from(self);
        }
        true
    }
}

macro_rules! text {
    ($($ty:ty: |$text:ident| $owned:expr;)*) => {$(
        impl sealed::Sealed for $ty {}
        impl TextRef for $ty {
            fn copy_text(&self) -> Option<Text> {
                (**self).copy_text()
            }

            fn put_copy(&self, place: &mut Text) -> bool {
                (**self).put_copy(place)
            }
        }
        #[diagnostic::do_not_recommend]
        impl IntoText for $ty {
            fn into_text(self) -> Option<Text> {
                let $text = self;
                Some($owned)
            }
        }
    )*};
}

text! {
    String: |text| text.into();
    Cow<'_, str>: |text| match text {
        Cow::Borrowed(text) => text.into(),
        Cow::Owned(text) => text.into(),
    };
    Box<str>: |text| String::from(text).into();
    Arc<str>: |text| (&*text).into();
}

impl<T: TextRef> sealed::Sealed for Option<T> {}
impl<T: TextRef> TextRef for Option<T> {
    fn copy_text(&self) -> Option<Text> {
        self.as_ref().and_then(TextRef::copy_text)
    }

    fn put_copy(&self, place: &mut Text) -> bool {
        self.as_ref().is_some_and(|text| text.put_copy(place))
    }
}
#[diagnostic::do_not_recommend]
impl<T: IntoText + TextRef> IntoText for Option<T> {
    fn into_text(self) -> Option<Text> {
        self.and_then(IntoText::into_text)
    }
}

impl<T: TextRef + ?Sized> sealed::Sealed for &T {}
impl<T: TextRef + ?Sized> TextRef for &T {
    fn copy_text(&self) -> Option<Text> {
        (**self).copy_text()
    }

    fn put_copy(&self, place: &mut Text) -> bool {
        (**self).put_copy(place)
    }
}
#[diagnostic::do_not_recommend]
impl<T: TextRef + ?Sized> IntoText for &T {
    fn into_text(self) -> Option<Text> {
        self.copy_text()
    }

    fn put(self, place: &mut Text) -> bool {
        self.put_copy(place)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(value: impl IntoText) -> Option<String> {
        value.into_text().map(String::from)
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

    #[test]
    fn text_of_any_length_comes_back_as_it_was_given() {
        for given in [
            "",
            "é",
            "abc",
            "summarise",
            "claude-sonnet-4",
            &"x".repeat(SHORT),
            &"ü".repeat(SHORT),
            &"x".repeat(1_000),
        ] {
            for text in [Text::from(given), Text::from(given.to_owned())] {
                assert_eq!(&*text, given);
                assert_eq!(text.len(), given.len());
                assert_eq!(text, *given);
                assert_eq!(String::from(text.clone()), given);
                assert_eq!(text, Text::from(given));
            }
        }
        assert_ne!(Text::from("a"), Text::literal("b"));
        let alphabet = "abcdefghijklmnopqrstuvwxyz";
        for len in 0..=alphabet.len() {
            assert_eq!(&*Text::from(&alphabet[..len]), &alphabet[..len]);
        }
    }
}
