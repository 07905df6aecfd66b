//! What can be wrong with a run, and with which of its files.

use underpin_core::Digest;

use crate::calendar::moment;

/// The first thing found wrong with a run.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{}: {flaw}", file.escape_debug())]
pub struct Fault {
    /// The file it is found in, within the run folder.
    pub file: String,
    /// What is wrong.
    pub flaw: Flaw,
}

/// What is wrong with a file of a run.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Flaw {
    /// It cannot be read.
    #[error("cannot be read: {reason}")]
    Unreadable {
        /// Why.
        reason: String,
    },
    /// It was written to again and again while it was read.
    #[error("is being written by another process: it changed each time it was read")]
    Busy,
    /// It should be there.
    #[error("is missing")]
    Missing,
    /// It should not be there: the log does not list it.
    #[error("is not listed in the accountability log")]
    Unlisted,
    /// It is a folder, a link or a device.
    #[error("is not a plain file")]
    NotAFile,
    /// It is larger than is ever read.
    #[error("is larger than the {limit} bytes allowed")]
    TooLarge {
        /// Bytes allowed.
        limit: u64,
    },
    /// It has not as many bytes as were signed for.
    #[error("has {found} bytes, the accountability log says {expected}")]
    Size {
        /// Bytes signed for.
        expected: u64,
        /// Bytes of what is there.
        found: u64,
    },
    /// The folder holds more files than a run ever has.
    #[error("holds more than the {limit} files allowed")]
    TooMany {
        /// Files allowed.
        limit: usize,
    },
    /// Its bytes are not those that were signed for.
    #[error("was changed: its SHA-256 is {found}, {by} says {expected}")]
    Digest {
        /// Who names the digest.
        by: &'static str,
        /// The digest signed for.
        expected: Digest,
        /// The digest of what is there.
        found: Digest,
    },
    /// It does not parse.
    #[error("is malformed: {reason}")]
    Malformed {
        /// Where and why, escaped and shortened.
        reason: String,
    },
    /// It parses, but is not written in the one way in which such a file is written.
    #[error("is not in canonical form")]
    NotCanonical,
    /// It does not have exactly one signature.
    #[error("has {found} signatures; allowed: 1")]
    Signatures {
        /// How many it has.
        found: usize,
    },
    /// It is signed by a key that is not trusted.
    #[error("is signed by the key {key}, which is not trusted")]
    Untrusted {
        /// Id of the key, as the file gives it.
        key: Digest,
    },
    /// The signature does not fit the bytes.
    #[error("has a wrong signature for the key {key}")]
    Signature {
        /// Id of the key.
        key: Digest,
    },
    /// It is a sound statement of another kind.
    #[error("is of type {found}; expected {expected}")]
    Kind {
        /// The type that belongs here.
        expected: &'static str,
        /// The type it has, escaped and shortened.
        found: String,
    },
    /// It speaks of other files than it should.
    #[error("speaks of {name} under a digest that is not that of this run")]
    Subject {
        /// Name of the file.
        name: String,
    },
    /// A line of the log is wrong.
    #[error("line {line}: {flaw}")]
    Line {
        /// Line, from 1.
        line: usize,
        /// What is wrong with it.
        flaw: Box<Flaw>,
    },
    /// An entry of the log does not follow the one before it.
    #[error("does not follow the entry before it")]
    Chain,
    /// The log does not go on from where it was last seen.
    #[error("does not go on from where it was last seen: entries were taken away or changed")]
    Rewound,
    /// The log does not go on from what the owner's state remembers of it.
    #[error(
        "has {found} entries{}; {known} were known on {}, the last was `{}`: entries were taken away or replaced. Put the \
         newer folder back; to take this one for good, remove {record}",
        if found < known { "" } else { " that do not go on from those that were known" }, moment(*at), shown(what)
    )]
    WentBack {
        /// Entries of the log.
        found: u64,
        /// Entries that were known.
        known: u64,
        /// When they were last seen, seconds since 1970 UTC.
        at: u64,
        /// What the last of them says.
        what: String,
        /// The file of the owner's state that remembers them.
        record: String,
    },
    /// The log does not go on from a head that was given.
    #[error("does not go on from the head {head}: it has {entries} entries, the last head is {last}")]
    NotExtended {
        /// The head that was given.
        head: Digest,
        /// Entries of the log.
        entries: u64,
        /// Its head.
        last: Digest,
    },
    /// A witness that was asked for has not signed anything of the run.
    #[error("is missing: the witness {key} has not signed what it saw of the run (`underpin witness`)")]
    NotWitnessed {
        /// Id of the witness's key.
        key: Digest,
    },
    /// The witness signed the run itself.
    #[error("the key {key} signed the run itself: another party's key must witness it")]
    OwnWitness {
        /// Id of the key.
        key: Digest,
    },
    /// What a witness saw was replaced since.
    #[error(
        "does not cover {file}, which entry {entry} of the log (`{}`) replaced since: the witness must see it anew",
        shown(what)
    )]
    NotCovered {
        /// The file that was replaced.
        file: &'static str,
        /// Position of the entry, from 1.
        entry: u64,
        /// What it says.
        what: String,
    },
    /// The model is cleared, and a limit of the policy's intent is not met.
    #[error("cleared, not released: a limit of the policy's intent is not met")]
    NotReleased,
    /// A revoked run was given a new clearance, or its revocation was changed.
    #[error("a revocation was changed; it is final")]
    Unrevoked,
    /// The relying party did not name this policy.
    #[error("the policy {name:?} (sha256:{found}) is not one that was asked for: name it by its file or digest")]
    UnacceptedPolicy {
        /// What it calls itself.
        name: String,
        /// SHA-256 of its bytes.
        found: Digest,
    },
    /// The evidence was made under another policy.
    #[error("was made under the policy {found}; policy.toml is {expected}")]
    OtherPolicy {
        /// Digest of the policy's bytes.
        expected: Digest,
        /// Digest it names.
        found: Digest,
    },
    /// A field disagrees with the rest of the run.
    #[error("{field} is not that of this run")]
    Disagrees {
        /// The field.
        field: &'static str,
    },
    /// A verdict does not follow from the evidence.
    #[error("the verdict of bar {bar} does not follow from the evidence")]
    Verdict {
        /// Position of the bar in the policy, from 1.
        bar: usize,
    },
    /// A clearance although a bar is not met.
    #[error("clears although bar {bar} is not met: {unmet}")]
    Unmet {
        /// Position of the bar in the policy, from 1.
        bar: usize,
        /// Why it is not met.
        unmet: String,
    },
    /// The ledger says that more rows were rejected than the policy allows.
    #[error("lists {rejected} of {rows} rows as rejected; the policy allows {allowed}")]
    TooManyRejected {
        /// Rows rejected, counted again from the ledger.
        rejected: u64,
        /// Rows in the ledger.
        rows: u64,
        /// Rows that may be rejected.
        allowed: u64,
    },
    /// Every bar is met, yet there is no clearance.
    #[error("is missing although the evidence meets every bar")]
    NoClearance,
    /// The log does not begin with what the run was bound to.
    #[error("does not begin with what the run is bound to: its policy, configuration, data, code and seed")]
    Uncommitted,
    /// The run is not what its first entry bound it to.
    #[error("{what} of the run is not that which the first entry bound it to")]
    Committed {
        /// What differs.
        what: String,
    },
    /// An entry of the log is older than the one before it.
    #[error("is of {}, before the entry that it follows, of {}", moment(*at), moment(*previous))]
    TimeBackwards {
        /// Its time.
        at: u64,
        /// The time of the entry before it.
        previous: u64,
    },
    /// The clearance lasts longer than its policy allows.
    #[error("lasts longer than the {days} days its policy allows")]
    TooLong {
        /// Days allowed.
        days: u32,
    },
    /// The clearance does not hold yet.
    #[error("holds only from {}; it is {}", moment(*from), moment(*now))]
    NotYet {
        /// When it begins.
        from: u64,
        /// The time given.
        now: u64,
    },
    /// The clearance has expired.
    #[error("expired on {}; it is {}", moment(*at), moment(*now))]
    Expired {
        /// When it ended.
        at: u64,
        /// The time given.
        now: u64,
    },
    /// The clearance was revoked.
    #[error("revokes the clearance since {}: {reason}", moment(*at))]
    Revoked {
        /// When.
        at: u64,
        /// Why.
        reason: String,
    },
}

impl Flaw {
    pub(super) fn malformed(error: &impl ToString) -> Self {
        Self::Malformed { reason: shown(&error.to_string()) }
    }

    /// The fault of `file`.
    pub fn of(self, file: impl Into<String>) -> Fault {
        Fault { file: file.into(), flaw: self }
    }
}

/// Text that others wrote, fit for a terminal: escaped, and no longer than a few lines.
pub(super) fn shown(text: &str) -> String {
    const LONGEST: usize = 300;
    let mut shown: String = text.escape_debug().take(LONGEST).collect();
    if text.escape_debug().nth(LONGEST).is_some() {
        shown.push_str("...");
    }
    shown.replace("\\\"", "\"")
}
