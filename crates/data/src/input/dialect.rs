//! Dialect of a CSV file: delimiter, preamble and header, inferred from its first lines.

use std::collections::{BTreeMap, HashSet};

use csv::ByteRecord;

use super::cell::trimmed;
use super::label_column::is_usual;
use super::row::is_missing;

/// Lines from which delimiter and header are inferred.
pub(super) const SAMPLE: usize = 200;

/// The delimiter that splits most sampled lines into the same number of cells, at least 2; a comma in doubt.
pub(super) fn delimiter(lines: &[(u64, &[u8])]) -> u8 {
    let sample = &lines[..lines.len().min(SAMPLE)];
    let agreeing = |delimiter: u8| {
        let widths = sample.iter().map(|(_, line)| line.trim_ascii().split(|byte| *byte == delimiter).count());
        most_frequent(widths.filter(|width| *width > 1)).map_or(0, |(_, lines)| lines)
    };
    // Of equals the last wins, so the comma stands last.
    *b" \t;,".iter().max_by_key(|delimiter| agreeing(**delimiter)).unwrap_or(&b',')
}

/// What occurs most often, and how often; of equals the greatest.
pub(super) fn most_frequent(values: impl Iterator<Item = usize>) -> Option<(usize, usize)> {
    let mut counts = BTreeMap::new();
    values.for_each(|value| *counts.entry(value).or_insert(0_usize) += 1);
    counts.into_iter().max_by_key(|(_, count)| *count)
}

fn is_number(cell: &[u8]) -> bool {
    trimmed(cell).parse::<f64>().is_ok()
}

/// Whether the first line is scikit-learn's `rows,features,class names...`; it is no row.
pub(super) fn has_preamble(head: &[ByteRecord], lines: usize) -> bool {
    let [first, second, ..] = head else { return false };
    let claimed = |position: usize| first.get(position).and_then(|cell| trimmed(cell).parse::<usize>().ok());
    let named = first.iter().skip(2).all(|cell| !is_number(cell));
    first.len() != second.len() && claimed(0) == Some(lines - 1) && claimed(1) == second.len().checked_sub(1) && named
}

/// The header: the first row if it names the columns. It does if its cells are words, all different, and one of them
/// stands above numbers, is the label asked for or a usual label; or if it is the only row.
pub(super) fn header(head: &[ByteRecord], label: Option<&str>) -> Option<Vec<String>> {
    let (first, sample) = head.split_first()?;
    let names: Vec<String> = first.iter().map(|name| trimmed(name).into_owned()).collect();
    let above_numbers = |at: usize| {
        let mut cells =
            sample.iter().take(SAMPLE - 1).filter_map(|row| row.get(at)).filter(|cell| !is_missing(&trimmed(cell)));
        !is_number(&first[at]) && cells.next().is_some_and(is_number) && cells.all(is_number)
    };
    let asked = |name: &String| Some(name.as_str()) == label && !is_number(name.as_bytes());
    let alone = sample.is_empty() && !first.iter().any(is_number);
    let named = alone || names.iter().any(|name| asked(name) || is_usual(name)) || (0..names.len()).any(above_numbers);
    let distinct =
        names.iter().collect::<HashSet<_>>().len() == names.len() && names.iter().all(|name| !name.is_empty());
    (distinct && names.len() > 1 && named).then_some(names)
}
