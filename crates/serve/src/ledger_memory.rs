//! What the owner's state folder remembers of the ledger of a run: a ledger that went back, or vanished, is refused.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use serde::{Deserialize, Serialize};

use crate::{Error, OwnerState, QueryLedger, StateLock};

/// Kind of the records in the owner's state.
const KIND: &str = "ledgers";

/// The last that was known of a run's ledger.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Mark {
    ledger: String,
    counted: u64,
    path: PathBuf,
}

impl Mark {
    /// Refuses another ledger than the one that is known, and an older state of it.
    fn compare(&self, ledger: &QueryLedger, path: &Path) -> Result<(), Error> {
        if ledger.identity() != self.ledger {
            let (found, expected) = (ledger.identity().to_owned(), self.ledger.clone());
            return Err(Error::OtherLedger { path: path.to_owned(), found, expected });
        }
        let found = ledger.counted();
        if found < self.counted {
            return Err(Error::LedgerWentBack { path: path.to_owned(), found, known: self.counted });
        }
        Ok(())
    }
}

/// The ledger of a run, which the owner's state folder remembers.
///
/// A run is named by something that a moved or copied folder keeps. Its ledger's identity and count are written to the
/// owner's state, apart from the run and its ledger, and compared whenever the ledger is opened.
///
/// # Guarantees
///
/// 1. A ledger that is gone, another one, or one that counts fewer queries than were known is refused, naming what is
///    missing, also after a restart (`a_ledger_that_went_back_or_vanished_is_refused`).
/// 2. A run is served from one ledger at a time, wherever copies of its folder lie (`two_copies_are_not_served_at_once`).
/// 3. A ledger counts for one run (`a_ledger_of_another_run_is_refused`).
///
/// # Limits
///
/// What was counted since the last [`remember`](Self::remember) may be lost to a ledger that is put back. On a machine
/// with another state folder a copy begins with the count that its ledger has.
#[derive(Debug)]
pub struct RememberedLedger {
    ledger: Arc<QueryLedger>,
    state: OwnerState,
    run: String,
    saved: Mutex<Mark>,
    _alone: StateLock,
}

impl RememberedLedger {
    /// Opens the ledger at `path` for `run`, a name of at most 128 letters, digits, dots, dashes and underscores; makes it
    /// where the run never had one.
    ///
    /// # Errors
    ///
    /// [`Error::LedgerGone`], [`Error::OtherLedger`], [`Error::LedgerWentBack`], [`Error::OtherRun`], [`Error::RunInUse`];
    /// else as [`QueryLedger::open`] and [`OwnerState::open`].
    pub fn open(path: &Path, run: &str, state: &OwnerState) -> Result<Self, Error> {
        let alone = state.try_lock(KIND, run)?.ok_or_else(|| Error::RunInUse { run: run.to_owned() })?;
        let known: Option<Mark> = state.read(KIND, run)?;
        if let Some(Mark { counted, path: last, .. }) = &known
            && !path.try_exists().map_err(Error::file(path))?
        {
            return Err(Error::LedgerGone { path: path.to_owned(), counted: *counted, last: last.clone() });
        }
        let ledger = QueryLedger::open(path)?;
        if let Some(known) = &known {
            known.compare(&ledger, path)?;
        }
        let bound = ledger.bind(run)?;
        if bound != run {
            return Err(Error::OtherRun { path: path.to_owned(), found: bound, expected: run.to_owned() });
        }
        // By its real name, so that it is found from everywhere.
        let path = std::fs::canonicalize(path).map_err(Error::file(path))?;
        let mark = Mark { ledger: ledger.identity().to_owned(), counted: ledger.counted(), path };
        state.write(KIND, run, &mark)?;
        let (saved, run) = (Mutex::new(mark), run.to_owned());
        Ok(Self { ledger: Arc::new(ledger), state: state.clone(), run, saved, _alone: alone })
    }

    /// Checks the ledger of `run` against what is known of it, without serving it: the one at `path`, else where it last lay.
    /// Nothing is checked where no ledger of this run is known, nor while a server has it open, which checked it.
    ///
    /// # Errors
    ///
    /// [`Error::LedgerGone`], [`Error::OtherLedger`], [`Error::LedgerWentBack`]; else as [`QueryLedger::open`] and
    /// [`OwnerState::open`].
    pub fn check(path: &Path, run: &str, state: &OwnerState) -> Result<(), Error> {
        let Some(known) = state.read::<Mark>(KIND, run)? else { return Ok(()) };
        let Some(_alone) = state.try_lock(KIND, run)? else { return Ok(()) };
        let exists = |path: &Path| path.try_exists().map_err(Error::file(path));
        let path = if exists(path)? { path } else { &known.path };
        if !exists(path)? {
            return Err(Error::LedgerGone { path: path.to_owned(), counted: known.counted, last: known.path.clone() });
        }
        known.compare(&QueryLedger::open(path)?, path)
    }

    /// The ledger.
    pub fn ledger(&self) -> Arc<QueryLedger> {
        Arc::clone(&self.ledger)
    }

    /// Writes the present count to the owner's state, where it changed. To be called every second or so, and at the end.
    ///
    /// # Errors
    ///
    /// When the state cannot be written; what was written before stands.
    pub fn remember(&self) -> Result<(), Error> {
        let mut saved = self.saved.lock().unwrap_or_else(PoisonError::into_inner);
        let counted = self.ledger.counted();
        if counted == saved.counted {
            return Ok(());
        }
        let mark = Mark { counted, ..saved.clone() };
        self.state.write(KIND, &self.run, &mark)?;
        *saved = mark;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;
    use crate::Quota;

    const QUOTA: Quota = Quota { queries: 100, per_second: None };

    struct Place {
        folder: tempfile::TempDir,
        state: OwnerState,
    }

    impl Place {
        fn new() -> Self {
            let folder = tempfile::tempdir().unwrap();
            let state = OwnerState::open(&folder.path().join("state")).unwrap();
            Self { folder, state }
        }

        fn path(&self, name: &str) -> PathBuf {
            self.folder.path().join(name)
        }

        fn open(&self, name: &str) -> Result<RememberedLedger, Error> {
            RememberedLedger::open(&self.path(name), "run", &self.state)
        }

        /// Counts queries, and ends as a server does that is stopped.
        fn count(&self, name: &str, queries: u64) {
            let remembered = self.open(name).unwrap();
            remembered.ledger().debit("a", queries, &QUOTA).unwrap();
            remembered.remember().unwrap();
        }
    }

    #[test]
    fn a_ledger_that_went_back_or_vanished_is_refused() {
        let place = Place::new();
        place.count("a.redb", 10);
        fs::copy(place.path("a.redb"), place.path("old.redb")).unwrap();
        place.count("a.redb", 30);
        fs::rename(place.path("a.redb"), place.path("new.redb")).unwrap();
        let gone = place.open("a.redb").unwrap_err();
        assert!(matches!(&gone, Error::LedgerGone { counted: 40, .. }), "{gone}");
        assert!(gone.to_string().contains("a.redb") && gone.to_string().contains("40"), "{gone}");
        assert!(!place.path("a.redb").exists(), "no new one is made");
        fs::rename(place.path("old.redb"), place.path("a.redb")).unwrap();
        assert!(matches!(place.open("a.redb"), Err(Error::LedgerWentBack { found: 10, known: 40, .. })));
        fs::remove_file(place.path("a.redb")).unwrap();
        drop(QueryLedger::open(&place.path("a.redb")).unwrap());
        assert!(matches!(place.open("a.redb"), Err(Error::OtherLedger { .. })));
        // The right one is taken wherever it lies.
        assert_eq!(place.open("new.redb").unwrap().ledger().used("a").unwrap(), 40);
    }

    #[test]
    fn a_ledger_is_checked_without_being_served() {
        let place = Place::new();
        let check = |name: &str| RememberedLedger::check(&place.path(name), "run", &place.state);
        check("a.redb").unwrap();
        assert!(!place.path("a.redb").exists(), "none is made");
        place.count("a.redb", 10);
        fs::copy(place.path("a.redb"), place.path("old.redb")).unwrap();
        place.count("a.redb", 30);
        check("a.redb").unwrap();
        check("of a copy of the run.redb").unwrap();
        assert!(matches!(check("old.redb"), Err(Error::LedgerWentBack { found: 10, known: 40, .. })));
        let served = place.open("a.redb").unwrap();
        check("a.redb").unwrap();
        drop(served);
        fs::remove_file(place.path("a.redb")).unwrap();
        assert!(matches!(check("a.redb"), Err(Error::LedgerGone { counted: 40, .. })));
        drop(QueryLedger::open(&place.path("a.redb")).unwrap());
        assert!(matches!(check("a.redb"), Err(Error::OtherLedger { .. })));
    }

    #[test]
    fn a_ledger_may_be_ahead_of_what_is_known() {
        let place = Place::new();
        place.count("a.redb", 10);
        // Killed before it was remembered.
        let killed = place.open("a.redb").unwrap();
        killed.ledger().debit("a", 5, &QUOTA).unwrap();
        drop(killed);
        assert_eq!(place.open("a.redb").unwrap().ledger().used("a").unwrap(), 15);
    }

    #[test]
    fn two_copies_are_not_served_at_once() {
        let place = Place::new();
        place.count("a.redb", 10);
        fs::copy(place.path("a.redb"), place.path("b.redb")).unwrap();
        let first = place.open("a.redb").unwrap();
        assert!(matches!(place.open("b.redb"), Err(Error::RunInUse { .. })));
        first.ledger().debit("a", 1, &QUOTA).unwrap();
        first.remember().unwrap();
        drop(first);
        assert!(matches!(place.open("b.redb"), Err(Error::LedgerWentBack { found: 10, known: 11, .. })));
    }

    #[test]
    fn a_ledger_of_another_run_is_refused() {
        let place = Place::new();
        place.count("a.redb", 10);
        let other = RememberedLedger::open(&place.path("a.redb"), "other", &place.state);
        assert!(matches!(other, Err(Error::OtherRun { .. })));
    }
}
