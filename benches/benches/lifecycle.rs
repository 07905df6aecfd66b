//! What the defences cost, each beside what it is compared with, in one run: `cargo bench`.

#![allow(missing_docs, reason = "criterion's macros make items without documentation")]

use std::collections::BTreeMap;
use std::hint::black_box;
use std::time::Duration;

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use underpin::seal::{self, policy};
use underpin::stages::Declared;
use underpin::{DeviceKind, Input, Job, Protection, report, summary};
use underpin_core::{Attack, Delta, Epsilon, Evidence, Examples, Norm, Radius, Record, Sanitizer, Seed, Trainer};
use underpin_data::{
    Contract, ExactDuplicates, FalsePositiveRate, KnnLabels, Limits, NamedBytes, NearDuplicates, Source, Split,
};
use underpin_metrics::evasion::Pgd;
use underpin_privacy::{Adjacency, Event, NoiseSource, SecretKey, SubsampledGaussian, Target};
use underpin_serve::{QueryLedger, Quota};
use underpin_train::{Architecture, Averaging, Clipping, Mechanism, Optimiser, Privacy, Schedule, Settings, Sgd};

const DIGITS: &[u8] = include_bytes!("../../crates/framework/data/digits/digits.csv.gz");

fn digits() -> Examples {
    let job = Job::new(Input::Digits, policy::BASELINE.as_bytes().to_vec(), "never made");
    let job = Job { seed: Seed(1), protection: Protection::Undefended, ..job };
    let sanitized = Declared::read(&job.policy).expect("shipped").collect(&job).expect("shipped rows");
    sanitized.collected().train().examples().clone()
}

/// One epoch of ten steps of 100 rows.
fn settings(architecture: Architecture) -> Settings {
    let optimiser = Optimiser::Sgd { learning_rate: 0.1, momentum: 0.0 };
    Settings {
        architecture,
        epochs: 1,
        batch_size: 100,
        optimiser,
        schedule: Schedule::Constant,
        augmentation: None,
        warm_up: 0.0,
        averaging: Averaging::Last(0.0),
        device: DeviceKind::Flex,
    }
}

fn steps(c: &mut Criterion) {
    let data = digits().select(&(0..1000).collect::<Vec<_>>());
    let (target, delta) = (Epsilon::new(8.0).expect("positive"), Delta::new(1e-4).expect("in range"));
    let privacy = Privacy::flat(target, delta, 1.0, NoiseSource::dangerous_from_seed([1; 32]));
    let pgd = Pgd::new(Norm::Linf, Radius::new(0.1).expect("positive"), 7, 1);
    let mut group = c.benchmark_group("ten steps of 100 digits");
    for (name, architecture) in
        [("mlp", Architecture::Mlp { hidden: vec![64] }), ("cnn", Architecture::Cnn { channels: [8, 16], hidden: 32 })]
    {
        let plain = Sgd::plain(settings(architecture.clone()));
        let private = Sgd { privacy: Some(privacy.clone()), ..plain.clone() };
        let adversarial = Sgd { settings: settings(architecture), privacy: None, adversary: Some(pgd) };
        group.bench_function(BenchmarkId::new("plain", name), |b| b.iter(|| plain.train(&data, Seed(1))));
        group.bench_function(BenchmarkId::new("private", name), |b| b.iter(|| private.train(&data, Seed(1))));
        let adaptive = Clipping::Adaptive { initial: 1.0, quantile: 0.5, rate: 0.2, fraction: 0.05 };
        let others = [
            ("private, clipped per layer", Privacy { clipping: Clipping::PerLayer { norm: 1.0 }, ..privacy.clone() }),
            ("private, adaptive clipping", Privacy { clipping: adaptive, ..privacy.clone() }),
            ("private, correlated noise", Privacy { mechanism: Mechanism::Banded { bands: 10 }, ..privacy.clone() }),
            ("private, 100 canaries", Privacy { canaries: 100, ..privacy.clone() }),
        ];
        for (method, privacy) in others {
            let other = Sgd { privacy: Some(privacy), ..plain.clone() };
            group.bench_function(BenchmarkId::new(method, name), |b| b.iter(|| other.train(&data, Seed(1))));
        }
        group.bench_function(BenchmarkId::new("adversarial", name), |b| b.iter(|| adversarial.train(&data, Seed(1))));
    }
    group.finish();
}

fn privacy(c: &mut Criterion) {
    let mut group = c.benchmark_group("privacy");
    let vectors = include_str!("../../crates/privacy/tests/vectors/subsampled_gaussian.csv");
    // All of the grid in one sample; `cargo xtask readme --privacy` reports median and worst.
    let grid: Vec<(Event, Delta)> = vectors
        .lines()
        .skip(1)
        .map(|line| {
            let numbers: Vec<f64> = line.split(',').take(4).map(|number| number.parse().expect("a number")).collect();
            let step = Event::SubsampledGaussian { sampling_rate: numbers[0], noise_multiplier: numbers[1] };
            #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "whole numbers")]
            let steps = numbers[2] as u64;
            (step.repeated(steps), Delta::new(numbers[3]).expect("in range"))
        })
        .collect();
    group.throughput(Throughput::Elements(grid.len() as u64));
    for adjacency in [Adjacency::AddOrRemove, Adjacency::Replace] {
        for gap in [0.01, 0.001] {
            let name = BenchmarkId::new(format!("epsilons of the vectors, {adjacency}"), format!("gap {gap}"));
            group.bench_function(name, |b| {
                b.iter(|| {
                    for (event, delta) in &grid {
                        black_box(event.epsilon_within(*delta, adjacency, gap)).expect("answers");
                    }
                });
            });
        }
    }
    group.throughput(Throughput::Elements(1));
    let delta = Delta::new(1e-5).expect("in range");
    let target = Target { epsilon: Epsilon::new(3.0).expect("positive"), delta, adjacency: Adjacency::AddOrRemove };
    let run = |noise_multiplier| Event::SubsampledGaussian { sampling_rate: 0.01, noise_multiplier }.repeated(10_000);
    group.bench_function("calibration", |b| b.iter(|| target.noise_multiplier(run)));
    let mechanism = SubsampledGaussian::new(1e-6, 1.0, 1.0).expect("in range");
    let mut sum = vec![0.0_f32; 26_010];
    group.throughput(Throughput::Elements(sum.len() as u64));
    group.bench_function("draw and release, 26,010 parameters", |b| {
        let mut steps = mechanism.start(60_000, 1 << 50, SecretKey::new([1; 32])).expect("starts");
        b.iter(|| {
            sum.fill(0.0);
            let batch = steps.draw().expect("draws");
            steps.release(batch, &mut sum)
        });
    });
    group.finish();
}

fn attack(c: &mut Criterion) {
    let data = digits();
    let model =
        Sgd::plain(settings(Architecture::Mlp { hidden: vec![64] })).train(&data, Seed(1)).expect("trains").value;
    let pgd = Pgd::new(Norm::Linf, Radius::new(0.1).expect("positive"), 20, 1);
    let mut group = c.benchmark_group("attack");
    group.throughput(Throughput::Elements(data.len() as u64));
    group.bench_function("pgd, 20 steps", |b| b.iter(|| pgd.run(&model, &data, Seed(1))));
    group.finish();
}

fn debits(c: &mut Criterion) {
    let folder = tempfile::tempdir().expect("a folder");
    let ledger = QueryLedger::open(&folder.path().join("queries.redb")).expect("opens");
    let quota = Quota { queries: u64::MAX, per_second: None };
    let mut group = c.benchmark_group("ledger debits");
    for clients in [1, 16, 64] {
        group.throughput(Throughput::Elements(clients));
        group.bench_function(BenchmarkId::from_parameter(clients), |b| {
            b.iter(|| {
                std::thread::scope(|scope| {
                    for client in 0..clients {
                        let (ledger, quota) = (&ledger, &quota);
                        scope.spawn(move || ledger.debit(&client.to_string(), 1, quota));
                    }
                });
            });
        });
    }
    group.finish();
}

fn sanitizers(c: &mut Criterion) {
    let source = Source::new("digits.csv.gz");
    let file = NamedBytes { name: "digits.csv.gz", bytes: DIGITS };
    let raw_table = underpin_data::from_bytes(file, None, &source, &Limits::default()).expect("reads");
    let parts = underpin_data::split(raw_table, &Split { test_fraction: 0.4, seed: Seed(1) }).expect("splits");
    let contract = Contract::infer(&parts.test).expect("infers");
    let held_out = underpin_data::admit(parts.test, &contract).expect("admits").value.into_rows();
    let admitted = underpin_data::admit(parts.train.clone(), &contract).expect("admits").value;
    let collection = admitted.hold_out(held_out).expect("fits");
    let rate = FalsePositiveRate::new(0.01).expect("in range");
    let mut group = c.benchmark_group("sanitizers");
    group.throughput(Throughput::Elements(parts.train.rows().len() as u64));
    group.bench_function("contract", |b| b.iter(|| underpin_data::admit(parts.train.clone(), &contract)));
    group.bench_function("exact duplicates", |b| b.iter(|| ExactDuplicates.sanitize(collection.clone())));
    group.bench_function("near duplicates", |b| b.iter(|| NearDuplicates::default().sanitize(collection.clone())));
    let labels = KnnLabels { neighbours: 10, least: 0.6, false_positive_rate: rate };
    group.bench_function("knn labels", |b| b.iter(|| labels.sanitize(collection.clone())));
    group.finish();
}

fn page(c: &mut Criterion) {
    let (policy, digest) = policy::read(policy::BASELINE.as_bytes()).expect("shipped");
    let evidence = Evidence {
        subjects: vec![],
        policy: digest,
        seed: Seed(1),
        revision: String::new(),
        versions: BTreeMap::new(),
        attempt: None,
        measured_at: 0,
        record: Record::default(),
    };
    let verdicts = policy.judge(digest, &evidence);
    let data = summary::DataSummary::default();
    let report = report::Report {
        evidence: &evidence,
        policy: &policy,
        verdicts: &verdicts,
        outcome: report::GateResult::Refused,
        data: &data,
        reconstructions: &[],
    };
    c.bench_function("report", |b| b.iter(|| black_box(report::html(&report))));
    let key = seal::SigningKey::generate().expect("randomness");
    c.bench_function("sign evidence", |b| b.iter(|| seal::sign(&evidence, &[], &key)));
}

criterion_group! {
    name = benches;
    config = Criterion::default().sample_size(10).warm_up_time(Duration::from_millis(500)).measurement_time(Duration::from_secs(2));
    targets = steps, privacy, attack, debits, sanitizers, page
}
criterion_main!(benches);
