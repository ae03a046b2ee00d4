//! An event's `data`: nil, booleans, numbers, text, lists, and maps with text keys; whatever else comes is read without harm.

use std::fmt;

use serde::{
    Deserialize, Deserializer,
    de::{Error, IgnoredAny, MapAccess, SeqAccess, Visitor},
};
use serde_json::{Map, Number, Value};

use crate::codec::Counter;

/// Small facts beside an event's description; values are those of JSON.
pub type Data = Map<String, Value>;

/// Reads a map in which bytes, extensions, text that is not UTF-8, NaN and infinities become nil and entries without a text key
/// are left out: a careless agent must not lose its link, with the same event at its front again and again.
pub(crate) fn lenient<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Data, D::Error> {
    struct Facts;
    impl<'de> Visitor<'de> for Facts {
        type Value = Data;
        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("a map of small facts")
        }
        fn visit_unit<E: Error>(self) -> Result<Data, E> {
            Ok(Data::new())
        }
        fn visit_map<A: MapAccess<'de>>(self, entries: A) -> Result<Data, A::Error> {
            map(entries)
        }
    }
    deserializer.deserialize_map(Facts)
}

/// The size of `data` as JSON text in bytes; what cannot be written counts as too large.
pub(super) fn json_len(data: &Data) -> usize {
    let mut counter = Counter(0);
    serde_json::to_writer(&mut counter, data).map_or(usize::MAX, |()| counter.0)
}

fn map<'de, A: MapAccess<'de>>(mut entries: A) -> Result<Data, A::Error> {
    let mut data = Data::new();
    while let Some((Fact(key), Fact(value))) = entries.next_entry()? {
        if let Value::String(key) = key {
            data.insert(key, value);
        }
    }
    Ok(data)
}

/// One value, read leniently.
struct Fact(Value);

impl<'de> Deserialize<'de> for Fact {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(AnyFact).map(Fact)
    }
}

struct AnyFact;

impl<'de> Visitor<'de> for AnyFact {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("any value")
    }
    fn visit_unit<E: Error>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }
    fn visit_bool<E: Error>(self, value: bool) -> Result<Value, E> {
        Ok(value.into())
    }
    fn visit_i64<E: Error>(self, value: i64) -> Result<Value, E> {
        Ok(value.into())
    }
    fn visit_u64<E: Error>(self, value: u64) -> Result<Value, E> {
        Ok(value.into())
    }
    fn visit_f64<E: Error>(self, value: f64) -> Result<Value, E> {
        Ok(Number::from_f64(value).map_or(Value::Null, Value::Number))
    }
    fn visit_str<E: Error>(self, text: &str) -> Result<Value, E> {
        Ok(text.into())
    }
    fn visit_bytes<E: Error>(self, _: &[u8]) -> Result<Value, E> {
        Ok(Value::Null)
    }
    /// An extension.
    fn visit_newtype_struct<D: Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
        IgnoredAny::deserialize(deserializer).map(|_| Value::Null)
    }
    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Value, A::Error> {
        let mut list = Vec::new();
        while let Some(Fact(item)) = items.next_element()? {
            list.push(item);
        }
        Ok(Value::Array(list))
    }
    fn visit_map<A: MapAccess<'de>>(self, entries: A) -> Result<Value, A::Error> {
        map(entries).map(Value::Object)
    }
}
