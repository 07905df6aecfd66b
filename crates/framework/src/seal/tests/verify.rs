use std::collections::BTreeMap;
use std::fs;

use underpin_core::{Digest, Seed, Subject, Unmet, Value};

use super::fixture::*;
use super::hostile::names;
use crate::seal::policy::AcceptedPolicies;
use crate::seal::*;

/// What is wrong with a sample that was changed before it was sealed.
fn fault(change: impl FnOnce(&mut Sample)) -> Fault {
    let place = tempfile::tempdir().unwrap();
    let mut sample = Sample::cleared();
    change(&mut sample);
    match sample.seal(&place.path().join("run")).unwrap_err() {
        Error::Fault(fault) => fault,
        other => panic!("{other}"),
    }
}

fn clearance_flaw(change: fn(&mut ClearanceDocument)) -> Flaw {
    let fault = fault(|sample| sample.clear = Some(change));
    assert_eq!(fault.file, files::CLEARANCE);
    fault.flaw
}

#[test]
fn a_cleared_run_verifies_while_its_clearance_is_in_force() {
    let (_place, path) = sealed();
    let run = verify(&path, &trusted(), NOW).unwrap();
    assert!(matches!(run.status(), ClearanceStatus::Cleared(clearance) if run.clearance() == Some(clearance)));
    assert_eq!((run.signer(), run.log().entries().len()), (key(1).public().id(), 3));
    let end = ISSUED + DAYS * 86_400;
    verify(&path, &trusted(), ISSUED).unwrap();
    verify(&path, &trusted(), end - 1).unwrap();
    let flaw = |now| verify(&path, &trusted(), now).unwrap_err();
    assert_eq!(flaw(ISSUED - 1), Flaw::NotYet { from: ISSUED, now: ISSUED - 1 }.of(files::CLEARANCE));
    assert_eq!(flaw(end), Flaw::Expired { at: end, now: end }.of(files::CLEARANCE));
    assert!(matches!(inspect(&path, &trusted()).unwrap().status(), ClearanceStatus::Cleared(_)));
}

#[test]
fn a_refused_run_verifies_with_the_bars_it_did_not_meet() {
    let place = tempfile::tempdir().unwrap();
    let path = place.path().join("run");
    Sample::refused().seal(&path).unwrap();
    let run = verify(&path, &trusted(), NOW).unwrap();
    let ClearanceStatus::Refused(unmet) = run.status() else { panic!("{:?}", run.status()) };
    assert_eq!((unmet.len(), run.clearance()), (1, None));
    assert_eq!((unmet[0].bar, unmet[0].unmet.clone()), (0, Some(Unmet::Limit)));
}

#[test]
fn what_is_handed_out_is_what_was_verified() {
    let (_place, path) = sealed();
    let run = verify(&path, &trusted(), NOW).unwrap();
    assert_eq!(run.file(files::MODEL, 1000).unwrap(), MODEL);
    // Another file of the same size in its place, a longer one, a shorter one, none.
    let other = vec![b'x'; MODEL.len()];
    let (expected, found) = (Digest::of(MODEL), Digest::of(&other));
    fs::write(path.join(files::MODEL), other).unwrap();
    let flaw = || run.file(files::MODEL, 1000).unwrap_err();
    let changed = Flaw::Digest { by: "the accountability log", expected, found };
    assert_eq!(flaw(), changed.of(files::MODEL));
    for size in [MODEL.len() as u64 + 1, 3] {
        fs::write(path.join(files::MODEL), vec![b'x'; usize::try_from(size).unwrap()]).unwrap();
        assert_eq!(flaw(), Flaw::Size { expected: MODEL.len() as u64, found: size }.of(files::MODEL));
    }
    fs::remove_file(path.join(files::MODEL)).unwrap();
    assert_eq!(flaw(), Flaw::Missing.of(files::MODEL));
    assert_eq!(run.file("nothing", 1000).unwrap_err(), Flaw::Missing.of("nothing"));
    fs::write(path.join(files::MODEL), MODEL).unwrap();
    assert_eq!(run.file(files::MODEL, 10).unwrap_err(), Flaw::TooLarge { limit: 10 }.of(files::MODEL));
    assert_eq!(run.file(files::MODEL, MODEL.len() as u64).unwrap(), MODEL);
}

#[test]
fn a_run_by_another_key_says_by_which() {
    let place = tempfile::tempdir().unwrap();
    let path = place.path().join("run");
    Sample { key: key(2), ..Sample::cleared() }.seal(&path).unwrap();
    let fault = verify(&path, &trusted(), NOW).unwrap_err();
    assert_eq!(fault, Flaw::Untrusted { key: key(2).public().id() }.of(files::SIGNER));
    assert!(fault.to_string().contains(&key(2).public().id().to_string()));
    // Putting a trusted key in its place does not help.
    fs::write(path.join(files::SIGNER), key(1).public().to_pem()).unwrap();
    assert_eq!(verify(&path, &trusted(), NOW).unwrap_err().file, files::LOG);
    verify(&path, &[key(1).public(), key(2).public()], NOW).unwrap_err();
    assert!(verify(&path, &[], NOW).is_err());
}

#[test]
fn files_not_listed_or_gone_are_found() {
    let (_place, path) = sealed();
    for name in names(&path) {
        let bytes = fs::read(path.join(&name)).unwrap();
        fs::remove_file(path.join(&name)).unwrap();
        assert_eq!(verify(&path, &trusted(), NOW).unwrap_err(), Flaw::Missing.of(&name));
        fs::create_dir(path.join(&name)).unwrap();
        assert_eq!(verify(&path, &trusted(), NOW).unwrap_err(), Flaw::NotAFile.of(&name));
        fs::remove_dir(path.join(&name)).unwrap();
        #[cfg(unix)]
        {
            let elsewhere = path.with_file_name("elsewhere");
            fs::write(&elsewhere, &bytes).unwrap();
            std::os::unix::fs::symlink(&elsewhere, path.join(&name)).unwrap();
            assert_eq!(verify(&path, &trusted(), NOW).unwrap_err(), Flaw::NotAFile.of(&name));
            fs::remove_file(path.join(&name)).unwrap();
        }
        fs::write(path.join(&name), bytes).unwrap();
        verify(&path, &trusted(), NOW).unwrap();
    }
    for name in ["more.txt", ".hidden", files::REVOCATION, files::MODEL_CARD] {
        fs::write(path.join(name), "").unwrap();
        assert_eq!(verify(&path, &trusted(), NOW).unwrap_err(), Flaw::Unlisted.of(name));
        fs::remove_file(path.join(name)).unwrap();
    }
    assert_eq!(verify(&path.join("none"), &trusted(), NOW).unwrap_err(), Flaw::Missing.of("."));
}

type Change = fn(&mut BTreeMap<String, Value>);

#[test]
fn a_run_is_what_it_committed_to() {
    let seal = |sample: Sample| {
        let place = tempfile::tempdir().unwrap();
        sample.seal(&place.path().join("run")).map(drop)
    };
    let differs = |what: &str| Flaw::Committed { what: what.into() }.of(files::LOG);
    let refused = |sample: Sample, fault: Fault| {
        let found = seal(sample);
        assert!(matches!(&found, Err(Error::Fault(found)) if *found == fault), "{fault}: {found:?}");
    };
    seal(Sample::cleared()).unwrap();
    // Every part: the details of the sample name them all.
    let changes: [(&str, Change); 11] = [
        ("attempt", |details| drop(details.insert("attempt".into(), "attempt 1 on these data under this key".into()))),
        ("configuration", |details| drop(details.insert("configuration".into(), "none".into()))),
        ("data", |details| drop(details.insert("data".into(), Digest::of(b"other").to_string().into()))),
        ("device", |details| drop(details.insert("device".into(), "ndarray".into()))),
        ("held_out", |details| drop(details.insert("held_out".into(), "none".into()))),
        ("input", |details| drop(details.insert("input".into(), Digest::of(b"other").to_string().into()))),
        ("policy", |details| drop(details.insert("policy".into(), Digest::of(b"other").to_string().into()))),
        ("protection", |details| drop(details.insert("protection".into(), "undefended".into()))),
        ("revision", |details| drop(details.insert("revision".into(), "0000".into()))),
        ("seed", |details| drop(details.insert("seed".into(), "8".into()))),
        ("versions", |details| drop(details.remove("versions"))),
    ];
    let (_place, path) = sealed();
    let run = inspect(&path, &trusted()).unwrap();
    let named: Vec<&str> = run.log().entries()[0].details.keys().map(String::as_str).collect();
    assert_eq!(named, changes.map(|(what, _)| what));
    for (what, commit) in changes {
        refused(Sample { commit, ..Sample::cleared() }, differs(what));
    }
    refused(
        Sample { commit: |details| drop(details.insert("zeal".into(), 1_u64.into())), ..Sample::cleared() },
        differs("zeal"),
    );
    // Of a run that was refused the same holds.
    refused(Sample { commit: changes[9].1, ..Sample::refused() }, differs("seed"));
}

#[test]
fn a_clearance_must_follow_from_the_evidence() {
    let verdict = |change: fn(&mut ClearanceDocument)| clearance_flaw(change);
    let bars = policy::read(policy::BASELINE.as_bytes()).unwrap().0.bars().len();
    assert_eq!(verdict(|clearance| drop(clearance.verdicts.pop())), Flaw::Verdict { bar: bars });
    assert_eq!(verdict(|clearance| clearance.verdicts[2].measurement = Some(0)), Flaw::Verdict { bar: 3 });
    // The evidence misses a bar: neither the true verdict nor a false one clears it.
    let honest = fault(|sample| sample.evidence.record.measurements[4].value = 99.0);
    assert_eq!(honest, Flaw::Unmet { bar: 5, unmet: "limit broken".into() }.of(files::CLEARANCE));
    let forged = fault(|sample| {
        sample.evidence.record.measurements[4].value = 99.0;
        sample.clear = Some(|clearance| clearance.verdicts[4].unmet = None);
    });
    assert_eq!(forged, Flaw::Verdict { bar: 5 }.of(files::CLEARANCE));
    let nan = fault(|sample| sample.evidence.record.measurements[0].interval.lower = f64::NAN);
    assert_eq!(nan, Flaw::Unmet { bar: 1, unmet: "not a finite number".into() }.of(files::CLEARANCE));
    let empty = fault(|sample| sample.evidence.record.measurements.clear());
    assert_eq!(empty, Flaw::Unmet { bar: 1, unmet: "not measured".into() }.of(files::CLEARANCE));
}

#[test]
fn a_clearance_must_be_of_this_run() {
    let disagrees = |change| matches!(clearance_flaw(change), Flaw::Disagrees { .. });
    assert!(disagrees(|clearance| clearance.evidence = Digest::new([0; 32])));
    assert!(disagrees(|clearance| clearance.policy.digest = Digest::new([0; 32])));
    assert!(disagrees(|clearance| clearance.policy.name = "strict".into()));
    assert!(disagrees(|clearance| clearance.seed = Seed(8)));
    assert!(disagrees(|clearance| clearance.revision.clear()));
    assert!(disagrees(|clearance| clearance.issued_at = ISSUED - 61));
    let other_model = clearance_flaw(|clearance| clearance.model = Digest::new([0; 32]));
    assert_eq!(other_model, Flaw::Subject { name: files::MODEL.into() });
}

#[test]
fn a_clearance_lasts_no_longer_than_its_policy_allows() {
    let long = clearance_flaw(|clearance| clearance.expires_at += 1);
    assert_eq!(long, Flaw::TooLong { days: 90 });
    assert_eq!(clearance_flaw(|clearance| clearance.expires_at = u64::MAX), Flaw::TooLong { days: 90 });
}

#[test]
fn a_cleared_run_whose_clearance_was_left_out_is_not_refused() {
    assert_eq!(fault(|sample| sample.clear = None), Flaw::NoClearance.of(files::CLEARANCE));
}

#[test]
fn evidence_must_be_of_this_run() {
    let flaw = |change: fn(&mut Sample)| {
        let fault = fault(change);
        assert_eq!(fault.file, files::EVIDENCE);
        fault.flaw
    };
    let other = flaw(|sample| sample.evidence.policy = Digest::new([0; 32]));
    assert!(matches!(other, Flaw::OtherPolicy { .. }), "{other}");
    let changed = flaw(|sample| sample.evidence.subjects[0].digest = Digest::new([0; 32]));
    assert_eq!(changed, Flaw::Subject { name: files::MODEL.into() });
    let unspoken = flaw(|sample| drop(sample.evidence.subjects.remove(1)));
    assert_eq!(unspoken, Flaw::Subject { name: files::MANIFEST.into() });
    let absent = flaw(|sample| {
        sample.evidence.subjects.push(Subject { name: "absent".into(), digest: Digest::new([0; 32]) });
    });
    assert_eq!(absent, Flaw::Subject { name: "absent".into() });
}

#[test]
fn a_statement_about_other_subjects_than_its_evidence_is_refused() {
    let (_place, path) = sealed();
    let mut sample = Sample::cleared();
    sample.evidence.measured_at = ISSUED;
    let signed = sign(&sample.evidence, &sample.evidence.subjects[1..], &key(1)).unwrap();
    amend(&path, &trusted(), &key(1), act(NOW, "swapped"), &[(files::EVIDENCE, signed)].into()).unwrap();
    let fault = verify(&path, &trusted(), NOW).unwrap_err();
    assert_eq!(fault, Flaw::Disagrees { field: "the list of subjects" }.of(files::EVIDENCE));
}

#[test]
fn evidence_by_another_trusted_key_than_the_signer_is_refused() {
    let (_place, path) = sealed();
    let both = [key(1).public(), key(2).public()];
    let evidence = Sample::cleared().evidence;
    let signed = sign(&evidence, &evidence.subjects, &key(2)).unwrap();
    amend(&path, &both, &key(1), act(NOW, "swapped"), &[(files::EVIDENCE, signed)].into()).unwrap();
    let fault = verify(&path, &both, NOW).unwrap_err();
    assert!(fault.file == files::EVIDENCE && matches!(fault.flaw, Flaw::Disagrees { .. }), "{fault}");
}

/// Put on record by the trusted key itself, and still refused.
#[test]
fn documents_that_are_signed_but_wrong_are_refused() {
    let sample = Sample::cleared();
    let (parsed, _) = policy::read(&sample.policy).unwrap();
    let signed = sign(&sample.evidence, &sample.evidence.subjects, &key(1)).unwrap();
    let clearance = clearance(&parsed, &sample.evidence, &signed);
    let other_model = Revocation { model: Digest::new([0; 32]), at: NOW, reason: String::new() };
    let revocation = Revocation { model: Digest::of(MODEL), ..other_model.clone() };
    let crlf = key(1).public().to_pem().replace('\n', "\r\n").into_bytes();
    let model = || Flaw::Subject { name: files::MODEL.into() };
    for (name, bytes, flaw) in [
        (files::CLEARANCE, sign(&clearance, &[], &key(1)).unwrap(), Flaw::Disagrees { field: "the list of subjects" }),
        (files::REVOCATION, other_model.sign(&key(1)).unwrap(), model()),
        (files::REVOCATION, sign(&revocation, &[], &key(1)).unwrap(), model()),
        (files::SIGNER, crlf, Flaw::NotCanonical),
    ] {
        let (_place, path) = sealed();
        amend(&path, &trusted(), &key(1), act(NOW, "wrote"), &[(name, bytes)].into()).unwrap();
        assert_eq!(verify(&path, &trusted(), NOW).unwrap_err(), flaw.of(name));
    }
}

/// The strict policy put under evidence that was made for baseline.
#[test]
fn a_policy_cannot_be_swapped() {
    let (_place, path) = sealed();
    let strict = policy::STRICT.as_bytes().to_vec();
    amend(&path, &trusted(), &key(1), act(NOW, "swapped"), &[(files::POLICY, strict)].into()).unwrap();
    let fault = verify(&path, &trusted(), NOW).unwrap_err();
    assert_eq!(fault, Flaw::Subject { name: files::POLICY.into() }.of(files::EVIDENCE));
    let broken = b"name = 1".to_vec();
    amend(&path, &trusted(), &key(1), act(NOW, "broke"), &[(files::POLICY, broken)].into()).unwrap();
    let fault = verify(&path, &trusted(), NOW).unwrap_err();
    assert!(fault.file == files::POLICY && fault.to_string().contains("line 1, column 8"), "{fault}");
}

#[test]
fn a_run_with_more_rejections_than_its_policy_allows_does_not_verify() {
    let sealed = |rejected| {
        let place = tempfile::tempdir().unwrap();
        let sample = Sample::cleared().with_ledger(ledger(10, rejected));
        sample.seal(&place.path().join("run")).map(drop)
    };
    let (policy, _) = policy::read(policy::BASELINE.as_bytes()).unwrap();
    let most = (0..=10_u64).rev().find(|rejected| *rejected as f64 <= policy.max_rejected() * 10.0).unwrap();
    sealed(most).unwrap();
    let Err(Error::Fault(fault)) = sealed(most + 1) else { panic!("sealed") };
    assert_eq!(fault, Flaw::TooManyRejected { rejected: most + 1, rows: 10, allowed: most }.of(files::LEDGER));
}

#[test]
fn a_ledger_that_does_not_read_does_not_verify() {
    let place = tempfile::tempdir().unwrap();
    let sample = Sample::cleared().with_ledger(b"{\"row\":0}\n".to_vec());
    let Err(Error::Fault(fault)) = sample.seal(&place.path().join("run")) else { panic!("sealed") };
    assert!(matches!(fault.flaw, Flaw::Malformed { .. }), "{fault}");
}

/// Everything in a clearance but the verdicts, changed one field at a time: a new field has to be put here, too.
#[test]
fn a_clearance_binds_what_was_assessed() {
    let ClearanceDocument {
        policy: _,
        evidence: _,
        model: _,
        verdicts: _,
        safety: _,
        release: _,
        waivers: _,
        issued_at: _,
        expires_at: _,
        seed: _,
        revision: _,
    } = {
        let sample = Sample::cleared();
        let (parsed, _) = policy::read(&sample.policy).unwrap();
        clearance(&parsed, &sample.evidence, b"")
    };
    let changes: [fn(&mut ClearanceDocument); 15] = [
        |clearance| clearance.policy.name.push('x'),
        |clearance| clearance.policy.digest = Digest::of(b"another"),
        |clearance| clearance.evidence = Digest::of(b"another"),
        |clearance| clearance.model = Digest::of(b"another"),
        |clearance| clearance.verdicts.truncate(1),
        |clearance| clearance.verdicts[0].measurement = None,
        |clearance| clearance.safety = Digest::of(b"another"),
        |clearance| clearance.release.truncate(1),
        |clearance| clearance.release[0].unmet = Some(Unmet::Limit),
        |clearance| clearance.waivers.truncate(1),
        |clearance| clearance.waivers[0].reason.push('x'),
        |clearance| clearance.issued_at = 0,
        |clearance| clearance.expires_at += 1,
        |clearance| clearance.seed.0 += 1,
        |clearance| clearance.revision.push('x'),
    ];
    for (at, change) in changes.into_iter().enumerate() {
        let flaw = clearance_flaw(change);
        assert!(
            matches!(flaw, Flaw::Disagrees { .. } | Flaw::Subject { .. } | Flaw::Verdict { .. } | Flaw::TooLong { .. }),
            "change {at}: {flaw}"
        );
    }
}

#[test]
fn only_a_named_policy_is_accepted() {
    let (_place, path) = sealed();
    let run = inspect(&path, &trusted()).unwrap();
    let accepts = |policies: &AcceptedPolicies| accepted(&run, policies);
    accepts(&AcceptedPolicies::shipped()).unwrap();
    accepts(&AcceptedPolicies::named("baseline").unwrap().unwrap()).unwrap();
    let digest = Digest::of(policy::BASELINE.as_bytes());
    accepts(&AcceptedPolicies::named(&format!("sha256:{digest}")).unwrap().unwrap()).unwrap();
    let strict = AcceptedPolicies::named("strict").unwrap().unwrap();
    let refused = accepts(&strict).unwrap_err();
    assert_eq!(refused.flaw, Flaw::UnacceptedPolicy { name: "baseline".into(), found: digest });
    accepts(&AcceptedPolicies::any([strict, AcceptedPolicies::shipped()])).unwrap();
    assert!(AcceptedPolicies::named("sha256:12").is_err() && AcceptedPolicies::named("mine.toml").unwrap().is_none());
}
