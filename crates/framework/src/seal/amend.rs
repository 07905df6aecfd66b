//! What happens to a run after it was sealed: renewal, reassessment, revocation.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use super::layout::{self, LOG_LIMIT, LOG_RESERVE};
use super::{
    Action, Error, Fault, Flaw, ListedFile, Log, LogHead, PublicKey, Revocation, SigningKey, disk, files, sign,
};

/// Puts an act on record and adds or replaces the files it wrote, all or nothing.
///
/// The files are laid down hidden beside those they replace; then the log, which lists their digests, is replaced in
/// one step; then they get their names. A crash before that step changes nothing, one after it is made good by
/// [`recover`]; until then the run does not verify. Readers never take the steps between for a run: they read again. Writers
/// keep each other out by a lock on a file in the folder that its owner alone can open.
///
/// # Errors
///
/// [`Error::Untrusted`] when `key` is not in `trusted`, [`Error::Busy`] when another writer holds the lock for ten seconds,
/// [`Error::Lock`] when others could hold it, [`Error::Name`], [`Error::Io`], and [`Error::Fault`] when the log is not sound or the act is not allowed ([`Flaw::Unrevoked`]).
pub fn amend(
    folder: &Path,
    trusted: &[PublicKey],
    key: &SigningKey,
    act: Action,
    written: &BTreeMap<&str, Vec<u8>>,
) -> Result<LogHead, Error> {
    let id = key.public().id();
    if !trusted.iter().any(|trusted| trusted.id() == id) {
        return Err(Error::Untrusted { key: id });
    }
    for name in written.keys() {
        layout::check_name(name)?;
        if *name == files::LOG {
            return Err(Error::Name { name: (*name).to_owned() });
        }
    }
    let _lock = disk::lock_patiently(folder)?;
    let mut log = complete(folder, trusted)?;
    let digests = written.iter().map(|(name, bytes)| ((*name).to_owned(), ListedFile::of(bytes))).collect();
    let (who, what) = (act.who.clone(), act.what.clone());
    log.append(act, digests, key)?;
    // What the readers would refuse is not written.
    Log::read(log.bytes().to_vec(), trusted).map_err(|flaw| flaw.of(files::LOG))?;
    let limit = if written.contains_key(files::REVOCATION) { LOG_LIMIT } else { LOG_LIMIT - LOG_RESERVE };
    if log.bytes().len() as u64 > limit {
        return Err(Flaw::TooLarge { limit }.of(files::LOG).into());
    }
    let staged = written.iter().map(|(name, bytes)| (*name, &bytes[..])).chain([(files::LOG, log.bytes())]);
    for (name, bytes) in staged {
        disk::put(&pending(folder, name), bytes)?;
    }
    disk::sync_folder(folder)?;
    settle(folder, files::LOG)?;
    disk::sync_folder(folder)?;
    written.keys().try_for_each(|name| settle(folder, name))?;
    disk::sync_folder(folder)?;
    tracing::info!(path = %folder.display(), who, what, "put on record");
    Ok(log.head())
}

/// Revokes a run's clearance for good.
///
/// # Errors
///
/// As [`amend`]; [`Flaw::Unrevoked`] when it is revoked already. The log always has room for a revocation of at most 500
/// characters.
pub fn revoke(
    folder: &Path,
    trusted: &[PublicKey],
    key: &SigningKey,
    at: u64,
    who: &str,
    reason: &str,
) -> Result<LogHead, Error> {
    let log = read_log(folder, trusted)?;
    // The log names the model, so a run whose model file is gone or changed can still be revoked.
    let model = log.files().get(files::MODEL).map(|file| file.digest).ok_or_else(|| Flaw::Unlisted.of(files::MODEL))?;
    let revocation = Revocation { model, at, reason: reason.to_owned() };
    let bytes = sign(&revocation, &revocation.subjects(), key)?;
    let details = [("reason".to_owned(), reason.into())].into();
    let act = Action { at, who: who.to_owned(), what: "revoked".to_owned(), details };
    amend(folder, trusted, key, act, &[(files::REVOCATION, bytes)].into())
}

/// Makes good what a crash of [`amend`] left behind. Does nothing when there is nothing to do.
///
/// # Errors
///
/// [`Error::Busy`], [`Error::Io`], and [`Error::Fault`] when the log is not sound.
pub fn recover(folder: &Path, trusted: &[PublicKey]) -> Result<(), Error> {
    let _lock = disk::lock_patiently(folder)?;
    complete(folder, trusted).map(drop)
}

/// The log of a run folder, whose signatures and chain were checked, and nothing else of the run.
///
/// # Errors
///
/// The first [`Fault`] of the log.
pub fn read_log(folder: &Path, trusted: &[PublicKey]) -> Result<Log, Fault> {
    let bytes = disk::read(&folder.join(files::LOG), LOG_LIMIT).and_then(|bytes| Log::read(bytes, trusted));
    bytes.map_err(|flaw| flaw.of(files::LOG))
}

/// Gives pending files that the log lists their names, and takes the others away.
fn complete(folder: &Path, trusted: &[PublicKey]) -> Result<Log, Error> {
    let log = read_log(folder, trusted)?;
    let listed = log.files();
    for hidden in layout::names(folder)? {
        let Some(name) = layout::pending_for(&hidden) else { continue };
        let path = pending(folder, name);
        let found = disk::list_durably(&path).map_err(|flaw| flaw.of(&hidden))?;
        if listed.get(name) == Some(&found) {
            settle(folder, name)?;
        } else {
            fs::remove_file(&path).map_err(Error::io("remove", &path))?;
        }
    }
    disk::sync_folder(folder)?;
    Ok(log)
}

fn settle(folder: &Path, name: &str) -> Result<(), Error> {
    let path = folder.join(name);
    fs::rename(pending(folder, name), &path).map_err(Error::io("replace", &path))
}

fn pending(folder: &Path, name: &str) -> std::path::PathBuf {
    folder.join(layout::pending(name))
}
