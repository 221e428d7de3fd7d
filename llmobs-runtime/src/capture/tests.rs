use super::*;
use serde_json::json;

mod debug_random;
mod debug_text;
mod hostile;
mod names_in_values;
mod ordinary;
mod secrets;

const SMALL: Limits = Limits {
    text: 10,
    nodes: 5,
    depth: 3,
};

fn within<T: Serialize + ?Sized>(limits: &Limits, value: &T) -> Value {
    let reading = Reading::new(Budget::new(limits), false);
    read(reading, Sensitivity::Open, value).0
}

fn captured<T: Serialize + ?Sized>(value: &T) -> Value {
    named(None, value)
}

fn named<T: Serialize + ?Sized>(name: Option<&str>, value: &T) -> Value {
    serialize(name, value).into_value()
}

/// `depth` lists around one another.
fn nested(depth: usize) -> Value {
    (1..depth).fold(json!([]), |inner, _| json!([inner]))
}

#[test]
fn text_is_whole_up_to_the_limit_and_tells_what_is_missing_beyond() {
    let text = |bytes| within(&SMALL, &"abcdefghijklm"[..bytes]);
    assert_eq!(text(9), "abcdefghi");
    assert_eq!(text(10), "abcdefghij");
    assert_eq!(text(11), "abcdefghij…[1 bytes cut]");
    assert_eq!(text(13), "abcdefghij…[3 bytes cut]");
}

#[test]
fn text_is_cut_between_characters() {
    // "ä" has two bytes, "€" three, "🦀" four.
    assert_eq!(within(&SMALL, "aääääää"), "aääää…[4 bytes cut]");
    assert_eq!(within(&SMALL, "€€€€"), "€€€…[3 bytes cut]");
    assert_eq!(within(&SMALL, "🦀🦀🦀"), "🦀🦀…[4 bytes cut]");
    let none = Limits { text: 3, ..SMALL };
    assert_eq!(within(&none, "🦀"), "…[4 bytes cut]");
    assert_eq!(within(&Limits { text: 0, ..SMALL }, "a"), "…[1 bytes cut]");
    assert_eq!(within(&Limits { text: 0, ..SMALL }, ""), "");
}

#[test]
fn keys_and_strings_share_one_limit() {
    assert_eq!(
        within(&SMALL, &json!({"ab": "cde", "fg": "hij"})),
        json!({"ab": "cde", "fg": "hij"})
    );
    assert_eq!(
        within(&SMALL, &json!({"ab": "cde", "fg": "hijk"})),
        json!({"ab": "cde", "fg": "hij…[1 bytes cut]"})
    );
    assert_eq!(
        within(&SMALL, &json!({"ab": "cdefghi", "jk": 1})),
        json!({"ab": "cdefghi", "…": "…[rest cut]"})
    );
    assert_eq!(
        within(&SMALL, &json!(["abcdefghijk", "l", 1])),
        json!(["abcdefghij…[1 bytes cut]", "…[rest cut]"])
    );
}

#[test]
fn displayed_text_has_the_same_limit() {
    struct Shown(&'static str);
    impl Serialize for Shown {
        fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
            serializer.collect_str(self.0)
        }
    }
    assert_eq!(within(&SMALL, &Shown("abcdefghi")), "abcdefghi");
    assert_eq!(within(&SMALL, &Shown("abcdefghij")), "abcdefghij");
    assert_eq!(
        within(&SMALL, &Shown("abcdefghijk")),
        "abcdefghij…[rest cut]"
    );
    assert_eq!(
        within(&SMALL, &[Shown("abcde"), Shown("fghij")]),
        json!(["abcde", "fghij"])
    );
    assert_eq!(
        within(&SMALL, &[Shown("abcde"), Shown("fghiää"), Shown("")]),
        json!(["abcde", "fghi…[rest cut]", "…[rest cut]"])
    );
}

#[test]
fn nodes_are_counted_and_a_list_is_marked_where_it_ends() {
    assert_eq!(within(&SMALL, &[1, 2, 3]), json!([1, 2, 3]));
    assert_eq!(within(&SMALL, &[1, 2, 3, 4]), json!([1, 2, 3, 4]));
    assert_eq!(
        within(&SMALL, &[1, 2, 3, 4, 5]),
        json!([1, 2, 3, 4, "…[rest cut]"])
    );
    assert_eq!(
        within(&SMALL, &[1, 2, 3, 4, 5, 6, 7]),
        json!([1, 2, 3, 4, "…[rest cut]"])
    );
}

#[test]
fn a_map_is_marked_where_it_ends() {
    let map = |entries: usize| -> Map<String, Value> {
        let keys = ["a", "b", "c", "d", "e"];
        let entries = keys[..entries].iter();
        entries.map(|key| ((*key).to_owned(), 1.into())).collect()
    };
    for entries in [3, 4] {
        assert_eq!(within(&SMALL, &map(entries)), Value::from(map(entries)));
    }
    assert_eq!(
        within(&SMALL, &map(5)),
        json!({"a": 1, "b": 1, "c": 1, "d": 1, "…": "…[rest cut]"})
    );
}

#[test]
fn each_level_that_has_more_to_give_is_marked() {
    let cut = within(&SMALL, &json!([[1, 2, 3, 4, 5], [6], 7]));
    assert_eq!(cut, json!([[1, 2, 3, "…[rest cut]"], "…[rest cut]"]));
}

#[test]
fn a_container_that_is_too_deep_is_a_mark_and_its_neighbours_stay() {
    assert_eq!(within(&SMALL, &nested(2)), nested(2));
    assert_eq!(within(&SMALL, &nested(3)), nested(3));
    assert_eq!(
        within(&SMALL, &nested(4)),
        json!([[["…[deeper than 3 levels]"]]])
    );
    assert_eq!(
        within(&SMALL, &json!({"a": [{"b": {}, "c": 1}]})),
        json!({"a": [{"b": "…[deeper than 3 levels]", "c": 1}]})
    );
}

#[test]
fn the_limits_are_those_of_an_event() {
    let text = |bytes| "x".repeat(bytes);
    for bytes in [4_999_999, 5_000_000] {
        assert_eq!(captured(&text(bytes)), text(bytes));
        assert_eq!(bound_text(text(bytes)), text(bytes));
    }
    let half = text(2_500_000);
    let cut = format!("{half}…[1 bytes cut]…{half}");
    assert_eq!(captured(&text(5_000_001)), cut);
    assert_eq!(bound_text(text(5_000_001)), cut);
    assert_eq!(bound(text(5_000_001).into()), cut);

    let list = |nodes| vec![0; nodes - 1usize];
    for nodes in [99_999, 100_000] {
        assert_eq!(captured(&list(nodes)), Value::from(list(nodes)));
        assert_eq!(bound(list(nodes).into()), Value::from(list(nodes)));
    }
    for cut in [captured(&list(100_001)), bound(list(100_001).into())] {
        let cut = cut.as_array().unwrap();
        assert_eq!(cut.len(), 100_000);
        assert_eq!(cut[99_998], 0);
        assert_eq!(cut[99_999], "…[rest cut]");
    }

    for depth in [63, 64] {
        assert_eq!(captured(&nested(depth)), nested(depth));
        assert_eq!(bound(nested(depth)), nested(depth));
    }
    for cut in [captured(&nested(65)), bound(nested(65))] {
        let innermost = (0..64).fold(&cut, |list, _| &list[0]);
        assert_eq!(innermost, "…[deeper than 64 levels]");
    }
}

/// `bound` and the serializer have two ways of counting; this is that they agree.
#[test]
fn what_is_annotated_is_cut_exactly_where_captured_values_are() {
    let values = [
        json!(null),
        json!(1.5),
        json!("abcdefghij"),
        json!("abcdefghijk"),
        json!([1, 2, 3, 4]),
        json!([1, 2, 3, 4, 5]),
        json!({"abc": "defghij"}),
        json!({"abc": "defghijk"}),
        json!({"abcdefghij": 0}),
        json!({"abcdefghijk": 0}),
        json!({"a": [{"b": 1}]}),
        json!({"a": [{"b": []}]}),
        json!([[1, 2, 3], 4]),
        json!([[], {}, [], {}]),
        json!([[], {}, [], {}, []]),
        json!({"": {"": {"": ""}}}),
        json!({"…": "…[rest cut]"}),
    ];
    for value in values {
        let is_whole = Budget::new(&SMALL).take(&value, 0);
        let read = within(&SMALL, &value);
        assert_eq!(is_whole, read == value, "{value}");
        let bounded = bound_within(&mut Budget::new(&SMALL), value);
        assert_eq!(bounded, read);
    }
}

#[test]
fn a_tree_of_any_depth_is_bounded_without_recursion() {
    // Built and taken apart on a stack of 256 kB, where a recursion as deep would overflow.
    let deep = || (0..1_000_000).fold(json!([]), |inner, _| Value::Array(vec![inner]));
    let run = move || {
        let cut = bound(deep());
        assert_eq!(bound(cut.clone()), cut);
        assert!(cut.to_string().len() < 200);
    };
    let thread = std::thread::Builder::new().stack_size(256 * 1024);
    thread.spawn(run).unwrap().join().unwrap();
}
