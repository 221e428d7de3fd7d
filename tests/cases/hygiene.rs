//! Names of the user that are like ours, or like everybody's.

use serde_json::json;

use crate::support::{input, only, output, record, record_future};

mod consts {
    #![allow(non_upper_case_globals, non_camel_case_types, dead_code)]

    pub(super) const e: u8 = 1;
    pub(super) const x: u8 = 2;
    const span: u8 = 3;
    const result: u8 = 4;
    struct out;

    #[llmobs::task]
    pub(super) fn sync(a: u8) -> Result<u8, u8> {
        if a == 0 { Err(e) } else { Ok(x) }
    }

    #[llmobs::task(name = "async")]
    pub(super) async fn asynchronous(a: u8) -> Result<u8, u8> {
        if a == 0 { Err(e) } else { Ok(x) }
    }
}

#[test]
fn case_13_constants_called_like_somebodys_locals() {
    let ((), spans) = record(|| assert_eq!((consts::sync(0), consts::sync(1)), (Err(1), Ok(2))));
    assert_eq!(spans[0]["meta"]["error"]["message"], "1");
    assert_eq!(output(&spans[1]), json!(2));
    assert_eq!(record_future(consts::asynchronous(1)).0, Ok(2));
}

#[allow(dead_code, non_camel_case_types, unused_macros)]
mod shadowed {
    use ::std::future::Future as F;
    use ::std::pin::Pin as P;

    pub(super) struct Ok;
    struct Err;
    struct Some;
    struct None;
    pub(super) struct Result(pub(super) u8);
    struct Option;
    struct String;
    struct Box;
    struct Vec;
    struct Send;
    enum bool {}
    mod std {}
    mod core {}
    mod alloc {}
    mod llmobs_runtime {}
    mod serde {}
    mod tracing {}
    macro_rules! panic {
        () => {};
    }
    macro_rules! format {
        () => {};
    }

    #[llmobs::llm(name = "n", tags(a = 1), metadata(b = 2), capture_input = true)]
    pub(super) fn sync(a: u8) -> Result {
        Result(a)
    }

    #[llmobs::workflow(output = |r| r.0)]
    pub(super) async fn asynchronous(a: u8, mut b: u8) -> Result {
        b += a;
        Result(b)
    }

    type Boxed = P<::std::boxed::Box<dyn F<Output = u8>>>;

    #[llmobs::workflow(future)]
    pub(super) fn boxed(a: u8) -> Boxed {
        ::std::boxed::Box::pin(async move { a })
    }

    #[llmobs::task(stream, output = |a| *a)]
    pub(super) fn stream(
        a: u8,
    ) -> ::std::result::Result<::std::boxed::Box<dyn Iterator<Item = u8>>, u8> {
        ::std::result::Result::Ok(::std::boxed::Box::new(0..a))
    }
}

#[test]
fn case_14_names_of_the_prelude_may_mean_something_else() {
    let (value, spans) = record(|| shadowed::sync(1));
    assert_eq!(value.0, 1);
    assert_eq!(only(&spans)["name"], "n");
    let (value, spans) = record_future(shadowed::asynchronous(1, 2));
    assert_eq!(value.0, 3);
    assert_eq!(output(only(&spans)), json!(3));
    assert_eq!(record_future(shadowed::boxed(4)).0, 4);
    let (count, spans) = record(|| shadowed::stream(2).unwrap().count());
    assert_eq!((count, output(only(&spans))), (2, json!([0, 1])));
}

mod no_prelude {
    #![no_implicit_prelude]

    use ::std::clone::Clone;
    use ::std::future::Future;
    use ::std::result::Result::{self, Err, Ok};
    use ::std::string::String;

    pub(super) struct S(pub(super) u8);

    impl S {
        #[::llmobs::tool(name = "n", tags(a = text), skip(c), metadata(m = c))]
        pub(super) fn sync(&mut self, text: &str, c: u8) -> Result<u8, String> {
            self.0 += c;
            if text.is_empty() {
                Err(::std::string::ToString::to_string("e"))
            } else {
                Ok(self.0)
            }
        }

        #[::llmobs::tool]
        pub(super) async fn asynchronous(&self, text: String) -> String {
            Clone::clone(&text)
        }

        #[::llmobs::tool(stream)]
        pub(super) async fn stream(
            &self,
        ) -> ::std::option::Option<impl ::futures::Stream<Item = Result<u8, String>> + use<>>
        {
            ::std::option::Option::Some(::futures::stream::iter([Ok(self.0)]))
        }

        #[::llmobs::tool(output = |u| *u)]
        pub(super) fn future(self) -> impl Future<Output = u8> {
            async move { self.0 }
        }
    }
}

#[test]
fn case_15_without_the_prelude() {
    let mut s = no_prelude::S(1);
    let ((), spans) = record(|| {
        assert_eq!(s.sync("t", 2), Ok(3));
        assert!(s.sync("", 0).is_err());
    });
    assert_eq!(input(&spans[0]), json!({"text": "t"}));
    assert_eq!(record_future(s.asynchronous("x".into())).0, "x");
    assert!(record_future(s.stream()).0.is_some());
    assert_eq!(record_future(s.future()).0, 3);
}

mod renamed {
    pub(super) use ::llmobs as observe;

    #[observe::task(crate = crate::hygiene::renamed::observe)]
    pub(super) fn by_crate_path(a: u8) -> u8 {
        a
    }

    #[observe::task(crate = llmobs_runtime)]
    pub(super) async fn by_runtime(a: u8) -> u8 {
        a
    }

    #[observe::task(crate = ::llmobs)]
    pub(super) fn by_global_path(a: u8) -> u8 {
        a
    }

    #[observe::task(crate = self::observe)]
    pub(super) fn by_self_path(a: u8) -> u8 {
        a
    }

    pub(super) mod llmobs {
        // A module that is called like us does not hide us.
        #[::llmobs::task]
        pub(in super::super) fn below_a_module_of_our_name(a: u8) -> u8 {
            a
        }
    }
}

#[test]
fn case_53_the_crate_may_be_elsewhere() {
    let ((), spans) = record(|| {
        renamed::by_crate_path(1);
        futures::executor::block_on(renamed::by_runtime(1));
        renamed::by_global_path(1);
        renamed::by_self_path(1);
        renamed::llmobs::below_a_module_of_our_name(1);
    });
    assert_eq!(spans.len(), 5);
}

macro_rules! instrumented {
    ($(#[$attr:meta])* $vis:vis $name:ident($($arg:ident: $ty:ty),*) -> $ret:ty $body:block) => {
        #[llmobs::workflow(tags(made = stringify!($name)))]
        $(#[$attr])*
        $vis fn $name($($arg: $ty),*) -> $ret $body
    };
    (item $item:item) => {
        #[llmobs::workflow]
        $item
    };
    (hidden $name:ident) => {
        #[llmobs::workflow]
        fn $name(mut x: u8) -> u8 {
            x += 1;
            x
        }
    };
}

instrumented!(#[inline] pub made(a: u8, b: &str) -> Option<usize> {
    let length = b.len();
    if a == 0 {
        return None;
    }
    Some(length)
});
instrumented!(item async fn made_item(a: u8) -> u8 { a });
instrumented!(hidden made_hidden);

#[test]
fn case_42_functions_made_by_macros() {
    let ((), spans) = record(|| {
        assert_eq!(made(1, "ab"), Some(2));
        assert_eq!(futures::executor::block_on(made_item(3)), 3);
        assert_eq!(made_hidden(1), 2);
    });
    assert_eq!(input(&spans[0]), json!({"a": 1, "b": "ab"}));
    assert_eq!(input(&spans[2]), json!({"x": 1}));
}
