//! Tensor data as it travels: values in JSON, flat or nested, or little-endian bytes after it.

use std::fmt;

use serde::de::{self, DeserializeSeed, Deserializer, SeqAccess, Visitor};
use serde_json::value::RawValue;

use crate::InputValue;

/// Element types that are read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Datatype {
    Fp32,
    Fp64,
    /// Signed, of so many bytes.
    Int(usize),
    /// Unsigned, of so many bytes.
    Uint(usize),
    /// Text.
    Bytes,
}

impl Datatype {
    pub(super) fn parse(word: &str) -> Option<Self> {
        Some(match word {
            "FP32" => Self::Fp32,
            "FP64" => Self::Fp64,
            "INT8" => Self::Int(1),
            "INT16" => Self::Int(2),
            "INT32" => Self::Int(4),
            "INT64" => Self::Int(8),
            "UINT8" => Self::Uint(1),
            "UINT16" => Self::Uint(2),
            "UINT32" => Self::Uint(4),
            "UINT64" => Self::Uint(8),
            "BYTES" => Self::Bytes,
            _ => return None,
        })
    }

    /// Whether an integer is one of this type's values.
    fn holds(self, value: i128) -> bool {
        match self {
            Self::Fp32 | Self::Fp64 => true,
            Self::Int(bytes) => (-(1 << (8 * bytes - 1))..1 << (8 * bytes - 1)).contains(&value),
            Self::Uint(bytes) => (0..1 << (8 * bytes)).contains(&value),
            Self::Bytes => false,
        }
    }
}

impl fmt::Display for Datatype {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Fp32 => f.write_str("FP32"),
            Self::Fp64 => f.write_str("FP64"),
            Self::Int(bytes) => write!(f, "INT{}", 8 * bytes),
            Self::Uint(bytes) => write!(f, "UINT{}", 8 * bytes),
            Self::Bytes => f.write_str("BYTES"),
        }
    }
}

/// Takes the values of a tensor one by one, with their positions; what it refuses ends the reading.
pub(super) trait Sink {
    /// Takes the value at a position.
    ///
    /// # Errors
    ///
    /// When the value is refused; why, the sink remembers.
    fn take(&mut self, position: usize, value: InputValue<'_>) -> Result<(), Refused>;
}

/// The sink refused a value.
#[derive(Clone, Copy, Debug)]
pub(super) struct Refused;

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a value is refused")
    }
}

impl From<Refused> for String {
    fn from(refused: Refused) -> Self {
        refused.to_string()
    }
}

/// The double that a 32-bit number's shortest text says, so that 0.1 is the same number in either width.
fn widened(single: f32) -> f64 {
    let same = f64::from(single);
    if same.fract() == 0.0 || !same.is_finite() { same } else { single.to_string().parse().unwrap_or(same) }
}

/// Reads `count` elements from exactly these bytes, little-endian.
pub(super) fn from_bytes(bytes: &[u8], datatype: Datatype, count: usize, sink: &mut dyn Sink) -> Result<(), String> {
    let size = match datatype {
        Datatype::Bytes => return texts(bytes, count, sink),
        Datatype::Fp32 => 4,
        Datatype::Fp64 => 8,
        Datatype::Int(bytes) | Datatype::Uint(bytes) => bytes,
    };
    if count.checked_mul(size) != Some(bytes.len()) {
        return Err(format!(
            "{count} elements of {datatype} take {size} bytes each; binary_data_size is {}",
            bytes.len()
        ));
    }
    for (position, element) in bytes.chunks_exact(size).enumerate() {
        let mut wide = [0; 8];
        wide[..size].copy_from_slice(element);
        let unsigned = u64::from_le_bytes(wide);
        let value = match datatype {
            Datatype::Fp32 => widened(f32::from_bits(u32::from_le_bytes([wide[0], wide[1], wide[2], wide[3]]))),
            Datatype::Fp64 => f64::from_bits(unsigned),
            Datatype::Int(bytes) => {
                let unused = 64 - 8 * bytes;
                ((unsigned << unused).cast_signed() >> unused) as f64
            }
            Datatype::Uint(_) | Datatype::Bytes => unsigned as f64,
        };
        if !value.is_finite() {
            return Err(format!("element {position} is {value}: not finite"));
        }
        sink.take(position, InputValue::Number(value))?;
    }
    Ok(())
}

/// Reads texts, each after its length in four bytes.
fn texts(mut bytes: &[u8], count: usize, sink: &mut dyn Sink) -> Result<(), String> {
    for position in 0..count {
        let cut = || format!("element {position} of {count} lies beyond the end of the bytes");
        let (length, rest) = bytes.split_first_chunk::<4>().ok_or_else(cut)?;
        let length = usize::try_from(u32::from_le_bytes(*length)).unwrap_or(usize::MAX);
        let (text, rest) = rest.split_at_checked(length).ok_or_else(cut)?;
        let text = std::str::from_utf8(text).map_err(|_| format!("element {position} is no UTF-8 text"))?;
        sink.take(position, InputValue::Text(text))?;
        bytes = rest;
    }
    if bytes.is_empty() { Ok(()) } else { Err(format!("{} bytes follow the {count} elements", bytes.len())) }
}

/// Reads `data`, which must be flat or nested exactly as `shape` says; `shape`'s product must fit a `usize`.
pub(super) fn from_json(
    data: &RawValue,
    datatype: Datatype,
    shape: &[usize],
    sink: &mut dyn Sink,
) -> Result<(), String> {
    let count = shape.iter().product();
    let mut read = Read { datatype, count, found: 0, sink, nesting: vec![], leaves_at: None };
    let mut deserializer = serde_json::Deserializer::from_str(data.get());
    Level { read: &mut read, depth: 0 }.deserialize(&mut deserializer).map_err(|error| format!("data: {error}"))?;
    let (found, nesting) = (read.found, read.nesting.into_iter().flatten().collect::<Vec<_>>());
    if found != count {
        return Err(format!("data holds {found} elements; the shape {shape:?} has {count}"));
    }
    if nesting != [count] && nesting != shape {
        return Err(format!("data is nested as {nesting:?}; allowed: flat, or as the shape {shape:?}"));
    }
    Ok(())
}

struct Read<'s> {
    datatype: Datatype,
    count: usize,
    found: usize,
    sink: &'s mut dyn Sink,
    /// Length of the lists at each depth; all lists of one depth have one length.
    nesting: Vec<Option<usize>>,
    /// Depth of the values.
    leaves_at: Option<usize>,
}

impl Read<'_> {
    fn push<E: de::Error>(&mut self, value: InputValue<'_>, depth: usize) -> Result<(), E> {
        if self.found == self.count {
            return Err(E::custom(format!("more than the {} elements of the shape", self.count)));
        }
        if *self.leaves_at.get_or_insert(depth) != depth {
            return Err(E::custom(format!("element {} is nested deeper or less than those before", self.found)));
        }
        self.sink.take(self.found, value).map_err(E::custom)?;
        self.found += 1;
        Ok(())
    }

    fn integer<E: de::Error>(&mut self, value: i128, depth: usize) -> Result<(), E> {
        if self.datatype.holds(value) {
            self.push(InputValue::Number(value as f64), depth)
        } else {
            self.misfit(&value)
        }
    }

    fn float<E: de::Error>(&mut self, value: f64, depth: usize) -> Result<(), E> {
        let fits = match self.datatype {
            Datatype::Fp32 => value.abs() <= f64::from(f32::MAX),
            Datatype::Fp64 => value.is_finite(),
            Datatype::Int(_) | Datatype::Uint(_) | Datatype::Bytes => false,
        };
        if fits { self.push(InputValue::Number(value), depth) } else { self.misfit(&value) }
    }

    fn text<E: de::Error>(&mut self, value: &str, depth: usize) -> Result<(), E> {
        match self.datatype {
            Datatype::Bytes => self.push(InputValue::Text(value), depth),
            _ => self.misfit(&crate::contract::shortened(value)),
        }
    }

    fn misfit<E: de::Error>(&self, value: &dyn fmt::Debug) -> Result<(), E> {
        Err(E::custom(format!("element {} is {value:?}: no {}", self.found, self.datatype)))
    }

    /// A list of `length` at `depth` has ended.
    fn list<E: de::Error>(&mut self, length: usize, depth: usize) -> Result<(), E> {
        if self.nesting.len() <= depth {
            self.nesting.resize(depth + 1, None);
        }
        let expected = *self.nesting[depth].get_or_insert(length);
        if expected == length {
            return Ok(());
        }
        Err(E::custom(format!("a list before element {} holds {length}; others hold {expected}", self.found)))
    }
}

/// One list or value, `depth` lists down.
struct Level<'a, 's> {
    read: &'a mut Read<'s>,
    depth: usize,
}

impl<'de> DeserializeSeed<'de> for Level<'_, '_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Level<'_, '_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("values, flat or nested")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<(), A::Error> {
        let mut length = 0;
        while list.next_element_seed(Level { read: self.read, depth: self.depth + 1 })?.is_some() {
            length += 1;
        }
        self.read.list(length, self.depth)
    }

    fn visit_u64<E: de::Error>(self, value: u64) -> Result<(), E> {
        self.read.integer(value.into(), self.depth)
    }

    fn visit_i64<E: de::Error>(self, value: i64) -> Result<(), E> {
        self.read.integer(value.into(), self.depth)
    }

    fn visit_f64<E: de::Error>(self, value: f64) -> Result<(), E> {
        self.read.float(value, self.depth)
    }

    fn visit_str<E: de::Error>(self, value: &str) -> Result<(), E> {
        self.read.text(value, self.depth)
    }
}

#[cfg(test)]
#[path = "tensor_tests.rs"]
mod tests;
