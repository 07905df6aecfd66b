//! IDX, the format of MNIST (LeCun, Cortes and Burges): a magic number, the lengths of the axes, unsigned bytes.

use std::sync::Arc;

use arrow_array::{ArrayRef, FixedSizeBinaryArray, UInt8Array};
use arrow_buffer::{Buffer, ScalarBuffer};
use arrow_schema::{DataType, Field};
use underpin_core::Shape;

use super::batch::{Batch, record, schema};
use super::format::Format;
use super::limits::Limits;
use super::raw::RawTable;
use crate::Error;

/// An IDX file with `N` axes, with as many bytes as its header states.
pub(crate) struct Idx<const N: usize> {
    name: String,
    axes: [u64; N],
    bytes: Buffer,
}

impl<const N: usize> Idx<N> {
    /// What the header claims is compared with what is there before anything is allocated.
    pub(crate) fn parse(file: &str, bytes: Vec<u8>, limits: &Limits) -> Result<Self, Error> {
        let refuse = |field, found, allowed: String| Error::Idx { file: file.to_owned(), field, found, allowed };
        let magic = [0, 0, 8, u8::try_from(N).unwrap_or(u8::MAX)];
        if !bytes.starts_with(&magic) {
            let found = bytes[..bytes.len().min(4)].to_vec();
            return Err(Error::NotIdx { file: file.to_owned(), found, axes: N });
        }
        let header = 4 + 4 * N;
        if bytes.len() < header {
            return Err(refuse("length in bytes", bytes.len() as u64, format!("at least the header's {header}")));
        }
        let mut axes = [0; N];
        for (axis, word) in axes.iter_mut().zip(bytes[4..header].chunks_exact(4)) {
            *axis = word.iter().fold(0, |number, byte| number << 8 | u64::from(*byte));
        }
        if axes[0] > limits.rows {
            return Err(refuse("number of items", axes[0], format!("at most {}", limits.rows)));
        }
        let claimed = axes.iter().try_fold(1_u64, |size, axis| size.checked_mul(*axis)).unwrap_or(u64::MAX);
        let body = bytes.len() - header;
        if claimed != body as u64 {
            return Err(refuse("number of bytes claimed", claimed, format!("{body}, as many as follow the header")));
        }
        Ok(Self { name: file.to_owned(), axes, bytes: Buffer::from_vec(bytes).slice(header) })
    }
}

/// Images and their labels, as rows.
pub(crate) fn read(images: Idx<3>, labels: Idx<1>, limits: &Limits) -> Result<RawTable, Error> {
    let [rows, height, width] = images.axes;
    let refuse = |file, field, found, allowed| Err(Error::Idx { file, field, found, allowed });
    if labels.axes[0] != rows {
        return refuse(labels.name, "number of labels", labels.axes[0], format!("{rows}, as there are images"));
    }
    let size = height * width;
    let most = (limits.columns as u64).saturating_sub(1).min(i32::MAX as u64);
    if !(1..=most).contains(&size) {
        return refuse(images.name, "pixels per image", size, format!("1 to {most}"));
    }
    // OK because all are at most 2^31, checked above.
    let axis = |length: u64| usize::try_from(length).unwrap_or(usize::MAX);
    let length = i32::try_from(size).unwrap_or(i32::MAX);
    let fields =
        [Field::new("pixels", DataType::FixedSizeBinary(length), false), Field::new("label", DataType::UInt8, false)];
    let columns: [ArrayRef; 2] = [
        Arc::new(FixedSizeBinaryArray::new(length, images.bytes, None)),
        Arc::new(UInt8Array::new(ScalarBuffer::from(labels.bytes), None)),
    ];
    let batch = Batch::Images(record(&schema(fields), (1..=rows).collect(), columns));
    let columns = (1..=size).map(|pixel| format!("p{pixel}")).chain(["label".into()]).collect();
    let shape = Shape::new([1, axis(height), axis(width)])?;
    RawTable::new(&images.name, Format::Idx, columns, axis(size), vec![batch]).with_shape(shape)
}
