//! What a client asks, checked whole before anything is counted.

use underpin_core::{Denied, Inputs};

use super::inputs::{self, Expected};
use super::refusal::Refusal;
use super::wire::{Few, Parameters, Scalar, Wire, WireOutput};
use crate::contract::shortened;

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

/// Reads a request body; `header_length` is where its JSON ends, if bytes follow.
pub(super) fn parse(body: &[u8], header_length: Option<&str>, expected: &Expected<'_>) -> Result<Query, Refusal> {
    let (json, tail) = split(body, header_length)?;
    let wire: Wire<'_> = serde_json::from_slice(json)
        .map_err(|error| Refusal::malformed(format!("the body is no inference request: {}", first_words(&error))))?;
    let inputs = inputs::read(&wire.inputs.0, tail, expected)?;
    Denied::unless_valid(&inputs, expected.shape)?;
    let (id, outputs) = (wire.id, outputs(wire.outputs, wire.parameters.as_ref())?);
    Ok(Query { id, inputs, outputs })
}

/// What a parser says may quote a value of any length.
fn first_words(error: &serde_json::Error) -> String {
    let mut words = error.to_string();
    if let Some((end, _)) = words.char_indices().nth(200) {
        words.truncate(end);
        words.shrink_to_fit();
        words += "...";
    }
    words
}

fn split<'a>(body: &'a [u8], header_length: Option<&str>) -> Result<(&'a [u8], &'a [u8]), Refusal> {
    let Some(text) = header_length else { return Ok((body, &[])) };
    text.parse().ok().and_then(|length| body.split_at_checked(length)).ok_or_else(|| {
        let length = body.len();
        Refusal::malformed(format!(
            "{HEADER_LENGTH} is {:?}; allowed: 0 to {length}, the body's length",
            shortened(text)
        ))
    })
}

fn flag(value: Option<&Scalar>, name: &str, otherwise: Encoding) -> Result<Encoding, Refusal> {
    match value {
        None => Ok(otherwise),
        Some(Scalar::Flag(true)) => Ok(Encoding::Binary),
        Some(Scalar::Flag(false)) => Ok(Encoding::Json),
        Some(other) => Err(Refusal::malformed(format!("{name} is {other}; allowed: true, false"))),
    }
}

/// What is asked for: by name, or everything.
fn outputs(
    wire: Option<Few<WireOutput<'_>, 8>>,
    parameters: Option<&Parameters>,
) -> Result<Vec<(Output, Encoding)>, Refusal> {
    let all = parameters.and_then(|parameters| parameters.binary_data_output.as_ref());
    let otherwise = flag(all, "binary_data_output", Encoding::Json)?;
    let Some(Few(wire)) = wire.filter(|wire| !wire.0.is_empty()) else {
        return Ok(Output::ALL.map(|output| (output, otherwise)).into());
    };
    let mut wanted: Vec<(Output, Encoding)> = vec![];
    for WireOutput { name, parameters } in wire {
        let found = Output::ALL.into_iter().find(|output| output.name() == name);
        let Some(output) = found.filter(|output| wanted.iter().all(|(other, _)| other != output)) else {
            let name = shortened(&name);
            return Err(Refusal::malformed(format!("output {name:?}; allowed: \"scores\", \"label\", once")));
        };
        let parameters = parameters.unwrap_or_default();
        for (extension, asked) in [
            ("classification", parameters.classification.is_some()),
            ("shared_memory_region", parameters.shared_memory_region.is_some()),
        ] {
            if asked {
                return Err(Refusal::malformed(format!("output {name:?}: no extension {extension:?}")));
            }
        }
        wanted.push((output, flag(parameters.binary_data.as_ref(), "binary_data", otherwise)?));
    }
    Ok(wanted)
}

#[cfg(test)]
#[path = "request_tests.rs"]
mod tests;
