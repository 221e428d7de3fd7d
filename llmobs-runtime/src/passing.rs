//! The messages of panics that pass a function whose body stands inline.
//!
//! Below `#[track_caller]` nothing may stand between a function and its body, for the body would see
//! our line instead of its caller's. So no `catch_unwind` gets the payload there, and what is dropped
//! while a panic passes is not told its message. The program's panic hook is told. So the first client
//! that starts puts a hook of ours in front of the program's, which it calls. The hook is one for the
//! whole process and stays.
//!
//! Not the first such function: to set a hook is to wait until no hook runs, on any thread. A function
//! may be called by what a hook waits for, and a program changes its hook while it starts, if ever.
//!
//! Our hook notes a message only while a [`Watch`] of its thread is open. While another hook stands in
//! its place, and where `resume_unwind` calls none, the message is not known, save that of a payload
//! which an annotated function between has caught.

use std::any::Any;
use std::cell::RefCell;
use std::marker::PhantomData;
use std::panic::{set_hook, take_hook};
use std::sync::atomic::{AtomicBool, Ordering};

/// Bytes of a message that are kept.
const LONGEST: usize = 16_000;

/// Messages that are kept.
const MOST: usize = 4;

/// A hook is not asked for twice.
static HOOKED: AtomicBool = AtomicBool::new(false);

thread_local! {
    static PASSING: RefCell<Passing> = const { RefCell::new(Passing::NONE) };
}

/// Panics of a thread, while somebody watches.
struct Passing {
    watches: usize,
    /// How many panics have begun.
    begun: usize,
    /// The messages of those that may still pass, each with its number: the first ones and the last.
    messages: Vec<(usize, Option<String>)>,
}

impl Passing {
    const NONE: Self = Self {
        watches: 0,
        begun: 0,
        messages: Vec::new(),
    };

    fn begin(&mut self, message: Option<String>) {
        self.begun += 1;
        if self.messages.len() == MOST {
            self.messages.pop();
        }
        self.messages.push((self.begun, message));
    }
}

/// `None` also while the thread is being torn down.
fn with<R>(run: impl FnOnce(&mut Passing) -> R) -> Option<R> {
    let run = |passing: &RefCell<Passing>| Some(run(&mut *passing.try_borrow_mut().ok()?));
    PASSING.try_with(run).ok().flatten()
}

/// The text of a payload; `None` if it has none.
pub(crate) fn text(payload: &(dyn Any + Send)) -> Option<&str> {
    let literal = payload.downcast_ref::<&'static str>().copied();
    literal.or_else(|| payload.downcast_ref::<String>().map(String::as_str))
}

/// Notes a panic of this thread, if somebody watches.
fn note(payload: &(dyn Any + Send)) {
    with(|passing| {
        if passing.watches > 0 {
            let text = text(payload).map(|text| {
                let mut end = text.len().min(LONGEST);
                while !text.is_char_boundary(end) {
                    end -= 1;
                }
                text[..end].to_owned()
            });
            passing.begin(text);
        }
    });
}

/// A payload was caught and is about to pass on, by `resume_unwind`, of which no hook is told.
pub(crate) fn resumes(payload: &(dyn Any + Send)) {
    if !std::thread::panicking() {
        // It was caught, and so was every other one.
        with(|passing| passing.messages.clear());
    }
    note(payload);
}

/// A panic of what we call has been caught, and goes no further.
pub(crate) fn swallowed() {
    with(|passing| {
        if passing.watches > 0 && passing.begun > 0 {
            passing
                .messages
                .pop_if(|(number, _)| *number == passing.begun);
            passing.begun -= 1;
        }
    });
}

/// Puts our hook in front of the program's, once. A thread that panics may not do so.
pub(crate) fn hook() {
    if HOOKED.load(Ordering::Relaxed)
        || std::thread::panicking()
        || HOOKED.swap(true, Ordering::Relaxed)
    {
        return;
    }
    let programs = take_hook();
    set_hook(Box::new(move |info| {
        note(info.payload());
        programs(info);
    }));
}

/// Looks whether a panic of its thread begins while it is open.
#[derive(Debug)]
pub(crate) struct Watch {
    begun: usize,
    was_panicking: bool,
    of_thread: PhantomData<*const ()>,
}

impl Watch {
    pub(crate) fn begin() -> Self {
        let begun = with(|passing| {
            passing.watches += 1;
            passing.begun
        });
        Self {
            begun: begun.unwrap_or_default(),
            was_panicking: std::thread::panicking(),
            of_thread: PhantomData,
        }
    }

    /// Whether a panic passes here, that did not where this began.
    pub(crate) fn panics(&self) -> bool {
        std::thread::panicking() && !self.was_panicking
    }

    /// The message of the panic that passes; `None` if it is not known, `""` if it has no text. Where several
    /// have begun, the one that passes may be any: the function may have caught those before it, and what it drops
    /// those after it. Nobody can tell, so each message is told.
    pub(crate) fn message(&self) -> Option<String> {
        let message = with(|passing| {
            let mut messages: Vec<&str> = Vec::new();
            for (number, message) in &passing.messages {
                let message = message.as_deref().unwrap_or_default();
                if *number > self.begun && !messages.contains(&message) {
                    messages.push(message);
                }
            }
            match messages[..] {
                [] => None,
                [only] => Some(only.to_owned()),
                _ => {
                    let quoted = messages.iter().map(|message| format!("{message:?}"));
                    Some(quoted.collect::<Vec<_>>().join(" or "))
                }
            }
        });
        message.flatten()
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        with(|passing| {
            passing.watches = passing.watches.saturating_sub(1);
            if passing.watches == 0 {
                *passing = Passing::NONE;
            }
        });
    }
}

#[cfg(test)]
mod tests {
    use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};

    use super::*;

    struct Tells<'a>(Watch, &'a mut Vec<Option<String>>);

    impl Drop for Tells<'_> {
        fn drop(&mut self) {
            if self.0.panics() {
                self.1.push(self.0.message());
            }
        }
    }

    fn told(run: impl FnOnce()) -> Vec<Option<String>> {
        hook();
        let mut told = Vec::new();
        let watched = || {
            let _tells = Tells(Watch::begin(), &mut told);
            run();
        };
        let _ = catch_unwind(AssertUnwindSafe(watched));
        told
    }

    #[test]
    fn what_is_dropped_by_a_panic_learns_its_message() {
        assert_eq!(told(|| panic!("literal")), [Some("literal".to_owned())]);
        let number = 7;
        assert_eq!(told(|| panic!("{number}")), [Some("7".to_owned())]);
        assert_eq!(told(|| std::panic::panic_any(7)), [Some(String::new())]);
        assert_eq!(told(|| ()), []);
        let cut = told(|| panic!("{}", "é".repeat(LONGEST)));
        assert_eq!(cut[0].as_ref().map(String::len), Some(LONGEST));
    }

    #[test]
    fn a_panic_that_is_caught_while_another_one_passes_does_not_take_its_place() {
        struct Catches(&'static str);
        impl Drop for Catches {
            fn drop(&mut self) {
                let message = self.0;
                catch_unwind(|| panic!("{message}")).unwrap_err();
            }
        }
        let both = |text: &str| vec![Some(text.to_owned())];
        let nested = told(|| {
            let _catches = Catches("in a drop");
            panic!("passes")
        });
        assert_eq!(nested, both(r#""passes" or "in a drop""#));
        let in_turn = told(|| {
            drop(Catches("caught"));
            panic!("passes")
        });
        assert_eq!(in_turn, both(r#""caught" or "passes""#));
        let many = told(|| {
            let _catch = ["a", "b", "c", "d"].map(Catches);
            panic!("passes")
        });
        assert_eq!(many, both(r#""passes" or "a" or "b" or "d""#));
        let resumed = told(|| {
            drop(Catches("caught"));
            let payload = catch_unwind(|| panic!("passes")).unwrap_err();
            resumes(&*payload);
            resume_unwind(payload)
        });
        assert_eq!(resumed, both("passes"));
        let same = told(|| {
            let _catches = Catches("same");
            panic!("same")
        });
        assert_eq!(same, both("same"));
    }

    #[test]
    fn a_panic_of_another_time_is_not_taken_for_this_one() {
        let earlier = told(|| {
            let _ = catch_unwind(|| panic!("earlier"));
        });
        assert_eq!(earlier, []);
        let resumed = told(|| resume_unwind(Box::new("resumed")));
        assert_eq!(resumed, [None]);
        let caught = told(|| {
            let payload = catch_unwind(|| panic!("caught")).unwrap_err();
            resumes(&*payload);
            resume_unwind(payload)
        });
        assert_eq!(caught, [Some("caught".to_owned())]);
    }

    #[test]
    fn a_panic_that_we_have_swallowed_hides_none_of_the_programs() {
        struct Asks;
        impl Drop for Asks {
            fn drop(&mut self) {
                assert!(crate::capture::panics(|| panic!("swallowed")));
            }
        }
        let both = told(|| {
            let _asks = Asks;
            panic!("passes")
        });
        assert_eq!(both, [Some("passes".to_owned())]);
        let resumed = told(|| {
            assert!(crate::capture::panics(|| panic!("swallowed")));
            resume_unwind(Box::new(1))
        });
        assert_eq!(resumed, [None]);
    }

    #[test]
    fn nothing_is_kept_once_nobody_watches() {
        told(|| {
            let _ = told(|| panic!("inner"));
        });
        let kept = with(|passing| (passing.begun, passing.messages.clone()));
        assert_eq!(kept, Some((0, Vec::new())));
        assert!(catch_unwind(|| panic!("nobody watches")).is_err());
        assert_eq!(with(|passing| passing.begun), Some(0));
    }
}
