//! The chain of hashes over a budget's record: sealing an entry, and reading entries with each checked.

use std::fmt;
use std::path::PathBuf;

use super::entry::{ChainHead, ChargedEvent, Entry};
use super::fault::{EntryFault, RecordFault};
use crate::Error;

/// An entry's bytes followed by the hash that chains it to the one before.
pub(super) fn sealed(before: &ChainHead, sequence: u64, row: &ChargedEvent) -> (ChainHead, Vec<u8>) {
    let mut bytes = row.encode();
    let head = before.then(sequence, &bytes);
    bytes.extend_from_slice(head.hash.as_bytes());
    (head, bytes)
}

/// Reads the entry after `before`, numbered `sequence`.
pub(super) fn unseal(before: &ChainHead, sequence: u64, bytes: &[u8]) -> Result<(ChainHead, ChargedEvent), EntryFault> {
    let (body, hash) = bytes.split_last_chunk::<32>().ok_or(EntryFault::TooShort)?;
    let head = before.then(sequence, body);
    if head.hash != blake3::Hash::from_bytes(*hash) {
        return Err(EntryFault::Unchained);
    }
    Ok((head, ChargedEvent::decode(body).ok_or(EntryFault::Unreadable)?))
}

/// Sealed entries with their numbers, in order.
pub(super) type Stored = Box<dyn Iterator<Item = Result<(u64, Vec<u8>), Error>> + Send>;

/// The entries of a record, unsealed one by one.
pub(super) struct Chain {
    path: PathBuf,
    stored: Stored,
    head: ChainHead,
    next: u64,
    broken: bool,
}

impl Chain {
    pub(super) fn new(path: PathBuf, stored: Stored) -> Self {
        Self { path, stored, head: ChainHead::START, next: 0, broken: false }
    }

    fn read(&mut self) -> Option<Result<(ChainHead, ChargedEvent), Error>> {
        let (sequence, bytes) = match self.stored.next()? {
            Ok(row) => row,
            Err(error) => return Some(Err(error)),
        };
        if sequence != self.next {
            return Some(Err(self.damaged(EntryFault::Missing)));
        }
        Some(unseal(&self.head, sequence, &bytes).map_err(|fault| self.damaged(fault)))
    }

    /// The entry that was read last, or is to be read next, does not hold.
    fn damaged(&self, fault: EntryFault) -> Error {
        let fault = RecordFault::Entry { sequence: self.next, fault };
        Error::BudgetDamaged { path: self.path.clone(), fault }
    }
}

impl Iterator for Chain {
    type Item = Result<(ChainHead, ChargedEvent), Error>;

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

/// The record of a budget, from its terms on: what was asked, what it cost, what became of it.
///
/// A snapshot; each entry is checked against the chain of hashes. Ends after the first error.
pub struct AuditTrail(pub(super) Chain);

impl Iterator for AuditTrail {
    type Item = Result<Entry, Error>;

    fn next(&mut self) -> Option<Self::Item> {
        Some(self.0.next()?.map(|(head, row)| Entry { sequence: head.sequence(), event: row.event }))
    }
}

impl fmt::Debug for AuditTrail {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AuditTrail").field("path", &self.0.path).field("next", &self.0.next).finish_non_exhaustive()
    }
}
