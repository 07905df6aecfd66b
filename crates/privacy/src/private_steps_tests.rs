//! The numbered guarantees of [`PrivateSteps`].

use rand::SeedableRng;

use super::*;

fn run(rate: f64, noise: f64, rows: usize, key: u8) -> PrivateSteps {
    SubsampledGaussian::new(rate, noise, 1.0).unwrap().start(rows, 1 << 40, SecretKey::new([key; 32])).unwrap()
}

#[test]
fn a_drawn_batch_is_counted() {
    let mut run = run(0.5, 1.0, 8, 1);
    let delta = Delta::new(1e-5).unwrap();
    assert_eq!(run.epsilon(delta).unwrap().upper, 0.0);
    drop(run.draw().unwrap());
    assert_eq!(run.steps(), 1);
    let one = run.epsilon(delta).unwrap().upper;
    assert!(one > 0.0);
    let batch = run.draw().unwrap();
    assert!(run.release(batch, &mut [f32::NAN]).is_err());
    assert_eq!(run.steps(), 2);
    assert!(run.epsilon(delta).unwrap().upper > one);
}

#[test]
fn no_step_past_the_last() {
    let mechanism = SubsampledGaussian::new(0.5, 1.0, 1.0).unwrap();
    let mut run = mechanism.start(4, 2, SecretKey::new([1; 32])).unwrap();
    assert!(run.draw().is_ok() && run.draw().is_ok());
    assert_eq!(run.draw().unwrap_err(), Error::StepsExhausted { max_steps: 2 });
    assert_eq!(run.steps(), 2);
    assert!(mechanism.start(0, 2, SecretKey::new([1; 32])).is_err());
    assert!(mechanism.start(4, 0, SecretKey::new([1; 32])).is_err());
    assert!(mechanism.start(1 << 40, 2, SecretKey::new([1; 32])).is_err());
}

#[test]
fn foreign_batches_are_refused() {
    let (mut one, mut other) = (run(0.5, 1.0, 8, 1), run(0.5, 1.0, 8, 2));
    let batch = one.draw().unwrap();
    assert_eq!(other.release(batch, &mut [0.0]).unwrap_err(), Error::ForeignBatch);
}

#[test]
fn a_run_taken_up_again_goes_on_as_it_would_have() {
    let delta = Delta::new(1e-5).unwrap();
    let step = |run: &mut PrivateSteps| {
        let batch = run.draw().unwrap();
        let (rows, mut sum) = (batch.indices().to_vec(), [0.0; 3]);
        run.release(batch, &mut sum).unwrap();
        (rows, sum)
    };
    let mut whole = run(0.5, 1.0, 16, 3);
    step(&mut whole);
    let progress = whole.progress();
    let expected = [step(&mut whole), step(&mut whole)];
    let mut again = run(0.5, 1.0, 16, 3).resume(progress).unwrap();
    assert_eq!(again.epsilon(delta).unwrap(), run_of(1).epsilon(delta).unwrap());
    assert_eq!([step(&mut again), step(&mut again)], expected);
    assert_eq!(again.epsilon(delta).unwrap(), whole.epsilon(delta).unwrap());
    assert_eq!(again.progress(), whole.progress());
    assert_eq!(run(0.5, 1.0, 16, 4).resume(progress).unwrap_err(), Error::ForeignRun);
    assert_eq!(again.resume(progress).unwrap_err(), Error::ForeignRun);
    let short = SubsampledGaussian::new(0.5, 1.0, 1.0).unwrap().start(16, 2, SecretKey::new([3; 32])).unwrap();
    assert_eq!(short.resume(whole.progress()).unwrap_err(), Error::StepsExhausted { max_steps: 2 });
}

/// A run of which so many steps are drawn and released.
fn run_of(steps: u64) -> PrivateSteps {
    let mut run = run(0.5, 1.0, 16, 3);
    for _ in 0..steps {
        let batch = run.draw().unwrap();
        run.release(batch, &mut [0.0; 3]).unwrap();
    }
    run
}

#[test]
fn a_seal_is_of_one_sum_and_step() {
    let mut run = run(0.5, 1.0, 8, 1);
    let (one, two) = (run.draw().unwrap(), run.draw().unwrap());
    assert_eq!(run.seal(&one, &[1.0, 2.0]), run.seal(&one, &[1.0, 2.0]));
    assert_ne!(run.seal(&one, &[1.0, 2.0]), run.seal(&one, &[1.0, 2.0f32.next_up()]));
    assert_ne!(run.seal(&one, &[1.0, 2.0]), run.seal(&two, &[1.0, 2.0]));
}

#[test]
fn what_was_not_clipped_is_refused() {
    let mut run = run(1.0, 1.0, 3, 1);
    let mut refused = |sum: &mut [f32]| {
        let batch = run.draw().unwrap();
        let before = sum.to_vec();
        let error = run.release(batch, sum).unwrap_err();
        assert!(sum.iter().zip(&before).all(|(a, b)| a.to_bits() == b.to_bits()), "the sum is left as it was");
        error
    };
    assert!(matches!(refused(&mut [0.0, f32::NAN]), Error::NotFinite { position: 1, .. }));
    assert!(matches!(refused(&mut [f32::INFINITY]), Error::NotFinite { position: 0, .. }));
    assert!(matches!(refused(&mut [2.0, -2.5]), Error::NotClipped { rows: 3, .. }));
    let batch = run.draw().unwrap();
    assert!(run.release(batch, &mut [-3.0]).is_ok());
}

/// What is added has the vector's direction and never a norm past the clipping norm, worked out here in integers: for
/// powers of two all products are exact.
#[test]
fn average_clips_each_row() {
    for (vector, clipping_norm, kept) in [
        (vec![3.0f32, -4.0], 1.0, [0.6, -0.8]),
        (vec![3.0, -4.0], 5.1, [3.0, -4.0]),
        (vec![f32::MAX, 0.0], 1e-12, [1e-12, 0.0]),
        (vec![0.0, 0.0], 1.0, [0.0, 0.0]),
        (vec![1e-45, 0.0], 1e-12, [f64::from(1e-45f32), 0.0]),
    ] {
        let mut sum = vec![0.0; 2];
        add_clipped(&mut sum, &vector, clipping_norm).unwrap();
        for (found, expected) in sum.iter().zip(kept) {
            assert!((found - expected).abs() <= 1e-14 * clipping_norm, "{vector:?} {sum:?}");
        }
    }
    let mut state = 1u32;
    for length in [1usize, 3, 100, 10_000] {
        let vector: Vec<f32> = (0..length)
            .map(|_| {
                state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                (f64::from(state) / exp2(31) - 1.0) as f32
            })
            .collect();
        let mut sum = vec![0.0; length];
        add_clipped(&mut sum, &vector, 0.1).unwrap();
        // Squares as integers in units of 2^-116, each rounded up: the norm is not above 0.1 = 0x1.99...p-4.
        let squares: u128 =
            sum.iter().map(|value| (value.abs() * exp2(58)).ceil() as u128).map(|value| value * value).sum();
        let bound = (0.1 * exp2(58)) as u128;
        assert!(squares <= bound * bound, "{length}");
        assert!(squares as f64 >= (bound * bound) as f64 * (1.0 - 1e-10), "{length}: nothing is clipped twice");
    }
    let mut sum = vec![0.0; 2];
    assert_eq!(add_clipped(&mut sum, &[1.0], 1.0), Err(Error::WrongLength { found: 1, expected: 2 }));
    assert!(matches!(add_clipped(&mut sum, &[0.0, f32::NAN], 1.0), Err(Error::NotFinite { position: 1, .. })));
    assert_eq!(sum, [0.0, 0.0]);

    // The same run by either way: the same noise on the same sum.
    let vectors = [[0.5f32, 0.25], [-0.125, 0.5], [0.0, 0.0]];
    let (mut one, mut other) = (run(1.0, 1.0, 3, 7), run(1.0, 1.0, 3, 7));
    let (batch, same) = (one.draw().unwrap(), other.draw().unwrap());
    let mut by_hand = [0.375, 0.75];
    other.release(same, &mut by_hand).unwrap();
    assert_eq!(one.average(batch, 2, |row| vectors[row]).unwrap(), by_hand);
}

#[test]
fn an_empty_batch_gives_noise() {
    let mut run = run(1e-9, 1.0, 10, 1);
    let batch = run.draw().unwrap();
    assert!(batch.indices().is_empty());
    let mut sum = [0.0f32; 64];
    run.release(batch, &mut sum).unwrap();
    assert!(sum.iter().all(|value| value.is_finite() && *value != 0.0));
}

/// Each row's count over the steps against its binomial law: six standard deviations, false alarms below 1e-6 for
/// 200 rows; and the batch size's mean and variance likewise.
#[test]
fn rows_are_drawn_independently_at_the_rate() {
    let (rows, steps, rate) = (200, 5_000, 0.07);
    let mut drawn = run(rate, 1.0, rows, 9);
    let mut counts = vec![0u64; rows];
    let mut sizes = Vec::new();
    for _ in 0..steps {
        let batch = drawn.draw().unwrap();
        assert!(batch.indices().is_sorted_by(|a, b| a < b));
        batch.indices().iter().for_each(|row| counts[*row] += 1);
        sizes.push(batch.indices().len() as f64);
    }
    let deviation = (f64::from(steps) * rate * (1.0 - rate)).sqrt();
    for count in counts {
        assert!((count as f64 - f64::from(steps) * rate).abs() < 6.0 * deviation, "{count}");
    }
    let (mean, variance) = (rows as f64 * rate, rows as f64 * rate * (1.0 - rate));
    let found = sizes.iter().map(|size| (size - mean).powi(2)).sum::<f64>() / f64::from(steps);
    // A near-normal square deviates by sqrt(2/n).
    assert!((found / variance - 1.0).abs() < 5.5 * (2.1 / f64::from(steps)).sqrt(), "{found} {variance}");
    let mut all = run(1.0, 1.0, 5, 1);
    assert_eq!(all.draw().unwrap().indices(), [0, 1, 2, 3, 4]);
}

/// Looking at many rows at once draws those that one look at each would: also where rows end within what is looked at, and
/// at rates that draw hardly any row or all.
#[test]
fn rows_drawn_are_those_below_the_threshold() {
    for (rate, rows) in
        [(1e-6, 5_000), (0.004, 5_003), (0.5, 1_000), (1.0, 777), (1.0 - 1e-9, 300), (exp2(4).recip(), 31)]
    {
        let mut drawn = run(rate, 1.0, rows, 3);
        for step in 1..=20_u64 {
            let key = SecretKey::new([3; 32]);
            let [mut words, mut more] = ["sample", "more sample"].map(|name| key.stream(name, &[&step.to_le_bytes()]));
            let threshold = (rate * exp2(64)) as u128;
            let below = |_: &usize| {
                let word = u128::from(words.0.next_u32());
                let rest = if word == threshold >> 32 { more.0.next_u32() } else { 0 };
                word << 32 | u128::from(rest) < threshold
            };
            let expected: Vec<usize> = (0..rows).filter(below).collect();
            assert_eq!(drawn.draw().unwrap().indices(), expected, "{rate} {rows}");
        }
    }
}

/// Standard deviation of the released noise within six of its own: false alarms below 1e-8.
#[test]
fn noise_has_the_accounted_spread() {
    let mechanism = SubsampledGaussian::new(0.25, 1.7, 3.0).unwrap();
    let mut run = mechanism.start(40, 1, SecretKey::new([4; 32])).unwrap();
    let batch = run.draw().unwrap();
    let mut sum = vec![0.0f32; 100_000];
    run.release(batch, &mut sum).unwrap();
    let spread = (sum.iter().map(|value| f64::from(*value).powi(2)).sum::<f64>() / 1e5).sqrt();
    let expected = 1.7 * 3.0 * (1.0 + SUM_ERROR) / 10.0;
    assert!((spread / expected - 1.0).abs() < 6.0 / (2e5f64).sqrt(), "{spread} {expected}");
}

/// Kolmogorov and Smirnov on what is released, at small, middle and large noise: false alarms below 2e-7 each.
#[test]
fn released_noise_is_gaussian_at_every_size() {
    let coordinates = 200_000u32;
    for noise in [0.05, 1.0, 40.0, 9_000.0] {
        for clipping_norm in [1e-6, 1.0] {
            let mechanism = SubsampledGaussian::new(0.5, noise, clipping_norm).unwrap();
            let mut run = mechanism.start(20, 1, SecretKey::new([6; 32])).unwrap();
            let batch = run.draw().unwrap();
            let mut sum = vec![0.0f32; coordinates as usize];
            run.release(batch, &mut sum).unwrap();
            let sigma = grid(&mechanism, sum.len()).unwrap() * exp2(SIGMA_BITS) / 10.0;
            assert!(sigma * 10.0 >= noise * clipping_norm);
            sum.sort_by(f32::total_cmp);
            let n = f64::from(coordinates);
            let off = |(at, value): (usize, &f32)| {
                let below = 0.5 * libm::erfc(-f64::from(*value) / sigma / std::f64::consts::SQRT_2);
                (below - at as f64 / n).abs().max((below - (at + 1) as f64 / n).abs())
            };
            let furthest = sum.iter().enumerate().map(off).fold(0.0, f64::max);
            assert!(furthest < (1e7f64.ln() / (2.0 * n)).sqrt() + 1e-6, "{noise} {clipping_norm}: {furthest}");
        }
    }
}

#[test]
fn the_same_key_gives_the_same_run() {
    let released = |key| {
        let mut run = run(0.5, 1.0, 16, key);
        let batch = run.draw().unwrap();
        let indices = batch.indices().to_vec();
        let mut sum = [0.0; 4];
        run.release(batch, &mut sum).unwrap();
        (indices, sum)
    };
    assert_eq!(released(1), released(1));
    assert_ne!(released(1).1, released(2).1);
}

/// The noise multiplier relative to the largest distance of neighbouring integer sums is never below the accounted one.
#[test]
fn the_grid_covers_the_sensitivity() {
    for noise in [0.05, 0.7, 1.0, 4.0, 300.0] {
        for clipping_norm in [1e-9, 0.1, 1.0, 7e5] {
            for coordinates in [1usize, 26_010, 1_000_000] {
                let mechanism = SubsampledGaussian::new(0.01, noise, clipping_norm).unwrap();
                let grid = grid(&mechanism, coordinates).unwrap();
                let distance = (1.0 + SUM_ERROR) * clipping_norm / grid + ROUNDING * (coordinates as f64).sqrt();
                assert!(exp2(SIGMA_BITS) / distance >= noise, "{noise} {clipping_norm} {coordinates}");
                assert!(exp2(SIGMA_BITS) / distance <= noise * (1.0 + 1e-9));
            }
        }
    }
    assert!(grid(&SubsampledGaussian::new(0.01, 1e6, 1.0).unwrap(), 1_000_000).is_err());
}

#[test]
fn a_spent_noise_fraction_bounds_nothing() {
    let mut run = run(0.01, 1.0, 1000, 1);
    run.steps = 10;
    let delta = Delta::new(1e-9).unwrap();
    run.released = 1 << 50;
    assert!(run.epsilon(delta).unwrap().upper.is_finite());
    run.released = 1 << 63;
    assert!(run.epsilon(delta).unwrap().upper.is_infinite());
}

/// Mironov 2012: noise drawn in double precision and added to a double reveals which of two answers it was added to,
/// since some sums are reachable from one answer only. On the integer grid every sum is reachable from both.
#[test]
fn low_bits_tell_nothing() {
    // Naive: Box-Muller in double precision with 2^53 equidistant uniforms, added to 0 or to 1.
    let mut rng = rand_chacha::ChaCha20Rng::from_seed([2; 32]);
    let mut gaussian = || {
        let mut uniform = || (rng.next_u64() >> 11) as f64 / exp2(53) + f64::EPSILON / 4.0;
        let (u, v) = (uniform(), uniform());
        (-2.0 * u.ln()).sqrt() * (std::f64::consts::TAU * v).cos()
    };
    // Small noise on the answer 0 has bits below 2^-52; on the answer 1, of magnitude near 1, it cannot.
    let fine = |value: f64| (value * exp2(52)).fract() != 0.0;
    let draws = 20_000;
    let at_0 = (0..draws).filter(|_| fine(0.0 + gaussian())).count();
    let at_1 =
        (0..draws).map(|_| 1.0 + gaussian()).filter(|value| (0.5..2.0).contains(value) && fine(*value * 2.0)).count();
    assert!(at_0 > draws / 4 && at_1 == 0, "one look separates the naive answers: {at_0} {at_1}");

    // Ours: what is released is a fixed function of an integer, whichever sum it came from. Near zero single precision
    // is finer than the grid, so a value off the grid would show.
    let mechanism = SubsampledGaussian::new(1.0, 1.0, 1.0).unwrap();
    let scale = grid(&mechanism, draws).unwrap();
    let mut low = [[0.0; 64]; 2];
    for (answer, low) in [0.0f32, 1.0 / 257.0].into_iter().zip(&mut low) {
        let key = if answer == 0.0 { 2 } else { 3 };
        let mut run = mechanism.start(1, 1, SecretKey::new([key; 32])).unwrap();
        let batch = run.draw().unwrap();
        let mut sum = vec![answer; draws];
        run.release(batch, &mut sum).unwrap();
        let small: Vec<f32> = sum.into_iter().filter(|value| value.abs() < 1.0 / 16.0).collect();
        assert!(small.len() > 500);
        for value in small {
            let integer = (f64::from(value) / scale).round();
            assert_eq!((integer * scale) as f32, value, "{value} is not on the grid");
            low[integer.rem_euclid(64.0) as usize] += 1.0;
        }
    }
    // The integers' last six bits: the same from either answer. Chi-square of two samples, 63 degrees of freedom, false
    // alarms below exp(-16) (Laurent and Massart 2000).
    let [one, other] = low;
    let fraction = one.iter().sum::<f64>() / other.iter().sum::<f64>();
    let terms = one.iter().zip(&other).map(|(a, b)| (a / fraction.sqrt() - b * fraction.sqrt()).powi(2) / (a + b));
    let found: f64 = terms.sum();
    assert!(found < 63.0 + 2.0 * (63.0f64 * 16.0).sqrt() + 32.0, "{found}");
}
