//! What a private training step costs beside a plain one, and beside burn's own layers: `cargo bench --bench training`.
//!
//! `cargo xtask readme --speed` writes the table of `crates/train/README.md` from what this leaves behind.

#![allow(missing_docs, reason = "criterion's macros make items without documentation")]

mod memory;
mod nets;
mod step;

use std::time::Duration;

use criterion::measurement::WallTime;
use criterion::{BenchmarkGroup, Criterion, criterion_group};
use mimalloc::MiMalloc;
use underpin_privacy::{SecretKey, SubsampledGaussian};

use self::memory::Peak;
use self::nets::{Cnn, Mlp, Transformer};
use self::step::Run;

/// As `cargo xtask` has it: it keeps the memory of the step before. glibc's hands it back and faults it in anew, page by
/// page, which costs a transformer's private step a quarter more.
#[global_allocator]
static ALLOCATOR: MiMalloc = MiMalloc;

/// Rows of the data set that private steps sample from.
const ROWS: usize = 60_000;

/// Times the steps of one network: burn's own layers, plain, clipped without sampling and noise, and private.
macro_rules! steps {
    ($group:expr, $run:expr) => {{
        let (group, mut run): (&mut BenchmarkGroup<'_, WallTime>, _) = ($group, $run);
        group.bench_function("burn", |b| b.iter(|| run.burn(|model, inputs| model.on_burn(inputs))));
        group.bench_function("plain", |b| b.iter(|| run.plain(|model, inputs, tape| model.on_tape(inputs, tape))));
        group.bench_function("clipped", |b| b.iter(|| run.clipped(|model, inputs, tape| model.on_tape(inputs, tape))));
        group.bench_function("private", |b| b.iter(|| run.private(|model, inputs, tape| model.on_tape(inputs, tape))));
    }};
}

fn steps(c: &mut Criterion) {
    let mut group = c.benchmark_group("cnn");
    steps!(&mut group, Run::new(Cnn::new, [256, 1, 28, 28], 10, ROWS));
    group.finish();
    let mut group = c.benchmark_group("mlp");
    steps!(&mut group, Run::new(|device| Mlp::new(&[784, 256, 128, 10], device), [256, 784], 10, ROWS));
    group.finish();
    let mut group = c.benchmark_group("mlp of 10 million");
    group.sample_size(10);
    steps!(&mut group, Run::new(|device| Mlp::new(&[784, 2816, 2816, 10], device), [256, 784], 10, ROWS));
    group.finish();
    let mut group = c.benchmark_group("transformer");
    group.sample_size(10);
    // All rows in each batch: a sample of 8 would vary too much to be timed.
    steps!(&mut group, Run::new(Transformer::new, [8, 128, 256], 10, 8));
    group.finish();
}

/// Drawing the rows, and noise on as many zeros as the networks have parameters.
fn noise(c: &mut Criterion) {
    let mechanism = SubsampledGaussian::new(256.0 / ROWS as f64, 1.1, 1.0).expect("in range");
    let mut group = c.benchmark_group("noise");
    for (name, parameters) in [("cnn", 26_010), ("mlp", 235_146)] {
        let mut sum = vec![0.0_f32; parameters];
        group.bench_function(name, |b| {
            let mut steps = mechanism.start(ROWS, 1 << 50, SecretKey::new([1; 32])).expect("starts");
            b.iter(|| {
                sum.fill(0.0);
                let batch = steps.draw().expect("draws");
                steps.release(batch, &mut sum)
            });
        });
    }
    group.finish();
}

/// The most memory that a process holds at once, beyond what it held before its first step; bytes.
fn peaks(c: &mut Criterion<Peak>) {
    let mut group = c.benchmark_group("memory");
    for way in ["plain", "private"] {
        group.bench_function(way, |b| b.iter_custom(|times| memory::of_a_child(way) * times as f64));
    }
    group.finish();
}

fn fast() -> Criterion {
    Criterion::default()
        .warm_up_time(Duration::from_millis(500))
        .measurement_time(Duration::from_secs(3))
        .sample_size(30)
}

criterion_group! { name = times; config = fast(); targets = steps, noise }
criterion_group! {
    name = memories;
    config = Criterion::default().with_measurement(Peak).sample_size(10).warm_up_time(Duration::from_millis(1));
    targets = peaks
}

fn main() {
    if let Some(way) = memory::way_of_this_child() {
        let mut run = Run::new(Cnn::new, [256, 1, 28, 28], 10, ROWS);
        return memory::report(|| match way.as_str() {
            "plain" => run.plain(Cnn::on_tape),
            _ => run.private(Cnn::on_tape),
        });
    }
    times();
    memories();
    Criterion::default().configure_from_args().final_summary();
}
