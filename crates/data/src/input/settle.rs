//! Settles what the columns of a table are: the label, the features, and what is left out.

use std::collections::HashSet;

use super::format::Source;
use super::label_column::label_column;
use super::left_out::LeftOut;
use super::limits::Limits;
use super::numbers::Notation;
use super::raw::RawTable;
use super::row::is_missing;
use crate::Error;

/// Fewest rows in which that all values differ says something about a column.
const EVIDENCE: usize = 20;
/// Rows in which e-mail addresses, UUIDs and free text are looked for.
const SAMPLE: usize = 1_000;
/// Fraction of a column's cells, missing ones aside, that must be of a kind for the column to be.
const MOST: f64 = 0.9;
/// Mean number of words of a cell from which a column is free text, if most of its cells differ.
const WORDS: f64 = 3.0;

/// A table whose label and features are not chosen yet.
pub(super) struct Unsettled {
    pub(super) raw_table: RawTable,
    /// Whether the file names its columns.
    pub(super) named: bool,
    /// Columns whose name in the file is empty.
    pub(super) unnamed: Vec<usize>,
    /// Columns of the file that the table does not hold.
    pub(super) unreadable: Vec<LeftOut>,
    /// How numbers are written in the columns `rewritten`.
    pub(super) notation: Notation,
    pub(super) rewritten: Vec<usize>,
}

impl Unsettled {
    /// A table that names its columns and writes its numbers plainly.
    pub(super) fn named(raw_table: RawTable, unreadable: Vec<LeftOut>) -> Self {
        let (unnamed, rewritten) = (Vec::new(), Vec::new());
        Self { raw_table, named: true, unnamed, unreadable, notation: Notation::PLAIN, rewritten }
    }

    /// Chooses the label and the columns that are left out; makes the numbers of all other columns plain, and sets
    /// rows aside whose label or features have too many bytes.
    ///
    /// # Errors
    ///
    /// [`Error::RepeatedColumn`], [`Error::ColumnSetting`], [`Error::NoLabelColumn`], [`Error::SeveralLabels`],
    /// [`Error::NoLabel`], [`Error::NoFeatures`].
    pub(super) fn settle(self, source: &Source, limits: &Limits) -> Result<RawTable, Error> {
        let Self { raw_table, named, unnamed, unreadable, notation, rewritten } = self;
        let file = || raw_table.name().to_owned();
        let columns = raw_table.columns().to_vec();
        let mut seen = HashSet::new();
        if let Some(column) = columns.iter().find(|name| !seen.insert(name.as_str())) {
            return Err(Error::RepeatedColumn { file: file(), column: column.clone() });
        }
        let refuse = |setting, column: &String, fault| {
            let (column, columns) = (column.clone(), columns.clone());
            Err(Error::ColumnSetting { file: file(), setting, column, fault, columns })
        };
        let unread = |name: &String| unreadable.iter().any(|left_out| left_out.column == *name);
        for name in &source.drop {
            if !columns.contains(name) && !unread(name) {
                return refuse("drop", name, "there is no such column");
            }
        }
        for name in &source.keep {
            if unread(name) {
                return refuse("keep", name, "its values cannot be read as numbers or words");
            } else if !columns.contains(name) {
                return refuse("keep", name, "there is no such column");
            } else if source.drop.contains(name) {
                return refuse("keep", name, "drop names it too");
            }
        }
        let kept = |at: usize| source.keep.contains(&columns[at]);
        let dropped = |at: usize| source.drop.contains(&columns[at]);
        let no_label: Vec<usize> =
            (0..columns.len()).filter(|at| dropped(*at) || unnamed.contains(at) && !kept(*at)).collect();
        let (label, label_by) = label_column(&raw_table, named, &no_label, source.label.as_deref())?;
        if dropped(label) {
            return refuse("drop", &columns[label], "it is the label");
        }
        let features = columns.len() - 1 - (0..columns.len()).filter(|at| dropped(*at)).count();
        // The pixels of an image are features whatever they look like.
        let pixels = source.shape.as_ref().is_some_and(|shape| shape.size() == features);
        let mut left_out = Vec::new();
        for at in (0..columns.len()).filter(|at| *at != label) {
            let reason = if dropped(at) {
                Some("asked for".to_owned())
            } else if kept(at) || pixels {
                None
            } else if unnamed.contains(&at) {
                Some("it has no name, as an index".to_owned())
            } else {
                reason(&raw_table, at)
            };
            left_out.extend(reason.map(|reason| LeftOut { column: columns[at].clone(), reason }));
        }
        if left_out.len() + 1 == columns.len() {
            return Err(Error::NoFeatures { file: file(), left_out });
        }
        left_out.extend(unreadable);
        let rewritten: Vec<usize> = rewritten.into_iter().filter(|at| *at != label).collect();
        let raw_table = raw_table.with_label(label, label_by).with_left_out(left_out, source.keep.clone());
        Ok(raw_table.rewritten(&rewritten, |cell| notation.plain(cell)).without_long_cells(limits))
    }
}

/// Why the values of a column are of no use as a feature, if they are not.
///
/// All rows decide, those that train among them: that a column is left out is not covered by any privacy bound.
fn reason(raw_table: &RawTable, at: usize) -> Option<String> {
    let rows = raw_table.column(at).count();
    if rows < EVIDENCE {
        return None;
    }
    if is_index(raw_table, at) {
        return Some("it numbers the rows, as an index".into());
    }
    let present: Vec<String> =
        raw_table.column(at).filter(|cell| !is_missing(cell)).take(SAMPLE).map(std::borrow::Cow::into_owned).collect();
    let count = |of: fn(&str) -> bool| present.iter().filter(|cell| of(cell)).count() as f64;
    let most = |of: fn(&str) -> bool| present.len() >= EVIDENCE && count(of) >= MOST * present.len() as f64;
    if most(is_uuid) {
        return Some("its values are UUIDs".into());
    }
    if most(is_e_mail) {
        return Some("its values are e-mail addresses".into());
    }
    if present.len() < EVIDENCE || count(is_number) > (1.0 - MOST) * present.len() as f64 {
        return None;
    }
    let mut seen = HashSet::new();
    let different = raw_table.column(at).filter(|cell| !is_missing(cell)).all(|cell| seen.insert(cell.into_owned()));
    if different {
        return Some("every text in it occurs once, as identifiers do".into());
    }
    let words = present.iter().map(|cell| cell.split_whitespace().count()).sum::<usize>() as f64;
    let different = present.iter().collect::<HashSet<_>>().len();
    let free = words >= WORDS * present.len() as f64 && 2 * different > present.len();
    free.then(|| "it is free text".into())
}

/// Whether a column holds each of as many consecutive whole numbers as there are rows once, in any order.
fn is_index(raw_table: &RawTable, at: usize) -> bool {
    let mut seen = HashSet::new();
    let (mut least, mut greatest) = (i64::MAX, i64::MIN);
    for cell in raw_table.column(at) {
        let Ok(number) = cell.parse::<i64>() else { return false };
        if !seen.insert(number) {
            return false;
        }
        (least, greatest) = (least.min(number), greatest.max(number));
    }
    greatest.checked_sub(least).and_then(|width| usize::try_from(width).ok()) == seen.len().checked_sub(1)
}

fn is_number(cell: &str) -> bool {
    let digits = cell.bytes().filter(u8::is_ascii_digit).count();
    cell.parse::<f64>().is_ok() || digits > 0 && cell.chars().all(|c| c.is_ascii_digit() || "+-.,'\u{a0}".contains(c))
}

fn is_uuid(cell: &str) -> bool {
    let parts: Vec<usize> = cell.split('-').map(str::len).collect();
    parts == [8, 4, 4, 4, 12] && cell.bytes().all(|byte| byte == b'-' || byte.is_ascii_hexdigit())
}

fn is_e_mail(cell: &str) -> bool {
    let sound = |text: &str| !text.is_empty() && !text.contains(char::is_whitespace);
    cell.split_once('@').is_some_and(|(name, host)| {
        sound(name) && sound(host) && !host.contains('@') && host.split_once('.').is_some_and(|(_, end)| sound(end))
    })
}
