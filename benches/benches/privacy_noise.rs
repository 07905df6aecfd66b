//! Noise per second: `cargo bench --bench privacy_noise`.

#![allow(missing_docs, reason = "criterion's macros make items without documentation")]

use std::hint::black_box;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use underpin_core::Epsilon;
use underpin_privacy::{DiscreteGaussian, DiscreteLaplace, NoisyMax, ScoreChange, SecretKey, SubsampledGaussian};

const COORDINATES: usize = 1 << 20;

/// The rounded Gaussian as it is released: noise drawn, added, divided and converted; one unit is one coordinate.
fn rounded(c: &mut Criterion) {
    let mut group = c.benchmark_group("noise");
    group.throughput(Throughput::Elements(COORDINATES as u64));
    let mechanism = SubsampledGaussian::new(1e-9, 1.0, 1.0).expect("in range");
    let mut run = mechanism.start(1000, 1 << 40, SecretKey::new([1; 32])).expect("in range");
    let mut sum = vec![0.0_f32; COORDINATES];
    group.bench_function("rounded Gaussian, released", |b| {
        b.iter(|| {
            sum.fill(0.0);
            let batch = run.draw().expect("steps are left");
            run.release(batch, black_box(&mut sum)).expect("an empty batch's sum");
        });
    });
    group.finish();
}

/// One unit is one draw.
fn exact(c: &mut Criterion) {
    let mut group = c.benchmark_group("exact noise");
    group.throughput(Throughput::Elements(1));
    let mut stream = SecretKey::new([2; 32]).stream("bench", &[]);
    let laplace = DiscreteLaplace::new(1000.0).expect("in range");
    group.bench_function("discrete Laplace, scale 1000", |b| b.iter(|| laplace.sample(&mut stream)));
    let gaussian = DiscreteGaussian::new(1000.0).expect("in range");
    group.bench_function("discrete Gaussian, sigma 1000", |b| b.iter(|| gaussian.sample(&mut stream)));
    let noisy_max = NoisyMax::new(ScoreChange::Each(1), Epsilon::new(1.0).expect("positive")).expect("in range");
    let votes = [12, 90, 3, 41, 7, 0, 66, 88, 15, 2];
    group.bench_function("noisy max of 10", |b| b.iter(|| noisy_max.select(&votes, &mut stream)));
    group.finish();
}

criterion_group!(benches, rounded, exact);
criterion_main!(benches);
