//! Where functions stand, and what else stands on them.

use llmobs::{llm, task, tool, workflow};
use serde_json::json;

use crate::support::{has_tag, input, only, output, record, record_future};

#[task]
unsafe fn unchecked(list: &[u8], at: usize) -> u8 {
    unsafe { *list.get_unchecked(at) }
}

#[task]
async unsafe fn unchecked_async(list: Vec<u8>, at: usize) -> u8 {
    tokio::task::yield_now().await;
    unsafe { *list.get_unchecked(at) }
}

#[test]
fn case_35_unsafe_functions_stay_what_they_are() {
    let ((), spans) = record(|| {
        assert_eq!(unsafe { unchecked(&[1, 2], 1) }, 2);
    });
    assert_eq!(output(only(&spans)), json!(2));
    assert_eq!(record_future(unsafe { unchecked_async(vec![7], 0) }).0, 7);
}

mod forbidden {
    #![forbid(unsafe_code)]

    #[llmobs::workflow(name = "f", capture_output = true)]
    pub(super) fn safe(a: u8) -> u8 {
        a
    }

    #[llmobs::workflow(tags(a = 1))]
    pub(super) async fn safe_async(mut a: u8) -> u8 {
        a += 1;
        a
    }
}

#[test]
fn case_35_under_forbid_unsafe_code() {
    assert_eq!(record(|| forbidden::safe(1)).0, 1);
    assert_eq!(record_future(forbidden::safe_async(1)).0, 2);
}

#[task]
extern "C" fn exported(a: i32) -> i32 {
    a + 1
}

#[task]
pub(crate) unsafe extern "system" fn exported_unsafe(a: i32) -> i32 {
    a
}

#[test]
fn case_36_a_function_with_an_abi_keeps_it() {
    let function: extern "C" fn(i32) -> i32 = exported;
    let (value, spans) = record(|| function(1));
    assert_eq!(value, 2);
    assert_eq!(input(only(&spans)), json!({"a": 1}));
    let function: unsafe extern "system" fn(i32) -> i32 = exported_unsafe;
    assert_eq!(unsafe { function(3) }, 3);
}

/// A documented function.
#[doc(alias = "other")]
#[inline(always)]
#[must_use = "look at it"]
#[cfg(not(any()))]
#[cfg_attr(not(any()), allow(clippy::inline_always))]
#[task]
#[cold]
fn stacked(a: u8) -> u8 {
    a
}

#[tool]
#[tracing::instrument(ret, err)]
fn above_instrument(a: u8) -> Result<u8, String> {
    if a == 0 {
        return Err("zero".into());
    }
    Ok(a)
}

#[tracing::instrument(err)]
#[tool]
fn below_instrument(a: u8) -> Result<u8, String> {
    if a == 0 {
        return Err("zero".into());
    }
    Ok(a)
}

#[tracing::instrument(skip_all)]
#[tool]
async fn below_instrument_async(a: u8) -> u8 {
    a
}

#[tool]
#[tracing::instrument(skip_all)]
async fn above_instrument_async(a: u8) -> u8 {
    a
}

#[tokio::test]
#[workflow]
async fn case_38_below_a_test_attribute() {
    tokio::task::yield_now().await;
}

#[workflow]
#[tokio::test]
async fn case_38_above_a_test_attribute() {
    tokio::task::yield_now().await;
}

#[test]
fn case_38_other_attributes_on_the_function() {
    let ((), spans) = record(|| {
        assert_eq!(stacked(1), 1);
        assert_eq!((above_instrument(1), below_instrument(1)), (Ok(1), Ok(1)));
        assert!(above_instrument(0).is_err() && below_instrument(0).is_err());
    });
    assert_eq!(spans.len(), 5);
    assert_eq!(spans[3]["status"], "error");
    assert_eq!(spans[4]["status"], "error");
    let (_, spans) =
        record_future(async { below_instrument_async(1).await + above_instrument_async(2).await });
    assert_eq!(output(&spans[0]), json!(1));
    assert_eq!(output(&spans[1]), json!(2));
}

#[task]
fn inner_attributes(a: u8) -> u8 {
    #![allow(unused_variables, clippy::no_effect)]
    #![allow(unused_assignments)]
    let unused = 1;
    a
}

#[test]
fn case_39_inner_attributes_stay_in_front() {
    assert_eq!(record(|| inner_attributes(1)).0, 1);
}

trait Described {
    const NAME: &'static str;

    #[llm(name = Self::NAME)]
    fn describe(&self) -> &'static str {
        Self::NAME
    }
}

impl Described for u8 {
    const NAME: &'static str = "byte";
}

#[test]
fn case_40_a_default_body_in_a_trait() {
    let (_, spans) = record(|| 1_u8.describe());
    assert_eq!(only(&spans)["name"], "byte");
    assert!(has_tag(only(&spans), "decorator:1"));
}

#[test]
fn a_function_inside_a_function() {
    let (value, spans) = record(|| {
        #[workflow]
        fn outer(a: u8) -> u8 {
            #[task]
            fn inner(a: u8) -> u8 {
                a + 1
            }
            inner(a)
        }
        outer(1)
    });
    assert_eq!(value, 2);
    let tree = llmobs_tests::tree(&spans);
    assert_eq!(tree, "workflow outer\n  task inner\n");
}

#[task]
fn shadows_the_signature(value: Option<u8>) -> Option<u8> {
    // Items of a body hide names of the signature inside of it.
    #[allow(dead_code)]
    enum Option {}
    #[allow(non_upper_case_globals, dead_code)]
    const value_of: u8 = 1;
    value
}

#[task]
async fn shadows_the_signature_async(value: u8) -> String {
    type String = u8;
    let number: String = value;
    tokio::task::yield_now().await;
    number.to_string()
}

#[test]
fn items_of_the_body_do_not_reach_the_signature() {
    assert_eq!(record(|| shadows_the_signature(Some(1))).0, Some(1));
    assert_eq!(record_future(shadows_the_signature_async(1)).0, "1");
}

#[test]
fn case_58_a_thousand_calls_make_a_thousand_spans() {
    let ((), spans) = record(|| {
        for _ in 0..1000 {
            exported(1);
        }
    });
    assert_eq!(spans.len(), 1000);
}
