//! What serde could read but should not: locks, channels and atomics, for it would lock
//! them, and bytes, for it would make a list of numbers. Also behind the usual pointers,
//! in an `Option`, and many in a list.

use std::borrow::Cow;
use std::rc::Rc;
use std::sync::{self, Arc, atomic, mpsc};

use serde::Serialize;
use serde_json::Value;

use super::ladder::Name;
use crate::capture::{self, Captured};

/// How such a value is told.
#[derive(Debug)]
pub enum Form {
    /// By its type's name.
    Type,
    /// In these words.
    Told(Captured),
}

/// A value that is not simply read.
pub trait Special {
    fn form(&self, name: Name) -> Form;
}

/// One that threads share.
pub trait Shared: Special {}

/// What a list may be made of that is not simply read. All integers are in it, not bytes
/// alone: the compiler would take the numbers of `[1, 2]` for the only ones that are.
pub trait Item: Sized {
    fn list(items: &[Self], name: Name) -> Form;
}

impl<T: Shared> Item for T {
    fn list(_: &[Self], _: Name) -> Form {
        Form::Type
    }
}

impl Item for u8 {
    fn list(items: &[Self], _: Name) -> Form {
        Form::Told(Value::from(format!("<{} bytes>", items.len())).into())
    }
}

macro_rules! integers {
    ($($ty:ty)*) => {$(
        impl Item for $ty {
            fn list(items: &[Self], name: Name) -> Form {
                read(items, name)
            }
        }
    )*};
}

integers!(u16 u32 u64 u128 usize i8 i16 i32 i64 i128 isize);

fn read<T: Serialize>(items: &[T], name: Name) -> Form {
    Form::Told(capture::serialize(name, items))
}

macro_rules! shared {
    ($([$($generics:tt)*] $ty:ty;)*) => {$(
        impl<$($generics)*> Special for $ty {
            fn form(&self, _: Name) -> Form {
                Form::Type
            }
        }

        impl<$($generics)*> Shared for $ty {}
    )*};
}

shared! {
    [T: ?Sized] sync::Mutex<T>;
    [T: ?Sized] sync::RwLock<T>;
    [T] sync::OnceLock<T>;
    [T] mpsc::Sender<T>;
    [T] mpsc::SyncSender<T>;
    [T] mpsc::Receiver<T>;
    [] sync::Barrier;
    [] sync::Condvar;
    [T] atomic::AtomicPtr<T>;
    [] atomic::AtomicBool;
    [] atomic::AtomicI8;
    [] atomic::AtomicI16;
    [] atomic::AtomicI32;
    [] atomic::AtomicI64;
    [] atomic::AtomicIsize;
    [] atomic::AtomicU8;
    [] atomic::AtomicU16;
    [] atomic::AtomicU32;
    [] atomic::AtomicU64;
    [] atomic::AtomicUsize;
}

macro_rules! lists {
    ($([$($generics:tt)*] $ty:ty;)*) => {$(
        impl<$($generics)*> Special for $ty {
            fn form(&self, name: Name) -> Form {
                Item::list(&self[..], name)
            }
        }
    )*};
}

lists! {
    [T: Item] [T];
    [T: Item] Vec<T>;
    [T: Item, const N: usize] [T; N];
    [] Cow<'_, [u8]>;
}

macro_rules! pointers {
    ($($ty:ty;)*) => {$(
        impl<T: Special + ?Sized> Special for $ty {
            fn form(&self, name: Name) -> Form {
                (**self).form(name)
            }
        }

        impl<T: Shared + ?Sized> Shared for $ty {}
    )*};
}

pointers! {
    &T;
    &mut T;
    Box<T>;
    Rc<T>;
    Arc<T>;
}

impl<T: Special> Special for Option<T> {
    fn form(&self, name: Name) -> Form {
        self.as_ref()
            .map_or(Form::Told(Value::Null.into()), |value| value.form(name))
    }
}

impl<T: Shared> Shared for Option<T> {}
