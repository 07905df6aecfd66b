//! What the owner's state remembers of runs.

use std::fs;
use std::path::Path;

use underpin_serve::OwnerState;

use super::fixture::*;
use super::hostile::copy;
use crate::seal::*;
use crate::{Error, KnownRuns};

fn known(place: &Path) -> KnownRuns {
    KnownRuns::new(OwnerState::open(&place.join("state")).unwrap())
}

fn note(path: &Path) -> LogHead {
    amend(path, &trusted(), &key(1), act(NOW, "noted"), &[].into()).unwrap()
}

fn log_of(path: &Path) -> Log {
    read_log(path, &trusted()).unwrap()
}

fn put_back(backup: &Path, path: &Path) {
    fs::remove_dir_all(path).unwrap();
    copy(backup, path);
}

#[test]
fn a_run_that_went_back_is_refused() {
    let (place, path) = sealed();
    let (backup, newer) = (place.path().join("backup"), place.path().join("newer"));
    known(place.path()).remember_folder(&path, &trusted(), NOW).unwrap();
    copy(&path, &backup);
    note(&path);
    revoke(&path, &trusted(), &key(1), NOW, "bob", "a backdoor was found").unwrap();
    known(place.path()).remember_folder(&path, &trusted(), NOW + 60).unwrap();
    copy(&path, &newer);
    // The older folder holds together, and its clearance is in force: only who remembers it sees what is missing.
    put_back(&backup, &path);
    let run = verify(&path, &trusted(), NOW).unwrap();
    for refused in [
        known(place.path()).check(run.log()),
        known(place.path()).check_run(&path, run.log()),
        known(place.path()).remember(&path, run.log(), NOW),
        known(place.path()).remember_folder(&path, &trusted(), NOW).map(drop),
    ] {
        let text = refused.unwrap_err().to_string();
        let expected = "has 3 entries; 5 were known on 2027-01-15 09:01 UTC, the last was `revoked`";
        assert!(text.contains(expected) && text.contains("state/heads"), "{text}");
    }
    // Nor does it help to go on from there with as many entries.
    note(&path);
    note(&path);
    let forked = known(place.path()).check(&log_of(&path)).unwrap_err();
    assert!(matches!(&forked, Error::Fault(Fault { flaw: Flaw::WentBack { found: 5, known: 5, .. }, .. })), "{forked}");
    assert!(forked.to_string().contains("do not go on"), "{forked}");
    // The newer one is taken again, wherever it lies, and other runs are none of this.
    known(place.path()).check_run(&newer, &log_of(&newer)).unwrap();
    let (_other_place, other) = sealed_by(2);
    known(place.path()).check(&read_log(&other, &[key(2).public()]).unwrap()).unwrap();
}

#[test]
fn what_is_known_never_goes_back() {
    let (place, path) = sealed();
    let mut logs = vec![log_of(&path)];
    for _ in 0..6 {
        note(&path);
        logs.push(log_of(&path));
    }
    let last = logs.last().unwrap().clone();
    std::thread::scope(|scope| {
        for log in &logs {
            scope.spawn(|| match known(place.path()).remember(&path, log, NOW) {
                Ok(()) | Err(Error::Fault(Fault { flaw: Flaw::WentBack { .. }, .. })) => {}
                Err(other) => panic!("{other}"),
            });
        }
    });
    for log in &logs {
        assert_eq!(known(place.path()).check(log).is_ok(), log.head() == last.head());
    }
}

#[test]
fn a_run_goes_on_from_each_of_its_heads_and_from_no_other() {
    let (_place, path) = sealed();
    let first = log_of(&path).head().digest;
    let second = note(&path).digest;
    let run = inspect(&path, &trusted()).unwrap();
    extends(&run, first).unwrap();
    extends(&run, second).unwrap();
    let (_other_place, other) = sealed_by(2);
    let other = read_log(&other, &[key(2).public()]).unwrap().head().digest;
    for head in [other, underpin_core::Digest::of(b""), run.signer()] {
        let fault = extends(&run, head).unwrap_err();
        assert_eq!(fault, Flaw::NotExtended { head, entries: 4, last: second }.of(files::LOG));
    }
}
