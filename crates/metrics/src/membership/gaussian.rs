//! Gaussians of a sample's confidence, over models trained with it and without.

use serde::{Deserialize, Serialize};

/// How the spread of the shadow models' confidences is estimated.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Variance {
    /// For each sample by itself; needs many shadow models (Carlini et al. use it from 64 on).
    PerExample,
    /// One for all samples, around each sample's own mean; right with few shadow models.
    Global,
}

impl Variance {
    /// Its name in evidence.
    pub const fn word(self) -> &'static str {
        match self {
            Self::PerExample => "per_example",
            Self::Global => "global",
        }
    }
}

/// Standard deviations below this are taken as this, so that answers that never vary do not decide alone.
const LEAST_DEVIATION: f64 = 0.05;

/// Mean and standard deviation per sample.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Gaussians {
    mean: Vec<f64>,
    deviation: Vec<f64>,
}

impl Gaussians {
    /// Fits one Gaussian per sample to `observed[sample]`, none of which is empty.
    pub(super) fn fit(observed: &[Vec<f64>], variance: Variance) -> Self {
        let mean: Vec<f64> = observed.iter().map(|values| values.iter().sum::<f64>() / values.len() as f64).collect();
        let squares =
            |(values, mean): (&Vec<f64>, &f64)| values.iter().map(|value| (value - mean).powi(2)).sum::<f64>();
        let freedom = |values: &Vec<f64>| values.len().saturating_sub(1) as f64;
        let pooled =
            observed.iter().zip(&mean).map(squares).sum::<f64>() / observed.iter().map(freedom).sum::<f64>().max(1.0);
        let deviation = |pair: (&Vec<f64>, &f64)| {
            let own = match variance {
                Variance::PerExample => squares(pair) / freedom(pair.0).max(1.0),
                Variance::Global => pooled,
            };
            own.sqrt().max(LEAST_DEVIATION)
        };
        let deviation = observed.iter().zip(&mean).map(deviation).collect();
        Self { mean, deviation }
    }

    /// Logarithm of the density at `value`, less the constant.
    pub(super) fn log_density(&self, sample: usize, value: f64) -> f64 {
        let deviation = self.deviation[sample];
        -0.5 * ((value - self.mean[sample]) / deviation).powi(2) - deviation.ln()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn deviations_by_hand() {
        let observed = [vec![1.0, 3.0], vec![10.0, 14.0]];
        let own = Gaussians::fit(&observed, Variance::PerExample);
        assert_eq!(own.mean, [2.0, 12.0]);
        assert!((own.deviation[0] - 2.0_f64.sqrt()).abs() < 1e-15 && (own.deviation[1] - 8.0_f64.sqrt()).abs() < 1e-15);
        // Sums of squares 2 and 8 over one degree of freedom each.
        let global = Gaussians::fit(&observed, Variance::Global);
        assert!(global.deviation.iter().all(|deviation| (deviation - 5.0_f64.sqrt()).abs() < 1e-15));
        assert!((global.log_density(0, 2.0) + 5.0_f64.sqrt().ln()).abs() < 1e-15);
    }

    #[test]
    fn answers_that_never_vary_keep_a_deviation() {
        let constant = Gaussians::fit(&[vec![5.0; 4]], Variance::PerExample);
        assert!(constant.log_density(0, 6.0).is_finite());
    }
}
