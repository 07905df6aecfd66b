//! CSV and its cousins: one row per line.

use std::collections::{BTreeMap, HashSet};

use csv::ByteRecord;

use crate::Error;
use crate::batch::Builder;
use crate::cell::trimmed;
use crate::raw::RawTable;
use crate::row::is_missing;
use crate::source::{Format, Limits};

/// Names that a label column goes by.
const LABELS: [&str; 9] = ["label", "target", "class", "y", "income", "species", "diagnosis", "outcome", "survived"];

/// Lines looked at to tell delimiter and header.
const SAMPLE: usize = 200;

/// Reads a table. A row is one line, so an unclosed quote spoils its own row alone; blank lines are passed over.
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
    let label = find_label(file, &columns, label)?;
    let mut builder = Builder::new(&columns);
    for (number, line) in rows {
        match splitter.split(line) {
            Ok(cells) => builder.push(*number, line, cells.iter()),
            Err(fault) => builder.misfit(*number, line, &fault),
        }
    }
    Ok(RawTable::new(file, Format::Csv, columns, label, builder.finish()))
}

/// The label column: by name, by position from 1, by a usual name, or the last.
pub(crate) fn find_label(file: &str, columns: &[String], asked: Option<&str>) -> Result<usize, Error> {
    let Some(asked) = asked else {
        let usual = |column: &String| LABELS.contains(&column.to_ascii_lowercase().as_str());
        return Ok(columns.iter().position(usual).unwrap_or(columns.len().saturating_sub(1)));
    };
    let by_name = columns.iter().position(|column| column == asked);
    let by_position = || asked.parse::<usize>().ok().filter(|at| (1..=columns.len()).contains(at)).map(|at| at - 1);
    by_name.or_else(by_position).ok_or_else(|| Error::NoLabelColumn {
        file: file.to_owned(),
        asked: asked.to_owned(),
        columns: columns.to_vec(),
    })
}

fn lines(bytes: &[u8]) -> impl Iterator<Item = (u64, &[u8])> {
    let numbered = (1..).zip(bytes.split(|byte| *byte == b'\n'));
    numbered
        .map(|(number, line)| (number, line.strip_suffix(b"\r").unwrap_or(line)))
        .filter(|(_, line)| !line.trim_ascii().is_empty())
}

/// The delimiter that splits most sampled lines into the same number of cells, at least 2; a comma in doubt.
fn delimiter(lines: &[(u64, &[u8])]) -> u8 {
    let sample = &lines[..lines.len().min(SAMPLE)];
    let agreeing = |delimiter: u8| {
        let widths = sample.iter().map(|(_, line)| line.trim_ascii().split(|byte| *byte == delimiter).count());
        most_frequent(widths.filter(|width| *width > 1)).map_or(0, |(_, lines)| lines)
    };
    // Of equals the last wins, so the comma stands last.
    *b" \t;,".iter().max_by_key(|delimiter| agreeing(**delimiter)).unwrap_or(&b',')
}

/// What occurs most often, and how often; of equals the greatest.
fn most_frequent(values: impl Iterator<Item = usize>) -> Option<(usize, usize)> {
    let mut counts = BTreeMap::new();
    values.for_each(|value| *counts.entry(value).or_insert(0_usize) += 1);
    counts.into_iter().max_by_key(|(_, count)| *count)
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

fn is_number(cell: &[u8]) -> bool {
    trimmed(cell).parse::<f64>().is_ok()
}

/// Whether the first line is scikit-learn's `rows,features,class names...`; it is no row.
fn has_preamble(head: &[ByteRecord], lines: usize) -> bool {
    let [first, second, ..] = head else { return false };
    let says = |position: usize| first.get(position).and_then(|cell| trimmed(cell).parse::<usize>().ok());
    let named = first.iter().skip(2).all(|cell| !is_number(cell));
    first.len() != second.len() && says(0) == Some(lines - 1) && says(1) == second.len().checked_sub(1) && named
}

/// The first row if it names the columns: words, all different, one of them above numbers, asked for, or a label's; or
/// words alone in the file.
fn header(head: &[ByteRecord], label: Option<&str>) -> Option<Vec<String>> {
    let (first, sample) = head.split_first()?;
    let names: Vec<String> = first.iter().map(|name| trimmed(name).into_owned()).collect();
    let above_numbers = |at: usize| {
        let mut cells =
            sample.iter().take(SAMPLE - 1).filter_map(|row| row.get(at)).filter(|cell| !is_missing(&trimmed(cell)));
        !is_number(&first[at]) && cells.next().is_some_and(is_number) && cells.all(is_number)
    };
    let usual = |name: &String| LABELS.contains(&name.to_ascii_lowercase().as_str());
    let asked = |name: &String| Some(name.as_str()) == label && !is_number(name.as_bytes());
    let alone = sample.is_empty() && !first.iter().any(is_number);
    let named = alone || names.iter().any(|name| asked(name) || usual(name)) || (0..names.len()).any(above_numbers);
    let distinct =
        names.iter().collect::<HashSet<_>>().len() == names.len() && names.iter().all(|name| !name.is_empty());
    (distinct && names.len() > 1 && named).then_some(names)
}
