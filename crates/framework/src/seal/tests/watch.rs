use std::fs;
use std::path::Path;

use underpin_core::Digest;

use super::amend::renew;
use super::fixture::*;
use super::hostile::copy;
use crate::seal::*;

const EXPIRY: u64 = ISSUED + DAYS * 86_400;

fn watch(path: &Path) -> ClearanceWatch {
    let mut watch = ClearanceWatch::new(path, &trusted(), &verify(path, &trusted(), NOW).unwrap());
    watch.check(NOW).unwrap();
    watch
}

#[test]
fn it_stands_until_it_expires() {
    let (_place, path) = sealed();
    let mut watch = watch(&path);
    watch.check(EXPIRY - 1).unwrap();
    assert_eq!(watch.check(EXPIRY).unwrap_err().flaw, Flaw::Expired { at: EXPIRY, now: EXPIRY });
    assert!(matches!(watch.check(ISSUED - 1).unwrap_err().flaw, Flaw::NotYet { .. }));
    renew(&path).unwrap();
    watch.check(EXPIRY + 1).unwrap();
}

#[test]
fn a_revocation_ends_it_within_a_second() {
    let (_place, path) = sealed();
    let mut watch = watch(&path);
    revoke(&path, &trusted(), &key(1), NOW, "bob", "drift").unwrap();
    watch.check(NOW).unwrap();
    assert!(matches!(watch.check(NOW + 1).unwrap_err().flaw, Flaw::Revoked { .. }));
    assert!(matches!(watch.check(NOW).unwrap_err().flaw, Flaw::Revoked { .. }), "a clock set back");
}

#[test]
fn an_older_folder_does_not_bring_it_back() {
    let (place, path) = sealed();
    let mut watch = watch(&path);
    let backup = place.path().join("backup");
    copy(&path, &backup);
    revoke(&path, &trusted(), &key(1), NOW, "bob", "drift").unwrap();
    watch.check(NOW + 1).unwrap_err();
    fs::remove_dir_all(&path).unwrap();
    fs::rename(&backup, &path).unwrap();
    verify(&path, &trusted(), NOW).unwrap();
    assert_eq!(watch.check(NOW + 2).unwrap_err(), Flaw::Rewound.of(files::LOG));
}

#[test]
fn what_changes_between_verifying_and_watching_is_found() {
    let (_place, path) = sealed();
    let run = verify(&path, &trusted(), NOW).unwrap();
    revoke(&path, &trusted(), &key(1), NOW, "bob", "drift").unwrap();
    let mut watch = ClearanceWatch::new(&path, &trusted(), &run);
    assert!(matches!(watch.check(NOW).unwrap_err().flaw, Flaw::Revoked { .. }));
}

#[test]
fn a_folder_that_is_gone_or_changed_ends_it() {
    let (_place, path) = sealed();
    let mut watch = watch(&path);
    let mut now = NOW;
    let mut next = || {
        now += 1;
        watch.check(now)
    };
    for name in [files::CLEARANCE, files::LOG, files::EVIDENCE, files::SIGNER, files::POLICY, files::REPORT] {
        let bytes = fs::read(path.join(name)).unwrap();
        fs::remove_file(path.join(name)).unwrap();
        assert_eq!(next().unwrap_err(), Flaw::Missing.of(name));
        let mut changed = bytes.clone();
        changed[bytes.len() / 2] ^= 1;
        fs::write(path.join(name), changed).unwrap();
        assert_eq!(next().unwrap_err().file, name);
        assert_eq!(next().unwrap_err().file, name);
        // A folder that holds together again stands again.
        fs::write(path.join(name), bytes).unwrap();
        next().unwrap();
    }
    fs::remove_dir_all(&path).unwrap();
    assert_eq!(next().unwrap_err(), Flaw::Missing.of("."));
}

#[test]
fn another_run_in_its_place_ends_it() {
    let (_place, path) = sealed();
    let mut watch = watch(&path);
    fs::remove_dir_all(&path).unwrap();
    let mut sample = Sample::cleared();
    sample.evidence.seed = underpin_core::Seed(8);
    sample.seal(&path).unwrap();
    assert_eq!(watch.check(NOW + 1).unwrap_err().flaw, Flaw::Rewound);
}

/// A new model, cleared in the same folder, is not the one in the server's memory.
#[test]
fn another_model_in_its_place_ends_it() {
    let (_place, path) = sealed();
    let mut watch = watch(&path);
    let other = b"other weights".to_vec();
    let mut sample = Sample::cleared();
    sample.evidence.subjects[0].digest = Digest::of(&other);
    let signed = sign(&sample.evidence, &sample.evidence.subjects, &key(1)).unwrap();
    let (policy, _) = policy::read(&sample.policy).unwrap();
    let document = ClearanceDocument { model: Digest::of(&other), ..clearance(&policy, &sample.evidence, &signed) };
    let document = document.sign(&key(1)).unwrap();
    let written = [(files::MODEL, other), (files::EVIDENCE, signed), (files::CLEARANCE, document)].into();
    amend(&path, &trusted(), &key(1), act(NOW, "replaced"), &written).unwrap();
    verify(&path, &trusted(), NOW).unwrap();
    assert_eq!(watch.check(NOW + 1).unwrap_err().file, files::MODEL);
}

#[test]
fn a_refused_run_does_not_stand() {
    let place = tempfile::tempdir().unwrap();
    let path = place.path().join("run");
    Sample::refused().seal(&path).unwrap();
    let run = verify(&path, &trusted(), NOW).unwrap();
    let mut watch = ClearanceWatch::new(&path, &trusted(), &run);
    assert_eq!(watch.check(NOW).unwrap_err(), Flaw::Missing.of(files::CLEARANCE));
}

#[test]
fn while_nothing_changes_nothing_is_read() {
    let (_place, path) = sealed();
    let mut watch = watch(&path);
    for second in 1..5 {
        watch.check(NOW + second).unwrap();
    }
    assert_eq!(watch.verified, 1);
    fs::write(path.join(files::REPORT), fs::read(path.join(files::REPORT)).unwrap()).unwrap();
    watch.check(NOW + 5).unwrap();
    assert_eq!(watch.verified, 2);
}

/// What passes by itself is tried again, though nothing changed.
#[test]
fn a_folder_that_is_busy_for_once_stands_again() {
    let (_place, path) = sealed();
    let mut watch = watch(&path);
    fs::write(path.join(".report.html.pending"), "half").unwrap();
    assert_eq!(watch.check(NOW + 1).unwrap_err(), Flaw::Unlisted.of(".report.html.pending"));
    fs::remove_file(path.join(".report.html.pending")).unwrap();
    watch.check(NOW + 2).unwrap();
}

#[test]
fn a_model_that_is_not_released_is_not_served() {
    let place = tempfile::tempdir().unwrap();
    let path = place.path().join("run");
    Sample { released: false, ..Sample::cleared() }.seal(&path).unwrap();
    let run = verify(&path, &trusted(), NOW).unwrap();
    assert!(!run.clearance().unwrap().is_released());
    let mut watch = ClearanceWatch::new(&path, &trusted(), &run);
    assert_eq!(watch.check(NOW).unwrap_err().flaw, Flaw::NotReleased);
}

#[test]
fn a_clearance_without_limits_of_intent_releases_nothing() {
    let (parsed, _) = policy::read(policy::BASELINE.as_bytes()).unwrap();
    let evidence = Sample::cleared().evidence;
    let mut document = clearance(&parsed, &evidence, b"{}");
    assert!(document.is_released());
    document.release.clear();
    assert!(!document.is_released());
}
