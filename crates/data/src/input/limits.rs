//! Limits on what is read: bytes, rows, columns, bytes of a cell.

use serde::{Deserialize, Serialize};

/// How much is read at most. What exceeds `bytes`, `rows` or `columns` is an error; a cell over `cell` costs its row.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Limits {
    /// Bytes of one file, after decompression; of Parquet, of all its values. (A single page of a Parquet file may take
    /// up to 2 GiB before its values are counted.)
    pub bytes: u64,
    /// Rows.
    pub rows: u64,
    /// Columns, the label included.
    pub columns: usize,
    /// Bytes of one cell.
    pub cell: usize,
}

impl Default for Limits {
    /// 1 GiB, 10 million rows, 65,536 columns, 1,024 bytes per cell.
    fn default() -> Self {
        Self { bytes: 1 << 30, rows: 10_000_000, columns: 1 << 16, cell: 1 << 10 }
    }
}
