//! The numbered guarantees of [`CorrelatedSteps`].

use super::*;

fn mechanism(steps: usize, separation: usize, bands: usize, noise: f64) -> CorrelatedGaussian {
    let factor = BandedFactor::square_root(bands).unwrap();
    CorrelatedGaussian::new(factor, Participation::new(steps, separation).unwrap(), noise, 0.5).unwrap()
}

fn run(mechanism: CorrelatedGaussian, key: u8) -> CorrelatedSteps {
    mechanism.start(20, SecretKey::new([key; 32])).unwrap()
}

#[test]
fn rows_keep_their_distance() {
    let mut run = run(mechanism(23, 6, 4, 1.0), 1);
    let mut last = [None; 20];
    for step in 0..23usize {
        let batch = run.draw().unwrap();
        for row in batch.indices() {
            assert!(last[*row].is_none_or(|before| step - before >= 6), "{row} at {step}");
            last[*row] = Some(step);
        }
        assert!(matches!(run.draw(), Err(Error::StepPending { .. } | Error::StepsExhausted { .. })));
        run.release(batch, &mut [0.0]).unwrap();
    }
    assert!(last.iter().all(Option::is_some));
    assert_eq!(run.draw().unwrap_err(), Error::StepsExhausted { max_steps: 23 });
}

/// Guarantee 2: encoding the released noisy sums again gives whole numbers of grid units, whatever the sums were,
/// and their spread is that of the noise (six standard deviations: false alarms below 1e-8).
#[test]
fn released_sums_are_functions_of_the_integers() {
    let (steps, width) = (12, 4000);
    let mut run = run(mechanism(steps, 6, 4, 2.0), 1);
    let grid = run.grid(width).unwrap();
    let coefficients = run.mechanism.factor.coefficients().to_vec();
    let mut results: Vec<Vec<f64>> = Vec::new();
    for step in 0..steps {
        let batch = run.draw().unwrap();
        let mut sum = vec![0.0f32; width];
        sum[step] = 1.0 / 3.0;
        run.release(batch, &mut sum).unwrap();
        results.push(run.averages[0].clone());
        let mut squares = 0.0;
        for at in 0..width {
            let past = coefficients.iter().zip(results.iter().rev());
            let integer = past.map(|(c, result)| c * result[at]).sum::<f64>() / grid;
            assert!((integer - integer.round()).abs() < 1e-3, "{step} {at}: {integer}");
            squares += (integer / exp2(SIGMA_BITS)).powi(2);
        }
        let spread = (squares / width as f64).sqrt();
        assert!((spread - 1.0).abs() < 6.0 / (2.0 * width as f64).sqrt(), "{step}: {spread}");
    }
}

#[test]
fn the_grid_covers_the_correlated_sensitivity() {
    for (noise, coordinates) in [(0.3, 1), (1.0, 26_010), (40.0, 5000)] {
        let run = run(mechanism(40, 10, 8, noise), 1);
        let grid = run.grid(coordinates).unwrap();
        let sensitivity = run.mechanism.factor.sensitivity(run.mechanism.participation).unwrap();
        // Four participations, eight rows of C each: 32 of the 40 steps are touched.
        let distance = sensitivity * 0.5 * (1.0 + SUM_ERROR) / grid + ROUNDING * (coordinates as f64 * 32.0).sqrt();
        assert!(exp2(SIGMA_BITS) / distance >= noise);
        assert!(exp2(SIGMA_BITS) / distance <= noise * (1.0 + 1e-9));
    }
}

/// The noise of the prefix sums at the last step, against `|row of A C⁻¹|`: six standard deviations.
#[test]
fn noise_cancels_between_steps() {
    let (steps, width) = (20, 4000);
    let mut run = run(mechanism(steps, 20, 20, 1.0), 2);
    let mut prefix = vec![0.0; width];
    for _ in 0..steps {
        let batch = run.draw().unwrap();
        let mut sum = vec![0.0f32; width];
        run.release(batch, &mut sum).unwrap();
        prefix.iter_mut().zip(&run.averages[0]).for_each(|(total, value)| *total += value);
    }
    let spread = (prefix.iter().map(|value| value * value).sum::<f64>() / width as f64).sqrt();
    // The square root is its own counterpart: B = C, whose last row has the norm of the first column.
    let scale = run.grid(width).unwrap() * exp2(SIGMA_BITS);
    let column: f64 = run.mechanism.factor.coefficients().iter().map(|value| value * value).sum();
    let expected = scale * column.sqrt();
    assert!((spread / expected - 1.0).abs() < 6.0 / (2.0 * width as f64).sqrt(), "{spread} {expected}");
    assert!(expected < 0.5 * scale * (steps as f64).sqrt());
}

#[test]
fn the_whole_run_is_one_gaussian() {
    let delta = Delta::new(1e-5).unwrap();
    let target = Epsilon::new(4.0).unwrap();
    let (factor, part) = (BandedFactor::square_root(4).unwrap(), Participation::new(40, 10).unwrap());
    let mechanism = CorrelatedGaussian::calibrated(target, delta, factor, part, 1.0).unwrap();
    let spent = mechanism.epsilon(delta).unwrap().upper;
    assert!(spent <= 4.0 && spent > 3.9, "{spent}");
    let mut run = mechanism.start(20, SecretKey::new([1; 32])).unwrap();
    assert_eq!(run.epsilon(delta).unwrap().upper, 0.0);
    let batch = run.draw().unwrap();
    assert!(run.epsilon(delta).unwrap().upper >= spent);
    assert!(matches!(run.release(batch, &mut [1.0, 2.5]), Err(Error::NotClipped { rows: 2, .. })));
    run.released = 1 << 63;
    assert!(run.epsilon(Delta::new(1e-9).unwrap()).unwrap().upper.is_infinite());
}

#[test]
fn a_run_taken_up_again_goes_on() {
    let step = |run: &mut CorrelatedSteps| {
        let batch = run.draw().unwrap();
        let mut sum = [0.25, -0.5];
        run.release(batch, &mut sum).unwrap();
        sum
    };
    let (mut whole, other) = (run(mechanism(12, 4, 3, 1.0), 1), run(mechanism(12, 4, 3, 1.0), 2));
    step(&mut whole);
    step(&mut whole);
    let text = serde_json::to_string(&whole.progress()).unwrap();
    let progress: CorrelatedProgress = serde_json::from_str(&text).unwrap();
    assert_eq!(progress, whole.progress());
    let expected = [step(&mut whole), step(&mut whole), step(&mut whole)];
    let mut again = run(mechanism(12, 4, 3, 1.0), 1).resume(progress.clone()).unwrap();
    assert_eq!([step(&mut again), step(&mut again), step(&mut again)], expected);
    assert_eq!(other.resume(progress.clone()).unwrap_err(), Error::ForeignRun);
    let cut = CorrelatedProgress { sums: VecDeque::new(), ..progress };
    assert_eq!(run(mechanism(12, 4, 3, 1.0), 1).resume(cut).unwrap_err(), Error::ForeignRun);
}
