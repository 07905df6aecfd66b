//! Reads JSON lines: one flat object per line, whose names are the columns.

use std::collections::{HashMap, HashSet};
use std::fmt;

use serde::Deserialize;
use serde::de::{Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};

use super::batch::Builder;
use super::format::Format;
use super::left_out::LeftOut;
use super::limits::Limits;
use super::raw::RawTable;
use super::records::RECORD_BYTES;
use super::settle::Unsettled;
use crate::Error;

/// One value of an object.
enum Scalar {
    /// Its text; of `null` nothing.
    Text(String),
    /// A list or an object, which is not kept.
    Nested,
}

/// The members of an object, in its order.
struct Flat(Vec<(String, Scalar)>);

/// Reads a table. A line that is no object, names a member twice or is longer than a record may be is malformed and costs no
/// other; a member that is missing or `null` is an empty cell; a column with a list or an object in it is left out.
pub(super) fn read(file: &str, bytes: &[u8], limits: &Limits) -> Result<Unsettled, Error> {
    let too_large = |what, found, allowed| Error::TooLarge { file: file.to_owned(), what, found, allowed };
    let bytes = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes);
    let lines = || (1..).zip(bytes.split(|byte| *byte == b'\n')).filter(|(_, line)| !line.trim_ascii().is_empty());
    let (mut columns, mut places, mut nested) = (Vec::new(), HashMap::new(), HashSet::new());
    let mut rows = 0;
    for (_, line) in lines() {
        rows += 1;
        if rows > limits.rows {
            return Err(too_large("number of rows", rows, limits.rows));
        }
        for (name, value) in parsed(line).unwrap_or_default() {
            if matches!(value, Scalar::Nested) {
                nested.insert(name.clone());
            }
            if !places.contains_key(&name) {
                places.insert(name.clone(), columns.len());
                columns.push(name);
            }
        }
        if columns.len() > limits.columns {
            return Err(too_large("number of columns", columns.len() as u64, limits.columns as u64));
        }
    }
    let readable: Vec<usize> = (0..columns.len()).filter(|at| !nested.contains(&columns[*at])).collect();
    if readable.len() < 2 {
        let column = "label, beside at least one feature".into();
        return Err(Error::MissingColumn { file: file.to_owned(), column, found: columns });
    }
    // A cell that a line does not have takes room too.
    let cells = rows.saturating_mul(readable.len() as u64);
    if cells > limits.bytes {
        return Err(too_large("number of cells", cells, limits.bytes));
    }
    let names: Vec<String> = readable.iter().map(|at| columns[*at].clone()).collect();
    let mut builder = Builder::new(&names);
    for (number, line) in lines() {
        match parsed(line) {
            Ok(members) => {
                let mut cells = vec![String::new(); columns.len()];
                for (name, value) in members {
                    if let (Some(at), Scalar::Text(text)) = (places.get(&name), value) {
                        cells[*at] = text;
                    }
                }
                builder.push(number, line, readable.iter().map(|at| cells[*at].as_bytes()));
            }
            Err(fault) => builder.push_malformed(number, line, &fault),
        }
    }
    let reason = || "it holds lists or objects, allowed: numbers, words, true and false".to_owned();
    let left_out = columns.into_iter().filter(|name| nested.contains(name));
    let left_out = left_out.map(|column| LeftOut { column, reason: reason() }).collect();
    Ok(Unsettled::named(RawTable::new(file, Format::JsonLines, names, 0, builder.finish()), left_out))
}

/// The members of the object on a line, or why there are none.
fn parsed(line: &[u8]) -> Result<Vec<(String, Scalar)>, String> {
    if line.len() > RECORD_BYTES {
        return Err(format!("the line has {} bytes, allowed are at most {RECORD_BYTES}", line.len()));
    }
    let Flat(members) = serde_json::from_slice(line).map_err(|error| format!("no JSON object: {error}"))?;
    let mut seen = HashSet::new();
    match members.iter().find(|(name, _)| !seen.insert(name)) {
        Some((name, _)) => Err(format!("two members are named {name:?}")),
        None => Ok(members),
    }
}

impl<'de> Deserialize<'de> for Flat {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Members;
        impl<'de> Visitor<'de> for Members {
            type Value = Flat;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Flat, A::Error> {
                let mut members = Vec::new();
                while let Some(member) = map.next_entry()? {
                    members.push(member);
                }
                Ok(Flat(members))
            }
        }
        deserializer.deserialize_map(Members)
    }
}

impl<'de> Deserialize<'de> for Scalar {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Value;
        impl<'de> Visitor<'de> for Value {
            type Value = Scalar;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a value")
            }

            fn visit_bool<E>(self, value: bool) -> Result<Scalar, E> {
                Ok(Scalar::Text(value.to_string()))
            }

            fn visit_i64<E>(self, value: i64) -> Result<Scalar, E> {
                Ok(Scalar::Text(value.to_string()))
            }

            fn visit_u64<E>(self, value: u64) -> Result<Scalar, E> {
                Ok(Scalar::Text(value.to_string()))
            }

            fn visit_f64<E>(self, value: f64) -> Result<Scalar, E> {
                Ok(Scalar::Text(format!("{value:?}")))
            }

            fn visit_str<E>(self, value: &str) -> Result<Scalar, E> {
                Ok(Scalar::Text(value.to_owned()))
            }

            fn visit_unit<E>(self) -> Result<Scalar, E> {
                Ok(Scalar::Text(String::new()))
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Scalar, A::Error> {
                while items.next_element::<IgnoredAny>()?.is_some() {}
                Ok(Scalar::Nested)
            }

            fn visit_map<A: MapAccess<'de>>(self, mut items: A) -> Result<Scalar, A::Error> {
                while items.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
                Ok(Scalar::Nested)
            }
        }
        deserializer.deserialize_any(Value)
    }
}
