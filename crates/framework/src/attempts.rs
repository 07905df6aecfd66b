//! Attempts: how often runs were begun on the same data under the same key, kept in the owner's state.

use std::path::Path;

use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};
use underpin_core::{Attempt, Digest, Seed, Subject};
use underpin_serve::OwnerState;

use crate::Error;

/// Kind of the records in the owner's state.
const KIND: &str = "attempts";

/// How an attempt ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum AttemptOutcome {
    /// It has not come to its end: it runs, failed or was killed.
    Unfinished,
    /// A bar was not met.
    Refused,
    /// Every bar was met, a limit of the policy's intent was not.
    Cleared,
    /// All were met.
    Released,
}

/// One attempt, as it is remembered.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Remembered {
    at: u64,
    policy: Digest,
    seed: Seed,
    outcome: AttemptOutcome,
}

/// The attempts on the same data under the same key, in the order in which they were begun.
///
/// # Guarantees
///
/// 1. An attempt is on disk before its rows are read, so that one that was killed or refused is counted:
///    `an_attempt_counts_whether_or_not_it_ends`.
/// 2. Attempts that are begun at the same time have different numbers: `attempts_at_the_same_time_are_told_apart`.
///
/// # Limits
///
/// Data are the same when the files that train are the same byte for byte. Who changes a byte, takes a new key or another
/// state folder begins anew: the count is the owner's own account of what was tried, signed as such.
#[derive(Debug)]
pub(crate) struct Attempts {
    state: OwnerState,
    name: String,
}

impl Attempts {
    /// The attempts on `data`, the files that train, under the key with the id `key`, kept in the state folder at `state`.
    ///
    /// # Errors
    ///
    /// [`Error::Serve`] when the folder cannot be used, or others may touch it.
    pub(crate) fn of(state: &Path, key: Digest, data: &[Subject]) -> Result<Self, Error> {
        let mut hasher = Sha256::new();
        hasher.update(key.bytes());
        data.iter().for_each(|file| hasher.update(file.digest.bytes()));
        let name = Digest::new(hasher.finalize().into()).to_string();
        Ok(Self { state: OwnerState::open(state)?, name })
    }

    /// Begins an attempt, durably.
    ///
    /// # Errors
    ///
    /// [`Error::Serve`].
    pub(crate) fn begin(&self, at: u64, policy: Digest, seed: Seed) -> Result<Attempt, Error> {
        let _lock = self.state.lock(KIND, &self.name)?;
        let mut list = self.read()?;
        let count = |outcome| list.iter().filter(|kept| kept.outcome == outcome).count() as u64;
        let attempt = Attempt {
            number: list.len() as u64 + 1,
            released: count(AttemptOutcome::Released),
            cleared: count(AttemptOutcome::Cleared),
            refused: count(AttemptOutcome::Refused),
            unfinished: count(AttemptOutcome::Unfinished),
        };
        list.push(Remembered { at, policy, seed, outcome: AttemptOutcome::Unfinished });
        self.state.write(KIND, &self.name, &list)?;
        Ok(attempt)
    }

    /// Keeps how an attempt ended.
    ///
    /// # Errors
    ///
    /// [`Error::ForgottenAttempt`] when the state folder does not know it; [`Error::Serve`].
    pub(crate) fn end(&self, attempt: Attempt, outcome: AttemptOutcome) -> Result<(), Error> {
        let _lock = self.state.lock(KIND, &self.name)?;
        let mut list = self.read()?;
        *self.find(&mut list, attempt)? = outcome;
        Ok(self.state.write(KIND, &self.name, &list)?)
    }

    /// Checks that an attempt that goes on is one of those that were begun.
    ///
    /// # Errors
    ///
    /// As [`Attempts::end`].
    pub(crate) fn resume(&self, attempt: Attempt) -> Result<Attempt, Error> {
        self.find(&mut self.read()?, attempt)?;
        Ok(attempt)
    }

    fn find<'a>(&self, list: &'a mut [Remembered], attempt: Attempt) -> Result<&'a mut AttemptOutcome, Error> {
        let known = list.len() as u64;
        let at = usize::try_from(attempt.number - 1).ok().and_then(|at| list.get_mut(at));
        let forgotten =
            || Error::ForgottenAttempt { state: self.state.folder().to_owned(), number: attempt.number, known };
        at.map(|kept| &mut kept.outcome).ok_or_else(forgotten)
    }

    fn read(&self) -> Result<Vec<Remembered>, Error> {
        Ok(self.state.read(KIND, &self.name)?.unwrap_or_default())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn data(text: &str) -> Vec<Subject> {
        vec![Subject { name: "rows.csv".into(), digest: Digest::of(text.as_bytes()) }]
    }

    #[test]
    fn an_attempt_counts_whether_or_not_it_ends() {
        let folder = tempfile::tempdir().unwrap();
        let state = folder.path().join("state");
        let (key, policy) = (Digest::of(b"key"), Digest::of(b"policy"));
        let open = |key, text| Attempts::of(&state, key, &data(text)).unwrap();
        let begin = |seed| open(key, "a").begin(5, policy, Seed(seed)).unwrap();
        let first = begin(1);
        assert_eq!(first, Attempt { number: 1, released: 0, cleared: 0, refused: 0, unfinished: 0 });
        for (seed, outcome) in [
            (2, AttemptOutcome::Refused),
            (2, AttemptOutcome::Refused),
            (3, AttemptOutcome::Cleared),
            (3, AttemptOutcome::Released),
        ] {
            open(key, "a").end(begin(seed), outcome).unwrap();
        }
        let last = begin(9);
        assert_eq!(last, Attempt { number: 6, released: 1, cleared: 1, refused: 2, unfinished: 1 });
        let said = "attempt 6 on these data under this key; before it 1 released, 1 cleared, 2 refused, 1 unfinished";
        assert_eq!(last.to_string(), said);
        assert_eq!(first.to_string(), "attempt 1 on these data under this key");
        // Of other data, or under another key, none was begun.
        assert_eq!(open(key, "b").begin(5, policy, Seed(1)).unwrap().number, 1);
        assert_eq!(open(Digest::of(b"other"), "a").begin(5, policy, Seed(1)).unwrap().number, 1);
        // A state that forgot an attempt does not take up its run.
        assert_eq!(open(key, "a").resume(last).unwrap(), last);
        let forgotten = open(key, "b").resume(last);
        assert!(matches!(forgotten, Err(Error::ForgottenAttempt { number: 6, known: 1, .. })), "{forgotten:?}");
    }

    #[test]
    fn attempts_at_the_same_time_are_told_apart() {
        let folder = tempfile::tempdir().unwrap();
        let state = folder.path().join("state");
        let begin = || {
            let attempts = Attempts::of(&state, Digest::of(b"key"), &data("a")).unwrap();
            attempts.begin(5, Digest::of(b"policy"), Seed(1)).unwrap().number
        };
        let mut numbers: Vec<u64> = std::thread::scope(|scope| {
            let threads: Vec<_> = (0..8).map(|_| scope.spawn(begin)).collect();
            threads.into_iter().map(|thread| thread.join().unwrap()).collect()
        });
        numbers.sort_unstable();
        assert_eq!(numbers, (1..=8).collect::<Vec<_>>());
    }
}
