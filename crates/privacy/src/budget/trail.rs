//! Reading a record: every entry is checked against the chain as it is read.

use std::fmt;
use std::path::PathBuf;
use std::vec;

use super::entry::{ChainHead, Entry, Row};
use super::file::FileRows;
use super::ledger::unseal;
use crate::Error;

/// The record of a budget, from its terms on: what was asked, what it cost, what became of it.
///
/// A snapshot; each entry is checked against the chain of hashes. Ends after the first error.
pub struct AuditTrail(pub(super) Chain);

/// The rows of a record, unsealed.
pub(super) struct Chain {
    path: PathBuf,
    rows: Rows,
    head: ChainHead,
    next: u64,
    broken: bool,
}

/// Where entries come from, in order.
pub(super) enum Rows {
    Memory(vec::IntoIter<Vec<u8>>),
    File(Box<FileRows>),
}

impl Chain {
    pub(super) fn new(path: PathBuf, rows: Rows) -> Self {
        Self { path, rows, head: ChainHead::START, next: 0, broken: false }
    }

    fn read(&mut self) -> Option<Result<(ChainHead, Row), Error>> {
        let (sequence, bytes) = match &mut self.rows {
            Rows::Memory(rows) => (self.next, rows.next()?),
            Rows::File(rows) => match rows.next()? {
                Ok(row) => row,
                Err(error) => return Some(Err(error)),
            },
        };
        if sequence != self.next {
            return Some(Err(self.damaged("it is missing")));
        }
        Some(unseal(&self.head, sequence, &bytes).map_err(|reason| self.damaged(reason)))
    }

    /// The entry that was read last, or is to be read next, does not hold.
    fn damaged(&self, reason: &str) -> Error {
        Error::BudgetDamaged { path: self.path.clone(), reason: format!("entry {}: {reason}", self.next) }
    }
}

impl Iterator for Chain {
    type Item = Result<(ChainHead, Row), Error>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.broken {
            return None;
        }
        let read = self.read()?;
        match &read {
            Ok((head, _)) => {
                self.head = *head;
                self.next += 1;
            }
            Err(_) => self.broken = true,
        }
        Some(read)
    }
}

impl Iterator for AuditTrail {
    type Item = Result<Entry, Error>;

    fn next(&mut self) -> Option<Self::Item> {
        Some(self.0.next()?.map(|(head, row)| Entry::from((head.sequence(), row))))
    }
}

impl fmt::Debug for AuditTrail {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AuditTrail").field("path", &self.0.path).field("next", &self.0.next).finish_non_exhaustive()
    }
}
