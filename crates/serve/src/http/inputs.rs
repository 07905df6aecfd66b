//! The tensors of a request become the inputs of the model.

use std::borrow::Cow;

use serde_json::value::RawValue;
use underpin_core::{Inputs, Shape};

use super::metrics::RequestOutcome;
use super::refusal::Refusal;
use super::tensor::{self, Datatype, Refused, Sink};
use super::wire::{Parameters, Scalar, WireInput};
use crate::contract::shortened;
use crate::{InputContract, InputValue, OutOfContract};

/// Name of the tensor that holds whole rows.
pub(super) const INPUT: &str = "input";

/// What a request may hold.
#[derive(Clone, Copy)]
pub(super) struct Expected<'a> {
    /// Shape of one example, as the model takes it.
    pub(super) shape: &'a Shape,
    /// What clients send, where that is something else than what the model takes.
    pub(super) contract: Option<&'a dyn InputContract>,
    /// Most rows of a request.
    pub(super) most_rows: usize,
}

impl Expected<'_> {
    /// Axes of one row in the tensor of whole rows.
    pub(super) fn axes(&self) -> Cow<'_, [usize]> {
        match self.contract {
            // An image is sent in its shape, a table column by column.
            Some(contract) if contract.columns().len() != self.shape.size() => vec![contract.columns().len()].into(),
            _ => self.shape.axes().into(),
        }
    }
}

/// Reads the tensors of a request; `tail` is what follows the JSON.
pub(super) fn read<'a>(wire: &[WireInput<'a>], tail: &'a [u8], expected: &Expected<'_>) -> Result<Inputs, Refusal> {
    let mut tail = Tail { rest: tail };
    let values = match wire {
        [] => return Err(Refusal::malformed(format!("0 inputs; allowed: one, {INPUT:?}, or one for each column"))),
        [input] if input.name == INPUT => rows(input, &mut tail, expected)?,
        several => columns(several, &mut tail, expected)?,
    };
    if !tail.rest.is_empty() {
        return Err(fault(INPUT, format!("{} bytes follow the tensors", tail.rest.len())));
    }
    Inputs::new(expected.shape.clone(), values).map_err(|error| Refusal::malformed(error.to_string()))
}

fn fault(name: &str, what: impl std::fmt::Display) -> Refusal {
    Refusal::malformed(format!("input {:?}: {what}", shortened(name)))
}

/// What follows the JSON and was not yet read.
struct Tail<'a> {
    rest: &'a [u8],
}

/// Where a tensor's values are.
enum Values<'a> {
    Json(&'a RawValue),
    Binary(&'a [u8]),
}

impl Values<'_> {
    /// No more values than that are there: a value in JSON is a byte, and another parts it from the next.
    fn most(&self) -> usize {
        match self {
            Self::Json(data) => data.get().len() / 2 + 1,
            Self::Binary(bytes) => bytes.len(),
        }
    }

    fn read(&self, datatype: Datatype, shape: &[usize], sink: &mut dyn Sink) -> Result<(), String> {
        match self {
            Self::Json(data) => tensor::from_json(data, datatype, shape, sink),
            Self::Binary(bytes) => tensor::from_bytes(bytes, datatype, shape.iter().product(), sink),
        }
    }
}

impl<'a> Tail<'a> {
    fn values(&mut self, input: &WireInput<'a>) -> Result<Values<'a>, String> {
        let binary =
            input.parameters.as_ref().and_then(|Parameters { binary_data_size, .. }| binary_data_size.as_ref());
        match (input.data, binary) {
            (Some(data), None) => Ok(Values::Json(data)),
            (None, Some(size)) => {
                let length = if let Scalar::Count(size) = size { usize::try_from(*size).ok() } else { None };
                let split = length.and_then(|length| self.rest.split_at_checked(length));
                let (bytes, rest) = split
                    .ok_or_else(|| format!("binary_data_size is {size}; {} bytes follow the JSON", self.rest.len()))?;
                self.rest = rest;
                Ok(Values::Binary(bytes))
            }
            (None, None) => Err("neither data nor binary_data_size".into()),
            (Some(_), Some(_)) => Err("data and binary_data_size: allowed is one".into()),
        }
    }
}

fn datatype(input: &WireInput<'_>) -> Result<Datatype, Refusal> {
    let allowed = "FP32, FP64, INT8 to INT64, UINT8 to UINT64, BYTES";
    Datatype::parse(&input.datatype)
        .ok_or_else(|| fault(&input.name, format!("datatype {:?}; allowed: {allowed}", shortened(&input.datatype))))
}

/// Refuses more rows than one request may hold.
fn check_rows(rows: usize, expected: &Expected<'_>) -> Result<(), Refusal> {
    let most = expected.most_rows;
    let too_many = || Refusal::new(RequestOutcome::TooLarge, format!("{rows} rows; allowed: {most} in one request"));
    (rows <= most).then_some(()).ok_or_else(too_many)
}

/// Reads whole rows from one tensor.
fn rows<'a>(input: &WireInput<'a>, tail: &mut Tail<'a>, expected: &Expected<'_>) -> Result<Vec<f32>, Refusal> {
    let datatype = datatype(input)?;
    let axes = expected.axes();
    let given = input.shape.0.iter().map(|axis| usize::try_from(*axis)).collect::<Result<Vec<_>, _>>();
    let full = given.ok().filter(|given| given.split_first().is_some_and(|(n, rest)| *n > 0 && rest == &*axes));
    let count = full.as_ref().and_then(|full| full.iter().try_fold(1_usize, |count, axis| count.checked_mul(*axis)));
    let (Some(full), Some(count)) = (full, count) else {
        let allowed = format!("[n, then {axes:?}] with n of 1 or more");
        return Err(fault(&input.name, format!("shape {:?}; allowed: {allowed}", input.shape.0)));
    };
    let values = tail.values(input).map_err(|what| fault(&input.name, what))?;
    let width: usize = axes.iter().product();
    // What is claimed and is not there takes no memory.
    let room = full[0].min(values.most() / width + 1);
    check_rows(room, expected)?;
    let mut rows = Rows { expected, values: vec![0.0; room * expected.shape.size()], width, column: None, fault: None };
    let read = values.read(datatype, &full, &mut rows);
    rows.done(input, read)?;
    check_rows(full[0], expected)?;
    debug_assert_eq!(count, full[0] * width, "the shape is n rows");
    Ok(rows.values)
}

/// Reads a tensor for each column.
fn columns<'a>(wire: &[WireInput<'a>], tail: &mut Tail<'a>, expected: &Expected<'_>) -> Result<Vec<f32>, Refusal> {
    let Some(contract) = expected.contract else {
        let name = shortened(&wire[0].name);
        return Err(Refusal::malformed(match wire.len() {
            1 => format!("input: name {name:?}; allowed: {INPUT:?}"),
            several => format!("{several} inputs; allowed: one, {INPUT:?}"),
        }));
    };
    let columns = contract.columns();
    let mut seen = vec![false; columns.len()];
    let mut read: Option<Rows<'_>> = None;
    for input in wire {
        let values = tail.values(input).map_err(|what| fault(&input.name, what))?;
        let Some(column) = columns.iter().position(|column| column.name == input.name) else {
            if contract.ignores(&input.name) {
                continue;
            }
            let names: Vec<&str> = columns.iter().take(20).map(|column| column.name.as_str()).collect();
            return Err(fault(&input.name, format!("no such column; allowed: {INPUT:?}, or each of {names:?}")));
        };
        if std::mem::replace(&mut seen[column], true) {
            return Err(fault(&input.name, "twice"));
        }
        let datatype = datatype(input)?;
        let n = match *input.shape.0.as_slice() {
            [n] | [n, 1] => usize::try_from(n).ok().filter(|n| *n > 0),
            _ => None,
        };
        let size = expected.shape.size();
        let known = read.as_ref().map(|rows| rows.values.len() / size);
        let Some(n) = n.filter(|n| known.is_none_or(|known| known == *n)) else {
            let allowed = known.map_or_else(|| "[n] with n of 1 or more".into(), |known| format!("[{known}]"));
            return Err(fault(&input.name, format!("shape {:?}; allowed: {allowed}", input.shape.0)));
        };
        check_rows(n, expected)?;
        if n > values.most() {
            return Err(fault(&input.name, format!("fewer values than the {n} of its shape")));
        }
        let rows = read.get_or_insert_with(|| Rows {
            expected,
            values: vec![0.0; n * size],
            width: 1,
            column: None,
            fault: None,
        });
        rows.column = Some(column);
        let shape: Vec<usize> = if input.shape.0.len() == 1 { vec![n] } else { vec![n, 1] };
        let done = values.read(datatype, &shape, rows);
        rows.done(input, done)?;
    }
    if let Some(missing) = seen.iter().position(|seen| !seen) {
        return Err(Refusal::malformed(format!(
            "no input {:?}: allowed is one for each column",
            columns[missing].name
        )));
    }
    Ok(read.map(|rows| rows.values).unwrap_or_default())
}

/// Rows that are being filled.
struct Rows<'a> {
    expected: &'a Expected<'a>,
    values: Vec<f32>,
    /// Values of a tensor in one row.
    width: usize,
    /// The column that is read; none when whole rows are.
    column: Option<usize>,
    /// Why the last value was refused, and in which row.
    fault: Option<(usize, OutOfContract)>,
}

impl Sink for Rows<'_> {
    #[allow(clippy::cast_possible_truncation, reason = "the nearest f32 is what the model takes")]
    fn take(&mut self, position: usize, value: InputValue<'_>) -> Result<(), Refused> {
        let size = self.expected.shape.size();
        let (row, within) = (position / self.width, position % self.width);
        // Out of bounds only where a shape claims more than the data can hold, which the count then tells.
        let Some(features) = self.values.get_mut(row * size..(row + 1) * size) else { return Ok(()) };
        let taken = match (self.expected.contract, value) {
            (Some(contract), value) => contract.encode(self.column.unwrap_or(within), value, features),
            (None, InputValue::Number(number)) if (number as f32).is_finite() => {
                features[within] = number as f32;
                Ok(())
            }
            (None, value) => Err(OutOfContract {
                column: format!("{INPUT}[{within}]"),
                value: value.to_string(),
                allowed: "a number that 32 bits hold".into(),
            }),
        };
        taken.map_err(|fault| {
            self.fault = Some((row, fault));
            Refused
        })
    }
}

impl Rows<'_> {
    /// What the reading of `input` came to.
    fn done(&mut self, input: &WireInput<'_>, read: Result<(), String>) -> Result<(), Refusal> {
        match self.fault.take() {
            Some((row, refused)) => Err(Refusal::new(RequestOutcome::OutOfContract, format!("row {row}: {refused}"))),
            None => read.map_err(|what| fault(&input.name, what)),
        }
    }
}
