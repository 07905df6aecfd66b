//! Records of a text table by RFC 4180: a line, or the lines that a quoted cell joins.

use csv::ByteRecord;

use super::dialect::Delimiter;
use super::limits::Limits;
use crate::Error;

/// Most lines of one record.
pub(super) const RECORD_LINES: u64 = 1_000;
/// Most bytes of one record.
pub(super) const RECORD_BYTES: usize = 1 << 22;

/// One record, unsplit.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Record<'a> {
    /// The line it begins on, from 1.
    pub(super) line: u64,
    /// Its bytes, without the end of the line.
    pub(super) bytes: &'a [u8],
    /// Whether a quote in it is never closed.
    pub(super) open: bool,
}

/// Parts a text into records; blank ones are skipped.
///
/// A quote at the start of a cell opens it, and line ends until the closing quote belong to the cell. A quote that is
/// never closed opens nothing: its line is a record of its own, marked as open. That is looked for within the limits of a
/// record only, so no line is read more often than a record may have lines.
pub(super) struct Records<'a> {
    bytes: &'a [u8],
    at: usize,
    line: u64,
    delimiter: Delimiter,
}

/// Why no record ends where it should.
enum Fault {
    /// The text ends within a quoted cell.
    Open,
    TooLong(&'static str, u64, u64),
}

impl<'a> Records<'a> {
    pub(super) fn new(bytes: &'a [u8], delimiter: Delimiter) -> Self {
        Self { bytes, at: 0, line: 1, delimiter }
    }

    /// The end of the record that begins here: its length and how many lines it has.
    fn end(&self, rest: &[u8]) -> Result<(usize, u64), Fault> {
        let first = end_of_line(rest);
        if !rest[..first].contains(&b'"') {
            return Ok((first, 1));
        }
        let (mut lines, mut quoted, mut start, mut at) = (1, false, true, 0);
        while let Some(byte) = rest.get(at) {
            match (quoted, *byte) {
                (true, b'"') if rest.get(at + 1) == Some(&b'"') => at += 1,
                (true, b'"') => quoted = false,
                (true, b'\n') => {
                    lines += 1;
                    if lines > RECORD_LINES {
                        return Err(Fault::TooLong("number of lines", lines, RECORD_LINES));
                    }
                }
                (true, _) => {}
                (false, b'\n') => return Ok((at, lines)),
                (false, b'"') if start => (quoted, start) = (true, false),
                (false, byte) => start = self.delimiter.is(byte) || start && byte == b' ',
            }
            at += 1;
            if quoted && at > RECORD_BYTES {
                return Err(Fault::TooLong("number of bytes", at as u64, RECORD_BYTES as u64));
            }
        }
        if quoted { Err(Fault::Open) } else { Ok((at, lines)) }
    }

    /// The next record.
    ///
    /// # Errors
    ///
    /// [`Error::LongRecord`] for a quoted cell that goes on for too many lines or bytes.
    pub(super) fn next(&mut self, file: &str) -> Result<Option<Record<'a>>, Error> {
        while self.at < self.bytes.len() {
            let rest = &self.bytes[self.at..];
            let (length, lines, open) = match self.end(rest) {
                Ok((length, lines)) => (length, lines, false),
                Err(Fault::Open) => (end_of_line(rest), 1, true),
                Err(Fault::TooLong(what, found, allowed)) => {
                    let (file, line) = (file.to_owned(), self.line);
                    return Err(Error::LongRecord { file, line, what, found, allowed });
                }
            };
            let (bytes, line) = (&rest[..length], self.line);
            self.at += length + 1;
            self.line += lines;
            let bytes = bytes.strip_suffix(b"\r").unwrap_or(bytes);
            if !bytes.trim_ascii().is_empty() {
                return Ok(Some(Record { line, bytes, open }));
            }
        }
        Ok(None)
    }

    /// At most so many records.
    ///
    /// # Errors
    ///
    /// As [`Records::next`].
    pub(super) fn take(mut self, most: usize, file: &str) -> Result<Vec<Record<'a>>, Error> {
        let mut records = Vec::new();
        while records.len() < most {
            match self.next(file)? {
                Some(record) => records.push(record),
                None => break,
            }
        }
        Ok(records)
    }
}

fn end_of_line(bytes: &[u8]) -> usize {
    bytes.iter().position(|byte| *byte == b'\n').unwrap_or(bytes.len())
}

/// Splits records into cells.
pub(super) struct Splitter<'a> {
    pub(super) delimiter: Delimiter,
    pub(super) limits: &'a Limits,
}

impl Splitter<'_> {
    /// The cells of a record, quotes removed, or why it has none.
    pub(super) fn split(&self, record: &Record<'_>) -> Result<ByteRecord, String> {
        let most = self.limits.columns;
        let too_many = |cells: usize| format!("{cells} cells, allowed are at most {most}");
        let cells = if record.bytes.contains(&b'"') {
            self.quoted(record)?
        } else {
            let cells = self.plain(record.bytes).count();
            if cells > most {
                return Err(too_many(cells));
            }
            let mut split = ByteRecord::with_capacity(record.bytes.len(), cells);
            self.plain(record.bytes).for_each(|cell| split.push_field(cell));
            split
        };
        if cells.len() > most { Err(too_many(cells.len())) } else { Ok(cells) }
    }

    fn plain<'l>(&self, line: &'l [u8]) -> impl Iterator<Item = &'l [u8]> + use<'l> {
        let delimiter = self.delimiter;
        let blanks = delimiter == Delimiter::Blanks;
        let end = line.iter().rposition(|byte| !b"\r ".contains(byte)).map_or(0, |last| last + 1);
        let line = if blanks { line.trim_ascii() } else { &line[..end] };
        line.split(move |byte| delimiter.is(*byte)).filter(move |cell| !blanks || !cell.is_empty())
    }

    fn quoted(&self, record: &Record<'_>) -> Result<ByteRecord, String> {
        let tight = self.tight(record.bytes)?;
        let mut reader = csv::ReaderBuilder::new();
        reader.has_headers(false).flexible(true).delimiter(self.delimiter.byte()).trim(csv::Trim::All);
        reader.buffer_capacity(tight.len() + 1);
        let mut reader = reader.from_reader(&tight[..]);
        let mut cells = ByteRecord::new();
        reader.read_byte_record(&mut cells).map_err(|fault| fault.to_string())?;
        if !record.open && reader.read_byte_record(&mut ByteRecord::new()).map_err(|fault| fault.to_string())? {
            return Err("a line end outside of quotes".to_owned());
        }
        Ok(cells)
    }

    /// The record without blanks around its quoted cells, and with one blank for each run of them where they delimit:
    /// the csv crate knows a quote at the start of a cell only.
    fn tight(&self, bytes: &[u8]) -> Result<Vec<u8>, String> {
        let bytes = bytes.trim_ascii();
        let blanks = self.delimiter == Delimiter::Blanks;
        let mut tight = Vec::with_capacity(bytes.len());
        // Within quotes; at the start of a cell; after the quote that ends one.
        let (mut quoted, mut start, mut closed) = (false, true, false);
        let mut at = 0;
        while let Some(byte) = bytes.get(at).copied() {
            at += 1;
            if quoted {
                tight.push(byte);
                if byte == b'"' && bytes.get(at) == Some(&b'"') {
                    tight.push(byte);
                    at += 1;
                } else if byte == b'"' {
                    (quoted, closed) = (false, true);
                }
            } else if self.delimiter.is(byte) {
                if !(blanks && start) {
                    tight.push(self.delimiter.byte());
                }
                (start, closed) = (true, false);
            } else if byte == b'"' && start {
                while tight.last() == Some(&b' ') && !blanks {
                    tight.pop();
                }
                tight.push(byte);
                (quoted, start) = (true, false);
            } else if closed && !b" \r".contains(&byte) {
                return Err("text after a closing quote".to_owned());
            } else if !closed {
                tight.push(byte);
                start = start && byte == b' ';
            }
        }
        Ok(tight)
    }

    /// The number of cells that most records have; of those that cannot be split, none.
    pub(super) fn usual_width(&self, records: &[Record<'_>]) -> usize {
        let width = |record: &Record<'_>| {
            if record.bytes.contains(&b'"') {
                self.split(record).map_or(0, |cells| cells.len())
            } else {
                self.plain(record.bytes).count()
            }
        };
        most_frequent(records.iter().map(width)).map_or(0, |(width, _)| width)
    }
}

/// What occurs most often, and how often; of equals the greatest.
pub(super) fn most_frequent(values: impl Iterator<Item = usize>) -> Option<(usize, usize)> {
    let mut counts = std::collections::BTreeMap::new();
    values.for_each(|value| *counts.entry(value).or_insert(0_usize) += 1);
    counts.into_iter().max_by_key(|(_, count)| *count)
}
