//! Infers a contract (column types, ranges, classes) from held-out rows.

use std::collections::BTreeMap;

use underpin_core::Shape;

use super::contract::{Column, Contract, Kind};
use super::label::classes;
use crate::Error;
use crate::input::{LeftOut, RawRow, RawTable, is_missing};

/// Maxima of the usual pixel depths.
const DEPTHS: [f64; 5] = [1.0, 15.0, 16.0, 255.0, 65_535.0];
/// Most categories a column of words may have; with more it is left out.
const CATEGORIES: usize = 128;
/// Most categories a column of words may have that is asked to be kept.
const KEPT: usize = 4_096;
/// Fraction of the cells that must be numbers for a column to be numeric.
const NUMERIC: f64 = 0.9;
/// Greatest fraction of the cells of a column of categories that may hold what no other cell holds.
const ONCE: f64 = 0.1;
/// Widths beyond the inferred range within which a value is clamped rather than rejected.
const SLACK: f64 = 4.0;
/// A value this many widths of all others away from them does not widen the range.
const FAR: f64 = 10.0;
/// Fraction of the values that may be left out of the range so, at each end.
const PASSED_OVER: f64 = 0.01;

impl Contract {
    /// Infers a contract from `held_out`: rows that never train, so that no range depends on a private row.
    ///
    /// A column is numeric when 90 % of its cells are numbers, missing ones aside; rows with words in it are rejected. Its range
    /// is that of its values, where up to 1 % at each end are left out if they lie more than ten widths of all others
    /// away. Any other column is one of categories, a missing word among them. The column is ignored, and its reason noted, where that
    /// would not do: with more than 128 categories, or when more than 10 % of its cells hold what no other cell holds.
    /// (This fraction estimates how often a new row has an unknown category: the Good-Turing estimate, Good, Biometrika 1953.) An image's
    /// pixels have one range, from 0 to the smallest usual depth (1, 15, 16, 255, 65,535) that holds them in 99 % of the
    /// rows.
    ///
    /// What the table leaves out is ignored; a column that is to be kept is never ignored.
    ///
    /// # Errors
    ///
    /// [`Error::OneClass`], [`Error::TooManyClasses`] when the labels are no classes; [`Error::Contract`] when no column
    /// is of use, or one that is to be kept is not; [`Error::PixelDepth`] when pixels lie above 65,535.
    pub fn infer(held_out: &RawTable) -> Result<Self, Error> {
        let sound = |row: &RawRow<'_>| row.fault().is_none() && row.not_text().is_none();
        let rows: Vec<RawRow<'_>> = held_out.rows().filter(sound).collect();
        let classes = classes(held_out, &rows)?;
        let label = held_out.columns()[held_out.label()].clone();
        let features = held_out.features();
        if let Some(shape) = held_out.shape() {
            let column = pixels(&rows, &features.iter().copied(), shape)?;
            return Self::new(vec![column], label, classes, shape.clone());
        }
        let columns: Vec<Column> = columns(held_out, &rows, &features)?;
        for Column { name, kind } in &columns {
            if let Kind::Ignored { reason } = kind {
                tracing::warn!(column = name, reason, "column left out");
            }
        }
        let width = columns.iter().map(|column| column.kind.width()).sum::<usize>();
        Self::new(columns, label, classes, Shape::new([width])?)
    }
}

/// What becomes of each column but the label, in the file's order; those that the table does not hold come last.
fn columns(held_out: &RawTable, rows: &[RawRow<'_>], features: &[usize]) -> Result<Vec<Column>, Error> {
    let ignored = |left_out: &LeftOut| Column {
        name: left_out.column.clone(),
        kind: Kind::Ignored { reason: left_out.reason.clone() },
    };
    let mut columns = Vec::with_capacity(held_out.columns().len());
    for (at, name) in held_out.columns().iter().enumerate().filter(|(at, _)| *at != held_out.label()) {
        if features.binary_search(&at).is_ok() {
            let most = if held_out.is_kept(name) { KEPT } else { CATEGORIES };
            let kind = column(rows, at, most);
            if let (true, Kind::Ignored { reason }) = (held_out.is_kept(name), &kind) {
                let what = format!("column {name:?}, to be kept,");
                let allowed = format!("numbers, or at most {KEPT} categories");
                return Err(Error::Contract { what, found: reason.clone(), allowed });
            }
            columns.push(Column { name: name.clone(), kind });
        } else {
            columns.extend(held_out.left_out().iter().find(|left_out| left_out.column == *name).map(ignored));
        }
    }
    let unread = |left_out: &&LeftOut| !held_out.columns().contains(&left_out.column);
    columns.extend(held_out.left_out().iter().filter(unread).map(ignored));
    Ok(columns)
}

fn pixels(
    rows: &[RawRow<'_>],
    features: &(impl Iterator<Item = usize> + Clone),
    shape: &Shape,
) -> Result<Column, Error> {
    let most = |row: &RawRow<'_>| features.clone().filter_map(|at| row.number(at).ok()).max_by(f64::total_cmp);
    let mut maxima: Vec<f64> = rows.iter().filter_map(most).collect();
    maxima.sort_by(f64::total_cmp);
    let high = maxima.len().checked_sub(1 + maxima.len() / 100).map_or(0.0, |at| maxima[at]);
    match DEPTHS.iter().find(|depth| **depth >= high) {
        Some(max) => Ok(Column { name: "pixels".into(), kind: Kind::Pixels { count: shape.size(), max: *max } }),
        None => Err(Error::PixelDepth { found: high }),
    }
}

/// A column that may have `most` categories; above the usual number any category may occur once.
fn column(rows: &[RawRow<'_>], at: usize, most: usize) -> Kind {
    let mut words = BTreeMap::new();
    let mut numbers = Vec::new();
    let mut present = 0_usize;
    for cell in rows.iter().filter_map(|row| row.cell(at)) {
        if !is_missing(&cell) {
            present += 1;
            numbers.extend(cell.parse::<f64>().ok().filter(|number| number.is_finite()));
        }
        if words.len() <= most {
            *words.entry(cell.into_owned()).or_insert(0_usize) += 1;
        }
    }
    if present == 0 {
        return Kind::Ignored { reason: "no values".into() };
    }
    let percent = |count: usize| 100.0 * count as f64 / present as f64;
    if percent(numbers.len()) >= 100.0 * NUMERIC {
        return range(numbers);
    }
    let numbers = format!(
        "{:.1} % of the cells are numbers (a numeric column has {:.0} %)",
        percent(numbers.len()),
        100.0 * NUMERIC
    );
    if words.len() > most {
        return Kind::Ignored { reason: format!("{numbers}, and more than {most} categories") };
    }
    let once = words.values().filter(|count| **count == 1).count();
    if most == CATEGORIES && percent(once) > 100.0 * ONCE {
        let reason = format!(
            "{numbers}, and {:.1} % of them occur once (of categories at most {:.0} %)",
            percent(once),
            100.0 * ONCE
        );
        return Kind::Ignored { reason };
    }
    Kind::Category { values: words.into_keys().collect() }
}

#[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a small fraction of a count is a count")]
fn range(mut numbers: Vec<f64>) -> Kind {
    numbers.sort_by(f64::total_cmp);
    let spare = (numbers.len() as f64 * PASSED_OVER).ceil() as usize;
    let (mut low, mut high) = (0, numbers.len() - 1);
    // The gap within the outermost 1 % that sets farther values apart, if any.
    for _ in 0..spare.min(high / 4) {
        let (without_high, without_low) = (numbers[high - 1] - numbers[low], numbers[high] - numbers[low + 1]);
        if without_high > 0.0 && numbers[high] - numbers[high - 1] > FAR * without_high {
            high -= 1;
        }
        if without_low > 0.0 && numbers[low + 1] - numbers[low] > FAR * without_low {
            low += 1;
        }
    }
    let min = numbers[low];
    // A column of one value has no width: one unit above it is as good as any. At the far end of the numbers a unit
    // is lost to rounding, so the width there is relative.
    let max = if numbers[high] > min { numbers[high] } else { min + 1.0_f64.max(min.abs()) };
    if (max - min).is_finite() {
        Kind::Number { min, max, slack: SLACK }
    } else {
        Kind::Ignored { reason: format!("range from {min} to {max} is too wide for double precision") }
    }
}
