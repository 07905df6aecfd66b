//! Banded factors of the prefix sum: how the noise of successive steps cancels.

use crate::Error;
use crate::error::within;

/// When a row may take part: at most once in any `separation` successive steps of `steps`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Participation {
    steps: usize,
    separation: usize,
}

impl Participation {
    /// Rows that take part again after `separation` steps at the earliest; from `separation >= steps` on, once.
    ///
    /// # Errors
    ///
    /// [`Error::OutOfRange`] when either is 0 or `steps` exceeds 2^20.
    pub fn new(steps: usize, separation: usize) -> Result<Self, Error> {
        within("steps", steps as f64, "[1, 2^20]", |_| (1..=1 << 20).contains(&steps))?;
        within("separation", separation as f64, "[1, inf)", |separation| separation >= 1.0)?;
        Ok(Self { steps, separation })
    }

    /// Number of steps.
    pub const fn steps(&self) -> usize {
        self.steps
    }

    /// The least number of steps from one participation of a row to its next.
    pub const fn separation(&self) -> usize {
        self.separation
    }

    /// The most steps that one row takes part in.
    pub const fn most(&self) -> usize {
        self.steps.div_ceil(self.separation)
    }
}

/// The lower-triangular, banded Toeplitz matrix C of a factorisation `A = B C`, A being the prefix sum.
///
/// `C[i][j] = coefficient(i - j)` for `0 <= i - j < bands`, else 0. What is protected is `C x`, x the steps' sums; what is
/// used is `C⁻¹(C x + z) = x + C⁻¹ z`, so that in the prefix sums `A x + B z` the noise of successive steps cancels.
///
/// # Guarantees
///
/// 1. Let two runs differ in one row, which takes part within [`Participation`] and adds at most 1 in L2 to a step's
///    sum. Then `C x` differs by at most [`sensitivity`](Self::sensitivity) in the Frobenius norm: the columns of its
///    steps share no row of C when the band is no wider than the separation, so that their squares add up, and the
///    column of the i-th is no longer than column `i * separation`
///    (`no_pattern_of_participation_exceeds_the_sensitivity`).
///
/// # Source
///
/// Choquette-Choo, Ganesh, McKenna, McMahan, Rush, Thakurta and Xu, *(Amplified) Banded Matrix Factorization*, NeurIPS
/// 2023, section 3 (b-min-sep participation); the square root of the prefix sum by Fichtenberger, Henzinger and
/// Upadhyay, ICML 2023, cut to its band by Kalinin and Lampert, NeurIPS 2024. Deviation: Toeplitz matrices alone
/// (McKenna, ICLR 2025), whose optimum lies within a few per cent of the general one.
#[derive(Clone, Debug, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct BandedFactor {
    coefficients: Vec<f64>,
}

impl BandedFactor {
    /// The prefix sum's square root, cut to `bands`; one band is independent noise, as in DP-SGD.
    ///
    /// # Errors
    ///
    /// [`Error::OutOfRange`] unless `bands` lies in `[1, 1024]`.
    pub fn square_root(bands: usize) -> Result<Self, Error> {
        within("bands", bands as f64, "[1, 1024]", |_| (1..=1024).contains(&bands))?;
        let next = |last: &f64, k: usize| last * (2 * k - 1) as f64 / (2 * k) as f64;
        let mut coefficients = vec![1.0];
        for k in 1..bands {
            coefficients.push(next(&coefficients[k - 1], k));
        }
        Ok(Self { coefficients })
    }

    /// The factor with the least [`error`](Self::error) that gradient descent from the square root finds.
    ///
    /// # Errors
    ///
    /// As for [`square_root`](Self::square_root); as for [`sensitivity`](Self::sensitivity).
    pub fn optimised(bands: usize, participation: Participation) -> Result<Self, Error> {
        let mut best = Self::square_root(bands)?;
        best.sensitivity(participation)?;
        let mut value = best.objective(participation);
        let mut rate = 0.5;
        for _ in 0..400 {
            let slope = best.slope(participation);
            let moved =
                |(at, (value, slope)): (usize, (&f64, f64))| if at == 0 { *value } else { value - rate * slope };
            let coefficients = best.coefficients.iter().zip(slope).enumerate().map(moved).collect();
            let next = Self { coefficients };
            let found = next.objective(participation);
            if found < value {
                if value - found < 1e-9 {
                    break;
                }
                (best, value, rate) = (next, found, rate * 1.5);
            } else {
                rate /= 4.0;
                if rate < 1e-12 {
                    break;
                }
            }
        }
        Ok(best)
    }

    /// The coefficients, from the diagonal downwards.
    pub fn coefficients(&self) -> &[f64] {
        &self.coefficients
    }

    /// The Frobenius norm of what one row can change in `C x`, rounded up.
    ///
    /// # Errors
    ///
    /// [`Error::OutOfRange`] when the band is wider than the separation and a row may take part twice.
    pub fn sensitivity(&self, participation: Participation) -> Result<f64, Error> {
        let bands = self.coefficients.len();
        within("bands", bands as f64, "[1, separation]", |_| {
            bands <= participation.separation || participation.most() == 1
        })?;
        Ok(self.squared_sensitivity(participation).sqrt() * (1.0 + 1e-12))
    }

    fn squared_sensitivity(&self, participation: Participation) -> f64 {
        let columns = (0..participation.most()).map(|time| participation.steps - time * participation.separation);
        columns.map(|rows| self.coefficients.iter().take(rows).map(|value| value * value).sum::<f64>()).sum()
    }

    /// Root mean square of the noise in the prefix sums, per coordinate, for clipping norm and noise multiplier 1:
    /// `sensitivity * |A C⁻¹|_F / sqrt(steps)`; lower is better.
    ///
    /// # Errors
    ///
    /// As for [`sensitivity`](Self::sensitivity).
    pub fn error(&self, participation: Participation) -> Result<f64, Error> {
        let spread = self.prefix_noise(participation.steps);
        let squares = spread.iter().enumerate().map(|(at, value)| (participation.steps - at) as f64 * value * value);
        Ok(self.sensitivity(participation)? * (squares.sum::<f64>() / participation.steps as f64).sqrt())
    }

    /// Logarithm of the squared error, but for a constant.
    fn objective(&self, participation: Participation) -> f64 {
        let spread = self.prefix_noise(participation.steps);
        let squares = spread.iter().enumerate().map(|(at, value)| (participation.steps - at) as f64 * value * value);
        squares.sum::<f64>().ln() + self.squared_sensitivity(participation).ln()
    }

    /// Gradient of the objective.
    fn slope(&self, participation: Participation) -> Vec<f64> {
        let steps = participation.steps;
        let spread = self.prefix_noise(steps);
        let weighted: Vec<f64> = spread.iter().enumerate().map(|(at, value)| (steps - at) as f64 * value).collect();
        let squares: f64 = weighted.iter().zip(&spread).map(|(weighted, value)| weighted * value).sum();
        let again = self.solve(&spread);
        let whole = self.squared_sensitivity(participation);
        let of = |(at, coefficient): (usize, &f64)| {
            let spread: f64 = weighted.iter().skip(at).zip(&again).map(|(weighted, value)| weighted * value).sum();
            let columns = (0..participation.most()).filter(|time| steps - time * participation.separation > at).count();
            2.0 * columns as f64 * coefficient / whole - 2.0 * spread / squares
        };
        self.coefficients.iter().enumerate().map(of).collect()
    }

    /// First column of `A C⁻¹`, which is Toeplitz too.
    fn prefix_noise(&self, steps: usize) -> Vec<f64> {
        self.solve(&vec![1.0; steps])
    }

    /// `C⁻¹ values`.
    fn solve(&self, values: &[f64]) -> Vec<f64> {
        let mut solved: Vec<f64> = Vec::with_capacity(values.len());
        for value in values {
            let past = self.coefficients[1..].iter().zip(solved.iter().rev()).map(|(c, past)| c * past).sum::<f64>();
            solved.push((value - past) / self.coefficients[0]);
        }
        solved
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn participation(steps: usize, separation: usize) -> Participation {
        Participation::new(steps, separation).unwrap()
    }

    /// Guarantee 1: every pattern of participation, and every choice of signs for what the row adds in one coordinate.
    #[test]
    fn no_pattern_of_participation_exceeds_the_sensitivity() {
        for (steps, separation, bands) in [(9, 3, 3), (10, 4, 2), (8, 8, 8), (7, 2, 1), (8, 20, 6), (9, 4, 4)] {
            let allowed = participation(steps, separation);
            for factor in [
                BandedFactor::square_root(bands).unwrap(),
                BandedFactor::optimised(bands, allowed).unwrap(),
                BandedFactor { coefficients: (0..bands).map(|at| if at % 2 == 0 { 1.0 } else { -0.9 }).collect() },
            ] {
                let mut worst = 0.0f64;
                for pattern in 0..1u32 << steps {
                    let taken: Vec<usize> = (0..steps).filter(|step| pattern >> step & 1 == 1).collect();
                    if taken.windows(2).any(|pair| pair[1] - pair[0] < separation) {
                        continue;
                    }
                    for signs in 0..1u32 << taken.len() {
                        let mut change = vec![0.0; steps];
                        for (place, step) in taken.iter().enumerate() {
                            let sign = if signs >> place & 1 == 1 { -1.0 } else { 1.0 };
                            for (band, value) in factor.coefficients.iter().enumerate().take(steps - step) {
                                change[step + band] += sign * value;
                            }
                        }
                        worst = worst.max(change.iter().map(|value| value * value).sum::<f64>().sqrt());
                    }
                }
                let bound = factor.sensitivity(allowed).unwrap();
                assert!(
                    worst <= bound && worst > bound * (1.0 - 1e-9),
                    "{steps} {separation} {bands}: {worst} {bound}"
                );
            }
        }
        assert!(BandedFactor::square_root(4).unwrap().sensitivity(participation(9, 3)).is_err());
        assert!(BandedFactor::square_root(4).unwrap().sensitivity(participation(9, 9)).is_ok());
    }

    /// The square root times itself is the prefix sum; solving undoes multiplying.
    #[test]
    fn the_square_root_is_one() {
        let factor = BandedFactor::square_root(40).unwrap();
        let c = factor.coefficients();
        for at in 0..40 {
            let square: f64 = (0..=at).map(|k| c[k] * c[at - k]).sum();
            assert!((square - 1.0).abs() < 1e-12, "{at}: {square}");
        }
        let root = factor.prefix_noise(40);
        assert!(root.iter().zip(c).all(|(found, expected)| (found - expected).abs() < 1e-12));
    }

    /// One band over one participation: n steps of independent noise; the error is sqrt((n + 1) / 2).
    #[test]
    fn errors_are_those_of_the_prefix_sums() {
        let one = BandedFactor::square_root(1).unwrap();
        let error = one.error(participation(200, 200)).unwrap();
        assert!((error - 100.5f64.sqrt()).abs() < 1e-9, "{error}");
        for (steps, separation, bands) in [(200, 200, 50), (240, 20, 20), (240, 20, 8)] {
            let allowed = participation(steps, separation);
            let independent = one.error(allowed).unwrap();
            let root = BandedFactor::square_root(bands).unwrap().error(allowed).unwrap();
            let best = BandedFactor::optimised(bands, allowed).unwrap().error(allowed).unwrap();
            assert!(best <= root && root < 0.6 * independent, "{steps} {bands}: {best} {root} {independent}");
        }
    }

    #[test]
    fn the_slope_is_that_of_differences() {
        let allowed = participation(60, 6);
        let factor = BandedFactor::square_root(6).unwrap();
        for (at, slope) in factor.slope(allowed).into_iter().enumerate() {
            let moved = |by: f64| {
                let mut moved = factor.clone();
                moved.coefficients[at] += by;
                moved.objective(allowed)
            };
            let difference = (moved(1e-6) - moved(-1e-6)) / 2e-6;
            assert!((slope - difference).abs() < 1e-6, "{at}: {slope} {difference}");
        }
    }

    #[test]
    fn sizes_out_of_range_are_refused() {
        assert!(Participation::new(0, 1).is_err() && Participation::new(1, 0).is_err());
        assert!(Participation::new((1 << 20) + 1, 1).is_err());
        assert!(BandedFactor::square_root(0).is_err() && BandedFactor::square_root(1025).is_err());
        assert_eq!(participation(10, 3).most(), 4);
    }
}
