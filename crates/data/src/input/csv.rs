//! Reads CSV files, and other tables of text, into raw rows.

use std::collections::HashSet;

use csv::ByteRecord;

use super::batch::Builder;
use super::cell::trimmed;
use super::dialect::Dialect;
use super::encoding::Encoding;
use super::format::{Format, Source};
use super::limits::Limits;
use super::numbers::Notation;
use super::raw::RawTable;
use super::records::{Record, Records, Splitter};
use super::settle::Unsettled;
use super::sniff::{SAMPLE, delimiter, has_preamble, header};
use crate::Error;

/// Records from which the notation of numbers is inferred, spread evenly over the file.
const NOTATION: usize = 1000;

/// Reads a table by RFC 4180, in the dialect that `source` names, or the one found. A record that cannot be split, or has more
/// or fewer cells than there are columns, is malformed and costs no other; blank lines are skipped.
pub(super) fn read(file: &str, bytes: &[u8], source: &Source, limits: &Limits) -> Result<Unsettled, Error> {
    let too_large = |what, found, allowed| Error::TooLarge { file: file.to_owned(), what, found, allowed };
    let encoding = source.encoding.unwrap_or_else(|| Encoding::of(bytes));
    let text = encoding.decode(bytes);
    let delimiter = source.delimiter.unwrap_or_else(|| delimiter(&text, limits));
    let most = usize::try_from(limits.rows).unwrap_or(usize::MAX).saturating_add(3);
    let records = Records::new(&text, delimiter).take(most, file)?;
    let splitter = Splitter { delimiter, limits };
    let split = |record: &Record<'_>| splitter.split(record).unwrap_or_default();
    let head: Vec<ByteRecord> = records.iter().take(SAMPLE + 1).map(split).collect();
    let preamble = usize::from(has_preamble(&head, records.len()));
    let header = header(&head[preamble.min(head.len())..], source.label.as_deref());
    let rows = &records[preamble + usize::from(header.is_some())..];
    if rows.is_empty() {
        let file = file.to_owned();
        return Err(header.map_or(Error::Empty { file: file.clone() }, |columns| Error::HeaderOnly { file, columns }));
    }
    if rows.len() as u64 > limits.rows {
        return Err(too_large("number of rows", rows.len() as u64, limits.rows));
    }
    let width = header.as_ref().map_or_else(|| splitter.usual_width(rows), Vec::len);
    if width > limits.columns {
        return Err(too_large("number of columns", width as u64, limits.columns as u64));
    }
    if width < 2 {
        return Err(Error::MissingColumn {
            file: file.to_owned(),
            column: "label, beside at least one feature".into(),
            found: header.unwrap_or_default(),
        });
    }
    let named = header.is_some();
    let (columns, unnamed) = names(header.unwrap_or_else(|| vec![String::new(); width]));
    let sample: Vec<ByteRecord> = rows.iter().step_by(rows.len().div_ceil(NOTATION)).map(split).collect();
    let cells = |at: usize| sample.iter().filter_map(move |cells| cells.get(at).map(trimmed));
    let (notation, rewritten) = Notation::of(source.decimal, delimiter, width, cells);
    let mut builder = Builder::new(&columns);
    for record in rows {
        match splitter.split(record) {
            Ok(cells) if record.open && cells.len() == width => {
                builder.push_malformed(record.line, record.bytes, "a quote is opened and not closed");
            }
            Ok(cells) => builder.push(record.line, record.bytes, cells.iter()),
            Err(fault) => builder.push_malformed(record.line, record.bytes, &fault),
        }
    }
    let Notation { decimal, thousands } = notation;
    let raw_table = RawTable::new(file, Format::Csv, columns, 0, builder.finish()).with_dialect(Dialect {
        encoding,
        delimiter,
        decimal,
        thousands,
        header: named,
    });
    Ok(Unsettled {
        raw_table,
        named,
        unnamed: if named { unnamed } else { Vec::new() },
        unreadable: Vec::new(),
        notation,
        rewritten: (0..width).filter(|at| rewritten[*at]).collect(),
    })
}

/// The names with `c` and its position for each that is empty, and the positions of those.
fn names(mut names: Vec<String>) -> (Vec<String>, Vec<usize>) {
    let unnamed: Vec<usize> = (0..names.len()).filter(|at| names[*at].is_empty()).collect();
    let mut taken: HashSet<String> = names.iter().cloned().collect();
    for at in &unnamed {
        let mut name = format!("c{}", at + 1);
        while !taken.insert(name.clone()) {
            name.push('_');
        }
        names[*at] = name;
    }
    (names, unnamed)
}
