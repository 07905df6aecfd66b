//! Runs that are charged to a budget file, and runs that are killed and resumed.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use underpin::seal::SigningKey;
use underpin::{BudgetFile, Error, Job, seal};
use underpin_core::{Delta, Epsilon, Seed};
use underpin_privacy::{Budget, BudgetEvent};

use crate::support::{QUICK, job, key, run};

/// Names the home of a run to the child process.
const HOME: &str = "UNDERPIN_RESUME_TEST_HOME";

/// A quick run with private training: 500 steps or so, and class counts.
fn private(out: &Path) -> Job {
    let config = QUICK.replace("privacy = false", "").replace("epochs = 5", "epochs = 60\nbatch_size = 120");
    Job { config: Some(config), ..job(out) }
}

fn charged(path: &Path) -> Vec<BudgetEvent> {
    let budget = Budget::open_as_made(path, None).unwrap();
    budget.trail().unwrap().map(|entry| entry.unwrap().event).collect()
}

fn begun(events: &[BudgetEvent]) -> usize {
    events.iter().filter(|event| matches!(event, BudgetEvent::Begun { .. })).count()
}

#[test]
fn runs_on_the_same_rows_add_up() {
    let home = tempfile::tempdir().unwrap();
    let key = key();
    let path = home.path().join("digits.budget");
    let with = |seed: u64, name: &str, budget: BudgetFile| Job {
        seed: Seed(seed),
        budget: Some(budget),
        ..private(&home.path().join(name))
    };
    // Two runs of epsilon 8 fit in 17, a third does not.
    let whole = Some((Epsilon::new(17.0).unwrap(), Delta::new(1e-3).unwrap()));
    run(&with(1, "first", BudgetFile { whole, ..BudgetFile::new(&path) }), &key).unwrap();
    let left = Budget::open_as_made(&path, None).unwrap().left();
    assert!((left - 9.0 / 17.0).abs() < 0.01, "{left}");
    run(&with(2, "second", BudgetFile::new(&path)), &key).unwrap();
    let events = charged(&path);
    // Each run's training and class counts; none of the shadow and poisoned models.
    assert_eq!(begun(&events), 4);
    let refused = run(&with(3, "third", BudgetFile::new(&path)), &key).unwrap_err();
    assert!(matches!(&refused, Error::OverBudget { asked: (8.0, _), whole: (17.0, _), .. }), "{refused}");
    let text = refused.to_string();
    assert!(
        text.contains("digits.budget") && text.contains("asks for epsilon = 8 ") && text.contains("left is"),
        "{text}"
    );
    assert_eq!(charged(&path), events, "what is refused costs nothing");
    assert!(!home.path().join("third").exists());

    let other =
        BudgetFile { whole: Some((Epsilon::new(9.0).unwrap(), Delta::new(1e-3).unwrap())), ..BudgetFile::new(&path) };
    assert!(matches!(run(&with(4, "fourth", other), &key), Err(Error::OtherBudget { .. })));
    let public = Job { config: Some(QUICK.to_owned()), ..with(5, "fifth", BudgetFile::new(&path)) };
    assert!(matches!(run(&public, &key), Err(Error::NotPrivate { .. })));
}

#[test]
fn a_budget_of_other_rows_is_refused() {
    let home = tempfile::tempdir().unwrap();
    let path = home.path().join("others.budget");
    let terms = underpin_privacy::BudgetTerms {
        adjacency: underpin_privacy::Adjacency::ZeroOut,
        unit: "one row of patients.csv".into(),
        ..underpin_privacy::BudgetTerms::new(Epsilon::new(100.0).unwrap(), Delta::new(1e-3).unwrap())
    };
    drop(Budget::create(&path, &terms).unwrap());
    let job = Job { budget: Some(BudgetFile::new(&path)), ..private(&home.path().join("run")) };
    let refused = run(&job, &key()).unwrap_err();
    assert!(matches!(&refused, Error::OtherRows { .. }), "{refused}");
    assert!(refused.to_string().contains("one row of patients.csv"), "{refused}");
    assert_eq!(begun(&charged(&path)), 0);
}

/// The job of the child and its key, in a home.
fn kept(home: &Path) -> (Job, SigningKey) {
    let job = Job {
        resume: Some(home.join("state")),
        budget: Some(BudgetFile::new(home.join("digits.budget"))),
        ..private(&home.join("run"))
    };
    (job, SigningKey::load_or_create(&home.join("key.pem")).unwrap())
}

/// Not a test of its own: what the test below starts and kills.
#[test]
fn child() {
    let Some(home) = std::env::var_os(HOME) else { return };
    let (job, key) = kept(Path::new(&home));
    run(&job, &key).unwrap();
}

/// All files of a folder.
fn files(folder: &Path) -> BTreeMap<String, Vec<u8>> {
    let file =
        |entry: std::fs::DirEntry| (entry.file_name().into_string().unwrap(), std::fs::read(entry.path()).unwrap());
    folder.read_dir().unwrap().map(|entry| file(entry.unwrap())).collect()
}

#[test]
fn a_killed_pipeline_ends_as_if_it_had_not_been() {
    let home = tempfile::tempdir().unwrap();
    let (job, key) = kept(home.path());
    let budget = Some(BudgetFile::new(home.path().join("whole.budget")));
    let whole = Job { resume: None, budget, out: home.path().join("whole"), ..job.clone() };
    let started = Instant::now();
    run(&whole, &key).unwrap();
    let time = started.elapsed();

    let child = || {
        Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "budgets_and_resume::child", "--nocapture"])
            .env(HOME, home.path())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap()
    };
    // Random moments, from the random key, the earliest first: else a run may be done before the first of them. The
    // failure names them.
    let mut random = u64::from_le_bytes(*key.secret("moments").first_chunk().unwrap());
    let mut moment = || {
        random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        time.mul_f64((random >> 11) as f64 / (1_u64 << 53) as f64)
    };
    let mut moments: Vec<Duration> = (0..8).map(|_| moment()).collect();
    moments.sort_unstable();
    let mut killed = 0;
    for moment in &moments {
        let mut running = child();
        std::thread::sleep(*moment);
        // SIGKILL.
        running.kill().unwrap();
        killed += usize::from(running.wait().unwrap().code().is_none());
    }
    assert!(child().wait().unwrap().success(), "killed after {moments:?}");
    // The budget has paid for one run: its training and its class counts.
    assert_eq!(begun(&charged(&home.path().join("digits.budget"))), 2, "killed after {moments:?}");
    // Every byte: the clock stands still in this test.
    let (expected, found) = (files(&whole.out), files(&job.out));
    assert_eq!(expected.keys().collect::<Vec<_>>(), found.keys().collect::<Vec<_>>(), "killed after {moments:?}");
    let differ: Vec<&String> = expected.keys().filter(|name| expected[*name] != found[*name]).collect();
    assert!(differ.is_empty(), "{differ:?} differ; killed after {moments:?}");
    assert!(killed > 0, "every run was done before it was killed: {moments:?} of {time:?}");
    // Sealed: no secret is left, and once more gives the same.
    let left: Vec<String> = files(&home.path().join("state")).into_keys().collect();
    assert_eq!(left, ["job.json", "sealed.json"]);
    let again = run(&job, &key).unwrap();
    let verified = seal::inspect(&job.out, &[key.public()]).unwrap();
    assert_eq!(
        (&again.evidence, again.expires_at),
        (verified.evidence(), verified.clearance().map(|it| it.expires_at))
    );
}

#[test]
fn a_new_state_takes_over_no_sealed_run() {
    let home = tempfile::tempdir().unwrap();
    let key = key();
    let first = job(&home.path().join("run"));
    run(&first, &key).unwrap();
    let before = files(&first.out);
    // Same policy, seed, revision and versions; but other settings, and a state that has sealed nothing.
    let other = Job {
        config: Some(format!("{QUICK}\n[serving.quota]\nqueries = 17")),
        resume: Some(home.path().join("state")),
        ..first.clone()
    };
    for _ in 0..2 {
        let refused = run(&other, &key).unwrap_err();
        assert!(matches!(&refused, Error::Seal(seal::Error::Occupied { .. })), "{refused}");
    }
    assert_eq!(files(&first.out), before);
}
