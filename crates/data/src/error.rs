//! Errors of `underpin-data`.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::path::PathBuf;

use underpin_core::{ErrorOrigin, OutOfRange};

use crate::fault::{ArrowFault, LedgerFault, ParquetFault, RowFault};
use crate::input::LeftOut;
use crate::record::Reason;

/// Errors of `underpin-data`. Bad rows are no errors: they are set aside with a [`Reason`].
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A file cannot be read or written.
    #[error("{}: {source}", .path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// The error of the system.
        source: std::io::Error,
    },
    /// The extension of a file name is of no known format.
    #[error(
        "{file}: no known format; allowed: .csv, .data, .test, .tsv, .txt, .parquet, .arrow, .feather, .jsonl, .ndjson, -idx3-ubyte, each also .gz, or a format given"
    )]
    UnknownFormat {
        /// Name of the file.
        file: String,
    },
    /// A file holds nothing.
    #[error("{file}: no rows")]
    Empty {
        /// Name of the file.
        file: String,
    },
    /// A table names its columns and holds no rows.
    #[error("{file}: a header ({}) and no rows", few(.columns))]
    HeaderOnly {
        /// Name of the file.
        file: String,
        /// The columns it names.
        columns: Vec<String>,
    },
    /// A file, or what it claims to hold, is larger than allowed.
    #[error("{file}: {what} is {found}, allowed is at most {allowed}")]
    TooLarge {
        /// Name of the file.
        file: String,
        /// What is too large.
        what: &'static str,
        /// How much there is, or is claimed; of a compressed stream, how much was seen before reading stopped.
        found: u64,
        /// How much is allowed.
        allowed: u64,
    },
    /// A compressed file ends early or does not decompress.
    #[error("{file}: the gzip stream is damaged or cut short: {source}")]
    Gzip {
        /// Name of the file.
        file: String,
        /// The error of the decoder.
        source: std::io::Error,
    },
    /// A file read as IDX is none.
    #[error(
        "{file}: not an IDX file: it begins with b\"{}\", allowed: b\"\\x00\\x00\\x08\\x{axes:02x}\" (unsigned bytes, number of axes: {axes})",
        .found.escape_ascii()
    )]
    NotIdx {
        /// Name of the file.
        file: String,
        /// Its first bytes, at most four.
        found: Vec<u8>,
        /// Number of axes that the file should have: 3 of images, 1 of labels.
        axes: usize,
    },
    /// IDX images came without their labels.
    #[error(
        "{file}: IDX images need a second file, of labels; {}",
        .looked_for.as_ref().map_or("none is named and the images' name has no `images-idx3` to tell its name by".into(), |path| format!("there is no {}", path.display()))
    )]
    NoLabels {
        /// Name of the file of images.
        file: String,
        /// The file of labels that is not there.
        looked_for: Option<PathBuf>,
    },
    /// An IDX file does not hold what its header states.
    #[error("{file}: {field} is {found}, allowed: {allowed}")]
    Idx {
        /// Name of the file.
        file: String,
        /// Which part of the header.
        field: &'static str,
        /// The value found.
        found: u64,
        /// What would be right.
        allowed: String,
    },
    /// A Parquet file cannot be decoded.
    #[error("{file}: not readable as Parquet: {fault}")]
    Parquet {
        /// Name of the file.
        file: String,
        /// What is wrong with it.
        fault: ParquetFault,
    },
    /// An Arrow IPC file cannot be decoded.
    #[error("{file}: not readable as Arrow: {fault}")]
    Arrow {
        /// Name of the file.
        file: String,
        /// What is wrong with it.
        fault: ArrowFault,
    },
    /// A column that is needed is not there.
    #[error("{file}: no column {column:?}; columns: {}", few(.found))]
    MissingColumn {
        /// Name of the file.
        file: String,
        /// The column asked for.
        column: String,
        /// Columns of the file.
        found: Vec<String>,
    },
    /// Two columns have one name.
    #[error("{file}: two columns are named {column:?}; allowed: each name once")]
    RepeatedColumn {
        /// Name of the file.
        file: String,
        /// The name.
        column: String,
    },
    /// A column that a setting names cannot be had.
    #[error("{file}: {setting} names column {column:?}, but {fault}; columns: {}", few(.columns))]
    ColumnSetting {
        /// Name of the file.
        file: String,
        /// The setting: `drop` or `keep`.
        setting: &'static str,
        /// The column it names.
        column: String,
        /// Why not.
        fault: &'static str,
        /// Columns of the file.
        columns: Vec<String>,
    },
    /// No label is named, and several columns may be it.
    #[error("{file}: the label may be any of {}; name one (--label NAME)", quoted(.candidates))]
    SeveralLabels {
        /// Name of the file.
        file: String,
        /// Columns that may be it.
        candidates: Vec<String>,
    },
    /// No label is named, and no column is clearly it.
    #[error(
        "{file}: no column is named as a label is (label, target, class or the like); name it (--label NAME); {}",
        if .candidates.is_empty() { format!("columns: {}", few(.columns)) } else { format!("columns with few values: {}", few(.candidates)) }
    )]
    NoLabel {
        /// Name of the file.
        file: String,
        /// Columns whose values may be classes.
        candidates: Vec<String>,
        /// Columns of the file.
        columns: Vec<String>,
    },
    /// No column is left to learn from.
    #[error("{file}: no feature is left; {}", .left_out.iter().take(20).map(ToString::to_string).collect::<Vec<_>>().join("; "))]
    NoFeatures {
        /// Name of the file.
        file: String,
        /// The columns left out, and why.
        left_out: Vec<LeftOut>,
    },
    /// A quoted cell goes on for longer than a record may be.
    #[error(
        "{file}: a quoted cell in the record from line {line} goes on: {what} is {found}, allowed is at most {allowed}; is a quote not closed?"
    )]
    LongRecord {
        /// Name of the file.
        file: String,
        /// Line on which the record begins, from 1.
        line: u64,
        /// What is too large.
        what: &'static str,
        /// How much was seen before reading stopped.
        found: u64,
        /// How much is allowed.
        allowed: u64,
    },
    /// The pixels of an IDX file would have to change their order to fit another table.
    #[error("{file}: the pixels of an IDX file cannot be put in the order of the columns of {other}")]
    ImageColumns {
        /// Name of the file.
        file: String,
        /// The other table.
        other: String,
    },
    /// A delimiter or decimal mark is none that is known.
    #[error("{what} is {found:?}, allowed: {allowed}")]
    UnknownMark {
        /// Which mark.
        what: &'static str,
        /// The text found.
        found: String,
        /// What is known.
        allowed: &'static str,
    },
    /// The label column asked for is not there.
    #[error(
        "{file}: no label column {asked:?}; allowed: a position from 1 to {}, or a name: {}", .columns.len(), few(.columns)
    )]
    NoLabelColumn {
        /// Name of the file.
        file: String,
        /// The column asked for, by name or position.
        asked: String,
        /// Columns of the file.
        columns: Vec<String>,
    },
    /// A contract contradicts itself.
    #[error("contract: {what} is {found}, allowed: {allowed}")]
    Contract {
        /// Which part of the contract.
        what: String,
        /// The value found.
        found: String,
        /// What would be right.
        allowed: String,
    },
    /// Pixels lie above every usual depth, so no range can be inferred for them.
    #[error("contract: pixels is {found}, allowed: at most 65535; declare a contract for anything else")]
    PixelDepth {
        /// The greatest pixel value in 99 % of the rows.
        found: f64,
    },
    /// The shape asked for does not fit the columns.
    #[error("{file}: shape {shape:?} needs {needed} columns beside the label, found {found}")]
    ShapeMismatch {
        /// Name of the file.
        file: String,
        /// Shape asked for.
        shape: Vec<usize>,
        /// Columns it needs.
        needed: usize,
        /// Columns there are.
        found: usize,
    },
    /// The label column holds too many different values to be classes.
    #[error(
        "{file}: label column {column:?} holds {found} different values in {rows} rows; allowed: at most {allowed} classes"
    )]
    TooManyClasses {
        /// Name of the file.
        file: String,
        /// The label column.
        column: String,
        /// Different values in it.
        found: usize,
        /// Rows looked at.
        rows: usize,
        /// Classes allowed.
        allowed: usize,
    },
    /// There is one class, or none.
    #[error("{file}: {found} class(es) among the rows ({}); classification needs at least 2", .classes.join(", "))]
    OneClass {
        /// Name of the file.
        file: String,
        /// Number of classes with rows.
        found: usize,
        /// Their names.
        classes: Vec<String>,
    },
    /// Fewer rows than are needed are left.
    #[error("{file}: {found} rows left, needed are at least {needed}")]
    TooFewRows {
        /// Name of the file.
        file: String,
        /// Rows left.
        found: usize,
        /// Rows needed.
        needed: usize,
    },
    /// More than the stated fraction of rows was rejected.
    #[error("{file}: {rejected} of {rows} rows rejected ({}), allowed is a fraction of {allowed}; first: {first}", counts(.reasons))]
    TooManyRejected {
        /// Name of the file.
        file: String,
        /// Rows rejected.
        rejected: usize,
        /// Rows read.
        rows: usize,
        /// Fraction allowed.
        allowed: f64,
        /// Rows rejected by reason.
        reasons: BTreeMap<Reason, usize>,
        /// The first rejection, in full.
        first: String,
    },
    /// A statistical sanitizer has no held-out rows to be calibrated on.
    #[error("{sanitizer} needs held-out rows of the same shape to calibrate its threshold; none were given")]
    NoReference {
        /// The sanitizer.
        sanitizer: &'static str,
    },
    /// A representation does not fit the rows.
    #[error("the representation gave {found} rows for {expected}")]
    Representation {
        /// Rows given to it.
        expected: usize,
        /// Rows it gave.
        found: usize,
    },
    /// A representation holds a value that is not finite.
    #[error("the representation of row {row} (by position) is NaN or infinite")]
    NotFinite {
        /// Position of the row.
        row: usize,
    },
    /// The covariance of held-out rows cannot be factored.
    #[error("the covariance of the held-out representations is not positive definite")]
    Covariance,
    /// A setting or a value lies outside the interval that is allowed.
    #[error(transparent)]
    OutOfRange(#[from] OutOfRange),
    /// A line of a ledger cannot be read.
    #[error("ledger line {line}: {fault}")]
    LedgerLine {
        /// Line, from 1.
        line: usize,
        /// What is wrong.
        fault: LedgerFault,
    },
    /// Rows do not match the ledger.
    #[error("row {id} (position {position} of the rows) does not match the ledger: {fault}")]
    Mismatch {
        /// Identifier of the first row that does not match.
        id: u64,
        /// Its position among the rows, or where it is missing.
        position: usize,
        /// What differs.
        fault: RowFault,
    },
    /// The quarantine file cannot be written.
    #[error("quarantine: {source}")]
    Quarantine {
        /// The error of the Parquet writer.
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// An error of `underpin-core`: a value that it does not accept.
    #[error(transparent)]
    Core(#[from] underpin_core::Error),
}

impl Error {
    /// Where the cause lies: in an argument or a setting, in the data, or in the system.
    pub fn origin(&self) -> ErrorOrigin {
        match self {
            Self::UnknownFormat { .. }
            | Self::NoLabels { .. }
            | Self::NoLabelColumn { .. }
            | Self::ColumnSetting { .. }
            | Self::SeveralLabels { .. }
            | Self::NoLabel { .. }
            | Self::UnknownMark { .. }
            | Self::Contract { .. }
            | Self::ShapeMismatch { .. }
            | Self::NoReference { .. }
            | Self::Representation { .. }
            | Self::NotFinite { .. }
            | Self::OutOfRange(_) => ErrorOrigin::Caller,
            Self::Empty { .. }
            | Self::HeaderOnly { .. }
            | Self::TooLarge { .. }
            | Self::Gzip { .. }
            | Self::NotIdx { .. }
            | Self::Idx { .. }
            | Self::Parquet { .. }
            | Self::Arrow { .. }
            | Self::MissingColumn { .. }
            | Self::RepeatedColumn { .. }
            | Self::NoFeatures { .. }
            | Self::LongRecord { .. }
            | Self::ImageColumns { .. }
            | Self::PixelDepth { .. }
            | Self::TooManyClasses { .. }
            | Self::OneClass { .. }
            | Self::TooFewRows { .. }
            | Self::TooManyRejected { .. }
            | Self::Covariance
            | Self::Mismatch { .. } => ErrorOrigin::Input,
            Self::LedgerLine { fault, .. } => match fault {
                LedgerFault::Read(_) => ErrorOrigin::System,
                LedgerFault::Order { .. }
                | LedgerFault::Length { .. }
                | LedgerFault::Json(_)
                | LedgerFault::NotCanonical => ErrorOrigin::Input,
            },
            Self::Io { .. } | Self::Quarantine { .. } => ErrorOrigin::System,
            Self::Core(error) => error.origin(),
        }
    }

    /// `name` is `value`, which lies outside `range`.
    pub(crate) fn out_of_range(
        name: impl Into<Cow<'static, str>>,
        value: f64,
        range: impl Into<Cow<'static, str>>,
    ) -> Self {
        Self::OutOfRange(OutOfRange::new(name, value, range))
    }

    pub(crate) fn io(path: impl Into<PathBuf>) -> impl FnOnce(std::io::Error) -> Self {
        let path = path.into();
        move |source| Self::Io { path, source }
    }
}

fn few(names: &[String]) -> String {
    let shown = names.iter().take(20).cloned().collect::<Vec<_>>().join(", ");
    if names.len() > 20 { format!("{shown}, ... ({} in all)", names.len()) } else { shown }
}

fn quoted(names: &[String]) -> String {
    names.iter().map(|name| format!("{name:?}")).collect::<Vec<_>>().join(", ")
}

fn counts(reasons: &BTreeMap<Reason, usize>) -> String {
    reasons.iter().map(|(reason, count)| format!("{reason}: {count}")).collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_error_has_an_origin() {
        let file = || "rows.csv".to_owned();
        let missing = std::io::Error::from(std::io::ErrorKind::NotFound);
        let cases = [
            (Error::UnknownFormat { file: file() }, ErrorOrigin::Caller),
            (Error::out_of_range("ratio", 2.0, "[0, 1]"), ErrorOrigin::Caller),
            (underpin_core::Error::Digest { value: file() }.into(), ErrorOrigin::Input),
            (Error::Empty { file: file() }, ErrorOrigin::Input),
            (Error::Parquet { file: file(), fault: ParquetFault::Panicked }, ErrorOrigin::Input),
            (Error::LedgerLine { line: 1, fault: LedgerFault::NotCanonical }, ErrorOrigin::Input),
            (Error::LedgerLine { line: 1, fault: LedgerFault::Read(missing) }, ErrorOrigin::System),
            (Error::Quarantine { source: "disk full".into() }, ErrorOrigin::System),
        ];
        for (error, origin) in cases {
            assert_eq!(error.origin(), origin, "{error}");
        }
    }
}
