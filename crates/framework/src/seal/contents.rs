//! The files that a log lists, read and compared with what it says of them.

use std::collections::BTreeMap;
use std::fs;
use std::io::BufReader;
use std::path::Path;

use serde::de::DeserializeOwned;
use underpin_core::Digest;
use underpin_data::{LedgerCounts, Limits};

use super::commitment::Made;
use super::layout::{self, LOCK};
use super::{Error, Fault, Flaw, ListedFile, Log, disk, files};

/// The ledgers of both sides, training and held out.
const LEDGERS: [&str; 2] = [files::LEDGER, files::HELD_OUT_LEDGER];

/// The files of a run, each of the size and the digest that the log lists.
#[derive(Debug)]
pub(super) struct Files {
    /// What the log says of each.
    pub(super) listed: BTreeMap<String, ListedFile>,
    /// The bytes of those that are parsed.
    parsed: BTreeMap<String, Vec<u8>>,
    /// The rows of the ledgers, counted from the very bytes that were hashed.
    counts: BTreeMap<String, LedgerCounts>,
    /// What manifest and job say of what the run was made from, read from the very bytes that were hashed.
    pub(super) made: Made,
}

impl Files {
    /// Reads every file that the log lists; those that must be there are. Files that are parsed are kept in memory, the
    /// others are hashed piece by piece.
    ///
    /// # Errors
    ///
    /// The first [`Fault`]: [`Flaw::Missing`], [`Flaw::NotAFile`], [`Flaw::Size`], [`Flaw::Digest`], [`Flaw::TooLarge`] for a
    /// file that is parsed, [`Flaw::Malformed`] for a ledger, a manifest or a job that does not
    /// read, [`Flaw::Unlisted`], [`Flaw::TooMany`].
    pub(super) fn read(folder: &Path, log: &Log) -> Result<Self, Fault> {
        let listed = log.files();
        let (mut parsed, mut counts, mut made) = (BTreeMap::new(), BTreeMap::new(), Made::default());
        for (name, file) in &listed {
            let path = folder.join(name);
            let mut check = || -> Result<(), Flaw> {
                if let Some(limit) = layout::parsed_limit(name) {
                    parsed.insert(name.clone(), disk::read_listed(&path, file, limit)?);
                } else if LEDGERS.contains(&name.as_str()) {
                    let count = |from: &mut _| {
                        LedgerCounts::read_from(from, &Limits::default()).map_err(|error| Flaw::malformed(&error))
                    };
                    counts.insert(name.clone(), disk::stream_listed(&path, file, count)?);
                } else if name == files::MANIFEST {
                    made.files = disk::stream_listed(&path, file, json)?;
                } else if name == files::JOB {
                    made.job = disk::stream_listed(&path, file, json)?;
                } else {
                    disk::stream_listed(&path, file, |_| Ok(()))?;
                }
                Ok(())
            };
            check().map_err(|flaw| flaw.of(name))?;
        }
        let present = layout::names(folder).map_err(|error| match error {
            Error::Fault(fault) => fault,
            other => Flaw::Unreadable { reason: other.to_string() }.of("."),
        })?;
        if let Some(name) = present.iter().find(|name| *name != files::LOG && !listed.contains_key(name.as_str())) {
            return Err(Flaw::Unlisted.of(name));
        }
        check_lock(folder).map_err(|flaw| flaw.of(LOCK))?;
        let missing = files::REQUIRED.iter().find(|name| **name != files::LOG && !listed.contains_key(**name));
        missing.map_or(Ok(Self { listed, parsed, counts, made }), |name| Err(Flaw::Missing.of(*name)))
    }

    /// The bytes of a file that is parsed, if the run has it.
    pub(super) fn bytes(&self, name: &str) -> Option<&[u8]> {
        self.parsed.get(name).map(Vec::as_slice)
    }

    /// The digest of a file, if the run has it.
    pub(super) fn digest(&self, name: &str) -> Option<Digest> {
        self.listed.get(name).map(|file| file.digest)
    }

    /// Compares the rejected rows of both sides, training and held out, with the fraction `most` that may be rejected.
    ///
    /// # Errors
    ///
    /// [`Flaw::TooManyRejected`] for a ledger above the limit.
    pub(super) fn check_rejections(&self, most: f64) -> Result<(), Fault> {
        for name in LEDGERS {
            let LedgerCounts { rows, rejected } = &self.counts[name];
            let allowed = allowed(most, *rows);
            if *rejected > allowed {
                return Err(Flaw::TooManyRejected { rejected: *rejected, rows: *rows, allowed }.of(name));
            }
        }
        Ok(())
    }
}

/// A part of a JSON file; what is not asked for is passed over, and not held in memory.
fn json<T: DeserializeOwned>(from: &mut BufReader<disk::Hashing>) -> Result<T, Flaw> {
    serde_json::from_reader(from).map_err(|error| Flaw::malformed(&error))
}

/// The lock is the one file that no log lists: it must hold nothing.
fn check_lock(folder: &Path) -> Result<(), Flaw> {
    // OK to pass over: a copy need not have it.
    let Ok(found) = fs::symlink_metadata(folder.join(LOCK)) else { return Ok(()) };
    if !found.is_file() {
        return Err(Flaw::NotAFile);
    }
    if found.len() == 0 { Ok(()) } else { Err(Flaw::Unlisted) }
}

/// The largest count of `rows` that is no more than the fraction `most`, by the comparison that collection makes.
#[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a fraction of a count is a count")]
fn allowed(most: f64, rows: u64) -> u64 {
    (most * rows as f64).floor() as u64
}
