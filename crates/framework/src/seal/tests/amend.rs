use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::time::Duration;

use super::fixture::*;
use super::folder::child;
use crate::seal::*;

const RENEWED: u64 = ISSUED + 10 * 86_400;

/// Evidence measured anew and its clearance, as a reassessment writes them.
pub(super) fn renewal() -> BTreeMap<&'static str, Vec<u8>> {
    let mut sample = Sample::cleared();
    sample.evidence.measured_at = RENEWED;
    let signed = sign(&sample.evidence, &sample.evidence.subjects, &key(1)).unwrap();
    let (policy, _) = policy::read(&sample.policy).unwrap();
    let mut clearance = clearance(&policy, &sample.evidence, &signed);
    (clearance.issued_at, clearance.expires_at) = (RENEWED, RENEWED + DAYS * 86_400);
    let clearance = clearance.sign(&key(1)).unwrap();
    [(files::EVIDENCE, signed), (files::CLEARANCE, clearance), (files::REPORT, b"renewed".to_vec())].into()
}

pub(super) fn renew(path: &Path) -> Result<LogHead, Error> {
    amend(path, &trusted(), &key(1), act(RENEWED, "renewed"), &renewal())
}

#[test]
fn a_renewed_clearance_takes_the_place_of_the_old() {
    let (_place, path) = sealed();
    let before = verify(&path, &trusted(), NOW).unwrap();
    let head = renew(&path).unwrap();
    let after = verify(&path, &trusted(), ISSUED + (DAYS + 5) * 86_400).unwrap();
    assert!(after.log().extends(&before.log().head()) && after.log().head() == head);
    assert_eq!(after.file(files::REPORT, 100).unwrap(), b"renewed");
    assert_eq!(after.log().entries().len(), 4);
}

#[test]
fn a_revocation_is_final() {
    let (_place, path) = sealed();
    revoke(&path, &trusted(), &key(1), NOW, "bob", "a backdoor was found").unwrap();
    let fault = verify(&path, &trusted(), NOW).unwrap_err();
    assert_eq!(fault.flaw, Flaw::Revoked { at: NOW, reason: "a backdoor was found".into() });
    let run = inspect(&path, &trusted()).unwrap();
    assert!(matches!(run.status(), ClearanceStatus::Revoked(_)));
    assert_eq!((run.log().entries()[3].who.as_str(), run.log().entries()[3].what.as_str()), ("bob", "revoked"));
    let again = [renew(&path), revoke(&path, &trusted(), &key(1), NOW, "bob", "again")];
    for error in again.map(Result::unwrap_err) {
        assert!(error.to_string().contains("final"), "{error}");
    }
    assert_eq!(verify(&path, &trusted(), NOW).unwrap_err(), fault);
}

#[test]
fn a_run_that_does_not_hold_together_can_still_be_revoked() {
    let (_place, path) = sealed();
    fs::write(path.join(files::MODEL), "other weights").unwrap();
    revoke(&path, &trusted(), &key(1), NOW, "bob", "changed weights").unwrap();
    assert_eq!(verify(&path, &trusted(), NOW).unwrap_err().file, files::MODEL);
}

#[test]
fn who_is_not_trusted_cannot_spoil_a_run() {
    let (_place, path) = sealed();
    let error = amend(&path, &trusted(), &key(2), act(NOW, "noted"), &BTreeMap::new()).unwrap_err();
    assert!(matches!(error, Error::Untrusted { .. }), "{error}");
    verify(&path, &trusted(), NOW).unwrap();
}

#[test]
fn names_are_checked_and_the_log_is_not_replaced() {
    let (_place, path) = sealed();
    for name in ["../x", ".x", files::LOG] {
        let written = [(name, vec![])].into();
        let error = amend(&path, &trusted(), &key(1), act(NOW, "wrote"), &written).unwrap_err();
        assert!(matches!(error, Error::Name { .. }), "{name}: {error}");
    }
    verify(&path, &trusted(), NOW).unwrap();
}

/// Were it full to the last byte, nobody could take the clearance back.
#[test]
fn a_full_log_has_room_for_a_revocation() {
    let (_place, path) = sealed();
    let note = |size: usize| {
        let long = Action { what: "x".repeat(size), ..act(NOW, "") };
        amend(&path, &trusted(), &key(1), long, &BTreeMap::new())
    };
    let mut size = 700_000;
    while size > 1_000 {
        match note(size) {
            Ok(_) => {}
            Err(Error::Fault(Fault { flaw: Flaw::TooLarge { .. }, .. })) => size /= 2,
            Err(other) => panic!("{other}"),
        }
    }
    revoke(&path, &trusted(), &key(1), NOW, "bob", &"r".repeat(500)).unwrap();
    assert!(matches!(verify(&path, &trusted(), NOW).unwrap_err().flaw, Flaw::Revoked { .. }));
}

#[test]
fn entries_without_files_change_nothing_else() {
    let (_place, path) = sealed();
    for at in 0..3 {
        amend(&path, &trusted(), &key(1), act(NOW + at, "noted"), &BTreeMap::new()).unwrap();
    }
    assert_eq!(verify(&path, &trusted(), NOW).unwrap().log().entries().len(), 6);
}

/// A crash before the log was replaced: nothing happened.
#[test]
fn pending_files_that_the_log_does_not_list_are_taken_away() {
    let (_place, path) = sealed();
    fs::write(path.join(".report.html.pending"), "half").unwrap();
    fs::write(path.join(".accountability.jsonl.pending"), "half").unwrap();
    assert_eq!(verify(&path, &trusted(), NOW).unwrap_err().flaw, Flaw::Unlisted);
    recover(&path, &trusted()).unwrap();
    verify(&path, &trusted(), NOW).unwrap();
}

/// A crash after the log was replaced: all of it happened.
#[test]
fn pending_files_that_the_log_lists_get_their_names() {
    let (_place, path) = sealed();
    let before = fs::read(path.join(files::CLEARANCE)).unwrap();
    renew(&path).unwrap();
    fs::rename(path.join(files::CLEARANCE), path.join(".clearance.dsse.json.pending")).unwrap();
    fs::write(path.join(files::CLEARANCE), before).unwrap();
    assert_eq!(verify(&path, &trusted(), RENEWED).unwrap_err().file, files::CLEARANCE);
    // The next act makes it good as well.
    amend(&path, &trusted(), &key(1), act(RENEWED, "noted"), &BTreeMap::new()).unwrap();
    verify(&path, &trusted(), RENEWED).unwrap();
}

/// What is on record happened, even where the last step failed.
#[test]
fn the_log_is_replaced_before_the_files() {
    let (_place, path) = sealed();
    fs::create_dir(path.join("more")).unwrap();
    let written = [("more", b"more".to_vec())].into();
    let error = amend(&path, &trusted(), &key(1), act(NOW, "wrote"), &written).unwrap_err();
    assert!(matches!(error, Error::Io { .. }), "{error}");
    fs::remove_dir(path.join("more")).unwrap();
    assert_eq!(verify(&path, &trusted(), NOW).unwrap_err(), Flaw::Missing.of("more"));
    recover(&path, &trusted()).unwrap();
    let run = verify(&path, &trusted(), NOW).unwrap();
    assert_eq!((run.log().entries().len(), run.file("more", 4).unwrap()), (4, b"more".to_vec()));
}

/// Killed at any moment, an act happened or did not.
#[test]
fn an_act_killed_at_any_moment_is_made_good() {
    let (_place, path) = sealed();
    let mut seen = verify(&path, &trusted(), NOW).unwrap().log().head();
    for step in 0..10 {
        let mut killed = child(&path, "amend");
        std::thread::sleep(Duration::from_millis(60 + 7 * step));
        killed.kill().unwrap();
        killed.wait().unwrap();
        recover(&path, &trusted()).unwrap();
        let run = verify(&path, &trusted(), NOW).unwrap();
        assert!(run.log().extends(&seen));
        seen = run.log().head();
    }
    assert!(verify(&path, &trusted(), NOW).unwrap().log().entries().len() > 3, "no act was ever finished");
}

/// Readers take no lock: what they are given is a run as it was at one moment, or a word that it went on changing.
#[test]
fn readers_never_see_half_an_act_and_no_act_is_lost() {
    let (_place, path) = sealed();
    std::thread::scope(|scope| {
        let write = || {
            for _ in 0..10 {
                amend(&path, &trusted(), &key(1), act(NOW, "noted"), &[("note", b"n".to_vec())].into()).unwrap();
            }
        };
        let writers = [scope.spawn(write), scope.spawn(write)];
        let read = (0..20).filter(|_| match verify(&path, &trusted(), NOW) {
            Ok(_) => true,
            Err(fault) => {
                assert_eq!(fault, Flaw::Busy.of("."));
                false
            }
        });
        assert!(read.count() > 0);
        for writer in writers {
            writer.join().unwrap();
        }
    });
    assert_eq!(verify(&path, &trusted(), NOW).unwrap().log().entries().len(), 3 + 20);
}

/// Whoever can open the folder, to read it, can hold a lock on it: neither readers nor writers need that lock.
#[test]
fn a_lock_on_the_folder_stops_nobody() {
    for exclusive in [false, true] {
        let (_place, path) = sealed();
        let held = fs::File::open(&path).unwrap();
        if exclusive {
            held.lock().unwrap();
        } else {
            held.lock_shared().unwrap();
        }
        verify(&path, &trusted(), NOW).unwrap();
        renew(&path).unwrap();
        verify(&path, &trusted(), RENEWED).unwrap();
        revoke(&path, &trusted(), &key(1), NOW, "bob", "a backdoor was found").unwrap();
        assert!(matches!(verify(&path, &trusted(), NOW).unwrap_err().flaw, Flaw::Revoked { .. }));
    }
}

/// Writers keep each other out by a lock that its owner alone can open; readers go on.
#[cfg(unix)]
#[test]
fn the_lock_is_its_owner_s_alone() {
    use std::os::unix::fs::PermissionsExt;
    let (_place, path) = sealed();
    let lock = path.join(".lock");
    let mode = |mode| fs::set_permissions(&lock, fs::Permissions::from_mode(mode)).unwrap();
    assert_eq!((lock.metadata().unwrap().permissions().mode() & 0o777, lock.metadata().unwrap().len()), (0o600, 0));
    for bad in [0o640, 0o604, 0o666] {
        mode(bad);
        let error = renew(&path).unwrap_err();
        assert!(matches!(error, Error::Lock { .. }) && error.to_string().contains("600"), "{error}");
    }
    mode(0o600);
    let held = fs::OpenOptions::new().write(true).open(&lock).unwrap();
    held.lock().unwrap();
    assert!(matches!(RunFolder::create(&path), Err(Error::Occupied { .. })));
    verify(&path, &trusted(), NOW).unwrap();
    let begun = std::time::Instant::now();
    std::thread::scope(|scope| {
        let writer = scope.spawn(|| renew(&path));
        std::thread::sleep(Duration::from_millis(300));
        drop(held);
        writer.join().unwrap().unwrap();
    });
    assert!(begun.elapsed() >= Duration::from_millis(300));
    // A link in its place is not followed; gone, it is made again.
    fs::remove_file(&lock).unwrap();
    std::os::unix::fs::symlink(path.join(files::MODEL), &lock).unwrap();
    assert!(matches!(recover(&path, &trusted()), Err(Error::Lock { .. })));
    fs::remove_file(&lock).unwrap();
    recover(&path, &trusted()).unwrap();
    assert!(lock.is_file());
}
