//! Numbers as they are written in different countries, made plain: `1.234,5` is `1234.5`.

use std::borrow::Cow;

use super::dialect::{DecimalMark, Delimiter};
use super::row::is_missing;

/// Fraction of a column's cells, missing ones aside, that must be numbers in a notation for it to be the column's.
const NUMERIC: f64 = 0.9;

/// How numbers are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Notation {
    pub(super) decimal: DecimalMark,
    pub(super) thousands: Option<char>,
}

impl Notation {
    pub(super) const PLAIN: Self = Self { decimal: DecimalMark::Point, thousands: None };

    /// The notations that are looked for. Of those that read as many cells the first is taken; plain before all.
    fn all(delimiter: Delimiter) -> Vec<Self> {
        let point = |mark| Self { decimal: DecimalMark::Point, thousands: Some(mark) };
        let comma = |mark| Self { decimal: DecimalMark::Comma, thousands: mark };
        let points = [point(','), point('\''), point('\u{2019}'), point(' '), point('\u{a0}'), point('\u{202f}')];
        let marks = [None, Some('.'), Some('\''), Some(' '), Some('\u{a0}'), Some('\u{202f}')];
        let commas = marks.map(comma);
        // `1,234` is 1234 where commas part the cells, and 1.234 where semicolons do so because commas are taken.
        match delimiter {
            Delimiter::Semicolon => [&[Self::PLAIN], &commas[..], &points].concat(),
            _ => [&[Self::PLAIN], &points[..], &commas].concat(),
        }
    }

    /// The number in plain notation, if the cell is one in this notation: digits, or groups of three after the first,
    /// with an optional sign, fraction and exponent.
    pub(super) fn plain(self, cell: &str) -> Option<Cow<'_, str>> {
        if self == Self::PLAIN {
            let number = cell.parse::<f64>().is_ok() && !cell.ends_with(|last: char| last.is_ascii_alphabetic());
            return number.then(|| cell.into());
        }
        let (mantissa, exponent) = match cell.find(['e', 'E']) {
            Some(at) => cell.split_at(at),
            None => (cell, ""),
        };
        let unsigned = mantissa.strip_prefix(['+', '-', '\u{2212}']).unwrap_or(mantissa);
        let sign = if mantissa.starts_with(['-', '\u{2212}']) { "-" } else { "" };
        let decimal = self.decimal.character();
        let (whole, fraction) = unsigned.split_once(decimal).unwrap_or((unsigned, ""));
        let digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
        let groups: Vec<&str> = match self.thousands {
            Some(mark) => whole.split(mark).collect(),
            None => vec![whole],
        };
        let grouped = groups.len() == 1
            || (1..=3).contains(&groups[0].len())
                && !groups[0].starts_with('0')
                && groups[1..].iter().all(|group| group.len() == 3);
        let sound = grouped && groups.iter().all(|group| digits(group)) && digits(fraction);
        let text = format!("{sign}{}.{fraction}{exponent}", groups.concat());
        let empty = whole.is_empty() && fraction.is_empty();
        let text = if fraction.is_empty() { text.replacen('.', "", 1) } else { text };
        (sound && !empty && text.parse::<f64>().is_ok()).then(|| text.into())
    }

    /// The notation of a table, and for each column whether it is the column's. `cells` gives some cells of each column.
    ///
    /// The table's is that which reads the most cells beyond those that the plain one reads, in the columns where it reads
    /// 90 % of them; it is the column's where it does so and reads no fewer than the plain one.
    pub(super) fn of<'a, C: Iterator<Item = Cow<'a, str>>>(
        asked: Option<DecimalMark>,
        delimiter: Delimiter,
        columns: usize,
        cells: impl Fn(usize) -> C,
    ) -> (Self, Vec<bool>) {
        let fits = |notation: &Self| asked.is_none_or(|mark| mark == notation.decimal);
        let notations: Vec<Self> = Self::all(delimiter).into_iter().filter(fits).collect();
        let first = notations.first().copied().unwrap_or(Self::PLAIN);
        let (mut totals, mut counts) = (vec![0_usize; notations.len()], Vec::with_capacity(columns));
        for column in 0..columns {
            let (mut present, mut plain, mut read) = (0_usize, 0_usize, vec![0_usize; notations.len()]);
            for cell in cells(column).filter(|cell| !is_missing(cell)) {
                present += 1;
                let is_plain = cell.parse::<f64>().is_ok();
                plain += usize::from(is_plain);
                // Digits alone are the same in every notation.
                let same = cell.bytes().all(|byte| byte.is_ascii_digit());
                for (count, notation) in read.iter_mut().zip(&notations) {
                    *count += usize::from(same || notation.plain(&cell).is_some());
                }
            }
            let enough = NUMERIC * present as f64;
            for (count, total) in read.iter_mut().zip(&mut totals) {
                if present == 0 || (*count as f64) < enough {
                    *count = 0;
                }
                *total += count.saturating_sub(plain);
            }
            counts.push((plain, read));
        }
        let best = totals.iter().copied().max().unwrap_or(0);
        let chosen = totals.iter().position(|total| *total == best).unwrap_or(0);
        let notation = notations.get(chosen).copied().unwrap_or(first);
        let uses = |(plain, read): &(usize, Vec<usize>)| notation != Self::PLAIN && read[chosen] >= (*plain).max(1);
        (notation, counts.iter().map(uses).collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_made_plain() {
        let notation = |decimal, thousands| Notation { decimal, thousands };
        let comma = notation(DecimalMark::Comma, Some('.'));
        for (notation, cell, plain) in [
            (comma, "1.234.567,5", Some("1234567.5")),
            (comma, "-0,25", Some("-0.25")),
            (comma, "1,5e-3", Some("1.5e-3")),
            (comma, "1.5", None),
            (comma, "0.725", None),
            (comma, "12.34.567", None),
            (comma, "1,2,3", None),
            (comma, ",", None),
            (comma, "", None),
            (notation(DecimalMark::Point, Some(',')), "29,626.45", Some("29626.45")),
            (notation(DecimalMark::Point, Some(',')), "+999", Some("999")),
            (notation(DecimalMark::Point, Some('\'')), "1'234.5", Some("1234.5")),
            (notation(DecimalMark::Comma, Some('\u{a0}')), "1\u{a0}234,5", Some("1234.5")),
            (Notation::PLAIN, "1e3", Some("1e3")),
            (Notation::PLAIN, "nan", None),
        ] {
            assert_eq!(notation.plain(cell).as_deref(), plain, "{cell}");
        }
    }

    #[test]
    fn the_notation_of_a_table_is_found() {
        let found = |delimiter, columns: &[&[&'static str]]| {
            let cells = |at: usize| columns[at].iter().map(|cell| Cow::Borrowed(*cell)).collect::<Vec<_>>().into_iter();
            let (notation, uses) = Notation::of(None, delimiter, columns.len(), cells);
            (notation.decimal.character(), notation.thousands, uses)
        };
        let words: &[&str] = &["1,5 kg", "many"];
        assert_eq!(found(Delimiter::Semicolon, &[&["0,5", "12,25"], &["1", "2"]]), (',', None, vec![true, true]));
        assert_eq!(found(Delimiter::Comma, &[&["1.5", "2"], words]), ('.', None, vec![false, false]));
        assert_eq!(found(Delimiter::Comma, &[&["29,626.45", "7"], words]), ('.', Some(','), vec![true, false]));
        // Groups of three alone are thousands or fractions, by what parts the cells.
        assert_eq!(found(Delimiter::Comma, &[&["1,234", "999"]]), ('.', Some(','), vec![true]));
        assert_eq!(found(Delimiter::Semicolon, &[&["1,234", "0,999"]]), (',', None, vec![true]));
        // In a table of decimal commas, `1.234` is a thousand where all cells are such; `2.5` is not.
        let table: [&[&str]; 3] = [&["1.234,5", "2,5"], &["1.234", "999"], &["2.5", "1.5"]];
        assert_eq!(found(Delimiter::Semicolon, &table), (',', Some('.'), vec![true, true, false]));
    }
}
