//! The percentile bootstrap, for numbers without a formula of their own.

use rand_chacha::ChaCha12Rng;
use rayon::prelude::*;
use serde::{Deserialize, Serialize};
use underpin_core::{Confidence, Interval, Seed};

use crate::Error;
use crate::random::stream;

/// How a bootstrap is drawn.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Bootstrap {
    /// Number of resamples, at least 100.
    pub resamples: usize,
    /// Where its randomness starts.
    pub seed: Seed,
}

impl Bootstrap {
    /// 2,000 resamples: the ends of a 95 % interval rest on 50 of them.
    pub fn seeded(seed: Seed) -> Self {
        Self { resamples: 2000, seed }
    }
}

/// Percentile interval of a statistic; `resampled` draws one resample and gives its statistic.
///
/// Approximate: the coverage tends to the confidence as observations grow.
///
/// # Errors
///
/// [`Error::OutOfRange`] with fewer than 100 resamples, [`Error::NotANumber`] when a statistic is NaN.
///
/// # Source
///
/// Efron, The Annals of Statistics 1979; percentile method: Efron and Tibshirani 1993, chapter 13.
pub fn bootstrap(
    how: Bootstrap,
    confidence: Confidence,
    resampled: impl Fn(&mut ChaCha12Rng) -> f64 + Sync,
) -> Result<Interval, Error> {
    if how.resamples < 100 {
        return Err(Error::out_of_range("resamples", how.resamples as f64, "[100, inf)"));
    }
    let draw = |index: usize| resampled(&mut stream(how.seed.nth(index as u64)));
    let mut values: Vec<f64> = (0..how.resamples).into_par_iter().map(draw).collect();
    if let Some(position) = values.iter().position(|value| value.is_nan()) {
        return Err(Error::NotANumber { name: "resampled statistic", position });
    }
    values.sort_by(f64::total_cmp);
    let tail = 0.5 * (1.0 - confidence.value());
    // OK because 0 <= tail < 1/2: both positions lie in the list.
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "0 <= tail * resamples < resamples")]
    let cut = (tail * how.resamples as f64).floor() as usize;
    Ok(Interval { lower: values[cut], upper: values[how.resamples - 1 - cut], confidence })
}

#[cfg(test)]
mod tests {
    use rand::RngExt;

    use super::*;

    #[test]
    fn the_mean_of_coins_has_the_normal_interval() {
        let coins: Vec<f64> = (0..400).map(|i| f64::from(i % 2)).collect();
        let mean = |rng: &mut ChaCha12Rng| {
            (0..coins.len()).map(|_| coins[rng.random_range(0..coins.len())]).sum::<f64>() / coins.len() as f64
        };
        let confidence = Confidence::new(0.95).unwrap();
        let interval = bootstrap(Bootstrap::seeded(Seed(1)), confidence, mean).unwrap();
        // 0.5 +- 1.96 * 0.5 / 20 = 0.451, 0.549; the 2.5 % quantile of 2,000 draws errs by 0.003 (4 sigma).
        assert!((interval.lower - 0.451).abs() < 0.0035 && (interval.upper - 0.549).abs() < 0.0035, "{interval:?}");
        let again = bootstrap(Bootstrap::seeded(Seed(1)), confidence, mean).unwrap();
        assert_eq!(interval, again);
    }

    #[test]
    fn nan_and_too_few_resamples_are_refused() {
        let confidence = Confidence::new(0.95).unwrap();
        assert!(matches!(
            bootstrap(Bootstrap::seeded(Seed(1)), confidence, |_| f64::NAN),
            Err(Error::NotANumber { .. })
        ));
        let few = Bootstrap { resamples: 99, seed: Seed(1) };
        assert!(matches!(bootstrap(few, confidence, |_| 0.0), Err(Error::OutOfRange(_))));
    }
}
