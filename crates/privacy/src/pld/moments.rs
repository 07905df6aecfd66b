//! ε of very long runs by the moments of their losses, without a lattice for the sum.
//!
//! Where the mean of the sum is hundreds of its standard deviations, ε lies within some of these of the mean, and two
//! inequalities are enough:
//!
//! - above: `δ(ε) <= P(S > ε) <= exp(K(λ) - λ ε)` for every `λ > 0`, `K` being the cumulant generating function (Chernoff 1952);
//! - below: `δ(ε) >= (1 - 1/e) P(S >= ε + 1)`, and `P(S >= E S - k σ) >= k² / (1 + k²)` (Cantelli's inequality).

use libm::{exp, log, log1p, sqrt};

use super::cumulants::Cumulants;
use super::losses::{self, Losses, Side};

/// Covers the rounding of a mean or a variance: sums of some hundred terms, each good to some ulps.
const MARGIN: f64 = 1e-11;

/// An upper bound on ε at `delta` of the sum of these losses, each so many times; infinite where there is none.
pub(super) fn upper(parts: &[(&Losses, u64)], delta: f64) -> f64 {
    let cumulants = Cumulants(parts);
    let infinite = cumulants.infinite(Side::Upper);
    let left = delta - infinite * (1.0 + MARGIN);
    if left <= 0.0 {
        return f64::INFINITY;
    }
    let variance: f64 = parts.iter().map(|(losses, times)| *times as f64 * losses.variance()).sum();
    let bound = |order: f64| {
        let sum = cumulants.at(order);
        let sum = sum + MARGIN * sum.abs() + cumulants.error(order);
        (sum - log(left) + MARGIN) / order
    };
    let best = sqrt(-2.0 * log(left) / variance);
    let orders = (-12..=12).map(|step| best * exp(f64::from(step) / 6.0));
    let slack: f64 = parts.iter().map(|(losses, times)| *times as f64 * losses.loss_error).sum();
    let least = orders.map(bound).filter(|bound| !bound.is_nan()).fold(f64::INFINITY, f64::min);
    (least + slack).max(0.0) * (1.0 + MARGIN)
}

/// A lower bound on ε at `delta` of the sum of `times` losses, each one of `atoms`: losses and masses, both from below.
///
/// What mass is missing is taken for a loss of minus infinity: the rest happens `times` times over with a probability of its
/// mass to that power, and is then a distribution of its own.
pub(super) fn lower(atoms: &[(f64, f64)], times: u64, delta: f64) -> f64 {
    let times = times as f64;
    let mass = losses::total(atoms.iter().map(|(_, mass)| *mass));
    let (mut first, mut size, mut second) = (0.0, 0.0, 0.0);
    for (loss, own) in atoms {
        (first, size) = (first + own * loss, size + own * loss.abs());
        second += own * loss * loss;
    }
    let mean = times * (first - MARGIN * size) / mass;
    let variance = times * (second / mass - (first / mass).powi(2) + MARGIN * second).max(0.0);
    let log_mass = times * (log1p((mass - 1.0).min(0.0)) - 4.0 * f64::EPSILON);
    // 1 - 1/e is above 0.632.
    let asked = delta / 0.632 * exp(-log_mass) * (1.0 + MARGIN);
    if asked.is_nan() || asked >= 1.0 {
        return 0.0;
    }
    let deviations = sqrt(asked / (1.0 - asked)) * (1.0 + MARGIN);
    (mean - deviations * sqrt(variance) - 1.0).max(0.0) * (1.0 - MARGIN)
}
