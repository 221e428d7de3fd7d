//! The serializer: what each call of a `Serialize` means for the tree.

use std::fmt;

use serde::ser::{self, Serialize};
use serde_json::Value;

use super::redact::{REDACTED, Sensitivity};
use super::tree::{Error, Fields, List, Node, Object};
use crate::number;

/// What `serde_json` calls the structs by which its own types pass through a serializer:
/// numbers under its feature `arbitrary_precision`, and `RawValue`.
const PRIVATE_NUMBER: &str = "$serde_json::private::Number";
const PRIVATE_RAW: &str = "$serde_json::private::RawValue";

macro_rules! scalars {
    ($($method:ident: $ty:ty,)*) => {$(
        fn $method(self, value: $ty) -> Result<(), Error> {
            self.set(value);
            Ok(())
        }
    )*};
}

macro_rules! floats {
    ($($method:ident: $ty:ty, $wide:expr;)*) => {$(
        fn $method(self, value: $ty) -> Result<(), Error> {
            if value.is_finite() {
                self.set($wide(value));
            } else {
                // "NaN", "inf", "-inf"
                self.set(value.to_string());
            }
            Ok(())
        }
    )*};
}

impl<'a> ser::Serializer for Node<'a> {
    type Ok = ();
    type Error = Error;
    type SerializeSeq = List<'a>;
    type SerializeTuple = List<'a>;
    type SerializeTupleStruct = List<'a>;
    type SerializeTupleVariant = List<'a>;
    type SerializeMap = Object<'a>;
    type SerializeStruct = Fields<'a>;
    type SerializeStructVariant = Object<'a>;

    scalars! {
        serialize_bool: bool,
        serialize_i8: i8,
        serialize_i16: i16,
        serialize_i32: i32,
        serialize_i64: i64,
        serialize_u16: u16,
        serialize_u32: u32,
        serialize_u64: u64,
    }

    fn serialize_u8(self, value: u8) -> Result<(), Error> {
        self.reading.byte = Some(self.wrappers());
        self.set(value);
        Ok(())
    }

    floats! {
        serialize_f32: f32, number::widened;
        serialize_f64: f64, f64::from;
    }

    fn serialize_i128(self, value: i128) -> Result<(), Error> {
        match (i64::try_from(value), u64::try_from(value)) {
            (Ok(value), _) => self.set(value),
            (_, Ok(value)) => self.set(value),
            _ => self.set(value.to_string()),
        }
        Ok(())
    }

    fn serialize_u128(self, value: u128) -> Result<(), Error> {
        match u64::try_from(value) {
            Ok(value) => self.set(value),
            Err(_) => self.set(value.to_string()),
        }
        Ok(())
    }

    fn serialize_char(self, value: char) -> Result<(), Error> {
        self.text(value.encode_utf8(&mut [0; 4]));
        Ok(())
    }

    fn serialize_str(self, value: &str) -> Result<(), Error> {
        self.text(value);
        Ok(())
    }

    fn collect_str<T: fmt::Display + ?Sized>(self, value: &T) -> Result<(), Error> {
        if self.sensitivity > Sensitivity::Likely {
            self.set(REDACTED);
            return Ok(());
        }
        match self.reading.budget.display(&value) {
            Ok((text, _)) if self.hides_text(&text) => self.set(REDACTED),
            Ok((text, false)) => self.set(text),
            Ok((text, true)) => self.cut_text(text),
            Err(fmt::Error) => return Err(Error::Own("its Display fails".to_owned())),
        }
        Ok(())
    }

    fn serialize_bytes(self, value: &[u8]) -> Result<(), Error> {
        self.set(format!("<{} bytes>", value.len()));
        Ok(())
    }

    fn serialize_none(self) -> Result<(), Error> {
        self.serialize_unit()
    }

    fn serialize_some<T: Serialize + ?Sized>(self, value: &T) -> Result<(), Error> {
        value.serialize(self.wrapped()?)
    }

    fn serialize_unit(self) -> Result<(), Error> {
        self.set(Value::Null);
        Ok(())
    }

    fn serialize_unit_struct(self, _name: &'static str) -> Result<(), Error> {
        self.serialize_unit()
    }

    /// A variant's name stands in the program, so it is no secret.
    fn serialize_unit_variant(
        mut self,
        _name: &'static str,
        _index: u32,
        variant: &'static str,
    ) -> Result<(), Error> {
        self.sensitivity = Sensitivity::Open;
        self.text(variant);
        Ok(())
    }

    fn serialize_newtype_struct<T: Serialize + ?Sized>(
        self,
        _name: &'static str,
        value: &T,
    ) -> Result<(), Error> {
        value.serialize(self.wrapped()?)
    }

    fn serialize_newtype_variant<T: Serialize + ?Sized>(
        self,
        _name: &'static str,
        _index: u32,
        variant: &'static str,
        value: &T,
    ) -> Result<(), Error> {
        self.variant(variant)?.fill(value);
        Ok(())
    }

    fn serialize_seq(self, len: Option<usize>) -> Result<List<'a>, Error> {
        self.list(len)
    }

    fn serialize_tuple(self, len: usize) -> Result<List<'a>, Error> {
        self.list(Some(len))
    }

    fn serialize_tuple_struct(self, _name: &'static str, len: usize) -> Result<List<'a>, Error> {
        self.list(Some(len))
    }

    fn serialize_tuple_variant(
        self,
        _name: &'static str,
        _index: u32,
        variant: &'static str,
        len: usize,
    ) -> Result<List<'a>, Error> {
        self.variant(variant)?.list(Some(len))
    }

    fn serialize_map(self, _len: Option<usize>) -> Result<Object<'a>, Error> {
        self.object()
    }

    fn serialize_struct(self, name: &'static str, _len: usize) -> Result<Fields<'a>, Error> {
        match name {
            PRIVATE_NUMBER | PRIVATE_RAW => Ok(Fields::Private {
                is_raw: name == PRIVATE_RAW,
                node: self,
            }),
            _ => self.object().map(Fields::Object),
        }
    }

    fn serialize_struct_variant(
        self,
        _name: &'static str,
        _index: u32,
        variant: &'static str,
        _len: usize,
    ) -> Result<Object<'a>, Error> {
        self.variant(variant)?.object()
    }
}

macro_rules! list {
    ($($serialize:ident: $method:ident;)*) => {$(
        impl ser::$serialize for List<'_> {
            type Ok = ();
            type Error = Error;

            fn $method<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), Error> {
                self.push(value)
            }

            fn end(self) -> Result<(), Error> {
                self.finish();
                Ok(())
            }
        }
    )*};
}

list! {
    SerializeSeq: serialize_element;
    SerializeTuple: serialize_element;
    SerializeTupleStruct: serialize_field;
    SerializeTupleVariant: serialize_field;
}

impl ser::SerializeMap for Object<'_> {
    type Ok = ();
    type Error = Error;

    fn serialize_key<T: Serialize + ?Sized>(&mut self, key: &T) -> Result<(), Error> {
        self.key = Some(self.read_key(key)?);
        Ok(())
    }

    fn serialize_value<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), Error> {
        let Some(key) = self.key.take() else {
            return Err(Error::Own("a map's value came without a key".to_owned()));
        };
        self.insert(key, value);
        Ok(())
    }

    fn end(self) -> Result<(), Error> {
        Ok(())
    }
}

impl ser::SerializeStruct for Fields<'_> {
    type Ok = ();
    type Error = Error;

    fn serialize_field<T: Serialize + ?Sized>(
        &mut self,
        key: &'static str,
        value: &T,
    ) -> Result<(), Error> {
        self.field(key, value)
    }

    fn end(self) -> Result<(), Error> {
        Fields::end(self);
        Ok(())
    }
}

impl ser::SerializeStructVariant for Object<'_> {
    type Ok = ();
    type Error = Error;

    fn serialize_field<T: Serialize + ?Sized>(
        &mut self,
        key: &'static str,
        value: &T,
    ) -> Result<(), Error> {
        self.field(key, value)
    }

    fn end(self) -> Result<(), Error> {
        Ok(())
    }
}
