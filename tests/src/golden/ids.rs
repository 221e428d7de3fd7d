//! Which symbol of the golden stands for which id of ours.

use std::collections::BTreeMap;

use serde_json::Value;

/// Where a span says who it is; elsewhere ids point at others.
const IDENTITIES: [&str; 5] = [
    "/span_id",
    "/trace_id",
    "/_dd/span_id",
    "/_dd/apm_trace_id",
    "/_dd/trace_id",
];

/// A bijection between symbols and ids.
#[derive(Debug, Default)]
pub(super) struct Ids {
    by_symbol: BTreeMap<String, String>,
    by_id: BTreeMap<String, String>,
}

impl Ids {
    /// What matched spans say of themselves; done before ids that point at others are looked at, since a parent may
    /// come after its child.
    pub(super) fn of_spans<'a>(pairs: impl Iterator<Item = (&'a Value, &'a Value)>) -> Self {
        let mut ids = Ids::default();
        for (golden, ours) in pairs {
            for place in IDENTITIES {
                let symbol = golden.pointer(place).and_then(Value::as_str);
                let id = ours.pointer(place).and_then(Value::as_str);
                if let (Some(symbol), Some(id)) = (symbol, id) {
                    ids.is_same(symbol, id);
                }
            }
        }
        ids
    }

    /// Whether the symbol stands for this id; from now on it does, if neither was seen and the id has the right form.
    pub(super) fn is_same(&mut self, symbol: &str, id: &str) -> bool {
        match (self.by_symbol.get(symbol), self.by_id.get(id)) {
            (None, None) if is_id_for(symbol, id) => {
                self.by_symbol.insert(symbol.to_owned(), id.to_owned());
                self.by_id.insert(id.to_owned(), symbol.to_owned());
                true
            }
            (Some(known), _) => known == id,
            (None, _) => false,
        }
    }

    /// The symbol that stands for an id of ours.
    pub(super) fn symbol(&self, id: &str) -> Option<&str> {
        self.by_id.get(id).map(String::as_str)
    }
}

/// Whether a golden's string is a symbol for an id.
pub(super) fn is_symbol(text: &str) -> bool {
    ["$span.", "$trace.", "$apm."]
        .iter()
        .any(|family| text.starts_with(family))
}

fn is_id_for(symbol: &str, id: &str) -> bool {
    if symbol.starts_with("$span.") {
        id.parse::<u64>()
            .is_ok_and(|number| number != 0 && number.to_string() == id)
    } else {
        let is_lower_hex = |byte: u8| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte);
        is_symbol(symbol)
            && id.len() == 32
            && id.bytes().all(is_lower_hex)
            && id.bytes().any(|byte| byte != b'0')
    }
}
