//! What a client asks, checked whole before anything is counted.

use std::borrow::Cow;
use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::Value;
use serde_json::value::RawValue;
use underpin_core::{Denied, Inputs, Shape};

use super::refusal::Refusal;
use super::tensor::{self, Datatype};

/// Name of the only input.
pub(super) const INPUT: &str = "input";

/// The header that says where the JSON ends and the binary tensors begin.
pub(super) const HEADER_LENGTH: &str = "inference-header-content-length";

/// What the model gives.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Output {
    /// `FP32 [n, classes]`.
    Scores,
    /// `INT64 [n]`: the best class.
    Label,
}

impl Output {
    pub(super) const ALL: [Self; 2] = [Self::Scores, Self::Label];

    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Scores => "scores",
            Self::Label => "label",
        }
    }

    pub(super) const fn datatype(self) -> &'static str {
        match self {
            Self::Scores => "FP32",
            Self::Label => "INT64",
        }
    }
}

/// How an output travels.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Encoding {
    /// A flat list of numbers.
    Json,
    /// Little-endian bytes after the JSON.
    Binary,
}

/// A request in which all is in order.
#[derive(Debug)]
pub(super) struct Query {
    pub(super) id: Option<String>,
    pub(super) inputs: Inputs,
    pub(super) outputs: Vec<(Output, Encoding)>,
}

#[derive(Deserialize)]
struct Wire<'a> {
    #[serde(default)]
    id: Option<String>,
    #[serde(default)]
    parameters: BTreeMap<String, Value>,
    #[serde(borrow)]
    inputs: Vec<WireInput<'a>>,
    #[serde(default)]
    outputs: Option<Vec<WireOutput>>,
}

#[derive(Deserialize)]
struct WireInput<'a> {
    name: String,
    shape: Vec<u64>,
    #[serde(borrow)]
    datatype: Cow<'a, str>,
    #[serde(default)]
    parameters: BTreeMap<String, Value>,
    #[serde(borrow, default)]
    data: Option<&'a RawValue>,
}

#[derive(Deserialize)]
struct WireOutput {
    name: String,
    #[serde(default)]
    parameters: BTreeMap<String, Value>,
}

/// Reads a request body; `header_length` is where its JSON ends, if bytes follow.
pub(super) fn parse(body: &[u8], header_length: Option<&str>, shape: &Shape) -> Result<Query, Refusal> {
    let (json, tail) = split(body, header_length)?;
    let wire: Wire<'_> = serde_json::from_slice(json)
        .map_err(|error| Refusal::malformed(format!("the body is no inference request: {error}")))?;
    let [input] = wire.inputs.as_slice() else {
        return Err(Refusal::malformed(format!("{} inputs; allowed: one, {INPUT:?}", wire.inputs.len())));
    };
    let inputs = inputs(input, tail, shape).map_err(|fault| Refusal::malformed(format!("input: {fault}")))?;
    Denied::unless_valid(&inputs, shape)?;
    Ok(Query { id: wire.id, inputs, outputs: outputs(wire.outputs, &wire.parameters)? })
}

fn split<'a>(body: &'a [u8], header_length: Option<&str>) -> Result<(&'a [u8], &'a [u8]), Refusal> {
    let Some(text) = header_length else { return Ok((body, &[])) };
    text.parse().ok().and_then(|length| body.split_at_checked(length)).ok_or_else(|| {
        Refusal::malformed(format!("{HEADER_LENGTH} is {text:?}; allowed: 0 to {}, the body's length", body.len()))
    })
}

fn inputs(input: &WireInput<'_>, tail: &[u8], shape: &Shape) -> Result<Inputs, String> {
    if input.name != INPUT {
        return Err(format!("name {:?}; allowed: {INPUT:?}", input.name));
    }
    let datatype = Datatype::parse(&input.datatype)
        .ok_or_else(|| format!("datatype {:?}; allowed: FP32, FP64, INT8 to INT64, UINT8 to UINT64", input.datatype))?;
    let axes = input.shape.iter().map(|axis| usize::try_from(*axis)).collect::<Result<Vec<_>, _>>();
    let full = axes.ok().filter(|axes| axes.split_first().is_some_and(|(n, rest)| *n > 0 && rest == shape.axes()));
    let count = full.as_ref().and_then(|axes| axes.iter().try_fold(1_usize, |count, axis| count.checked_mul(*axis)));
    let (Some(full), Some(count)) = (full, count) else {
        return Err(format!("shape {:?}; allowed: [n, then {:?}] with n of 1 or more", input.shape, shape.axes()));
    };
    let binary = input.parameters.get("binary_data_size");
    let values = match (input.data, binary) {
        (Some(data), None) if tail.is_empty() => tensor::from_json(data, datatype, &full)?,
        (None, Some(size)) if size.as_u64() == Some(tail.len() as u64) => tensor::from_bytes(tail, datatype, count)?,
        (None, Some(size)) => return Err(format!("binary_data_size is {size}; {} bytes follow the JSON", tail.len())),
        (Some(_), None) => return Err(format!("data is in the JSON, and {} bytes follow it", tail.len())),
        (None, None) => return Err("neither data nor binary_data_size".into()),
        (Some(_), Some(_)) => return Err("data and binary_data_size: allowed is one".into()),
    };
    Inputs::new(shape.clone(), values).map_err(|error| error.to_string())
}

/// What is asked for: by name, or everything.
fn outputs(
    wire: Option<Vec<WireOutput>>,
    parameters: &BTreeMap<String, Value>,
) -> Result<Vec<(Output, Encoding)>, Refusal> {
    let encoding = |parameters: &BTreeMap<String, Value>, name: &str, otherwise| match parameters.get(name) {
        None => Ok(otherwise),
        Some(Value::Bool(true)) => Ok(Encoding::Binary),
        Some(Value::Bool(false)) => Ok(Encoding::Json),
        Some(other) => Err(Refusal::malformed(format!("{name} is {other}; allowed: true, false"))),
    };
    let otherwise = encoding(parameters, "binary_data_output", Encoding::Json)?;
    let Some(wire) = wire.filter(|wire| !wire.is_empty()) else {
        return Ok(Output::ALL.map(|output| (output, otherwise)).into());
    };
    let mut wanted: Vec<(Output, Encoding)> = vec![];
    for asked in wire {
        let found = Output::ALL.into_iter().find(|output| output.name() == asked.name);
        let Some(output) = found.filter(|output| wanted.iter().all(|(other, _)| other != output)) else {
            return Err(Refusal::malformed(format!("output {:?}; allowed: \"scores\", \"label\", once", asked.name)));
        };
        for unsupported in ["classification", "shared_memory_region"] {
            if asked.parameters.contains_key(unsupported) {
                return Err(Refusal::malformed(format!("output {:?}: no extension {unsupported:?}", asked.name)));
            }
        }
        wanted.push((output, encoding(&asked.parameters, "binary_data", otherwise)?));
    }
    Ok(wanted)
}

#[cfg(test)]
#[path = "request_tests.rs"]
mod tests;
