//! The accountability log: who did what, and when, in an order that cannot be changed.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};
use underpin_core::{Digest, Subject, Value};

use super::{Error, Flaw, Predicate, PublicKey, SigningKey, files, layout, open, sign};

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
    /// Files that this act wrote, and their digests. A later entry's digest of a file stands for an earlier one's.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub files: BTreeMap<String, Digest>,
}

impl Predicate for Entry {
    const TYPE: &'static str = "https://underpin.dev/log-entry/v1";
}

impl Entry {
    /// An entry speaks of the log that it follows.
    fn subjects(&self) -> [Subject; 1] {
        [Subject { name: files::LOG.into(), digest: self.previous }]
    }
}

/// How far a log has been seen. Who remembers it finds a log that was cut.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LogHead {
    /// Bytes of the log.
    pub length: usize,
    /// SHA-256 of these bytes.
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
#[derive(Clone, Debug, Default)]
pub struct Log {
    bytes: Vec<u8>,
    entries: Vec<Entry>,
}

impl Log {
    /// Reads and checks a log.
    ///
    /// # Errors
    ///
    /// [`Flaw::Line`] with the first line that is wrong, [`Flaw::Malformed`] when it does not end in a newline.
    pub fn read(bytes: Vec<u8>, trusted: &[PublicKey]) -> Result<Self, Flaw> {
        let mut log = Sha256::new();
        let mut entries = Vec::new();
        for (at, line) in bytes.split_inclusive(|byte| *byte == b'\n').enumerate() {
            let previous = Digest::new(log.clone().finalize().into());
            let entry = read_line(line, at, previous, &entries, trusted)
                .map_err(|flaw| Flaw::Line { line: at + 1, flaw: flaw.into() })?;
            entries.push(entry);
            log.update(line);
        }
        Ok(Self { bytes, entries })
    }

    /// Appends an act and the files it wrote. Times never run backwards: under a clock that was set back an entry has the
    /// time of the one before it.
    ///
    /// # Errors
    ///
    /// [`Error::NotReadable`] when the details hold a number that JSON does not have; [`Error::Name`] for a file name
    /// that is not allowed.
    pub fn append(&mut self, act: Action, files: BTreeMap<String, Digest>, key: &SigningKey) -> Result<(), Error> {
        files.keys().try_for_each(|name| layout::check_name(name))?;
        let Action { at, who, what, details } = act;
        let at = self.entries.last().map_or(at, |last| at.max(last.at));
        let previous = Digest::of(&self.bytes);
        let entry = Entry { index: self.entries.len() as u64, previous, at, who, what, details, files };
        self.bytes.extend(sign(&entry, &entry.subjects(), key)?);
        self.entries.push(entry);
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

    /// SHA-256 of its first line: what every state, copy and later reassessment of the run has in common, and no other run.
    pub fn root(&self) -> Digest {
        Digest::of(self.bytes.split_inclusive(|byte| *byte == b'\n').next().unwrap_or_default())
    }

    /// How far it goes.
    pub fn head(&self) -> LogHead {
        LogHead { length: self.bytes.len(), digest: Digest::of(&self.bytes) }
    }

    /// Whether it starts with all that was seen at `head`.
    pub fn extends(&self, head: &LogHead) -> bool {
        self.bytes.get(..head.length).is_some_and(|seen| Digest::of(seen) == head.digest)
    }

    /// Every file that it lists, under the digest that stands.
    pub fn files(&self) -> BTreeMap<&str, Digest> {
        self.entries.iter().flat_map(|entry| &entry.files).map(|(name, digest)| (name.as_str(), *digest)).collect()
    }
}

fn read_line(line: &[u8], at: usize, previous: Digest, before: &[Entry], trusted: &[PublicKey]) -> Result<Entry, Flaw> {
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
    Ok(entry)
}
