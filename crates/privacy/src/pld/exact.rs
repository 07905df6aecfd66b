//! The Gaussian mechanism in closed form.

use libm::{erfc, exp, sqrt};

use super::losses::Side;
use crate::Bounds;

/// Relative error that covers `erfc`, `exp` and their arguments' rounding up to 40 standard deviations.
const MARGIN: f64 = 1e-12;

/// ε at `delta` of a Gaussian mechanism with `mu = sensitivity / σ`; `steps` of them have `mu = sqrt(steps) / σ`.
pub(crate) fn gaussian(mu: f64, delta: f64) -> Bounds {
    let solve = |side| {
        let (mut low, mut high) = (0.0, 1.0);
        if gaussian_delta(mu, 0.0, side) <= delta {
            return (0.0, 0.0);
        }
        while gaussian_delta(mu, high, side) > delta {
            high *= 2.0;
        }
        while high - low > 1e-14 * high {
            let middle = f64::midpoint(low, high);
            if middle <= low || middle >= high {
                break;
            }
            if gaussian_delta(mu, middle, side) > delta { low = middle } else { high = middle }
        }
        (low, high)
    };
    Bounds { lower: solve(Side::Lower).0, upper: solve(Side::Upper).1 }
}

/// δ at `epsilon`, from the asked side.
///
/// Source: Balle and Wang 2018, Theorem 8: `Φ(μ/2 - ε/μ) - exp(ε) Φ(-μ/2 - ε/μ)`; with `φ(b) = exp(ε) φ(a)` the second
/// term is `φ(b)` times the Mills ratio at `a`.
pub(crate) fn gaussian_delta(mu: f64, epsilon: f64, side: Side) -> f64 {
    let (a, b) = (mu / 2.0 + epsilon / mu, epsilon / mu - mu / 2.0);
    let first = 0.5 * erfc(b * std::f64::consts::FRAC_1_SQRT_2);
    let density = exp(-b * b / 2.0) / sqrt(std::f64::consts::TAU);
    let (least, most) = mills(a);
    // A rounding of b by its relative 4 ulps moves both terms by at most density * |b| * that.
    let error = MARGIN * (first + density * most) + 8.0 * f64::EPSILON * density * (a + b.abs());
    match side {
        Side::Upper => first - density * least + error,
        Side::Lower => first - density * most - error,
    }
}

/// Bounds on `Φ(-a)/φ(a)` for `a > 0`: computed up to 20, by Birnbaum 1942 and Sampford 1953 above.
fn mills(a: f64) -> (f64, f64) {
    if a < 20.0 {
        let ratio = 0.5 * erfc(a * std::f64::consts::FRAC_1_SQRT_2) * exp(a * a / 2.0) * sqrt(std::f64::consts::TAU);
        (ratio * (1.0 - MARGIN), ratio * (1.0 + MARGIN))
    } else {
        ((sqrt(a * a + 4.0) - a) / 2.0 * (1.0 - 1e-9), 4.0 / (sqrt(a * a + 8.0) + 3.0 * a))
    }
}
