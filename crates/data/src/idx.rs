//! IDX, the format of MNIST (LeCun, Cortes and Burges): a magic number, the lengths of the axes, unsigned bytes.

use underpin_core::Shape;

use crate::Error;
use crate::door::{Cells, Door, RawRow};
use crate::source::{Format, Limits};

/// Reads images and their labels.
pub(crate) fn read(
    file: &str,
    images: &[u8],
    labels_file: &str,
    labels: &[u8],
    limits: &Limits,
) -> Result<Door, Error> {
    let (axes, pixels) = parse::<3>(file, images, limits)?;
    let (count, labels) = parse::<1>(labels_file, labels, limits)?;
    let [rows, height, width] = axes;
    if count[0] != rows {
        let (field, allowed) = ("number of labels", format!("{rows}, as there are images"));
        return Err(Error::Idx { file: labels_file.to_owned(), field, found: count[0], allowed });
    }
    let size = height * width;
    if size == 0 || size >= limits.columns as u64 {
        let allowed = format!("1 to {}", limits.columns.saturating_sub(1));
        return Err(Error::Idx { file: file.to_owned(), field: "pixels per image", found: size, allowed });
    }
    // OK because both are at most the limit on columns, checked above.
    let axis = |length: u64| usize::try_from(length).unwrap_or(usize::MAX);
    let row = |(id, (pixels, label)): (u64, (&[u8], &u8))| {
        let cells = Cells::Bytes(pixels.iter().chain([label]).copied().collect());
        RawRow { id, cells }
    };
    let columns = (1..=size).map(|pixel| format!("p{pixel}")).chain(["label".into()]).collect();
    Ok(Door {
        name: file.to_owned(),
        format: Format::Idx,
        files: vec![],
        columns,
        label: axis(size),
        shape: Some(Shape::new([1, axis(height), axis(width)])?),
        rows: (1..).zip(pixels.chunks_exact(axis(size)).zip(labels)).map(row).collect(),
    })
}

/// The axes and the bytes; what the header claims is compared with what is there before anything is allocated.
fn parse<'a, const N: usize>(file: &str, bytes: &'a [u8], limits: &Limits) -> Result<([u64; N], &'a [u8]), Error> {
    let refuse = |field, found, allowed: String| Error::Idx { file: file.to_owned(), field, found, allowed };
    let header = 4 + 4 * N;
    if bytes.len() < header {
        return Err(refuse("length in bytes", bytes.len() as u64, format!("at least the header's {header}")));
    }
    let word = |at: usize| u32::from_be_bytes([bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3]]);
    let magic = 0x0800 | u32::try_from(N).unwrap_or(u32::MAX);
    if word(0) != magic {
        let allowed = format!("{magic} (unsigned bytes, {N} axes)");
        return Err(refuse("magic number", u64::from(word(0)), allowed));
    }
    let mut axes = [0; N];
    for (at, axis) in axes.iter_mut().enumerate() {
        *axis = u64::from(word(4 + 4 * at));
    }
    if axes[0] > limits.rows {
        return Err(refuse("number of items", axes[0], format!("at most {}", limits.rows)));
    }
    let claimed = axes.iter().try_fold(1_u64, |size, axis| size.checked_mul(*axis)).unwrap_or(u64::MAX);
    let body = &bytes[header..];
    if claimed != body.len() as u64 {
        return Err(refuse(
            "number of bytes claimed",
            claimed,
            format!("{}, as many as follow the header", body.len()),
        ));
    }
    Ok((axes, body))
}
