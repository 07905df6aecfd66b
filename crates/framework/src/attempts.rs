//! Attempts: how often runs were begun on the same data under the same key, kept in the owner's state.

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
    run: Digest,
    attempt: Attempt,
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
/// 2. A run that is taken up again is the attempt that it was: `a_run_is_one_attempt_however_often_it_begins`.
/// 3. Attempts that are begun at the same time have different numbers: `attempts_at_the_same_time_are_told_apart`.
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
    /// The attempts on `data`, the files that train, under the key with the id `key`, kept in `state`.
    pub(crate) fn of(state: OwnerState, key: Digest, data: &[Subject]) -> Self {
        let mut hasher = Sha256::new();
        hasher.update(key.bytes());
        for file in data {
            hasher.update(file.digest.bytes());
        }
        let name = Digest::new(hasher.finalize().into()).to_string();
        Self { state, name }
    }

    /// Begins the attempt of `run`, durably; the same again for a run that has begun before.
    ///
    /// # Errors
    ///
    /// [`Error::Serve`].
    pub(crate) fn begin(&self, run: Digest, at: u64, policy: Digest, seed: Seed) -> Result<Attempt, Error> {
        let _lock = self.state.lock(KIND, &self.name)?;
        let mut list = self.read()?;
        if let Some(kept) = list.iter().find(|kept| kept.run == run) {
            return Ok(kept.attempt);
        }
        let count = |outcome| list.iter().filter(|kept| kept.outcome == outcome).count() as u64;
        let attempt = Attempt {
            number: list.len() as u64 + 1,
            released: count(AttemptOutcome::Released),
            cleared: count(AttemptOutcome::Cleared),
            refused: count(AttemptOutcome::Refused),
            unfinished: count(AttemptOutcome::Unfinished),
        };
        list.push(Remembered { run, attempt, at, policy, seed, outcome: AttemptOutcome::Unfinished });
        self.state.write(KIND, &self.name, &list)?;
        Ok(attempt)
    }

    /// Keeps how the attempt of `run` ended.
    ///
    /// # Errors
    ///
    /// [`Error::ForgottenAttempt`] when the state folder does not know it; [`Error::Serve`].
    pub(crate) fn end(&self, run: Digest, outcome: AttemptOutcome) -> Result<(), Error> {
        let _lock = self.state.lock(KIND, &self.name)?;
        let mut list = self.read()?;
        let known = list.len();
        let Some(kept) = list.iter_mut().find(|kept| kept.run == run) else {
            return Err(Error::ForgottenAttempt { state: self.state.folder().to_owned(), known });
        };
        kept.outcome = outcome;
        Ok(self.state.write(KIND, &self.name, &list)?)
    }

    fn read(&self) -> Result<Vec<Remembered>, Error> {
        Ok(self.state.read(KIND, &self.name)?.unwrap_or_default())
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    fn data(text: &str) -> Vec<Subject> {
        vec![Subject { name: "rows.csv".into(), digest: Digest::of(text.as_bytes()) }]
    }

    fn opened(state: &Path, key: &[u8], text: &str) -> Attempts {
        Attempts::of(OwnerState::open(state).unwrap(), Digest::of(key), &data(text))
    }

    fn begin(attempts: &Attempts, run: u64) -> Attempt {
        attempts.begin(Digest::of(&run.to_le_bytes()), 5, Digest::of(b"policy"), Seed(run)).unwrap()
    }

    #[test]
    fn an_attempt_counts_whether_or_not_it_ends() {
        let folder = tempfile::tempdir().unwrap();
        let state = folder.path().join("state");
        let open = |key: &[u8], text| opened(&state, key, text);
        let first = begin(&open(b"key", "a"), 0);
        assert_eq!(first, Attempt { number: 1, released: 0, cleared: 0, refused: 0, unfinished: 0 });
        let outcomes =
            [AttemptOutcome::Refused, AttemptOutcome::Refused, AttemptOutcome::Cleared, AttemptOutcome::Released];
        for (run, outcome) in (1_u64..).zip(outcomes) {
            begin(&open(b"key", "a"), run);
            open(b"key", "a").end(Digest::of(&run.to_le_bytes()), outcome).unwrap();
        }
        let last = begin(&open(b"key", "a"), 9);
        assert_eq!(last, Attempt { number: 6, released: 1, cleared: 1, refused: 2, unfinished: 1 });
        let said = "attempt 6 on these data under this key; before it 1 released, 1 cleared, 2 refused, 1 unfinished";
        assert_eq!(last.to_string(), said);
        assert_eq!(first.to_string(), "attempt 1 on these data under this key");
        // Of other data, or under another key, none was begun.
        assert_eq!(begin(&open(b"key", "b"), 10).number, 1);
        assert_eq!(begin(&open(b"other", "a"), 11).number, 1);
        let forgotten = open(b"key", "b").end(Digest::of(b"never begun"), AttemptOutcome::Refused);
        assert!(matches!(forgotten, Err(Error::ForgottenAttempt { known: 1, .. })), "{forgotten:?}");
    }

    #[test]
    fn a_run_is_one_attempt_however_often_it_begins() {
        let folder = tempfile::tempdir().unwrap();
        let attempts = opened(&folder.path().join("state"), b"key", "a");
        let (first, second) = (begin(&attempts, 1), begin(&attempts, 2));
        attempts.end(Digest::of(&1_u64.to_le_bytes()), AttemptOutcome::Refused).unwrap();
        // What came before it is told as it was.
        assert_eq!((begin(&attempts, 1), begin(&attempts, 2)), (first, second));
        assert_eq!((second.number, second.unfinished, second.refused), (2, 1, 0));
        assert_eq!(begin(&attempts, 3).number, 3);
    }

    #[test]
    fn attempts_at_the_same_time_are_told_apart() {
        let folder = tempfile::tempdir().unwrap();
        let state = folder.path().join("state");
        let mut numbers: Vec<u64> = std::thread::scope(|scope| {
            let state = &state;
            let begin = |run| scope.spawn(move || begin(&opened(state, b"key", "a"), run).number);
            let threads: Vec<_> = (0..8).map(begin).collect();
            threads.into_iter().map(|thread| thread.join().unwrap()).collect()
        });
        numbers.sort_unstable();
        assert_eq!(numbers, (1..=8).collect::<Vec<_>>());
    }
}
