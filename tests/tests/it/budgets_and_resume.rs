//! Runs that are charged to a budget file, and runs that are killed and resumed.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use underpin::seal::SigningKey;
use underpin::{BudgetFile, Error, Job, seal};
use underpin_core::{Delta, Epsilon, Seed};
use underpin_privacy::{Budget, BudgetEvent};
use underpin_serve::OwnerState;

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

/// The job of the child and its key, in a home. The budget is named from within the home, so that states can be moved.
fn kept(home: &Path) -> (Job, SigningKey) {
    let job = Job {
        resume: Some(home.join("state")),
        budget: Some(BudgetFile::new("digits.budget")),
        state: Some(OwnerState::open(&home.join("owner")).unwrap()),
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

/// A process that runs the job of a home.
fn running(home: &Path) -> std::process::Child {
    Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "budgets_and_resume::child", "--nocapture"])
        .current_dir(home)
        .env(HOME, home)
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap()
}

/// All files of a folder.
fn files(folder: &Path) -> BTreeMap<String, Vec<u8>> {
    let file =
        |entry: std::fs::DirEntry| (entry.file_name().into_string().unwrap(), std::fs::read(entry.path()).unwrap());
    folder.read_dir().unwrap().map(|entry| file(entry.unwrap())).collect()
}

/// A home with the key, the job and the fresh bytes of the run in another, and nothing that it has done with them.
fn with_the_noise_of(home: &Path) -> tempfile::TempDir {
    let other = tempfile::tempdir().unwrap();
    let state = other.path().join("state");
    underpin_privacy::durable::owned_folder(&state).unwrap();
    for file in ["key.pem", "state/job.json", "state/noise.fresh"] {
        std::fs::copy(home.join(file), other.path().join(file)).unwrap();
    }
    other
}

/// Two runs draw the same noise only where they have the same fresh bytes: those of the run that is killed are given to
/// another, which is not.
#[test]
fn a_killed_pipeline_ends_as_if_it_had_not_been() {
    let home = tempfile::tempdir().unwrap();
    let (job, key) = kept(home.path());
    let mut first = running(home.path());
    while !home.path().join("state/noise.fresh").exists() {
        assert!(first.try_wait().unwrap().is_none(), "it ended before it drew fresh bytes");
        std::thread::sleep(Duration::from_millis(1));
    }
    first.kill().unwrap();
    first.wait().unwrap();
    let other = with_the_noise_of(home.path());
    let whole = kept(other.path()).0;
    let started = Instant::now();
    assert!(running(other.path()).wait().unwrap().success());
    let time = started.elapsed();

    let child = || running(home.path());
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
    // However often it was taken up, it was one attempt.
    let attempt = seal::inspect(&job.out, &[key.public()]).unwrap().evidence().attempt.unwrap();
    assert_eq!((attempt.number, attempt.unfinished), (1, 0), "killed after {moments:?}");
    // Every byte: the clock stands still in this test.
    let (expected, found) = (files(&whole.out), files(&job.out));
    assert_eq!(expected.keys().collect::<Vec<_>>(), found.keys().collect::<Vec<_>>(), "killed after {moments:?}");
    let differ: Vec<&String> = expected.keys().filter(|name| expected[*name] != found[*name]).collect();
    assert!(differ.is_empty(), "{differ:?} differ; killed after {moments:?}");
    assert!(killed > 0, "every run was done before it was killed: {moments:?} of {time:?}");
    // Sealed: no secret is left, the fresh bytes neither, and once more gives the same.
    let left: Vec<String> = files(&home.path().join("state")).into_keys().collect();
    assert_eq!(left, ["job.json", "sealed.json"]);
    let again = run(&job, &key).unwrap();
    let verified = seal::inspect(&job.out, &[key.public()]).unwrap();
    assert_eq!(
        (&again.evidence, again.expires_at),
        (verified.evidence(), verified.clearance().map(|it| it.expires_at))
    );
}

/// The weights of a run's model, those of a linear one.
fn weights(run: &Path) -> Vec<f64> {
    let bytes = std::fs::read(run.join(seal::files::MODEL)).unwrap();
    let model = underpin_train::Classifier::from_safetensors(&bytes, underpin::DeviceKind::Flex).unwrap();
    let header = usize::try_from(u64::from_le_bytes(*bytes.first_chunk().unwrap())).unwrap() + 8;
    let values: Vec<f64> =
        bytes[header..].as_chunks().0.iter().map(|value| f64::from(f32::from_le_bytes(*value))).collect();
    assert_eq!(values.len(), model.parameters());
    values
}

/// Runs of the same rows, settings, seed and key that differ in nothing, in the adversary, or in the version.
///
/// After one step of plain descent at rate 1 the weights are those of all runs at the start, less an average of gradients
/// and a draw of noise. With the same noise two runs of the same batch agree. With independent noise the mean square of
/// the differences of 650 weights is that of two draws, or more where the batches differ: below 0.7 times that with a
/// probability under 1e-6 (Laurent and Massart 2000, lemma 1).
#[test]
fn runs_that_differ_in_nothing_draw_independent_noise() {
    let home = tempfile::tempdir().unwrap();
    let key = key();
    let config = QUICK.replace("privacy = false", "").replace("adversary = false", "").replace(
        "epochs = 5",
        "architecture = 'linear'\nepochs = 1\nbatch_size = 300\naveraging = { last = 0.0 }\n\
         optimiser = { sgd = { learning_rate = 1.0, momentum = 0.0 } }",
    );
    let with = |name: &str, adversary: &str| Job {
        config: Some(format!("{adversary}\n{config}")),
        ..job(&home.path().join(name))
    };
    let none = "adversary = false";
    let newer = [("burn".to_owned(), "9.9".to_owned())].into();
    let jobs = [
        with("first", none),
        with("again", none),
        with("adversary 0.1", "adversary.radius = 0.1"),
        with("adversary 0.0999", "adversary.radius = 0.0999"),
        Job { versions: newer, ..with("another version", none) },
        Job { revision: "newer".into(), ..with("another revision", none) },
    ];
    let mut runs = Vec::new();
    for job in &jobs {
        let record = run(job, &key).unwrap().evidence.record;
        let number = |name: &str| match record.parameters[name] {
            underpin_core::Value::Number(number) => number,
            ref other => panic!("{name}: {other:?}"),
        };
        let deviation = number("training.noise_multiplier") * number("training.clipping_norm") / 300.0;
        let counts: Vec<_> =
            (0..10).map(|class| record.parameters[&format!("training.rows.{class}")].clone()).collect();
        runs.push((weights(&job.out), deviation, counts));
    }
    for (at, (one, deviation, counts)) in runs.iter().enumerate() {
        for (before, (other, _, others)) in runs[..at].iter().enumerate() {
            let squares: f64 = one.iter().zip(other).map(|(one, other)| (one - other).powi(2)).sum();
            let ratio = squares / one.len() as f64 / (2.0 * deviation * deviation);
            assert!(ratio > 0.7, "runs {before} and {at}: {ratio}");
            // Ten draws of scale 10 agree with a probability below 1e-12.
            assert_ne!(counts, others, "runs {before} and {at}: class counts");
        }
    }
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
