//! Run folders.

use std::collections::BTreeMap;

use underpin::seal::policy::AcceptedPolicies;
use underpin::seal::{self, SigningKey, files};
use underpin::{Error, Job, Request, ServeRequest, State};
use underpin_serve::OwnerState;

use underpin_core::{Attempt, Digest, Quantity, Seed, Value};

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

#[test]
fn a_run_commits_before_it_reads_and_says_which_attempt_it_is() {
    let folder = tempfile::tempdir().unwrap();
    let (key, other) = (key(), SigningKey::generate().unwrap());
    let job = |name: &str, changes: &str| Job {
        state: Some(OwnerState::open(&folder.path().join("owner")).unwrap()),
        config: Some(format!("{QUICK}\n{changes}")),
        ..job(&folder.path().join(name))
    };
    let first = job("first", "");
    let finished = run(&first, &key).unwrap();
    assert_eq!(finished.evidence.attempt.unwrap().number, 1);
    let sealed = seal::inspect(&first.out, &[key.public()]).unwrap();
    let entries = sealed.log().entries();
    assert_eq!(entries[0].what, seal::Commitment::act());
    assert!(entries[0].files.is_empty(), "nothing was written before it");
    let details = &entries[0].details;
    let config = std::fs::read(first.out.join(files::CONFIGURATION)).unwrap();
    assert_eq!(config, first.config.as_deref().unwrap().as_bytes());
    for (name, digest) in [
        ("policy", Digest::of(&first.policy)),
        ("configuration", Digest::of(&config)),
        ("data", Digest::of(include_bytes!("../../../crates/framework/data/digits/digits.csv.gz"))),
    ] {
        assert_eq!(details[name], digest.to_string().into(), "{name}");
    }
    assert_eq!((&details["seed"], &details["held_out"]), (&"1".into(), &"none".into()));
    assert_eq!(details["attempt"], "attempt 1 on these data under this key".into());

    // One that ends in an error before it has measured anything was begun, too; another seed and setting are told.
    let failed = run(&job("failed", "[collection]\nno_such_setting = 1"), &key);
    assert!(failed.is_err());
    let again = Job { seed: Seed(2), ..job("again", "") };
    let again = run(&again, &key).unwrap().evidence.attempt.unwrap();
    assert_eq!(again, Attempt { number: 3, released: 0, cleared: 0, refused: 1, unfinished: 1 });
    assert_eq!(run(&job("others", ""), &other).unwrap().evidence.attempt.unwrap().number, 1);
    // Nobody counts where there is no state to count in, and the evidence says so.
    let uncounted = run(&Job { state: None, ..job("uncounted", "") }, &key).unwrap();
    assert_eq!(uncounted.evidence.attempt, None);
    let sealed = seal::inspect(&folder.path().join("uncounted"), &[key.public()]).unwrap();
    assert_eq!(sealed.log().entries()[0].details["attempt"], "not counted".into());
}

/// Whoever takes the fresh bytes out of a run's state has it draw other noise: that is another try.
#[test]
fn other_noise_is_another_attempt() {
    let folder = tempfile::tempdir().unwrap();
    let key = key();
    let (owner, state) = (folder.path().join("owner"), folder.path().join("state"));
    // It begins, and ends in an error with its state left behind, as a run that is killed does.
    let begin = || {
        let job = Job {
            state: Some(OwnerState::open(&owner).unwrap()),
            resume: Some(state.clone()),
            config: Some(format!("{QUICK}\n[collection]\nno_such_setting = 1")),
            ..job(&folder.path().join("run"))
        };
        assert!(run(&job, &key).is_err());
        let kept = owner.join("attempts").read_dir().unwrap().map(|entry| entry.unwrap().path());
        let mut lists = kept.filter(|path| path.extension().is_some_and(|ending| ending == "json"));
        let list: serde_json::Value = serde_json::from_slice(&std::fs::read(lists.next().unwrap()).unwrap()).unwrap();
        assert_eq!(lists.next(), None);
        list.as_array().unwrap().len()
    };
    assert_eq!([begin(), begin()], [1, 1], "taken up again it is the same attempt");
    std::fs::remove_file(state.join("noise.fresh")).unwrap();
    assert_eq!([begin(), begin()], [2, 2]);
}

#[test]
fn an_attempt_ends_though_the_run_was_killed_before_that_was_kept() {
    use std::os::unix::fs::PermissionsExt;

    let folder = tempfile::tempdir().unwrap();
    let key = key();
    let owner = folder.path().join("owner");
    let job = Job {
        state: Some(OwnerState::open(&owner).unwrap()),
        resume: Some(folder.path().join("state")),
        ..job(&folder.path().join("run"))
    };
    let record = || {
        let entries = owner.join("attempts").read_dir().ok()?.map(|entry| entry.unwrap().path());
        entries.into_iter().find(|path| path.extension().is_some_and(|ending| ending == "json"))
    };
    let mode = |path: &std::path::Path, mode| {
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).unwrap();
    };
    let outcome = || {
        let list: serde_json::Value = serde_json::from_slice(&std::fs::read(record().unwrap()).unwrap()).unwrap();
        assert_eq!(list.as_array().unwrap().len(), 1);
        list[0]["outcome"].clone()
    };
    // Once the attempt is begun its record cannot be used: the run is sealed, and how it ended is not kept.
    let clock = || {
        if let Some(path) = record() {
            mode(&path, 0o644);
        }
        1_800_000_000
    };
    assert!(underpin::run(&job, &key, &clock).is_err());
    seal::inspect(&job.out, &[key.public()]).unwrap();
    mode(&record().unwrap(), 0o600);
    assert_eq!(outcome(), "unfinished");
    let finished = run(&job, &key).unwrap();
    assert_eq!((outcome(), finished.evidence.attempt.unwrap().number), ("refused".into(), 1));
    // Once more changes nothing.
    run(&job, &key).unwrap();
    assert_eq!(outcome(), "refused");
}

#[test]
fn evidence_speaks_of_all_that_was_assessed() {
    let folder = tempfile::tempdir().unwrap();
    let job = job(&folder.path().join("run"));
    let evidence = run(&job, &key()).unwrap().evidence;
    for name in files::SUBJECTS {
        let bytes = std::fs::read(job.out.join(name)).unwrap();
        assert_eq!(evidence.subject(name), Some(Digest::of(&bytes)), "{name}");
    }
    // How it is served is in one of them.
    let made: serde_json::Value = serde_json::from_slice(&std::fs::read(job.out.join("job.json")).unwrap()).unwrap();
    assert!(made["config"]["serving"]["quota"]["queries"].is_u64(), "{made:#}");
    assert!(files::SUBJECTS.contains(&files::JOB));
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
