//! Finds the label column of a table.

use std::collections::HashSet;

use super::label_by::LabelBy;
use super::raw::RawTable;
use super::row::is_missing;
use crate::Error;

/// Names that only a label goes by.
const CLEAR: [&str; 5] = ["label", "labels", "target", "class", "classes"];
/// Names that a label often goes by, and other columns do too.
const USUAL: [&str; 10] =
    ["y", "income", "species", "diagnosis", "outcome", "survived", "kind", "category", "response", "verdict"];
/// Most classes a column may have that is no number.
const CLASSES: usize = 1_000;
/// Most classes that a column is taken to hold when nothing else says that it holds classes.
const FEW: usize = 20;

fn is_one_of(names: &[&str], name: &str) -> bool {
    names.contains(&name.to_ascii_lowercase().as_str())
}

/// Whether a column of this name is usually the label, in any case.
pub(super) fn is_usual(name: &str) -> bool {
    is_one_of(&CLEAR, name) || is_one_of(&USUAL, name)
}

/// What the values of a column look like.
#[derive(Clone, Copy, PartialEq)]
enum Look {
    /// Words, as few as the classes of most tables.
    FewWords,
    /// Words, few enough to be classes.
    Words,
    /// Whole numbers, few enough to be classes without further words.
    FewNumbers,
    /// Whole numbers, few enough to be classes if a name says so.
    Numbers,
    /// Fractions, or too many different values.
    NoClasses,
}

fn look(raw_table: &RawTable, at: usize) -> Look {
    let allowed = CLASSES.min(raw_table.len() / 2).max(2);
    let (mut values, mut words, mut fractions) = (HashSet::new(), false, false);
    for cell in raw_table.column(at).filter(|cell| !is_missing(cell)) {
        let number = cell.parse::<f64>().ok();
        words |= number.is_none();
        fractions |= number.is_some_and(|number| number.fract() != 0.0);
        values.insert(cell);
        if values.len() > allowed {
            return Look::NoClasses;
        }
    }
    match (values.len(), words, fractions) {
        (0, ..) | (_, false, true) => Look::NoClasses,
        (..=FEW, true, _) => Look::FewWords,
        (_, true, _) => Look::Words,
        (2..=FEW, ..) => Look::FewNumbers,
        _ => Look::Numbers,
    }
}

/// The label column, and how it was found: as asked for, by name or by position from 1; of a table without a header the
/// last; else the one column that a name or its values show to be it. `left_out` is never it unless asked for.
///
/// # Errors
///
/// [`Error::NoLabelColumn`] when the column asked for is not there, [`Error::SeveralLabels`] and [`Error::NoLabel`] when
/// none is asked for and not exactly one is found.
pub(super) fn label_column(
    raw_table: &RawTable,
    named: bool,
    left_out: &[usize],
    asked: Option<&str>,
) -> Result<(usize, LabelBy), Error> {
    let columns = raw_table.columns();
    let file = || raw_table.name().to_owned();
    if let Some(asked) = asked {
        let by_name = columns.iter().position(|column| column == asked);
        let by_position = || asked.parse::<usize>().ok().filter(|at| (1..=columns.len()).contains(at)).map(|at| at - 1);
        let (asked, columns) = (asked.to_owned(), columns.to_vec());
        let missing = || Error::NoLabelColumn { file: file(), asked, columns };
        return by_name.or_else(by_position).ok_or_else(missing).map(|at| (at, LabelBy::Source));
    }
    let usable: Vec<usize> = (0..columns.len()).filter(|at| !left_out.contains(at)).collect();
    let names = |positions: &[usize]| positions.iter().map(|at| columns[*at].clone()).collect::<Vec<_>>();
    let several = |positions: &[usize]| Error::SeveralLabels { file: file(), candidates: names(positions) };
    let Some(last) = usable.last().copied() else {
        return Err(Error::NoLabel { file: file(), candidates: Vec::new(), columns: columns.to_vec() });
    };
    if !named {
        return Ok((last, LabelBy::Last));
    }
    let clear: Vec<usize> = usable.iter().copied().filter(|at| is_one_of(&CLEAR, &columns[*at])).collect();
    match clear[..] {
        [] => {}
        [one] => return Ok((one, LabelBy::Name)),
        _ => return Err(several(&clear)),
    }
    // Beside an `x`, a `y` is a coordinate.
    let plane = columns.iter().any(|name| name.eq_ignore_ascii_case("x"));
    let usual = |at: &usize| is_one_of(&USUAL, &columns[*at]) && !(plane && columns[*at].eq_ignore_ascii_case("y"));
    let mut candidates: Vec<usize> = usable.iter().copied().filter(usual).collect();
    candidates.retain(|at| look(raw_table, *at) != Look::NoClasses);
    if candidates.len() == 1 && candidates != [last] && look(raw_table, last) == Look::FewWords {
        candidates.push(last);
    }
    match candidates[..] {
        [] => {}
        [one] => return Ok((one, LabelBy::Name)),
        _ => return Err(several(&candidates)),
    }
    let looks: Vec<(usize, Look)> = usable.iter().map(|at| (*at, look(raw_table, *at))).collect();
    let of = |looked: &[Look]| -> Vec<usize> {
        looks.iter().filter(|(_, look)| looked.contains(look)).map(|(at, _)| *at).collect()
    };
    let (words, all) = (of(&[Look::FewWords, Look::Words]), of(&[Look::FewWords, Look::Words, Look::FewNumbers]));
    if words == [last] || words.is_empty() && all == [last] {
        return Ok((last, LabelBy::Values));
    }
    Err(Error::NoLabel { file: file(), candidates: names(&all), columns: columns.to_vec() })
}
