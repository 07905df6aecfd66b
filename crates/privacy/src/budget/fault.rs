//! What can be wrong with a budget's file and its record.

use std::io::ErrorKind;

use crate::durable::Exposure;

/// Why a budget's file cannot be made, read or written.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum FileFault {
    /// The system refused.
    #[error("{message}")]
    Io {
        /// Its kind.
        kind: ErrorKind,
        /// What the system said.
        message: String,
    },
    /// The file is not its owner's alone.
    #[error("{0}")]
    Exposed(Exposure),
    /// A thread panicked while it wrote.
    #[error("an earlier write panicked; open the budget again")]
    WriterPanicked,
}

/// Where a file departs from the unbroken record of a budget.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum RecordFault {
    /// The file has no bytes.
    #[error("it is empty")]
    Empty,
    /// The file is no database, or one that is damaged.
    #[error("{message}")]
    Database {
        /// What redb said.
        message: String,
    },
    /// There is an entry where the next is to be written.
    #[error("an entry from {first} on is there already")]
    Occupied {
        /// Number of the first entry that was to be written.
        first: u64,
    },
    /// An entry does not hold.
    #[error("entry {sequence}: {fault}")]
    Entry {
        /// Its number, from 0.
        sequence: u64,
        /// What is wrong with it.
        fault: EntryFault,
    },
}

/// What is wrong with one entry of a budget's record.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum EntryFault {
    /// The record has no entry of that number.
    #[error("it is missing")]
    Missing,
    /// It is shorter than a hash.
    #[error("it is too short")]
    TooShort,
    /// Its hash is not that of itself and the entry before.
    #[error("its hash does not continue the chain")]
    Unchained,
    /// Its bytes are no entry.
    #[error("it is no entry")]
    Unreadable,
    /// The first entry states no terms.
    #[error("it does not state the terms")]
    NoTerms,
    /// Its terms make no budget.
    #[error("its terms are out of range")]
    BadTerms,
    /// A later entry states terms.
    #[error("it states terms a second time")]
    TermsAgain,
    /// The sum of all costs overflows.
    #[error("its cost is past all bounds")]
    Overflow,
    /// It answers a reservation that is not open.
    #[error("it answers no open reservation")]
    AnswersNone,
    /// It gives back a reservation that is not open.
    #[error("it gives back no open reservation")]
    GivesBackNone,
    /// It gives back more than the sum of all costs.
    #[error("it gives back more than was spent")]
    GivesBackMore,
    /// It begins a run that has begun.
    #[error("it begins a run a second time")]
    RunAgain,
    /// It marks a run that has not begun.
    #[error("it is of no run")]
    NoRun,
    /// Its mark is not past the run's last.
    #[error("it takes a run back")]
    RunBack,
}
