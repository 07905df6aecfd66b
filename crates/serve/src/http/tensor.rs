//! Tensor data as it travels: numbers in JSON, flat or nested, or little-endian bytes after it.

use std::fmt;

use serde::de::{self, DeserializeSeed, Deserializer, SeqAccess, Visitor};
use serde_json::value::RawValue;

/// Element types that are read; all become `f32`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Datatype {
    Fp32,
    Fp64,
    /// Signed, of so many bytes.
    Int(usize),
    /// Unsigned, of so many bytes.
    Uint(usize),
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
            _ => return None,
        })
    }

    /// Bytes of one element.
    pub(super) const fn size(self) -> usize {
        match self {
            Self::Fp32 => 4,
            Self::Fp64 => 8,
            Self::Int(bytes) | Self::Uint(bytes) => bytes,
        }
    }

    /// Whether an integer is one of this type's values.
    fn holds(self, value: i128) -> bool {
        match self {
            Self::Fp32 | Self::Fp64 => true,
            Self::Int(bytes) => (-(1 << (8 * bytes - 1))..1 << (8 * bytes - 1)).contains(&value),
            Self::Uint(bytes) => (0..1 << (8 * bytes)).contains(&value),
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
        }
    }
}

#[allow(clippy::cast_possible_truncation, reason = "the nearest f32 is what the model takes")]
fn narrow(value: f64) -> f32 {
    value as f32
}

/// Reads `count` elements from exactly as many bytes, little-endian.
pub(super) fn from_bytes(bytes: &[u8], datatype: Datatype, count: usize) -> Result<Vec<f32>, String> {
    let size = datatype.size();
    if count.checked_mul(size) != Some(bytes.len()) {
        return Err(format!(
            "{count} elements of {datatype} take {size} bytes each; binary_data_size is {}",
            bytes.len()
        ));
    }
    let element = |bytes: &[u8]| {
        let mut wide = [0; 8];
        wide[..size].copy_from_slice(bytes);
        let unsigned = u64::from_le_bytes(wide);
        match datatype {
            Datatype::Fp32 => f32::from_bits(u32::from_le_bytes([wide[0], wide[1], wide[2], wide[3]])),
            Datatype::Fp64 => narrow(f64::from_bits(unsigned)),
            Datatype::Uint(_) => narrow(unsigned as f64),
            Datatype::Int(bytes) => {
                let unused = 64 - 8 * bytes;
                narrow(((unsigned << unused).cast_signed() >> unused) as f64)
            }
        }
    };
    Ok(bytes.chunks_exact(size).map(element).collect())
}

/// Reads `data`, which must be flat or nested exactly as `shape` says.
///
/// `shape`'s product must fit a `usize`; no more than that many elements are kept.
pub(super) fn from_json(data: &RawValue, datatype: Datatype, shape: &[usize]) -> Result<Vec<f32>, String> {
    let count = shape.iter().product();
    let mut read = Read { datatype, count, values: vec![], nesting: vec![], leaves_at: None };
    let mut deserializer = serde_json::Deserializer::from_str(data.get());
    Level { read: &mut read, depth: 0 }.deserialize(&mut deserializer).map_err(|error| format!("data: {error}"))?;
    let (found, nesting) = (read.values.len(), read.nesting.into_iter().flatten().collect::<Vec<_>>());
    if found != count {
        return Err(format!("data holds {found} elements; the shape {shape:?} has {count}"));
    }
    if nesting != [count] && nesting != shape {
        return Err(format!("data is nested as {nesting:?}; allowed: flat, or as the shape {shape:?}"));
    }
    Ok(read.values)
}

struct Read {
    datatype: Datatype,
    count: usize,
    values: Vec<f32>,
    /// Length of the lists at each depth; all lists of one depth have one length.
    nesting: Vec<Option<usize>>,
    /// Depth of the numbers.
    leaves_at: Option<usize>,
}

impl Read {
    fn push<E: de::Error>(&mut self, value: f32, depth: usize) -> Result<(), E> {
        if self.values.len() == self.count {
            return Err(E::custom(format!("more than the {} elements of the shape", self.count)));
        }
        if *self.leaves_at.get_or_insert(depth) != depth {
            return Err(E::custom(format!("element {} is nested deeper or less than those before", self.values.len())));
        }
        self.values.push(value);
        Ok(())
    }

    fn integer<E: de::Error>(&mut self, value: i128, depth: usize) -> Result<(), E> {
        if self.datatype.holds(value) {
            self.push(narrow(value as f64), depth)
        } else {
            Err(E::custom(format!("element {} is {value}: no {}", self.values.len(), self.datatype)))
        }
    }

    fn float<E: de::Error>(&mut self, value: f64, depth: usize) -> Result<(), E> {
        let fits = match self.datatype {
            Datatype::Fp32 => narrow(value).is_finite(),
            Datatype::Fp64 => true,
            Datatype::Int(_) | Datatype::Uint(_) => false,
        };
        if fits {
            self.push(narrow(value), depth)
        } else {
            Err(E::custom(format!("element {} is {value:?}: no {}", self.values.len(), self.datatype)))
        }
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
        Err(E::custom(format!("a list before element {} holds {length}; others hold {expected}", self.values.len())))
    }
}

/// One list or number, `depth` lists down.
struct Level<'a> {
    read: &'a mut Read,
    depth: usize,
}

impl<'de> DeserializeSeed<'de> for Level<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Level<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("numbers, flat or nested")
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
}

#[cfg(test)]
#[path = "tensor_tests.rs"]
mod tests;
