use underpin_train::DeviceKind;

use super::*;
use crate::job::{Input, Protection};

fn job(resume: &Path) -> Job {
    Job {
        input: Input::Digits,
        policy: b"a policy".to_vec(),
        config: None,
        seed: Seed(1),
        device: DeviceKind::Flex,
        protection: Protection::Defended,
        out: "run".into(),
        budget: None,
        resume: Some(resume.to_owned()),
        known: None,
        who: "a test".into(),
        revision: "a test".into(),
        versions: std::collections::BTreeMap::new(),
    }
}

type Change = fn(&mut Identity);

#[test]
fn every_part_of_an_identity_is_compared() {
    let home = tempfile::tempdir().unwrap();
    let key = SigningKey::generate().unwrap();
    let own = Identity::of(&job(home.path()), &key).unwrap();
    assert_eq!(own.differs(&own), None);
    let parts: [(&str, Change); 10] = [
        ("key", |id| id.key.push('x')),
        ("policy", |id| id.policy = Digest::of(b"another")),
        ("seed", |id| id.seed += 1),
        ("data", |id| id.input.push('x')),
        ("configuration", |id| id.config = Some("x = 1".into())),
        ("device", |id| id.device.push('x')),
        ("protection", |id| id.protection.push('x')),
        ("code revision", |id| id.revision.push('x')),
        ("versions", |id| id.versions.push('x')),
        ("budget", |id| id.budget = Some("a.budget".into())),
    ];
    for (what, change) in parts {
        let mut other = own.clone();
        change(&mut other);
        assert_eq!(own.differs(&other).map(|(what, ..)| what), Some(what));
    }
    // The whole of a budget counts as its path does.
    let whole = Some((underpin_core::Epsilon::new(1.0).unwrap(), underpin_core::Delta::new(1e-5).unwrap()));
    let with = |whole| Job { budget: Some(BudgetFile { path: "b".into(), whole }), ..job(home.path()) };
    let (one, other) = (Identity::of(&with(None), &key).unwrap(), Identity::of(&with(whole), &key).unwrap());
    assert_eq!(one.differs(&other).map(|(what, ..)| what), Some("budget"));
}

#[test]
fn a_state_of_another_job_is_refused() {
    let home = tempfile::tempdir().unwrap();
    let folder = home.path().join("state");
    let key = SigningKey::generate().unwrap();
    let own = job(&folder);
    let rows = Digest::of(b"rows");
    RunState::open(&folder, &own, &key).unwrap().bind_rows(rows).unwrap();
    let others = [
        ("policy", Job { policy: b"another".to_vec(), ..own.clone() }),
        ("seed", Job { seed: Seed(2), ..own.clone() }),
        ("configuration", Job { config: Some("x = 1".into()), ..own.clone() }),
        #[cfg(feature = "ndarray")]
        ("device", Job { device: DeviceKind::Ndarray, ..own.clone() }),
        ("protection", Job { protection: Protection::Undefended, ..own.clone() }),
        ("code revision", Job { revision: "newer".into(), ..own.clone() }),
        ("versions", Job { versions: [("burn".into(), "1".into())].into(), ..own.clone() }),
        ("budget", Job { budget: Some(BudgetFile::new("a.budget")), ..own.clone() }),
    ];
    for (what, other) in others {
        let refused = RunState::open(&folder, &other, &key).unwrap_err();
        assert!(matches!(&refused, Error::OtherJob { what: found, .. } if *found == what), "{what}: {refused}");
    }
    let data = underpin_data::Source::new("rows.csv");
    let other = Job { input: Input::Files { train: Box::new(data), test: None }, ..own.clone() };
    let refused = RunState::open(&folder, &other, &key).unwrap_err();
    assert!(matches!(&refused, Error::OtherJob { what: "data", .. }), "{refused}");
    let refused = RunState::open(&folder, &own, &SigningKey::generate().unwrap()).unwrap_err();
    assert!(matches!(&refused, Error::OtherJob { what: "key", .. }), "{refused}");
    // Where it is left, and in whose name, decides nothing.
    let other = Job { out: "elsewhere".into(), who: "somebody".into(), ..own.clone() };
    let state = RunState::open(&folder, &other, &key).unwrap();
    assert!(matches!(state.bind_rows(Digest::of(b"others")), Err(Error::OtherJob { .. })));
    state.bind_rows(rows).unwrap();
    assert!(matches!(RunState::open(&folder, &own, &key), Err(Error::State { fault: StateFault::InUse, .. })));
}

#[test]
fn a_changed_state_is_refused() {
    let home = tempfile::tempdir().unwrap();
    let folder = home.path().join("state");
    let key = SigningKey::generate().unwrap();
    let own = job(&folder);
    RunState::open(&folder, &own, &key).unwrap().bind_rows(Digest::of(b"rows")).unwrap();
    let file = folder.join(ROWS);
    let text = fs::read_to_string(&file).unwrap();
    // Another digest in its place, the code left as it was.
    let changed = text.replace(&Digest::of(b"rows").to_string(), &Digest::of(b"others").to_string());
    assert_ne!(changed, text);
    fs::write(&file, changed).unwrap();
    let refused = RunState::open(&folder, &own, &key).unwrap().bind_rows(Digest::of(b"others")).unwrap_err();
    assert!(matches!(refused, Error::State { fault: StateFault::Changed, .. }), "{refused}");
}

#[cfg(unix)]
#[test]
fn the_state_is_its_owners_alone() {
    use std::os::unix::fs::PermissionsExt;

    let home = tempfile::tempdir().unwrap();
    let folder = home.path().join("state");
    let key = SigningKey::generate().unwrap();
    let own = job(&folder);
    drop(RunState::open(&folder, &own, &key).unwrap());
    let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!((mode(&folder), mode(&folder.join(JOB))), (0o700, 0o600));
    fs::set_permissions(&folder, fs::Permissions::from_mode(0o750)).unwrap();
    let refused = RunState::open(&folder, &own, &key).unwrap_err();
    assert!(matches!(refused, Error::State { fault: StateFault::Permissions { mode: 0o750 }, .. }), "{refused}");
    let full = home.path().join("full");
    fs::create_dir(&full).unwrap();
    fs::set_permissions(&full, fs::Permissions::from_mode(0o700)).unwrap();
    fs::write(full.join("letter.txt"), "mine").unwrap();
    let refused = RunState::open(&full, &own, &key).unwrap_err();
    assert!(matches!(refused, Error::State { fault: StateFault::Foreign, .. }), "{refused}");
}

#[test]
fn what_is_not_the_states_own_is_left_where_it_is() {
    let home = tempfile::tempdir().unwrap();
    let folder = home.path().join("state");
    let key = SigningKey::generate().unwrap();
    let state = RunState::open(&folder, &job(&folder), &key).unwrap();
    state.bind_rows(Digest::of(b"rows")).unwrap();
    state.seals(Digest::of(b"evidence")).unwrap();
    for name in ["model.run", "model.run.steps", "baseline.run.new", "rows.json.new", "patients.budget", "notes.new"] {
        fs::write(folder.join(name), "x").unwrap();
    }
    state.clear().unwrap();
    let mut left: Vec<String> =
        folder.read_dir().unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    left.sort();
    assert_eq!(left, ["job.json", "notes.new", "patients.budget", "sealed.json"]);
}
