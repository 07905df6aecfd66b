//! Run folders.

use std::collections::BTreeMap;

use underpin::seal::policy::AcceptedPolicies;
use underpin::seal::{self, files};
use underpin::{Error, Request, ServeRequest, State};
use underpin_serve::OwnerState;

use underpin_core::{Quantity, Value};

use crate::support::{QUICK, job, key, run};

#[test]
fn a_refused_run_verifies_but_is_neither_served_nor_reassessed() {
    let folder = tempfile::tempdir().unwrap();
    let job = job(&folder.path().join("run"));
    let key = key();
    let finished = run(&job, &key).unwrap();
    assert!(!finished.is_cleared(), "without privacy no bar on epsilon is met");
    let trusted = [key.public()];
    let verified = seal::verify(&job.out, &trusted, 1_800_000_001).unwrap();
    assert!(matches!(verified.status(), seal::ClearanceStatus::Refused(_)));
    let owner = OwnerState::open(&folder.path().join("state")).unwrap();
    let serving = ServeRequest {
        folder: &job.out,
        trusted: &trusted,
        policies: &AcceptedPolicies::shipped(),
        witnesses: &seal::Witnesses::default(),
        name: None,
        owner: &owner,
    };
    let opened = underpin::open(&serving, || 1_800_000_001);
    assert!(matches!(opened, Err(Error::NotCleared { wanted: "served", .. })));
    let request = Request {
        folder: &job.out,
        trusted: &trusted,
        policy: None,
        traffic: None,
        known: None,
        who: "a test",
        revision: "a test",
        versions: &BTreeMap::new(),
    };
    let reassessed = underpin::reassess(&request, &key, &|| 1_800_000_001);
    assert!(matches!(reassessed, Err(Error::NotCleared { wanted: "reassessed", .. })));

    // A stranger's key is not trusted, and the fault names the key that signed.
    let stranger = self::key();
    let fault = seal::verify(&job.out, &[stranger.public()], 1_800_000_001).unwrap_err();
    assert!(fault.to_string().contains(&key.public().id().to_string()), "{fault}");
}

#[test]
fn every_file_of_a_real_run_is_sealed() {
    let folder = tempfile::tempdir().unwrap();
    let job = job(&folder.path().join("run"));
    let key = key();
    run(&job, &key).unwrap();
    let trusted = [key.public()];
    for entry in job.out.read_dir().unwrap() {
        let path = entry.unwrap().path();
        let bytes = std::fs::read(&path).unwrap();
        if path.file_name().is_some_and(|name| name == ".lock") {
            assert!(bytes.is_empty());
            continue;
        }
        for at in [0, bytes.len() / 2, bytes.len() - 1] {
            let mut changed = bytes.clone();
            changed[at] ^= 1;
            std::fs::write(&path, &changed).unwrap();
            let verified = seal::verify(&job.out, &trusted, 1_800_000_001);
            assert!(verified.is_err(), "byte {at} of {}", path.display());
        }
        std::fs::write(&path, &bytes).unwrap();
    }
    assert!(seal::verify(&job.out, &trusted, 1_800_000_001).is_ok());
    assert!(job.out.join(files::REPORT).exists());
}

/// Evidence says which clipping and which mechanism ran, and ε is that mechanism's.
#[test]
fn evidence_names_the_clipping_and_the_mechanism_that_ran() {
    let folder = tempfile::tempdir().unwrap();
    let defaults = QUICK.replace("privacy = false", "").replace("epochs = 5", "epochs = 5\nbatch_size = 60");
    for (changes, [clipping, mechanism]) in [
        (
            "[privacy]\nstatistics = 0.0\nclipping_norm = 0.5\n[privacy.clipping.adaptive]\nquantile = 0.5\nrate = 0.2\nfraction = 0.1",
            ["adaptive", "subsampled_gaussian"],
        ),
        (
            "[privacy]\nstatistics = 0.0\nclipping = 'per_layer'\nmechanism = { banded = { bands = 4 } }",
            ["per_layer", "banded_matrix_factorisation"],
        ),
    ] {
        let mut job = job(&folder.path().join(mechanism));
        job.config = Some(format!("{defaults}\n{changes}"));
        let record = run(&job, &key()).unwrap().evidence.record;
        assert_eq!(record.parameters["training.clipping"], clipping.into());
        assert_eq!(record.parameters["training.mechanism"], mechanism.into());
        let spent = record.measurements.iter().find(|one| one.quantity == Quantity::Epsilon).unwrap();
        assert_eq!(spent.parameters["mechanism"], mechanism.into());
        assert!(spent.interval.upper <= 8.0 && spent.interval.lower > 7.5, "{spent}");
        let Value::Number(noise) = record.parameters["training.noise_multiplier"] else { panic!("a number") };
        let Value::Number(delta) = record.parameters["training.delta"] else { panic!("a number") };
        let delta = underpin_core::Delta::new(delta).unwrap();
        let one = underpin_privacy::Event::Gaussian { noise_multiplier: noise };
        let one = one.epsilon(delta, underpin_privacy::Adjacency::ZeroOut).unwrap();
        // Banded noise costs what one Gaussian does; one step of many costs less than all.
        let is_one = (one.upper - spent.interval.upper).abs() < 0.01;
        assert_eq!(is_one, mechanism == "banded_matrix_factorisation", "{one:?} {spent}");
        let report = std::fs::read_to_string(job.out.join(files::REPORT)).unwrap();
        assert!(report.contains(mechanism) && report.contains("<dt>bands</dt>") == is_one, "the report names them");
    }
}

#[test]
fn serving_state_lies_beside_the_run_and_not_in_it() {
    let folder = tempfile::tempdir().unwrap();
    let run = folder.path().join("run");
    std::fs::create_dir(&run).unwrap();
    let state = State::of(&run).unwrap();
    state.clients().unwrap().add("alice", None).unwrap();
    assert_eq!(run.read_dir().unwrap().count(), 0);
    assert!(state.sketch().starts_with(folder.path().join("run.serving")));
}

#[test]
fn the_same_seed_and_key_give_the_same_evidence() {
    let folder = tempfile::tempdir().unwrap();
    let key = key();
    let finished = ["a", "b"].map(|name| run(&job(&folder.path().join(name)), &key).unwrap());
    assert_eq!(finished[0].evidence, finished[1].evidence);
}
