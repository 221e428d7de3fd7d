//! Where literals and names end.

/// Bytes that are looked through for a quote by the standard library's search.
const BLOCK: usize = 64;

/// Words without a quote, behind which blocks are looked through.
const NEAR: usize = 4;

/// A quote in each byte of a word, and all bits of each but its highest.
const QUOTES: u64 = 0x2222_2222_2222_2222;
const LOW: u64 = 0x7f7f_7f7f_7f7f_7f7f;

/// Where the literal ends whose quote is at `start`.
pub(super) fn literal_end(bytes: &[u8], start: usize) -> Option<usize> {
    let (words, _) = bytes.as_chunks();
    let mut at = start + 1;
    loop {
        at = quote(bytes, words, at);
        if at >= bytes.len() {
            return None;
        }
        let mut escapes = at;
        while bytes[escapes - 1] == b'\\' && escapes - 1 > start {
            escapes -= 1;
        }
        let is_escaped = (at - escapes) & 1 != 0;
        at += 1;
        if !is_escaped {
            return Some(at);
        }
    }
}

/// Where the next quote is, or the end. Eight bytes together, which are the `words` of `bytes`.
fn quote(bytes: &[u8], words: &[[u8; 8]], from: usize) -> usize {
    let mut word = from / 8;
    let near = word + NEAR;
    // Not what is before.
    let mut looked_at = !0 << (from % 8 * 8);
    while word < words.len() {
        let signs = u64::from_le_bytes(words[word]) ^ QUOTES;
        // The highest bit of each byte that was a quote, and is zero now.
        let found = !(((signs & LOW) + LOW) | signs | LOW) & looked_at;
        if found != 0 {
            return word * 8 + found.trailing_zeros() as usize / 8;
        }
        looked_at = !0;
        word += 1;
        if word == near {
            let mut at = word * 8;
            while bytes.len() - at > BLOCK && !bytes[at..at + BLOCK].contains(&b'"') {
                at += BLOCK;
            }
            word = at / 8;
        }
    }
    let mut at = if from > word * 8 { from } else { word * 8 };
    while at < bytes.len() && bytes[at] != b'"' {
        at += 1;
    }
    at
}

/// The bytes of the name at the start of `bytes`.
pub(super) fn name_length(bytes: &[u8]) -> usize {
    let mut at = 0;
    while at < bytes.len() && NAME[bytes[at] as usize] {
        at += 1;
    }
    at
}

/// Of which bytes a name consists.
static NAME: [bool; 256] = {
    let mut name = [false; 256];
    let mut byte = 0_u8;
    loop {
        name[byte as usize] = match byte {
            b'_' | b'-' | b'.' | b'#' | b'$' | b'<' | b'>' | 0x80.. => true,
            other => other.is_ascii_alphanumeric(),
        };
        if byte == u8::MAX {
            break;
        }
        byte += 1;
    }
    name
};

#[cfg(test)]
mod tests {
    use super::*;

    /// Where a literal ends by the rule, byte for byte.
    fn end(bytes: &[u8], start: usize) -> Option<usize> {
        let mut at = start + 1;
        while at < bytes.len() {
            match bytes[at] {
                b'"' => return Some(at + 1),
                b'\\' => at += 2,
                _ => at += 1,
            }
        }
        None
    }

    #[test]
    fn a_literal_ends_at_the_first_quote_that_is_not_escaped() {
        let mut random = fastrand::Rng::with_seed(17);
        for _ in 0..20_000 {
            let plain = random.usize(..200);
            let mut text = "ä#\u{a2}".repeat(plain / 5).into_bytes();
            text.truncate(plain);
            for _ in 0..random.usize(..24) {
                // Runs without a quote, of any length, and bytes that differ from one by a bit.
                let byte = *random
                    .choice(b"\"\"\\\\\\ab #\x02\xa2\x21\x23\x00\xff")
                    .unwrap();
                let run = if byte == b'"' || byte == b'\\' { 3 } else { 90 };
                text.extend(std::iter::repeat_n(byte, random.usize(..run)));
            }
            let start = random.usize(..=text.len());
            text.insert(start, b'"');
            assert_eq!(
                literal_end(&text, start),
                end(&text, start),
                "{start}: {}",
                text.escape_ascii()
            );
        }
    }
}
