//! Rényi differential privacy (Mironov 2017): upper bounds on ε.

use libm::{exp, expm1, lgamma, log, log1p};

/// Relative margin added to every Rényi divergence: it covers the rounding of the sums below.
const MARGIN: f64 = 1e-9;

/// Orders at which the bound is taken.
fn orders() -> impl Iterator<Item = u32> {
    (2..=64).chain((72..=256).step_by(8)).chain([320, 384, 512, 768, 1024, 2048, 4096])
}

/// Smallest ε at which `steps` Poisson-subsampled Gaussians are (ε, δ)-private by the Rényi accountant.
pub(crate) fn subsampled_gaussian(q: f64, sigma: f64, steps: u64, delta: f64) -> f64 {
    orders()
        .map(|order| epsilon(f64::from(order), steps as f64 * divergence(q, sigma, order), delta))
        .fold(f64::INFINITY, f64::min)
}

/// Rényi divergence of integer order `α` of one Poisson-subsampled Gaussian, both neighbours' directions.
///
/// Source: Mironov, Talwar and Zhang 2019, section 3.3:
/// `A = Σ C(α,k) (1-q)^(α-k) q^k exp((k²-k)/2σ²)`, here as `1 + Σ_{k>=2} ... (exp(..) - 1)`, a sum without
/// cancellation.
fn divergence(q: f64, sigma: f64, order: u32) -> f64 {
    let alpha = f64::from(order);
    if q >= 1.0 {
        return alpha / (2.0 * sigma * sigma) * (1.0 + MARGIN);
    }
    let terms: Vec<f64> = (2..=order)
        .map(|k| {
            let k = f64::from(k);
            let x = (k * k - k) / (2.0 * sigma * sigma);
            log_binomial(alpha, k) + (alpha - k) * log1p(-q) + k * log(q) + x + log(-expm1(-x))
        })
        .collect();
    let largest = terms.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    let excess = largest + log(terms.iter().map(|term| exp(term - largest)).sum());
    let log_moment = if excess > 0.0 { excess + log1p(exp(-excess)) } else { log1p(exp(excess)) };
    log_moment / (alpha - 1.0) * (1.0 + MARGIN)
}

fn log_binomial(n: f64, k: f64) -> f64 {
    lgamma(n + 1.0) - lgamma(k + 1.0) - lgamma(n - k + 1.0)
}

/// ε at `delta` of what is `(alpha, divergence)`-Rényi private.
///
/// Source: Canonne, Kamath and Steinke 2020, Proposition 12.
fn epsilon(alpha: f64, divergence: f64, delta: f64) -> f64 {
    let epsilon = divergence + log1p(-1.0 / alpha) - (log(delta) + log(alpha)) / (alpha - 1.0);
    epsilon.max(0.0) * (1.0 + MARGIN)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn order_two_has_its_closed_form() {
        let (q, sigma) = (0.01f64, 1.1f64);
        let exact = (q * q * ((1.0 / (sigma * sigma)).exp() - 1.0)).ln_1p();
        assert!((divergence(q, sigma, 2) / exact - 1.0).abs() < 2e-9);
    }
}
