//! Finds delimiter, preamble and header of a text table from its first records.

use std::collections::HashSet;

use csv::ByteRecord;

use super::cell::trimmed;
use super::dialect::Delimiter;
use super::label_column::is_usual;
use super::limits::Limits;
use super::records::{Records, Splitter, most_frequent};
use super::row::is_missing;

/// Records from which delimiter and header are inferred.
pub(super) const SAMPLE: usize = 200;

/// The delimiter that splits most sampled records into the same number of cells, at least 2; of equals that which leaves
/// the largest fraction of the cells numbers; a comma in doubt, unless all commas stand in numbers.
pub(super) fn delimiter(text: &[u8], limits: &Limits) -> Delimiter {
    let mut best = (Delimiter::Comma, (0, 0.0));
    for delimiter in Delimiter::ALL {
        let (mut records, splitter) = (Records::new(text, delimiter), Splitter { delimiter, limits });
        let mut sample = Vec::new();
        while let (true, Ok(Some(record))) = (sample.len() < SAMPLE, records.next("")) {
            sample.extend(splitter.split(&record).ok().filter(|cells| cells.len() > 1 && !cuts_quotes(cells)));
        }
        let Some((width, agreeing)) = most_frequent(sample.iter().map(ByteRecord::len)) else { continue };
        // Blanks and tabs part cells only where tabs alone do not.
        if delimiter == Delimiter::Blanks && best == (Delimiter::Tab, (agreeing, best.1.1)) {
            continue;
        }
        let fitting = || sample.iter().filter(|cells| cells.len() == width).flatten();
        let numbers = fitting().filter(|cell| is_any_number(cell)).count() as f64 / fitting().count() as f64;
        // Of two that fit alike the one within whose cells commas stand in numbers only: they are decimal marks.
        let mut with_commas = fitting().filter(|cell| cell.contains(&b',')).peekable();
        let marks = with_commas.peek().is_some() && with_commas.all(is_any_number);
        let alike = (agreeing, numbers) == best.1 && best.0 == Delimiter::Comma && marks;
        if agreeing > best.1.0 || agreeing == best.1.0 && numbers > best.1.1 || alike {
            best = (delimiter, (agreeing, numbers));
        }
    }
    best.0
}

/// Whether cells look as if quoted ones had been cut: a quote that is opened in one ends in another.
fn cuts_quotes(cells: &ByteRecord) -> bool {
    cells.iter().any(|cell| cell.iter().fold(false, |odd, byte| odd ^ (*byte == b'"')))
}

fn is_number(cell: &[u8]) -> bool {
    trimmed(cell).parse::<f64>().is_ok()
}

/// Whether a cell is a number by any decimal mark, however it groups its thousands.
fn is_any_number(cell: &[u8]) -> bool {
    let cell = trimmed(cell);
    let ends = |end: Option<char>| end.is_some_and(|end| end.is_ascii_digit());
    let digit = |character: char| character.is_ascii_digit() || ".,'\u{a0}".contains(character);
    let unsigned = cell.trim_start_matches(['-', '+']);
    cell.parse::<f64>().is_ok() || unsigned.chars().all(digit) && ends(cell.chars().last())
}

/// Whether the first record is scikit-learn's `rows,features,class names...`; it is no row.
pub(super) fn has_preamble(head: &[ByteRecord], records: usize) -> bool {
    let [first, second, ..] = head else { return false };
    let claimed = |position: usize| first.get(position).and_then(|cell| trimmed(cell).parse::<usize>().ok());
    let named = first.iter().skip(2).all(|cell| !is_number(cell));
    first.len() != second.len() && claimed(0) == Some(records - 1) && claimed(1) == second.len().checked_sub(1) && named
}

/// The header, its names as they stand: the first record if it names the columns. It does if it is the only one, or if one
/// of its words stands above numbers, is the label asked for or a usual label; where a cell of it is a number,
/// no name may be empty or repeated. Where every row has one cell more, the first column has no name (R writes so).
pub(super) fn header(head: &[ByteRecord], label: Option<&str>) -> Option<Vec<String>> {
    let (first, sample) = head.split_first()?;
    let sample = &sample[..sample.len().min(SAMPLE - 1)];
    let mut names: Vec<String> = first.iter().map(|name| trimmed(name).into_owned()).collect();
    let longer = !sample.is_empty() && sample.iter().all(|row| row.len() == names.len() + 1);
    let shift = usize::from(longer);
    let above_numbers = |(at, name): (usize, &String)| {
        let cells = sample.iter().filter_map(|row| row.get(at + shift));
        let mut cells = cells.filter(|cell| !is_missing(&trimmed(cell))).peekable();
        !is_missing(name) && !is_any_number(name.as_bytes()) && cells.peek().is_some() && cells.all(is_any_number)
    };
    let words = !names.iter().any(|name| is_any_number(name.as_bytes()));
    let asked = |name: &String| Some(name.as_str()) == label && !is_number(name.as_bytes());
    let alone = sample.is_empty() && words;
    let named =
        alone || names.iter().any(|name| asked(name) || is_usual(name)) || names.iter().enumerate().any(above_numbers);
    let distinct =
        names.iter().collect::<HashSet<_>>().len() == names.len() && names.iter().all(|name| !name.is_empty());
    // A row of words that repeat is a header only if it stands above numbers, or has a label's name of some length.
    let sure = words
        && (names.iter().any(|name| is_usual(name) && name.len() > 1) || names.iter().enumerate().any(above_numbers));
    let header = named && (names.len() > 1 || longer) && (distinct || sure);
    if longer {
        names.insert(0, String::new());
    }
    header.then_some(names)
}
