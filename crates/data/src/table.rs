//! CSV and its cousins: one row per line.

use std::collections::{BTreeMap, HashSet};

use crate::Error;
use crate::door::{Cells, Door, RawRow};
use crate::source::{Format, Limits};

/// Names that a label column goes by.
const LABELS: [&str; 9] = ["label", "target", "class", "y", "income", "species", "diagnosis", "outcome", "survived"];

/// Lines looked at to tell delimiter and header.
const SAMPLE: usize = 200;

/// Reads a table. A row is one line, so an unclosed quote spoils its own row alone; blank lines are passed over.
pub(crate) fn read(file: &str, bytes: &[u8], label: Option<&str>, limits: &Limits) -> Result<Door, Error> {
    let bytes = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes);
    let too_many = |what, found, allowed| Error::TooLarge { file: file.to_owned(), what, found, allowed };
    let lines: Vec<_> =
        lines(bytes).take(usize::try_from(limits.rows).unwrap_or(usize::MAX).saturating_add(3)).collect();
    let delimiter = delimiter(&lines);
    let mut rows = Vec::with_capacity(lines.len());
    for (number, line) in lines {
        rows.push(RawRow { id: number, cells: split(line, delimiter, limits) });
    }
    drop_preamble(&mut rows);
    let header = take_header(&mut rows, label);
    if rows.len() as u64 > limits.rows {
        return Err(too_many("number of rows", rows.len() as u64, limits.rows));
    }
    let width = header.as_ref().map_or_else(|| usual_width(&rows), Vec::len);
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
    Ok(Door { name: file.to_owned(), format: Format::Csv, files: vec![], columns, label, shape: None, rows })
}

/// The label column: by name, by position from 1, by a usual name, or the last.
pub(crate) fn find_label(file: &str, columns: &[String], asked: Option<&str>) -> Result<usize, Error> {
    let Some(asked) = asked else {
        let usual = |column: &String| LABELS.contains(&column.to_ascii_lowercase().as_str());
        return Ok(columns.iter().position(usual).unwrap_or(columns.len().saturating_sub(1)));
    };
    let by_name = columns.iter().position(|column| column == asked);
    let by_position = || asked.parse::<usize>().ok().filter(|at| (1..=columns.len()).contains(at)).map(|at| at - 1);
    by_name.or_else(by_position).ok_or_else(|| Error::MissingColumn {
        file: file.to_owned(),
        column: asked.to_owned(),
        found: columns.to_vec(),
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
        let mut widths = BTreeMap::new();
        for (_, line) in sample {
            let width = line.trim_ascii().split(|byte| *byte == delimiter).count();
            *widths.entry(width).or_insert(0_usize) += 1;
        }
        widths.into_iter().filter(|(width, _)| *width > 1).map(|(_, lines)| lines).max().unwrap_or(0)
    };
    // Of equals the last wins, so the comma stands last.
    *b" \t;,".iter().max_by_key(|delimiter| agreeing(**delimiter)).unwrap_or(&b',')
}

fn split(line: &[u8], delimiter: u8, limits: &Limits) -> Cells {
    let unreadable = |fault: String| Cells::Unreadable { bytes: line[..line.len().min(4096)].into(), fault };
    let text = match std::str::from_utf8(line) {
        Ok(text) => text,
        Err(fault) => return unreadable(format!("invalid UTF-8 at byte {} of the line", fault.valid_up_to() + 1)),
    };
    let cells = line.split(|byte| *byte == delimiter).count();
    if cells > limits.columns && !line.contains(&b'"') {
        return unreadable(format!("{cells} cells, allowed are at most {}", limits.columns));
    }
    let row = if line.contains(&b'"') {
        let mut reader = csv::ReaderBuilder::new();
        reader
            .has_headers(false)
            .flexible(true)
            .delimiter(delimiter)
            .trim(csv::Trim::All)
            .buffer_capacity(line.len() + 1);
        let mut record = csv::StringRecord::new();
        // The csv crate sees a quote only at the start of a cell, so the blank after the delimiter must go first.
        let tight =
            text.trim().replace(&format!("{} \"", char::from(delimiter)), &format!("{}\"", char::from(delimiter)));
        match reader.from_reader(tight.as_bytes()).read_record(&mut record) {
            Ok(_) => RawRow::text(0, record.iter()),
            Err(fault) => return unreadable(fault.to_string()),
        }
    } else {
        RawRow::text(0, text.trim_end_matches(['\r', ' ']).split(char::from(delimiter)))
    };
    if let Some(long) = row.cells().position(|cell| cell.len() > limits.cell) {
        return unreadable(format!("cell {} is longer than {} bytes", long + 1, limits.cell));
    }
    if row.len() > limits.columns {
        return unreadable(format!("{} cells, allowed are at most {}", row.len(), limits.columns));
    }
    row.cells
}

/// Drops scikit-learn's first line `rows,features,class names...`; it is no row.
fn drop_preamble(rows: &mut Vec<RawRow>) {
    let (Some(first), Some(second)) = (rows.first(), rows.get(1)) else { return };
    let says = |position: usize| first.cell(position).and_then(|cell| cell.parse::<usize>().ok());
    let named = (2..first.len()).all(|at| first.cell(at).is_some_and(|cell| cell.parse::<f64>().is_err()));
    if first.len() != second.len() && says(0) == Some(rows.len() - 1) && says(1) == Some(second.len() - 1) && named {
        rows.remove(0);
    }
}

/// Takes the first row if it names the columns: words, all different, one of them above numbers or asked for.
fn take_header(rows: &mut Vec<RawRow>, label: Option<&str>) -> Option<Vec<String>> {
    let first = rows.first()?;
    let names: Vec<String> = first.cells().map(std::borrow::Cow::into_owned).collect();
    let sample = &rows[1..rows.len().min(SAMPLE)];
    let is_number = |cell: &str| cell.parse::<f64>().is_ok();
    let above_numbers = |at: usize| {
        let mut numbers = sample.iter().filter_map(|row| row.cell(at)).filter(|cell| !crate::door::is_missing(cell));
        !is_number(&names[at])
            && numbers.next().is_some_and(|cell| is_number(&cell))
            && numbers.all(|cell| is_number(&cell))
    };
    let usual = |name: &String| LABELS.contains(&name.to_ascii_lowercase().as_str());
    let named = names.iter().any(|name| Some(name.as_str()) == label && !is_number(name)) || names.iter().any(usual);
    let distinct =
        names.iter().collect::<HashSet<_>>().len() == names.len() && names.iter().all(|name| !name.is_empty());
    if distinct && names.len() > 1 && (named || (0..names.len()).any(above_numbers)) {
        rows.remove(0);
        Some(names)
    } else {
        None
    }
}

fn usual_width(rows: &[RawRow]) -> usize {
    let mut widths = BTreeMap::new();
    for row in rows {
        *widths.entry(row.len()).or_insert(0_usize) += 1;
    }
    widths.into_iter().max_by_key(|(_, rows)| *rows).map_or(0, |(width, _)| width)
}
