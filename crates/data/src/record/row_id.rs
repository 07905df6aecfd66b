//! Row identifiers: which belong to rows of a file and which to injected rows.

/// Injected rows (test faults) are numbered from here, above any row of a file;
/// [`RowLedger::verify`](crate::RowLedger::verify) rejects them.
pub const FIRST_INJECTED_ID: u64 = 1 << 48;

/// Whether `id` is that of an injected row.
pub(crate) fn is_injected(id: u64) -> bool {
    id >= FIRST_INJECTED_ID
}
