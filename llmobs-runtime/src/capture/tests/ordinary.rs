//! Values within the limits: as `serde_json` gives them, and where ours differ on purpose.

use std::collections::{BTreeMap, HashMap};
use std::net::Ipv4Addr;
use std::sync::Arc;

use super::*;

#[derive(Clone, Default, Serialize)]
struct Plain {
    count: u8,
    text: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    left_out: Option<u8>,
    #[serde(rename = "type")]
    kind: Option<&'static str>,
    #[serde(flatten)]
    more: BTreeMap<String, f64>,
}

#[derive(Serialize)]
struct Unit;

#[derive(Serialize)]
struct Newtype(Vec<u8>);

#[derive(Serialize)]
struct Pair(i8, char);

#[derive(Serialize)]
enum External {
    Unit,
    Newtype(u8),
    Tuple(u8, &'static str),
    Struct { field: Option<u8> },
}

#[derive(Serialize)]
#[serde(tag = "kind")]
enum Internal {
    Unit,
    Struct { field: u8 },
    Inner(Plain),
}

#[derive(Serialize)]
#[serde(tag = "t", content = "c")]
enum Adjacent {
    Unit,
    Tuple(u8, u8),
}

#[derive(Serialize)]
#[serde(untagged)]
enum Untagged {
    Text(&'static str),
    Number(i64),
}

#[test]
fn ordinary_values_are_what_serde_json_makes_of_them() {
    fn same<T: Serialize + ?Sized>(value: &T) {
        let expected = serde_json::to_value(value).unwrap();
        assert_eq!(captured(value), expected);
        let Io(IoRepr::Read(given)) = as_given(value) else {
            unreachable!("as_given reads")
        };
        assert_eq!(given, expected);
    }
    let plain = Plain {
        count: 3,
        text: "tü\n\"🦀\"".to_owned(),
        more: BTreeMap::from([("x".to_owned(), 0.5), ("y".to_owned(), -1e300)]),
        ..Plain::default()
    };
    same(&true);
    same(&(1u8, -2i8, 3u16, -4i16, 5u32, -6i32, u64::MAX, i64::MIN));
    same(&(7u128, -7i128, u128::from(u64::MAX), i128::from(i64::MIN)));
    same(&i128::from(u64::MAX));
    same(&(0.5f32, 0.1f64, -0.0f64, f64::MAX, f64::MIN_POSITIVE));
    same(&('a', '🦀', "", "text", String::from("text")));
    same(&((), None::<u8>, Some(1), Some(Some("x")), Unit));
    same(&[Newtype(vec![]), Newtype(vec![1, 2])]);
    same(&Pair(-1, 'p'));
    same(&plain);
    same(&[Some(plain.clone()), None]);
    same(&(
        External::Unit,
        External::Newtype(1),
        External::Tuple(2, "two"),
        External::Struct { field: None },
    ));
    same(&[Internal::Unit, Internal::Struct { field: 1 }]);
    same(&Internal::Inner(plain));
    same(&[Adjacent::Unit, Adjacent::Tuple(1, 2)]);
    same(&[Untagged::Text("x"), Untagged::Number(-1)]);
    same(&HashMap::from([("a", vec![1]), ("b", vec![])]));
    same(&BTreeMap::from([(1u8, "one"), (2, "two")]));
    same(&BTreeMap::from([(i64::MIN, 0), (-1, 1)]));
    same(&BTreeMap::from([(true, 1), (false, 0)]));
    same(&BTreeMap::from([('x', 1)]));
    same(&(Arc::<str>::from("shared"), Box::<str>::from("boxed")));
    same(&Ipv4Addr::LOCALHOST);
    same(&BTreeMap::from([(Ipv4Addr::LOCALHOST, 1)]));
    same(&std::time::Duration::from_millis(1_500));
    same(&std::path::Path::new("/a/b"));
    same(&Ok::<u8, ()>(1));
    same(&(1..4));
    same(&json!({"a": [1, 2.5, null, {"b": "c"}], "": {}}));
    same(&serde_json::Number::from_f64(2.5));
}

#[test]
fn numbers_that_json_does_not_have_are_strings() {
    assert_eq!(
        captured(&[f64::NAN, f64::INFINITY, f64::NEG_INFINITY]),
        json!(["NaN", "inf", "-inf"])
    );
    assert_eq!(
        captured(&[f32::NAN, f32::INFINITY, f32::NEG_INFINITY]),
        json!(["NaN", "inf", "-inf"])
    );
    assert_eq!(
        captured(&u128::MAX),
        "340282366920938463463374607431768211455"
    );
    assert_eq!(
        captured(&(i128::from(u64::MAX) + 1)),
        "18446744073709551616"
    );
    assert_eq!(
        captured(&(i128::from(i64::MIN) - 1)),
        "-9223372036854775809"
    );
}

#[test]
fn bytes_are_counted_and_not_shown() {
    struct Bytes<'a>(&'a [u8]);
    impl Serialize for Bytes<'_> {
        fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
            serializer.serialize_bytes(self.0)
        }
    }
    assert_eq!(captured(&Bytes(b"")), "<0 bytes>");
    assert_eq!(captured(&[Bytes(b"abc")]), json!(["<3 bytes>"]));
}

#[test]
fn keys_that_are_no_text_become_their_json() {
    #[derive(PartialEq, Eq, PartialOrd, Ord, Serialize)]
    enum Key {
        Unit,
        Data { x: u8 },
    }
    assert_eq!(
        captured(&BTreeMap::from([((1, "a"), true)])),
        json!({"[1,\"a\"]": true})
    );
    assert_eq!(
        captured(&BTreeMap::from([(None, 0), (Some("x"), 1)])),
        json!({"null": 0, "x": 1})
    );
    assert_eq!(
        captured(&BTreeMap::from([(Key::Unit, 0), (Key::Data { x: 1 }, 1)])),
        json!({"Unit": 0, "{\"Data\":{\"x\":1}}": 1})
    );
    assert_eq!(captured(&BTreeMap::from([((), 0)])), json!({"null": 0}));
}

/// Other crates of a program can turn on features of `serde_json` under which its own
/// types pass through a serializer as structs of special names.
#[test]
fn the_private_structs_of_serde_json_are_what_they_stand_for() {
    struct Private(&'static str, &'static str);
    impl Serialize for Private {
        fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
            use serde::ser::SerializeStruct;
            let mut private = serializer.serialize_struct(self.0, 1)?;
            private.serialize_field(self.0, self.1)?;
            private.end()
        }
    }
    let number = "$serde_json::private::Number";
    let raw = "$serde_json::private::RawValue";
    assert_eq!(captured(&Private(number, "12.5")), json!(12.5));
    assert_eq!(captured(&Private(number, "no number")), "no number");
    assert_eq!(
        captured(&Private(raw, r#"{"a": [1], "password": "x"}"#)),
        json!({"a": [1], "password": "[redacted]"})
    );
    assert_eq!(captured(&Private(raw, "no {json")), "no {json");
    assert_eq!(
        captured(&HashMap::from([("id_token", Private(raw, "\"x\""))])),
        json!({"id_token": "[redacted]"})
    );
    assert_eq!(
        captured(&HashMap::from([("id_token", Private(number, "7"))])),
        json!({"id_token": 7})
    );
    // The raw text does not count beside what it holds.
    assert_eq!(
        within(&SMALL, &Private(raw, "[\"abcde\"]")),
        json!(["abcde"])
    );
    assert_eq!(
        within(&SMALL, &Private(raw, "[\"abcdefghij\"]")),
        "[\"abcdefgh…[4 bytes cut]"
    );
    let cut = Private(raw, "{\"password\": 1}");
    let redacting = Reading::new(Budget::new(&SMALL), true);
    assert_eq!(read(redacting, Sensitivity::Open, &cut).0, "…[rest cut]");
}

#[test]
fn debug_and_display_print_what_the_type_prints() {
    assert_eq!(debug("a\n"), "\"a\\n\"");
    assert_eq!(debug(&Some(1)), "Some(1)");
    assert_eq!(display("a\n"), "a\n");
    for bytes in [15_999, 16_000] {
        let text = "x".repeat(bytes);
        assert_eq!(display(&text), text);
    }
    assert_eq!(
        display(&"x".repeat(16_001)),
        "x".repeat(16_000) + "…[rest cut]"
    );
    assert_eq!(
        display(&"€".repeat(6_000)),
        "€".repeat(5_333) + "…[rest cut]"
    );
    assert_eq!(
        debug(&"x".repeat(20_000)),
        format!("\"{}…[rest cut]", "x".repeat(15_999))
    );
}

#[test]
fn bytes_below_the_top_level_are_counted_and_few_of_them_are_numbers() {
    #[derive(Serialize)]
    struct File {
        name: &'static str,
        data: Vec<u8>,
        version: [u8; 3],
        colour: (u8, u8, u8),
    }
    #[derive(Serialize)]
    enum Part {
        Raw(Vec<u8>),
        Named { data: Vec<u8> },
    }
    let bytes = |count: usize| (0..=u8::MAX).cycle().take(count).collect::<Vec<_>>();
    let file = File {
        name: "a",
        data: bytes(100_000),
        version: [1, 2, 3],
        colour: (255, 0, 9),
    };
    let shown = json!({
        "name": "a", "data": "<100000 bytes>", "version": [1, 2, 3], "colour": [255, 0, 9],
    });
    assert_eq!(captured(&file), shown);
    let Io(IoRepr::Read(given)) = as_given(&file) else {
        unreachable!("as_given reads")
    };
    assert_eq!(given, shown, "given by hand as well");
    assert_eq!(
        captured(&[
            Part::Raw(bytes(17)),
            Part::Named { data: bytes(64) },
            Part::Raw(bytes(65)),
        ]),
        json!([{"Raw": "<17 bytes>"}, {"Named": {"data": "<64 bytes>"}}, {"Raw": "<65 bytes>"}])
    );
    assert_eq!(captured(&("x", bytes(40))), json!(["x", "<40 bytes>"]));
    assert_eq!(
        captured(&HashMap::from([("k", Some(bytes(63)))])),
        json!({"k": "<63 bytes>"})
    );
    assert_eq!(captured(&[1_u8; 32]), "<32 bytes>");
    for count in [0, 1, 16] {
        assert_eq!(captured(&(bytes(count),)), json!([bytes(count)]));
    }
    // Numbers of other types are no bytes, however small, and neither is a list of more.
    assert_eq!(captured(&vec![1_u16; 100]), json!(vec![1; 100]));
    assert_eq!(captured(&vec![1_i8; 100]), json!(vec![1; 100]));
    assert_eq!(captured(&vec![Some(1_u8); 100]), json!(vec![1; 100]));
    assert_eq!(captured(&json!(vec![1; 100])), json!(vec![1; 100]));
    let mut mixed = vec![json!(1); 20];
    mixed.push(json!("x"));
    assert_eq!(captured(&mixed), json!(mixed));
}

#[test]
fn a_great_list_of_bytes_is_not_walked_to_its_end() {
    use std::cell::Cell;

    use serde::ser::SerializeSeq as _;

    struct Counted<'a> {
        read: &'a Cell<usize>,
        hint: Option<usize>,
        ignores: bool,
    }
    impl Serialize for Counted<'_> {
        fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
            let mut list = serializer.serialize_seq(self.hint)?;
            for _ in 0..300_000 {
                self.read.set(self.read.get() + 1);
                let taken = list.serialize_element(&7_u8);
                if !self.ignores {
                    taken?;
                }
            }
            list.end()
        }
    }
    let read = Cell::new(0);
    let hint = Some(300_000);
    let told = Counted {
        read: &read,
        hint,
        ignores: false,
    };
    assert_eq!(
        captured(&(&told, "after")),
        json!(["<300000 bytes>", "after"])
    );
    assert!(read.get() <= 64, "{} were read", read.get());
    let deaf = Counted {
        read: &read,
        hint,
        ignores: true,
    };
    assert_eq!(captured(&deaf), "<300000 bytes>");
    read.set(0);
    let silent = Counted {
        read: &read,
        hint: None,
        ignores: false,
    };
    assert_eq!(captured(&silent), "<more than 99999 bytes>");
    assert!(read.get() <= 100_000, "{} were read", read.get());
}

#[test]
fn narrow_numbers_keep_their_decimals() {
    #[derive(Serialize)]
    struct Settings {
        temperature: f32,
        weights: Vec<f32>,
        wide: f64,
    }
    let settings = Settings {
        temperature: 0.7,
        weights: vec![0.1, -1e-9, 3.0],
        wide: f64::from(0.7_f32),
    };
    assert_eq!(
        captured(&settings).to_string(),
        "{\"temperature\":0.7,\"weights\":[0.1,-1e-9,3.0],\"wide\":0.699999988079071}"
    );
}
