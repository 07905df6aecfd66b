//! Faults: what exactly is wrong with a Parquet or an Arrow file, a line of a ledger, or a row that does not match a ledger.

/// Why a Parquet file cannot be read.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ParquetFault {
    /// The decoder refused the bytes.
    #[error(transparent)]
    Decoder(Box<dyn std::error::Error + Send + Sync>),
    /// The decoder panicked.
    #[error("the decoder panicked")]
    Panicked,
    /// A page of a column decompresses to more than its header states, or states more than a file may hold.
    #[error(
        "column {column:?}: a page compressed by {codec} holds more bytes than its header states, or than are allowed"
    )]
    Compression {
        /// The column.
        column: String,
        /// Its codec.
        codec: String,
    },
    /// Two columns have one name.
    #[error("two columns are named {name:?}")]
    DuplicateColumn {
        /// The name.
        name: String,
    },
    /// A column holds values that no contract can describe: dates, lists, structures.
    #[error("column {column:?} is {kind}; allowed: numbers, flags, text and bytes")]
    ColumnType {
        /// The column.
        column: String,
        /// Its type.
        kind: String,
    },
}

impl ParquetFault {
    /// The decoder refused the bytes.
    pub(crate) fn decoder(source: impl std::error::Error + Send + Sync + 'static) -> Self {
        Self::Decoder(Box::new(source))
    }
}

/// Why an Arrow IPC file cannot be read.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ArrowFault {
    /// The file does not begin as one does.
    #[error("it begins with b\"{}\", allowed: b\"ARROW1\" (an IPC file or Feather version 2, no stream)", .found.escape_ascii())]
    Magic {
        /// Its first bytes, at most six.
        found: Vec<u8>,
    },
    /// A block lies outside of the file, or holds more than it states.
    #[error("a block or the footer is damaged or cut short")]
    Cut,
    /// The decoder refused the bytes.
    #[error(transparent)]
    Decoder(Box<dyn std::error::Error + Send + Sync>),
    /// The decoder panicked.
    #[error("the decoder panicked")]
    Panicked,
}

impl ArrowFault {
    /// The decoder refused the bytes.
    pub(crate) fn decoder(source: impl std::error::Error + Send + Sync + 'static) -> Self {
        Self::Decoder(Box::new(source))
    }
}

/// Why a line of a ledger cannot be read.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum LedgerFault {
    /// The reader failed.
    #[error(transparent)]
    Read(std::io::Error),
    /// Identifiers do not increase.
    #[error("row id {id} after {after}; identifiers must increase")]
    Order {
        /// Identifier of this line.
        id: u64,
        /// Identifier of the line before.
        after: u64,
    },
    /// The line has no end, or is longer than any decision.
    #[error("the line is cut short or longer than {allowed} bytes")]
    Length {
        /// Bytes allowed.
        allowed: u64,
    },
    /// The line is not a decision in JSON.
    #[error(transparent)]
    Json(serde_json::Error),
    /// The line is a decision, but not written as a ledger writes it.
    #[error("not in canonical form")]
    NotCanonical,
}

/// Why a row is not the kept row that the ledger records.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum RowFault {
    /// The row carries the identifier of an injected test fault.
    #[error("it is injected; injected rows never train")]
    Injected,
    /// The ledger has no decision about the row.
    #[error("the ledger does not know it")]
    Unknown,
    /// The ledger records that the row was rejected.
    #[error("the ledger says it was dropped")]
    Rejected,
    /// Another kept row should come first.
    #[error("it is out of order, or the row before it is missing")]
    Order,
    /// The row comes a second time.
    #[error("it is repeated")]
    Repeated,
    /// Features, label or shape differ from what was hashed.
    #[error("its content changed")]
    Changed,
    /// A kept row is not among the rows.
    #[error("it is missing")]
    Missing,
}
