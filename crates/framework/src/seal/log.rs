//! The accountability log: who did what, and when, in an order that cannot be changed.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};
use underpin_core::{Digest, Subject, Value};

use super::layout::{LINE_LIMIT, LOG_LIMIT};
use super::{Error, Flaw, ListedFile, Predicate, PublicKey, SigningKey, files, layout, open, sign};

/// Something that someone did.
#[derive(Clone, Debug, PartialEq)]
pub struct Action {
    /// When, seconds since 1970 UTC.
    pub at: u64,
    /// Who: a person, or the program acting for one.
    pub who: String,
    /// What, in a few words: `trained`, `sealed`, `revoked`.
    pub what: String,
    /// Anything else worth keeping.
    pub details: BTreeMap<String, Value>,
}

/// One line of the log.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Entry {
    /// Position, from 0.
    pub index: u64,
    /// SHA-256 of the whole log before this line.
    pub previous: Digest,
    /// When, seconds since 1970 UTC.
    pub at: u64,
    /// Who.
    pub who: String,
    /// What.
    pub what: String,
    /// Anything else worth keeping.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub details: BTreeMap<String, Value>,
    /// Files that this act wrote: their digests and sizes. What a later entry says of a file stands for what an earlier one
    /// says.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub files: BTreeMap<String, ListedFile>,
}

impl Predicate for Entry {
    const TYPE: &'static str = "https://underpin.dev/log-entry/v2";
}

impl Entry {
    /// An entry speaks of the log that it follows.
    fn subjects(&self) -> [Subject; 1] {
        [Subject { name: files::LOG.into(), digest: self.previous }]
    }
}

/// How far a log has been seen. Who remembers it finds a log that was cut.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LogHead {
    /// Entries of the log.
    pub entries: u64,
    /// Bytes of the log.
    pub length: u64,
    /// SHA-256 of these bytes: what `head -n ENTRIES accountability.jsonl | sha256sum` prints.
    pub digest: Digest,
}

/// An accountability log: one signed [`Entry`] a line, each naming the digest of all lines before it.
///
/// # Guarantees
///
/// 1. A line that was changed, moved, repeated, taken out or brought from elsewhere is found on reading:
///    `a_log_that_was_tampered_with_is_refused`.
/// 2. No entry is older than the one before it: `times_never_run_backwards`.
/// 3. A log that was cut at its end is found by whoever knows its [`LogHead`]: `a_cut_log_does_not_extend_its_head`.
///
/// # Limits
///
/// 4 MiB, 1 MiB a line.
#[derive(Clone, Debug, Default)]
pub struct Log {
    bytes: Vec<u8>,
    entries: Vec<Entry>,
    /// The head after each entry.
    heads: Vec<LogHead>,
    signers: BTreeSet<Digest>,
}

impl Log {
    /// Reads and checks a log.
    ///
    /// # Errors
    ///
    /// [`Flaw::Line`] with the first line that is wrong, of which one without a newline at its end is one;
    /// [`Flaw::TooLarge`].
    pub fn read(bytes: Vec<u8>, trusted: &[PublicKey]) -> Result<Self, Flaw> {
        if bytes.len() as u64 > LOG_LIMIT {
            return Err(Flaw::TooLarge { limit: LOG_LIMIT });
        }
        let mut hasher = Sha256::new();
        let mut log = Self::default();
        let mut previous = log.head();
        for (at, line) in bytes.split_inclusive(|byte| *byte == b'\n').enumerate() {
            let (entry, signer) = read_line(line, at, previous.digest, &log.entries, trusted)
                .map_err(|flaw| Flaw::Line { line: at + 1, flaw: flaw.into() })?;
            hasher.update(line);
            let digest = Digest::new(hasher.clone().finalize().into());
            previous = LogHead { entries: at as u64 + 1, length: previous.length + line.len() as u64, digest };
            log.entries.push(entry);
            log.heads.push(previous);
            log.signers.insert(signer);
        }
        Ok(Self { bytes, ..log })
    }

    /// Appends an act and the files it wrote. Times never run backwards: under a clock that was set back an entry has the
    /// time of the one before it.
    ///
    /// # Errors
    ///
    /// [`Error::NotReadable`] when the details hold a number that JSON does not have; [`Error::Name`] for a file name
    /// that is not allowed.
    pub fn append(&mut self, act: Action, files: BTreeMap<String, ListedFile>, key: &SigningKey) -> Result<(), Error> {
        files.keys().try_for_each(|name| layout::check_name(name))?;
        let Action { at, who, what, details } = act;
        let at = self.entries.last().map_or(at, |last| at.max(last.at));
        let LogHead { entries: index, digest: previous, .. } = self.head();
        let entry = Entry { index, previous, at, who, what, details, files };
        self.bytes.extend(sign(&entry, &entry.subjects(), key)?);
        self.entries.push(entry);
        let (length, digest) = (self.bytes.len() as u64, Digest::of(&self.bytes));
        self.heads.push(LogHead { entries: index + 1, length, digest });
        self.signers.insert(key.public().id());
        Ok(())
    }

    /// The log as it is written.
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// The entries, oldest first.
    pub fn entries(&self) -> &[Entry] {
        &self.entries
    }

    /// Ids of the keys that signed its entries.
    pub fn signers(&self) -> &BTreeSet<Digest> {
        &self.signers
    }

    /// SHA-256 of its first line: what every state, copy and later reassessment of the run has in common, and no other run.
    pub fn root(&self) -> Digest {
        self.heads.first().map_or_else(|| Digest::of(&[]), |head| head.digest)
    }

    /// How far it goes.
    pub fn head(&self) -> LogHead {
        let empty = || LogHead { entries: 0, length: 0, digest: Digest::of(&[]) };
        self.heads.last().copied().unwrap_or_else(empty)
    }

    /// The head of this digest, if the log went through it: then it goes on from there. That of the empty log is none.
    pub fn head_of(&self, digest: Digest) -> Option<LogHead> {
        self.heads.iter().find(|head| head.digest == digest).copied()
    }

    /// Whether it starts with all that was seen at `head`.
    pub fn extends(&self, head: &LogHead) -> bool {
        *head == Self::default().head() || self.heads.contains(head)
    }

    /// Every file that it lists, as the last entry that speaks of it says.
    pub fn files(&self) -> BTreeMap<String, ListedFile> {
        self.entries.iter().flat_map(|entry| entry.files.clone()).collect()
    }
}

fn read_line(
    line: &[u8],
    at: usize,
    previous: Digest,
    before: &[Entry],
    trusted: &[PublicKey],
) -> Result<(Entry, Digest), Flaw> {
    if line.len() > LINE_LIMIT {
        return Err(Flaw::TooLarge { limit: LINE_LIMIT as u64 });
    }
    let signed = open::<Entry>(line, trusted)?;
    let entry = signed.predicate;
    if entry.index != at as u64 || entry.previous != previous || signed.subjects != entry.subjects() {
        return Err(Flaw::Chain);
    }
    if let Some(last) = before.last().filter(|last| last.at > entry.at) {
        return Err(Flaw::TimeBackwards { at: entry.at, previous: last.at });
    }
    if let Some(name) = entry.files.keys().find(|name| layout::check_name(name).is_err()) {
        return Err(Flaw::malformed(&format!("{name:?} cannot name a file of a run")));
    }
    let revoked = before.iter().any(|entry| entry.files.contains_key(files::REVOCATION));
    if revoked && [files::REVOCATION, files::CLEARANCE].iter().any(|name| entry.files.contains_key(*name)) {
        return Err(Flaw::Unrevoked);
    }
    Ok((entry, signed.signer))
}
