//! What every guard owes, one row per guard.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

use std::num::{NonZeroU32, NonZeroUsize};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::SeqCst};
use std::time::Duration;

use underpin_core::{Denied, Disclosure, Inputs, Outputs, Predict, Shape, Sketch};
use underpin_privacy::SecretKey;
use underpin_serve::{
    ClearanceCheck, Clock, OutputPerturbation, Perturb, QueryLedger, QueryLimit, Quota, Rate, Recorder, Revocable,
    Scale, read_sketch,
};

const CLASSES: usize = 3;

/// Counts the rows it is asked; denies a row that holds 0.13.
#[derive(Default)]
struct Counting(AtomicU64);

impl Predict for Counting {
    fn predict(&self, inputs: &Inputs) -> Result<Outputs, Denied> {
        Denied::unless_valid(inputs, &Shape::new([2]).unwrap())?;
        if inputs.values().contains(&0.13) {
            return Err(Denied::Unavailable { reason: "unlucky".into() });
        }
        self.0.fetch_add(inputs.len() as u64, SeqCst);
        Ok(Outputs::new(CLASSES, [0.2, 0.5, 0.3].repeat(inputs.len()), Disclosure::Scores).unwrap())
    }
}

struct Always;

impl ClearanceCheck for Always {
    fn check(&self) -> Result<(), Denied> {
        Ok(())
    }
}

fn inputs(rows: &[[f32; 2]]) -> Inputs {
    Inputs::new(Shape::new([2]).unwrap(), rows.as_flattened().to_vec()).unwrap()
}

fn quota(queries: u64) -> Quota {
    Quota { queries, per_second: None }
}

/// Runs `check` on every guard around a model of its own.
fn each_guard(check: impl Fn(&str, &(dyn Predict + Sync), &Counting)) {
    let folder = tempfile::tempdir().unwrap();
    let ledger = Arc::new(QueryLedger::open(&folder.path().join("queries.redb")).unwrap());
    let model = Counting::default();
    let limit = QueryLimit::new(&model, ledger, quota(u64::MAX), Clock::monotonic());
    check("QueryLimit", &limit.client("alice"), &model);

    let model = Counting::default();
    check("Revocable", &Revocable { inner: &model, clearance: Always }, &model);

    let model = Counting::default();
    check("Recorder", &Recorder::new(&model, Sketch::new(2, CLASSES)), &model);

    let scale = Scale::new(0.1).unwrap();
    for perturb in [
        Perturb::None,
        Perturb::Round { decimals: 1 },
        Perturb::TopK { k: NonZeroUsize::MIN },
        Perturb::Label,
        Perturb::Laplace { scale },
        Perturb::Gaussian { sigma: scale },
    ] {
        let model = Counting::default();
        let guarded = OutputPerturbation::new(&model, perturb, SecretKey::new([1; 32]));
        check(&format!("OutputPerturbation, {perturb}"), &guarded, &model);
    }
}

#[test]
fn as_many_answers_as_questions() {
    each_guard(|name, guarded, _| {
        for rows in [0, 1, 5] {
            let answer = guarded.predict(&inputs(&vec![[0.1, 0.9]; rows])).unwrap();
            assert_eq!((answer.len(), answer.classes()), (rows, CLASSES), "{name}");
            assert!(answer.scores().iter().all(|score| (0.0..=1.0).contains(score)), "{name}");
        }
    });
}

#[test]
fn denials_pass_through_unchanged() {
    each_guard(|name, guarded, model| {
        let denied = guarded.predict(&inputs(&[[0.1, 0.2], [0.13, 0.0]]));
        assert_eq!(denied, Err(Denied::Unavailable { reason: "unlucky".into() }), "{name}");
        let narrow = Inputs::new(Shape::new([1]).unwrap(), vec![0.5]).unwrap();
        assert!(matches!(guarded.predict(&narrow), Err(Denied::Shape { .. })), "{name}");
        assert!(matches!(guarded.predict(&inputs(&[[f32::NAN, 0.0]])), Err(Denied::NotFinite { .. })), "{name}");
        assert_eq!(model.0.load(SeqCst), 0, "{name}");
    });
}

#[test]
fn each_question_is_asked_once_under_threads() {
    each_guard(|name, guarded, model| {
        std::thread::scope(|scope| {
            for _ in 0..8 {
                scope.spawn(|| (0..20).for_each(|_| drop(guarded.predict(&inputs(&[[0.1, 0.2]; 3])).unwrap())));
            }
        });
        assert_eq!(model.0.load(SeqCst), 8 * 20 * 3, "{name}");
    });
}

#[test]
fn threads_and_restarts_together_get_exactly_the_quota() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("queries.redb");
    let model = Counting::default();
    let mut acknowledged = 0;
    for _ in 0..3 {
        let ledger = Arc::new(QueryLedger::open(&path).unwrap());
        let limit = QueryLimit::new(&model, ledger, quota(500), Clock::monotonic());
        acknowledged += std::thread::scope(|scope| {
            let ask = || (0..60).filter(|_| limit.client("alice").predict(&inputs(&[[0.1, 0.2]])).is_ok()).count();
            let running: Vec<_> = (0..4).map(|_| scope.spawn(ask)).collect();
            running.into_iter().map(|thread| thread.join().unwrap()).sum::<usize>()
        });
        // 240 more are asked for in each round, 720 in all.
        assert_eq!(limit.used("alice").unwrap(), acknowledged as u64);
        assert_eq!(limit.used("bob").unwrap(), 0);
    }
    assert_eq!((acknowledged, model.0.load(SeqCst)), (500, 500));
}

#[test]
fn a_request_too_large_debits_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let ledger = Arc::new(QueryLedger::open(&folder.path().join("queries.redb")).unwrap());
    let model = Counting::default();
    let limit = QueryLimit::new(&model, ledger, quota(3), Clock::monotonic());
    let denied = limit.client("alice").predict(&inputs(&[[0.1, 0.2]; 4]));
    assert_eq!(denied, Err(Denied::QuotaExhausted { used: 0, limit: 3, asked: 4 }));
    assert_eq!((limit.used("alice").unwrap(), model.0.load(SeqCst)), (0, 0));
    assert!(limit.client("alice").predict(&inputs(&[[0.1, 0.2]; 3])).is_ok());
}

#[test]
fn a_hasty_client_waits_and_pays_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let ledger = Arc::new(QueryLedger::open(&folder.path().join("queries.redb")).unwrap());
    let millis = Arc::new(AtomicU64::new(0));
    let clock = Clock::new({
        let millis = Arc::clone(&millis);
        move || Duration::from_millis(millis.load(SeqCst))
    });
    let rate = Rate { rate: NonZeroU32::new(2).unwrap(), burst: NonZeroU32::new(4).unwrap() };
    let limit = QueryLimit::new(Counting::default(), ledger, Quota { queries: 9, per_second: Some(rate) }, clock);
    let ask = |name, rows| limit.client(name).predict(&inputs(&vec![[0.1, 0.2]; rows])).map(|answer| answer.len());
    assert_eq!(ask("alice", 4), Ok(4));
    assert_eq!(ask("alice", 1), Err(Denied::RateLimited { retry_after_ms: 500 }));
    assert_eq!(ask("bob", 4), Ok(4), "each client has a bucket of its own");
    assert_eq!(limit.used("alice").unwrap(), 4);
    millis.store(500, SeqCst);
    assert_eq!(ask("alice", 1), Ok(1));
    assert_eq!(ask("alice", 5), Err(Denied::RateLimited { retry_after_ms: u64::MAX }), "more than the bucket holds");
    millis.store(10_000, SeqCst);
    assert_eq!(ask("alice", 4), Ok(4));
    millis.store(20_000, SeqCst);
    // Nothing is left; being denied that does not empty the bucket.
    for _ in 0..9 {
        assert_eq!(ask("alice", 1), Err(Denied::QuotaExhausted { used: 9, limit: 9, asked: 1 }));
    }
}

#[test]
fn nothing_is_asked_once_the_clearance_is_lost() {
    struct Switch(AtomicBool);
    impl ClearanceCheck for Switch {
        fn check(&self) -> Result<(), Denied> {
            if self.0.load(SeqCst) { Err(Denied::Revoked { reason: "drift".into() }) } else { Ok(()) }
        }
    }
    let (model, switch) = (Counting::default(), Switch(AtomicBool::new(false)));
    let guarded = Revocable { inner: &model, clearance: &switch };
    assert!(guarded.predict(&inputs(&[[0.1, 0.2]])).is_ok());
    switch.0.store(true, SeqCst);
    for _ in 0..3 {
        let denied = guarded.predict(&inputs(&[[0.1, 0.2]]));
        assert_eq!(denied, Err(Denied::Revoked { reason: "drift".into() }));
    }
    assert_eq!(model.0.load(SeqCst), 1);
}

#[test]
fn the_recorder_counts_what_was_answered_and_goes_on_after_a_restart() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("sketch.json");
    assert!(read_sketch(&path).unwrap().is_none());
    let recorder = Recorder::new(Counting::default(), Sketch::new(2, CLASSES));
    recorder.predict(&inputs(&[[0.1, 0.2], [0.3, 0.4]])).unwrap();
    recorder.predict(&inputs(&[[0.13, 0.2]])).unwrap_err();
    recorder.save(&path).unwrap();
    let recorder = Recorder::new(Counting::default(), read_sketch(&path).unwrap().unwrap());
    recorder.predict(&inputs(&[[0.1, 0.2]])).unwrap();
    recorder.save(&path).unwrap();
    let sketch = read_sketch(&path).unwrap().unwrap();
    assert_eq!(sketch, recorder.sketch());
    assert_eq!((sketch.count, sketch.answers), (3, vec![0, 3, 0]));
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1, "no draft is left behind");

    std::fs::write(&path, "{").unwrap();
    assert!(matches!(read_sketch(&path), Err(underpin_serve::Error::Format { .. })));
    let nowhere = folder.path().join("no/such/folder");
    assert!(matches!(recorder.save(&nowhere), Err(underpin_serve::Error::File { .. })));
}
