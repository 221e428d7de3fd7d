//! Where literals and names end.

/// Bytes that are looked through for a quote together, by the standard library's search.
const BLOCK: usize = 64;

/// Where the literal ends whose quote is at `start`.
pub(super) fn literal_end(bytes: &[u8], start: usize) -> Option<usize> {
    let mut at = start + 1;
    loop {
        at = quote(bytes, at)?;
        let mut escapes = at;
        while bytes[escapes - 1] == b'\\' && escapes - 1 > start {
            escapes -= 1;
        }
        at += 1;
        if (at - 1 - escapes).is_multiple_of(2) {
            return Some(at);
        }
    }
}

/// Where the next quote is.
fn quote(bytes: &[u8], mut at: usize) -> Option<usize> {
    let near = at + BLOCK / 4;
    while bytes.len() - at > 4 && at < near {
        if bytes[at] == b'"'
            || bytes[at + 1] == b'"'
            || bytes[at + 2] == b'"'
            || bytes[at + 3] == b'"'
        {
            break;
        }
        at += 4;
    }
    if at >= near {
        while bytes.len() - at > BLOCK && !bytes[at..at + BLOCK].contains(&b'"') {
            at += BLOCK;
        }
        if bytes.len() - at > BLOCK && !bytes[at..at + BLOCK / 2].contains(&b'"') {
            at += BLOCK / 2;
        }
    }
    while at < bytes.len() {
        if bytes[at] == b'"' {
            return Some(at);
        }
        at += 1;
    }
    None
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
