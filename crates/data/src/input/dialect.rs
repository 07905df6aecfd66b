//! Dialect of a text table: encoding, delimiter, quote, decimal and thousands marks, header.

use std::str::FromStr;

use serde::{Deserialize, Serialize};

use super::encoding::Encoding;
use crate::Error;

/// What stands between two cells.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Delimiter {
    /// `,`
    Comma,
    /// `;`
    Semicolon,
    /// A tab.
    Tab,
    /// `|`
    Bar,
    /// One or more blanks or tabs; those at the ends of a line stand between nothing.
    Blanks,
}

impl Delimiter {
    /// The delimiters that are looked for; of equals the first.
    pub(super) const ALL: [Self; 5] = [Self::Comma, Self::Semicolon, Self::Tab, Self::Bar, Self::Blanks];

    /// The byte; of runs of blanks that of a blank.
    pub(super) fn byte(self) -> u8 {
        match self {
            Self::Comma => b',',
            Self::Semicolon => b';',
            Self::Tab => b'\t',
            Self::Bar => b'|',
            Self::Blanks => b' ',
        }
    }

    pub(super) fn is(self, byte: u8) -> bool {
        byte == self.byte() || self == Self::Blanks && byte == b'\t'
    }
}

impl std::fmt::Display for Delimiter {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Comma => "','",
            Self::Semicolon => "';'",
            Self::Tab => "tab",
            Self::Bar => "'|'",
            Self::Blanks => "blanks",
        })
    }
}

impl FromStr for Delimiter {
    type Err = Error;

    /// Reads the character itself or its name: `,` or `comma`, `;` or `semicolon`, `tab`, `|` or `bar`, `blanks`.
    ///
    /// # Errors
    ///
    /// [`Error::UnknownMark`].
    fn from_str(text: &str) -> Result<Self, Error> {
        Ok(match text {
            "," | "comma" => Self::Comma,
            ";" | "semicolon" => Self::Semicolon,
            "\t" | "\\t" | "tab" => Self::Tab,
            "|" | "bar" => Self::Bar,
            " " | "blanks" => Self::Blanks,
            _ => {
                let (what, allowed) = ("delimiter", "comma (,), semicolon (;), tab, bar (|) or blanks");
                return Err(Error::UnknownMark { what, found: text.to_owned(), allowed });
            }
        })
    }
}

/// What stands before the fraction of a number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum DecimalMark {
    /// `.`
    Point,
    /// `,`
    Comma,
}

impl DecimalMark {
    pub(super) fn character(self) -> char {
        match self {
            Self::Point => '.',
            Self::Comma => ',',
        }
    }
}

impl FromStr for DecimalMark {
    type Err = Error;

    /// Reads `.` or `point`, `,` or `comma`.
    ///
    /// # Errors
    ///
    /// [`Error::UnknownMark`].
    fn from_str(text: &str) -> Result<Self, Error> {
        match text {
            "." | "point" => Ok(Self::Point),
            "," | "comma" => Ok(Self::Comma),
            _ => {
                let (what, allowed) = ("decimal mark", "point (.) or comma (,)");
                Err(Error::UnknownMark { what, found: text.to_owned(), allowed })
            }
        }
    }
}

/// How a text table is written; found from its content where the [`Source`](crate::Source) does not say.
///
/// The quote is `"`, doubled within a quoted cell (RFC 4180).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Dialect {
    /// Encoding of the characters.
    pub encoding: Encoding,
    /// Between cells.
    pub delimiter: Delimiter,
    /// Before the fraction of a number.
    pub decimal: DecimalMark,
    /// Between the thousands of a number, if there is one.
    pub thousands: Option<char>,
    /// Whether the first row names the columns.
    pub header: bool,
}

impl std::fmt::Display for Dialect {
    /// `UTF-8, cells parted by ';', decimal mark ',', thousands mark '.', no header`.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { encoding, delimiter, decimal, thousands, header } = self;
        write!(f, "{encoding}, cells parted by {delimiter}, decimal mark {:?}, ", decimal.character())?;
        match thousands {
            Some(mark) => write!(f, "thousands mark {mark:?}, ")?,
            None => f.write_str("no thousands mark, ")?,
        }
        f.write_str(if *header { "a header" } else { "no header" })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn marks_are_read_by_character_or_name() {
        for delimiter in Delimiter::ALL {
            let name = serde_json::to_value(delimiter).unwrap();
            assert_eq!(name.as_str().unwrap().parse::<Delimiter>().unwrap(), delimiter);
            assert_eq!(char::from(delimiter.byte()).to_string().parse::<Delimiter>().unwrap(), delimiter);
        }
        assert_eq!(",".parse::<DecimalMark>().unwrap(), DecimalMark::Comma);
        let error = "x".parse::<Delimiter>().unwrap_err().to_string();
        assert_eq!(error, "delimiter is \"x\", allowed: comma (,), semicolon (;), tab, bar (|) or blanks");
        let error = "".parse::<DecimalMark>().unwrap_err().to_string();
        assert_eq!(error, "decimal mark is \"\", allowed: point (.) or comma (,)");
    }
}
