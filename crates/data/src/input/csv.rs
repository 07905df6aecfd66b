//! Reads CSV files, and others with one row per line, into raw rows.

use csv::ByteRecord;

use super::batch::Builder;
use super::dialect::{SAMPLE, delimiter, has_preamble, header, most_frequent};
use super::format::Format;
use super::label_column::label_column;
use super::limits::Limits;
use super::raw::RawTable;
use crate::Error;

/// Reads a table. A row is one line, so an unclosed quote makes its own row malformed and no other; blank lines are skipped.
pub(crate) fn read(file: &str, bytes: &[u8], label: Option<&str>, limits: &Limits) -> Result<RawTable, Error> {
    let bytes = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes);
    let too_many = |what, found, allowed| Error::TooLarge { file: file.to_owned(), what, found, allowed };
    let lines: Vec<_> =
        lines(bytes).take(usize::try_from(limits.rows).unwrap_or(usize::MAX).saturating_add(3)).collect();
    let splitter = Splitter { delimiter: delimiter(&lines), limits };
    let head: Vec<ByteRecord> =
        lines.iter().take(SAMPLE + 1).map(|(_, line)| splitter.split(line).unwrap_or_default()).collect();
    let preamble = usize::from(has_preamble(&head, lines.len()));
    let header = header(&head[preamble.min(head.len())..], label);
    let rows = &lines[preamble + usize::from(header.is_some())..];
    if rows.is_empty() {
        let file = file.to_owned();
        return Err(header.map_or(Error::Empty { file: file.clone() }, |columns| Error::HeaderOnly { file, columns }));
    }
    if rows.len() as u64 > limits.rows {
        return Err(too_many("number of rows", rows.len() as u64, limits.rows));
    }
    let width = header.as_ref().map_or_else(|| splitter.usual_width(rows), Vec::len);
    if width > limits.columns {
        return Err(too_many("number of columns", width as u64, limits.columns as u64));
    }
    if width < 2 {
        return Err(Error::MissingColumn {
            file: file.to_owned(),
            column: "label, beside at least one feature".into(),
            found: header.unwrap_or_default(),
        });
    }
    let columns = header.unwrap_or_else(|| (1..=width).map(|position| format!("c{position}")).collect());
    let label = label_column(file, &columns, label)?;
    let mut builder = Builder::new(&columns);
    for (number, line) in rows {
        match splitter.split(line) {
            Ok(cells) => builder.push(*number, line, cells.iter()),
            Err(fault) => builder.push_malformed(*number, line, &fault),
        }
    }
    Ok(RawTable::new(file, Format::Csv, columns, label, builder.finish()))
}

fn lines(bytes: &[u8]) -> impl Iterator<Item = (u64, &[u8])> {
    let numbered = (1..).zip(bytes.split(|byte| *byte == b'\n'));
    numbered
        .map(|(number, line)| (number, line.strip_suffix(b"\r").unwrap_or(line)))
        .filter(|(_, line)| !line.trim_ascii().is_empty())
}

/// Splits lines into cells.
struct Splitter<'a> {
    delimiter: u8,
    limits: &'a Limits,
}

impl Splitter<'_> {
    fn split(&self, line: &[u8]) -> Result<ByteRecord, String> {
        let Limits { columns, cell: longest, .. } = *self.limits;
        let too_many = |cells: usize| format!("{cells} cells, allowed are at most {columns}");
        let cells = if line.contains(&b'"') {
            self.quoted(line)?
        } else {
            let cells = self.count(line);
            if cells > columns {
                return Err(too_many(cells));
            }
            let mut record = ByteRecord::with_capacity(line.len(), cells);
            self.plain(line).for_each(|cell| record.push_field(cell));
            record
        };
        if cells.len() > columns {
            return Err(too_many(cells.len()));
        }
        match cells.iter().position(|cell| cell.len() > longest) {
            Some(long) => Err(format!("cell {} is longer than {longest} bytes", long + 1)),
            None => Ok(cells),
        }
    }

    fn plain<'l>(&self, line: &'l [u8]) -> impl Iterator<Item = &'l [u8]> + use<'l> {
        let end = line.iter().rposition(|byte| !b"\r ".contains(byte)).map_or(0, |last| last + 1);
        let delimiter = self.delimiter;
        line[..end].split(move |byte| *byte == delimiter)
    }

    fn count(&self, line: &[u8]) -> usize {
        self.plain(line).count()
    }

    fn quoted(&self, line: &[u8]) -> Result<ByteRecord, String> {
        let mut reader = csv::ReaderBuilder::new();
        reader
            .has_headers(false)
            .flexible(true)
            .delimiter(self.delimiter)
            .trim(csv::Trim::All)
            .buffer_capacity(line.len() + 1);
        let line = line.trim_ascii();
        // The csv crate sees a quote only at the start of a cell, so a blank between delimiter and quote must go.
        let stray =
            |at: usize| line[at] == b' ' && at > 0 && line[at - 1] == self.delimiter && line.get(at + 1) == Some(&b'"');
        let tight: Vec<u8> = (0..line.len()).filter(|at| !stray(*at)).map(|at| line[at]).collect();
        let mut record = ByteRecord::new();
        reader.from_reader(&tight[..]).read_byte_record(&mut record).map_err(|fault| fault.to_string())?;
        Ok(record)
    }

    /// The number of cells that most lines have; of lines that cannot be split, none.
    fn usual_width(&self, lines: &[(u64, &[u8])]) -> usize {
        let width = |line: &[u8]| {
            if line.contains(&b'"') { self.split(line).map_or(0, |cells| cells.len()) } else { self.count(line) }
        };
        most_frequent(lines.iter().map(|(_, line)| width(line))).map_or(0, |(width, _)| width)
    }
}
