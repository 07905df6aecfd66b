//! Exact discrete Laplace and discrete Gaussian noise for integers.

use rand::Rng;
use underpin_core::{Delta, Epsilon};

use crate::error::within;
use crate::{Error, SecretStream, rdp};

/// Resolution of a scale: multiples of `2^-20`.
const SCALE_BITS: u32 = 20;

/// The scale `b` of weights `exp(-x / b)`, a fraction: in units of `2^-20`, below `2^60`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Scale(u64);

impl Scale {
    /// `scale`, rounded up; in `[2^-10, 2^40]`.
    fn new(scale: f64) -> Result<Self, Error> {
        let range = f64::from(1 << 10).recip()..=2f64.powi(40);
        let scale = within("scale", scale, "[2^-10, 2^40]", |scale| range.contains(&scale))?;
        // OK because the product is exact and at most 2^60.
        Ok(Self((scale * f64::from(1 << SCALE_BITS)).ceil() as u64))
    }

    /// The least scale that spends at most `epsilon` on a change by `sensitivity`, or a few parts in 2^50 more.
    pub(crate) fn covering(sensitivity: u128, epsilon: Epsilon) -> Result<Self, Error> {
        within("sensitivity", sensitivity as f64, "[1, 2^53]", |change| (1.0..=9e15).contains(&change))?;
        // Rounded up by more than what `spends` adds.
        Self::new(sensitivity as f64 / epsilon.value() * (1.0 + 8.0 * f64::EPSILON))
    }

    pub(crate) fn value(self) -> f64 {
        self.0 as f64 / f64::from(1 << SCALE_BITS)
    }

    /// ε of a change by `sensitivity`, at least 1: their quotient, rounded up.
    pub(crate) fn spends(self, sensitivity: u128) -> Epsilon {
        // Four ulps cover the conversions and the quotient.
        let epsilon = sensitivity as f64 / self.value() * (1.0 + 4.0 * f64::EPSILON);
        Epsilon::new(epsilon).expect("invariant: 2^-40 <= sensitivity / scale <= 2^138")
    }

    pub(crate) const fn units(self) -> u128 {
        self.0 as u128
    }

    /// A whole number in the same units.
    pub(crate) const fn whole(change: u64) -> u128 {
        (change as u128) << SCALE_BITS
    }
}

/// Adds integers with `P(k) ∝ exp(-|k| / scale)`: ε-private noise for an integer statistic.
///
/// The samples are exact: integer arithmetic on uniform bits, no floating point, so no low bits reveal the answer.
///
/// # Guarantees
///
/// 1. A statistic that changes by at most `sensitivity` between neighbours, with one such integer added, is
///    [`epsilon(sensitivity)`](Self::epsilon)-differentially private (`laplace_follows_its_law`).
///
/// # Limits
///
/// The time a draw takes depends on the draw. Adding must not wrap: widen the statistic first.
///
/// # Source
///
/// Canonne, Kamath and Steinke, *The Discrete Gaussian for Differential Privacy*, NeurIPS 2020, Algorithm 2.
///
/// # Examples
///
/// A score in `[0, 1]` on a grid of `2^-20`, ε = 0.5:
///
/// ```
/// use underpin_privacy::{DiscreteLaplace, SecretKey};
///
/// let unit = f64::from(1 << 20);
/// let noise = DiscreteLaplace::new(unit / 0.5)?;
/// let mut stream = SecretKey::from_os()?.stream("scores", &[]);
/// let score = (0.73 * unit).round() as i64 + noise.sample(&mut stream);
/// println!("{}", score as f64 / unit);
/// assert!(noise.epsilon(1 << 20) <= 0.5 + 1e-12);
/// # Ok::<(), underpin_privacy::Error>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DiscreteLaplace {
    scale: Scale,
}

impl DiscreteLaplace {
    /// Noise of this scale, rounded up to a multiple of `2^-20`.
    ///
    /// # Errors
    ///
    /// [`Error::OutOfRange`] unless `scale` lies in `[2^-10, 2^40]`.
    pub fn new(scale: f64) -> Result<Self, Error> {
        Ok(Self { scale: Scale::new(scale)? })
    }

    /// The noise that makes a statistic which changes by at most `sensitivity` between neighbours `epsilon`-private.
    ///
    /// # Errors
    ///
    /// [`Error::OutOfRange`] unless `sensitivity` lies in `[1, 2^53]` and `sensitivity / epsilon` in `[2^-10, 2^40]`.
    pub fn covering(sensitivity: u64, epsilon: Epsilon) -> Result<Self, Error> {
        Ok(Self { scale: Scale::covering(sensitivity.into(), epsilon)? })
    }

    /// The scale in use.
    pub fn scale(&self) -> f64 {
        self.scale.value()
    }

    /// ε of a statistic that changes by at most `sensitivity` between neighbours; rounded up.
    pub fn epsilon(&self, sensitivity: u64) -> f64 {
        // Four ulps cover the conversions and the quotient.
        sensitivity as f64 / self.scale() * (1.0 + 4.0 * f64::EPSILON)
    }

    /// One integer.
    pub fn sample(&self, stream: &mut SecretStream) -> i64 {
        loop {
            let below = uniform(stream, self.scale.units());
            if !bernoulli_exp_neg(stream, below, self.scale.units()) {
                continue;
            }
            let mut whole = 0u128;
            while bernoulli_exp_neg(stream, 1, 1) {
                whole += 1;
            }
            let magnitude = (below + self.scale.units() * whole) >> SCALE_BITS;
            // OK because `whole` passes 2^20 with probability exp(-2^20).
            let magnitude = magnitude.min(1 << 62) as i64;
            let negative = stream.0.next_u32() & 1 == 1;
            if !(negative && magnitude == 0) {
                return if negative { -magnitude } else { magnitude };
            }
        }
    }
}

/// Adds integers with `P(k) ∝ exp(-k² / 2σ²)`: concentrated-private noise for integer statistics.
///
/// The samples are exact, but for a draw beyond some 2,000 standard deviations.
///
/// # Guarantees
///
/// 1. Integer statistics whose L2 distance between neighbours is at most `sensitivity`, one such integer added to
///    each, are [`rho(sensitivity)`](Self::rho)-zero-concentrated private (Theorem 14; `gaussian_follows_its_law`).
///
/// # Limits
///
/// As for [`DiscreteLaplace`]. For many coordinates at once, and under subsampling, the bounds of the continuous
/// Gaussian are not known to hold: [`crate::PrivateSteps`] uses the rounded Gaussian instead.
///
/// # Source
///
/// Canonne, Kamath and Steinke, NeurIPS 2020, Algorithm 3.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DiscreteGaussian {
    /// σ in units of `1 / root`.
    sigma: u64,
    /// Square root of σ²'s denominator.
    root: u64,
}

impl DiscreteGaussian {
    /// Noise of this σ, rounded up to a multiple of `2^-10`, or to an integer from `2^16` on.
    ///
    /// # Errors
    ///
    /// [`Error::OutOfRange`] unless `sigma` lies in `[2^-10, 2^26]`.
    pub fn new(sigma: f64) -> Result<Self, Error> {
        let range = f64::from(1 << 10).recip()..=2f64.powi(26);
        let sigma = within("sigma", sigma, "[2^-10, 2^26]", |sigma| range.contains(&sigma))?;
        let root = if sigma < f64::from(1 << 16) { 1 << 10 } else { 1 };
        // OK because the product is exact and at most 2^26.
        Ok(Self { sigma: (sigma * root as f64).ceil() as u64, root })
    }

    /// The σ in use; the standard deviation is at most that.
    pub fn sigma(&self) -> f64 {
        self.sigma as f64 / self.root as f64
    }

    /// ρ = `sensitivity² / 2σ²`, rounded up.
    pub fn rho(&self, sensitivity: f64) -> f64 {
        (sensitivity / self.sigma()).powi(2) / 2.0 * (1.0 + 8.0 * f64::EPSILON)
    }

    /// ε at `delta` of statistics whose L2 distance between neighbours is at most `sensitivity`: an upper bound, by zCDP
    /// (Bun and Steinke 2016) and the conversion of Canonne, Kamath and Steinke (Proposition 12).
    pub fn epsilon(&self, sensitivity: f64, delta: Delta) -> f64 {
        rdp::concentrated(self.rho(sensitivity), delta.value())
    }

    /// One integer.
    pub fn sample(&self, stream: &mut SecretStream) -> i64 {
        let t = self.sigma / self.root + 1;
        let laplace = DiscreteLaplace { scale: Scale(t << SCALE_BITS) };
        // σ² = n / d; the exponent is (|y| - σ²/t)² / 2σ² = (|y| d t - n)² / (2 n d t²).
        let (n, d) = (u128::from(self.sigma).pow(2), u128::from(self.root).pow(2));
        let t = u128::from(t);
        let denominator = 2 * n * d * t * t;
        loop {
            let candidate = laplace.sample(stream);
            let distance = u128::from(candidate.unsigned_abs()).saturating_mul(d * t).abs_diff(n);
            // A square past 2^126 is an exponent past 2^18: never kept.
            let kept = distance < 1 << 63 && bernoulli_exp_neg(stream, distance * distance, denominator);
            if kept {
                return candidate;
            }
        }
    }
}

/// True with probability `exp(-numerator / denominator)`.
///
/// Source: Canonne, Kamath and Steinke 2020, Algorithm 1.
pub(crate) fn bernoulli_exp_neg(stream: &mut SecretStream, numerator: u128, denominator: u128) -> bool {
    for _ in 0..numerator / denominator {
        if !bernoulli_exp_neg_below_one(stream, 1, 1) {
            return false;
        }
    }
    bernoulli_exp_neg_below_one(stream, numerator % denominator, denominator)
}

/// As above for `numerator <= denominator < 2^110`.
fn bernoulli_exp_neg_below_one(stream: &mut SecretStream, numerator: u128, denominator: u128) -> bool {
    let mut k = 1;
    // OK because k passes 2^17 with probability below 1 / 2^17!.
    while uniform(stream, denominator * k) < numerator {
        k += 1;
    }
    k % 2 == 1
}

/// Uniform on `0..bound`, exactly: bits are drawn again until they fall below the bound.
pub(crate) fn uniform(stream: &mut SecretStream, bound: u128) -> u128 {
    let bits = u128::BITS - (bound - 1).leading_zeros();
    loop {
        let value = if bits == 0 {
            0
        } else if bits <= 64 {
            u128::from(stream.0.next_u64() >> (64 - bits))
        } else {
            (u128::from(stream.0.next_u64()) << 64 | u128::from(stream.0.next_u64())) >> (128 - bits)
        };
        if value < bound {
            return value;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::SecretKey;

    const DRAWS: usize = 400_000;

    /// Chi-square of draws against weights on `-reach..=reach`, the rest in one cell, and its degrees of freedom.
    fn chi_square(reach: i64, weight: impl Fn(i64) -> f64, mut draw: impl FnMut() -> i64) -> (f64, f64) {
        let total: f64 = (-100_000..=100_000).map(&weight).sum();
        let mut counts = vec![0u64; 2 * reach as usize + 2];
        for _ in 0..DRAWS {
            let at = draw() + reach;
            let cell = if (0..=2 * reach).contains(&at) { at as usize } else { 2 * reach as usize + 1 };
            counts[cell] += 1;
        }
        let mut expected: Vec<f64> = (-reach..=reach).map(|k| weight(k) / total * DRAWS as f64).collect();
        expected.push(DRAWS as f64 - expected.iter().sum::<f64>());
        let terms =
            std::iter::zip(&counts, &expected).map(|(count, expected)| (*count as f64 - expected).powi(2) / expected);
        (terms.sum(), expected.len() as f64 - 1.0)
    }

    /// False-alarm rate below 1e-6 a case: the tail of the chi-square (Laurent and Massart 2000, x = 14).
    fn assert_follows((found, freedom): (f64, f64)) {
        assert!(found < freedom + 2.0 * (freedom * 14.0).sqrt() + 28.0, "{found} at {freedom} degrees of freedom");
    }

    #[test]
    fn laplace_follows_its_law() {
        let mut stream = SecretKey::new([5; 32]).stream("laplace", &[]);
        for scale in [0.3, 1.0, 2.75, 40.0] {
            let noise = DiscreteLaplace::new(scale).unwrap();
            assert!(noise.scale() >= scale && noise.scale() < scale + 1e-6);
            let reach = (scale * 5.0) as i64 + 1;
            assert_follows(chi_square(reach, |k| (-(k.abs() as f64) / scale).exp(), || noise.sample(&mut stream)));
        }
    }

    #[test]
    fn gaussian_follows_its_law() {
        let mut stream = SecretKey::new([6; 32]).stream("gaussian", &[]);
        for sigma in [0.5, 1.0, 3.7, 30.0] {
            let noise = DiscreteGaussian::new(sigma).unwrap();
            let sigma = noise.sigma();
            let reach = (sigma * 3.0) as i64 + 1;
            let weight = |k: i64| (-(k as f64 / sigma).powi(2) / 2.0).exp();
            assert_follows(chi_square(reach, weight, || noise.sample(&mut stream)));
        }
    }

    #[test]
    fn wide_noise_has_its_spread() {
        let mut stream = SecretKey::new([8; 32]).stream("wide", &[]);
        let mut spread = |draw: &dyn Fn(&mut SecretStream) -> i64| {
            (0..20_000).map(|_| (draw(&mut stream) as f64).powi(2)).sum::<f64>() / 20_000.0
        };
        let (laplace, gaussian) =
            (DiscreteLaplace::new(2f64.powi(39)).unwrap(), DiscreteGaussian::new(2f64.powi(26)).unwrap());
        // Variances 2 b² and σ²; their estimates deviate by sqrt(5/n) and sqrt(2/n); five such: below 1e-6.
        assert!((spread(&|s| laplace.sample(s)) / 2f64.powi(79) - 1.0).abs() < 5.0 * (5.0f64 / 20_000.0).sqrt());
        assert!((spread(&|s| gaussian.sample(s)) / 2f64.powi(52) - 1.0).abs() < 5.0 * (2.0f64 / 20_000.0).sqrt());
    }

    #[test]
    fn bad_scales_do_not_construct() {
        for bad in [f64::NAN, f64::INFINITY, -1.0, 0.0, 1e-9, 1e300] {
            assert!(DiscreteLaplace::new(bad).is_err(), "{bad}");
            assert!(DiscreteGaussian::new(bad).is_err(), "{bad}");
        }
    }
}
