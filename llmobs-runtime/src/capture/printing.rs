//! What code of a user prints, up to a limit.
//!
//! A `Debug` writes a few bytes at a time, hundreds of times a kilobyte, and a debug build
//! compiles what is called for each piece without optimisation. So next to nothing of that is
//! ours: a piece is counted and handed to an `OsString`, whose `write_str` is compiled with the
//! standard library, optimised always. That of a `String` is inlined, and so compiled here: a
//! release build takes it.

#[cfg(debug_assertions)]
use std::ffi::OsString as Buffer;
use std::fmt::{self, Write};
#[cfg(not(debug_assertions))]
use std::string::String as Buffer;

/// Bytes that most texts have room in.
const ROOM: usize = 128;

/// Each ASCII character as a text: to make one of it is a call after the other in a debug build.
static ASCII: [&str; 128] = {
    const BYTES: [u8; 128] = {
        let mut bytes = [0; 128];
        let mut code = 1;
        while code < bytes.len() {
            bytes[code] = bytes[code - 1] + 1;
            code += 1;
        }
        bytes
    };
    let mut texts = [""; 128];
    if let Ok(mut rest) = str::from_utf8(&BYTES) {
        let mut code = 0;
        while code < texts.len() {
            (texts[code], rest) = rest.split_at(1);
            code += 1;
        }
    }
    texts
};

/// Takes so many bytes and then refuses, which ends a `Debug` or a `Display` that passes errors
/// on.
pub(super) struct Printing {
    text: Buffer,
    /// One more than the bytes that have room; nothing once the text is cut.
    room: usize,
}

impl Printing {
    pub(super) fn new(limit: usize) -> Self {
        Self {
            text: Buffer::with_capacity(ROOM.min(limit)),
            room: limit + 1,
        }
    }

    /// Whether something had no room.
    pub(super) fn is_cut(&self) -> bool {
        self.room == 0
    }

    /// The text as far as it had room.
    pub(super) fn into_text(self) -> String {
        #[cfg(debug_assertions)]
        // It was text when it was copied.
        return self.text.into_string().unwrap_or_default();
        #[cfg(not(debug_assertions))]
        return self.text;
    }

    /// Writes as much of a piece as there is room for.
    #[cold]
    fn cut(&mut self, piece: &str) -> fmt::Result {
        if self.room > 0 {
            let head = crate::text::head(piece, self.room - 1);
            self.room = 0;
            self.text.write_str(head)?;
        }
        Err(fmt::Error)
    }
}

impl Write for Printing {
    fn write_str(&mut self, piece: &str) -> fmt::Result {
        let bytes = piece.len();
        if bytes >= self.room {
            return self.cut(piece);
        }
        self.room -= bytes;
        self.text.write_str(piece)
    }

    fn write_char(&mut self, character: char) -> fmt::Result {
        let code = character as usize;
        if code < ASCII.len() && self.room > 1 {
            self.room -= 1;
            return self.text.write_str(ASCII[code]);
        }
        self.write_str(character.encode_utf8(&mut [0; 4]))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_is_taken_up_to_the_limit_and_nothing_behind_it() {
        for limit in 0..8 {
            let mut printing = Printing::new(limit);
            let mut whole = String::new();
            for piece in ["", "a", "bc", "", "ä\"", "def", "", "€"] {
                whole.push_str(piece);
                let is_cut = whole.len() > limit;
                assert_eq!(
                    printing.write_str(piece).is_err(),
                    is_cut,
                    "{limit} {whole}"
                );
                assert_eq!(printing.is_cut(), is_cut);
            }
            let text = printing.into_text();
            assert_eq!(text, crate::text::head("abcä\"def€", limit), "{limit}");
        }
    }

    #[test]
    fn characters_are_as_good_as_texts() {
        let mut printing = Printing::new(1_000);
        let ascii: String = (0..=127_u8).map(char::from).collect();
        for character in ascii.chars() {
            assert_eq!(printing.write_char(character), Ok(()));
        }
        assert_eq!(printing.into_text(), ascii);
        let mut printing = Printing::new(9);
        for character in ['"', 'a', 'ä', '🦀', 'b'] {
            assert_eq!(printing.write_char(character), Ok(()));
        }
        assert_eq!(printing.write_char('c'), Err(fmt::Error));
        assert_eq!(printing.write_char('"'), Err(fmt::Error));
        assert_eq!(printing.into_text(), "\"aä🦀b");
    }
}
