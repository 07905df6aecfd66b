//! Whether what a server sees still looks like what the model was cleared on.

use serde::{Deserialize, Serialize};
use underpin_core::Sketch;

use crate::Error;

/// One histogram compared with its reference.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Shift {
    /// What was compared: `feature 12`, `answers`.
    pub name: String,
    /// Largest difference of the two distribution functions, in `[0, 1]`.
    pub distance: f64,
    /// The distance that chance alone exceeds with at most the stated probability.
    pub threshold: f64,
}

/// What a drift test found.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Drift {
    /// Number of histograms compared.
    pub compared: usize,
    /// Examples behind the reference.
    pub reference: u64,
    /// Examples behind what was seen.
    pub seen: u64,
    /// Those that moved beyond chance, the furthest first.
    pub shifts: Vec<Shift>,
}

impl Drift {
    /// Tests every feature's histogram, and that of the answers, of `seen` against `reference`.
    ///
    /// Distance: two-sample Kolmogorov-Smirnov over the bins. An empty `seen` shows no drift.
    ///
    /// # Guarantees
    ///
    /// 1. If both are independent samples of one distribution, anything at all is reported with probability at most
    ///    `false_alarm`: `chance_alone_is_reported_no_more_often_than_stated`.
    ///
    /// # Errors
    ///
    /// [`Error::Sketch`] when the two do not describe the same features and classes.
    ///
    /// # Source
    ///
    /// Massart, Annals of Probability 1990: `P(sup |F_n - F| > t) <= 2 exp(-2 n t²)`, for either sample at half of its
    /// share of the false-alarm rate; Bonferroni over the histograms.
    pub fn test(reference: &Sketch, seen: &Sketch, false_alarm: f64) -> Result<Self, Error> {
        if reference.features.len() != seen.features.len() || reference.answers.len() != seen.answers.len() {
            return Err(Error::Sketch {
                reference: (reference.features.len(), reference.answers.len()),
                seen: (seen.features.len(), seen.answers.len()),
            });
        }
        let features = reference.features.iter().zip(&seen.features).enumerate();
        let mut pairs: Vec<(String, &[u64], &[u64])> =
            features.map(|(at, (a, b))| (format!("feature {at}"), a.counts(), b.counts())).collect();
        pairs.push(("answers".into(), &reference.answers, &seen.answers));
        let fraction = false_alarm / pairs.len() as f64;
        let deviation = |n: u64| ((4.0 / fraction).ln() / (2.0 * n as f64)).sqrt();
        let compare = |(name, a, b): &(String, &[u64], &[u64])| {
            let (n, m) = (a.iter().sum(), b.iter().sum());
            let threshold = deviation(n) + deviation(m);
            let distance = distance(a, b, n, m);
            (distance > threshold).then(|| Shift { name: name.clone(), distance, threshold })
        };
        let mut shifts: Vec<Shift> = pairs.iter().filter_map(compare).collect();
        shifts.sort_by(|a, b| b.distance.total_cmp(&a.distance));
        Ok(Self { compared: pairs.len(), reference: reference.count, seen: seen.count, shifts })
    }

    /// Whether anything moved beyond chance.
    pub fn is_found(&self) -> bool {
        !self.shifts.is_empty()
    }
}

/// Largest difference of the distribution functions of two histograms over the same bins; 0 when one is empty.
fn distance(a: &[u64], b: &[u64], n: u64, m: u64) -> f64 {
    if n == 0 || m == 0 {
        return 0.0;
    }
    let mut below = (0, 0);
    let gaps = a.iter().zip(b).map(|(a, b)| {
        below = (below.0 + a, below.1 + b);
        (below.0 as f64 / n as f64 - below.1 as f64 / m as f64).abs()
    });
    gaps.fold(0.0, f64::max)
}

#[cfg(test)]
mod tests {
    use rand::{RngExt, SeedableRng};
    use rand_chacha::ChaCha8Rng;
    use underpin_core::{Disclosure, Inputs, Outputs, Shape};

    use super::*;

    fn sketch(n: usize, shift: f32, rng: &mut ChaCha8Rng) -> Sketch {
        let values = (0..2 * n).map(|_| rng.random::<f32>() * 0.8 + shift).collect();
        let inputs = Inputs::new(Shape::new([2]).unwrap(), values).unwrap();
        let scores = (0..n).flat_map(|_| if rng.random::<bool>() { [1.0, 0.0] } else { [0.0, 1.0] }).collect();
        let mut sketch = Sketch::new(2, 2);
        sketch.observe(&inputs, &Outputs::new(2, scores, Disclosure::Scores).unwrap());
        sketch
    }

    #[test]
    fn chance_alone_is_reported_no_more_often_than_stated() {
        // 200 pairs at a false-alarm rate of 5 %: more than 25 alarms have probability below 1e-4 (binomial tail).
        let mut rng = ChaCha8Rng::seed_from_u64(1);
        let alarms = (0..200).filter(|_| {
            let (a, b) = (sketch(300, 0.0, &mut rng), sketch(200, 0.0, &mut rng));
            Drift::test(&a, &b, 0.05).unwrap().is_found()
        });
        assert!(alarms.count() <= 25);
    }

    #[test]
    fn a_shift_is_found_and_named() {
        let mut rng = ChaCha8Rng::seed_from_u64(2);
        let (a, b) = (sketch(500, 0.0, &mut rng), sketch(500, 0.2, &mut rng));
        let drift = Drift::test(&a, &b, 0.01).unwrap();
        let names: Vec<_> = drift.shifts.iter().map(|shift| shift.name.as_str()).collect();
        assert!(names.contains(&"feature 0") && names.contains(&"feature 1") && !names.contains(&"answers"));
    }

    #[test]
    fn nothing_seen_is_no_drift_and_other_features_are_an_error() {
        let mut rng = ChaCha8Rng::seed_from_u64(3);
        let reference = sketch(500, 0.0, &mut rng);
        assert!(!Drift::test(&reference, &Sketch::new(2, 2), 0.01).unwrap().is_found());
        assert!(Drift::test(&reference, &Sketch::new(3, 2), 0.01).is_err());
    }
}
