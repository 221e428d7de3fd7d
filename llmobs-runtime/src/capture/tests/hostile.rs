//! Types that panic, fail, recurse, or have no end.

use std::collections::BTreeMap;
use std::panic::panic_any;

use serde::ser::{Error as _, SerializeMap, SerializeSeq, SerializeStruct, Serializer};

use super::*;

/// A type whose `Serialize` is this closure's body.
macro_rules! serialize_as {
    ($ty:ident: |$this:ident, $serializer:ident| $body:expr) => {
        #[derive(Clone)]
        struct $ty;
        impl Serialize for $ty {
            fn serialize<S: Serializer>(&self, $serializer: S) -> Result<S::Ok, S::Error> {
                let $this = self;
                $body
            }
        }
    };
}

#[test]
fn a_serialize_that_panics_becomes_a_mark_with_its_type() {
    serialize_as!(Bomb: |_this, _serializer| panic!("on purpose"));
    let mark = captured(&Bomb);
    let mark = mark.as_str().unwrap();
    assert!(mark.starts_with("<llmobs_runtime::capture::"), "{mark}");
    assert!(mark.ends_with("::Bomb: its Serialize panicked>"), "{mark}");
    let inside = captured(&vec![Some(Bomb)]);
    assert!(inside.as_str().unwrap().contains("Vec<"), "{inside}");
    let Io(IoRepr::Read(given)) = as_given(&Bomb) else {
        unreachable!("as_given reads")
    };
    assert_eq!(given, mark);
}

#[test]
fn a_panic_whose_payload_panics_when_dropped_harms_nobody() {
    struct Payload;
    impl Drop for Payload {
        fn drop(&mut self) {
            panic!("on purpose")
        }
    }
    serialize_as!(Bomb: |_this, _serializer| panic_any(Payload));
    assert!(captured(&Bomb).as_str().unwrap().contains("panicked"));
}

#[test]
fn a_value_that_fails_tells_why_and_its_neighbours_stay() {
    serialize_as!(Failing: |_this, _serializer| Err(S::Error::custom("no luck")));
    serialize_as!(FailingHalfway: |_this, serializer| {
        let mut list = serializer.serialize_seq(None)?;
        list.serialize_element(&1)?;
        Err(S::Error::custom("no luck"))
    });
    assert_eq!(captured(&Failing), "<not captured: no luck>");
    assert_eq!(
        captured(&(1, Failing, FailingHalfway, "x")),
        json!([1, "<not captured: no luck>", "<not captured: no luck>", "x"])
    );
    let lock = std::sync::Mutex::new(1);
    std::thread::scope(|scope| {
        let poison = scope.spawn(|| {
            let _guard = lock.lock();
            panic!("on purpose")
        });
        assert!(poison.join().is_err());
    });
    assert_eq!(
        captured(&BTreeMap::from([("lock", &lock)])),
        json!({"lock": "<not captured: lock poison error while serializing>"})
    );
}

#[test]
fn the_words_of_an_error_are_bounded() {
    serialize_as!(Failing: |_this, _serializer| Err(S::Error::custom("x".repeat(2_000))));
    let mark = captured(&Failing);
    assert_eq!(
        mark,
        format!("<not captured: {}…[rest cut]>", "x".repeat(1_000))
    );
}

#[test]
fn a_struct_that_holds_itself_ends_at_the_depth() {
    serialize_as!(Ring: |this, serializer| {
        let mut ring = serializer.serialize_struct("Ring", 2)?;
        ring.serialize_field("next", this)?;
        ring.serialize_field("after", &1)?;
        ring.end()
    });
    assert_eq!(
        within(
            &Limits {
                nodes: 100,
                text: 1_000,
                ..SMALL
            },
            &Ring
        ),
        json!({"after": 1, "next":
            {"after": 1, "next": {"after": 1, "next": "…[deeper than 3 levels]"}}})
    );
    // As deep as it goes, it needs little of a stack, even without optimisation.
    let thread = std::thread::Builder::new().stack_size(512 * 1024);
    let ring = thread.spawn(|| captured(&Ring)).unwrap().join().unwrap();
    let innermost = (0..64).fold(&ring, |ring, _| &ring["next"]);
    assert_eq!(innermost, "…[deeper than 64 levels]");
}

#[test]
fn a_tree_without_end_stops_at_the_nodes() {
    serialize_as!(Tree: |this, serializer| [this, this].serialize(serializer));
    let tree = captured(&Tree);
    assert!(nodes(&tree) <= 100_000 + 64);
}

#[test]
fn newtypes_and_options_without_end_stop() {
    serialize_as!(Newtype: |this, serializer| serializer.serialize_newtype_struct("N", this));
    serialize_as!(Optional: |this, serializer| serializer.serialize_some(this));
    serialize_as!(Variant: |this, serializer| {
        serializer.serialize_newtype_variant("V", 0, "v", this)
    });
    serialize_as!(Key: |this, serializer| {
        let mut map = serializer.serialize_map(None)?;
        map.serialize_entry(this, this)?;
        map.end()
    });
    assert_eq!(captured(&Newtype), "…[deeper than 64 levels]");
    assert_eq!(captured(&Optional), "…[deeper than 64 levels]");
    let variant = captured(&Variant);
    let innermost = (0..64).fold(&variant, |variant, _| &variant["v"]);
    assert_eq!(innermost, "…[deeper than 64 levels]");
    assert!(captured(&Key).is_object());
}

#[test]
fn lists_and_maps_without_end_stop() {
    serialize_as!(Endless: |_this, serializer| serializer.collect_seq(0u64..));
    serialize_as!(EndlessText: |_this, serializer| {
        serializer.collect_seq(std::iter::repeat("x".repeat(1_000)))
    });
    serialize_as!(EndlessKeys: |_this, serializer| {
        serializer.collect_map((0u64..).map(|key| (key, ())))
    });
    serialize_as!(OneKey: |_this, serializer| {
        serializer.collect_map(std::iter::repeat(("key", ())))
    });
    serialize_as!(Nested: |_this, serializer| {
        serializer.collect_seq(std::iter::repeat(Endless))
    });
    assert_eq!(captured(&Endless).as_array().map(Vec::len), Some(100_000));
    let texts = captured(&EndlessText);
    assert_eq!(texts[4_999], "x".repeat(1_000));
    assert_eq!(texts[5_000], "…[1000 bytes cut]");
    assert_eq!(texts[5_001], "…[rest cut]");
    assert_eq!(texts.as_array().map(Vec::len), Some(5_002));
    let keys = captured(&EndlessKeys);
    assert_eq!(keys.as_object().map(Map::len), Some(100_000));
    assert_eq!(keys["…"], "…[rest cut]");
    assert_eq!(captured(&OneKey), json!({"key": null, "…": "…[rest cut]"}));
    let nested = captured(&Nested);
    assert_eq!(nested.as_array().map(Vec::len), Some(2));
    assert_eq!(nested[1], "…[rest cut]");
}

#[test]
fn errors_that_a_type_ignores_or_renames_change_nothing() {
    serialize_as!(Deaf: |_this, serializer| {
        let mut list = serializer.serialize_seq(Some(usize::MAX))?;
        for number in 0..20 {
            let _ = list.serialize_element(&number);
        }
        list.end()
    });
    serialize_as!(Renaming: |_this, serializer| {
        let mut list = serializer.serialize_seq(None)?;
        for number in 0..20 {
            list.serialize_element(&number).map_err(S::Error::custom)?;
        }
        list.end()
    });
    for cut in [within(&SMALL, &Deaf), within(&SMALL, &Renaming)] {
        assert_eq!(cut, json!([0, 1, 2, 3, "…[rest cut]"]));
    }
}

#[test]
fn a_map_used_in_the_wrong_order_is_an_error_of_its_own() {
    serialize_as!(NoKey: |_this, serializer| {
        let mut map = serializer.serialize_map(None)?;
        map.serialize_value(&1)?;
        map.end()
    });
    assert_eq!(
        captured(&NoKey),
        "<not captured: a map's value came without a key>"
    );
}

struct Printer(fn(&mut fmt::Formatter<'_>) -> fmt::Result);

impl Debug for Printer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        (self.0)(f)
    }
}

impl Display for Printer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        (self.0)(f)
    }
}

impl Serialize for Printer {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

#[test]
fn a_print_that_panics_or_fails_becomes_a_mark_with_its_type() {
    let printer = Printer(|_| panic!("on purpose"));
    let name = type_name::<Printer>();
    assert_eq!(debug(&printer), format!("<{name}: its Debug panicked>"));
    assert_eq!(display(&printer), format!("<{name}: its Display panicked>"));
    assert_eq!(
        captured(&printer),
        format!("<{name}: its Serialize panicked>")
    );
    let printer = Printer(|_| Err(fmt::Error));
    assert_eq!(debug(&printer), format!("<{name}: its Debug failed>"));
    assert_eq!(display(&printer), format!("<{name}: its Display failed>"));
    assert_eq!(captured(&printer), "<not captured: its Display fails>");
}

#[test]
fn a_print_without_end_stops() {
    let printer = Printer(|f| {
        loop {
            f.write_str("endless ")?;
        }
    });
    assert_eq!(debug(&printer), "endless ".repeat(2_000) + "…[rest cut]");
    assert_eq!(display(&printer), debug(&printer));
    assert_eq!(within(&SMALL, &printer), "endless en…[rest cut]");
}

#[test]
fn a_print_that_panics_over_our_refusal_keeps_what_it_said() {
    let printer = Printer(|f| {
        f.write_str(&"x".repeat(20_000)).unwrap();
        Ok(())
    });
    assert_eq!(debug(&printer), "x".repeat(16_000) + "…[rest cut]");
}

fn nodes(value: &Value) -> usize {
    1 + match value {
        Value::Array(items) => items.iter().map(nodes).sum(),
        Value::Object(map) => map.values().map(nodes).sum(),
        _ => 0,
    }
}
