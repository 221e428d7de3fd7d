//! The form of an input: records `name=value`, each ended by a NUL as in `/proc/self/environ`, so
//! that the corpus can be read and written by hand.

/// The records of an input, in their order.
pub fn records(input: &[u8]) -> impl Iterator<Item = (&str, &[u8])> {
    input.split(|byte| *byte == 0).filter_map(|record| {
        let at = record.iter().position(|byte| *byte == b'=')?;
        Some((std::str::from_utf8(&record[..at]).ok()?, &record[at + 1..]))
    })
}
