//! Rényi differential privacy (Mironov 2017): upper bounds on ε.

use libm::{erfc, exp, expm1, lgamma, log, log1p, sqrt};

/// Relative margin added to every divergence and ε: it covers the rounding of the sums below, whose terms are good to
/// 1e-12 each.
const MARGIN: f64 = 1e-9;

/// Orders at which the bound is taken: tenths up to 11, integers up to 64, and on.
pub(crate) fn orders() -> impl Iterator<Item = f64> {
    let fractional = (11..110).map(|tenths| f64::from(tenths) / 10.0);
    let whole = (11..=64).chain((72..=256).step_by(8)).chain([320, 384, 512, 768, 1024, 2048, 4096]).map(f64::from);
    fractional.chain(whole)
}

/// Least ε over the orders, from the divergence at each.
pub(crate) fn least(orders: impl Iterator<Item = f64>, delta: f64, divergence: impl Fn(f64) -> f64) -> f64 {
    orders.map(|order| epsilon(order, divergence(order), delta)).fold(f64::INFINITY, f64::min)
}

/// ε at `delta` of what is `(alpha, divergence)`-Rényi private.
///
/// Source: Canonne, Kamath and Steinke 2020, Proposition 12.
fn epsilon(alpha: f64, divergence: f64, delta: f64) -> f64 {
    let epsilon = divergence + log1p(-1.0 / alpha) - (log(delta) + log(alpha)) / (alpha - 1.0);
    // NaN from an overflow is no bound.
    if epsilon.is_nan() { f64::INFINITY } else { epsilon.max(0.0) * (1.0 + MARGIN) }
}

/// Rényi divergence of order `α > 1` of one Poisson-subsampled Gaussian, the larger of both neighbours' directions.
pub(crate) fn divergence(q: f64, sigma: f64, alpha: f64) -> f64 {
    if q >= 1.0 {
        return alpha / (2.0 * sigma * sigma) * (1.0 + MARGIN);
    }
    let log_moment = if alpha.fract() == 0.0 {
        whole_log_moment(q, sigma, alpha)
    } else {
        // The logarithm of the moment is convex in α: the chord between whole orders is a bound too (0 at order 1).
        let (below, above) = (alpha.floor(), alpha.ceil());
        let fraction = alpha - below;
        let low = if below > 1.0 { whole_log_moment(q, sigma, below) } else { 0.0 };
        let chord = (1.0 - fraction) * low + fraction * whole_log_moment(q, sigma, above);
        fractional_log_moment(q, sigma, alpha).min(chord)
    };
    log_moment / (alpha - 1.0) * (1.0 + MARGIN)
}

/// Divergence of order `α > 1` of a Gaussian mechanism on a fixed-size sample when a row is replaced, `σ` in units of
/// the replaced row's sensitivity.
///
/// The dominating pair's moment is `1 + E_Q[f(P/Q)]`, `f(r) = r^α - 1 - α (r - 1) >= 0`. Its ratios above 1 are those
/// of `u = 1 - q + q y` under `N(0)`: no more than that of a removed row in all. Those below 1 are `1/u` under
/// `u N(0)`, and `u f(1/u) = u^(1-α) - 1 + (α - 1)(u - 1) <= α (α - 1)/2 (u - 1)²` for `u >= 1`: no more than
/// `α (α - 1)/2 q² (exp(1/σ²) - 1)`. (Tighter than Wang, Balle and Kasiviswanathan 2019, Theorem 9, whose second-order
/// term is twice as large.)
pub(crate) fn fixed_size_divergence(q: f64, sigma: f64, alpha: f64) -> f64 {
    let log_moment = (alpha - 1.0) * divergence(q, sigma, alpha);
    let log_rest = log(alpha * (alpha - 1.0) / 2.0) + 2.0 * log(q) + log_expm1(1.0 / (sigma * sigma));
    let both = if log_moment < 0.5 && log_rest < 0.0 {
        log1p(expm1(log_moment) + exp(log_rest))
    } else {
        log_sum(log_moment, log_rest)
    };
    (both / (alpha - 1.0)).min(alpha / (2.0 * sigma * sigma)) * (1.0 + MARGIN)
}

/// Divergence of order `α > 1` of a Gaussian mechanism on a Poisson sample when a row is replaced.
///
/// With `P = Q + q D` the moment at a whole order is `Σ C(α,k) q^k E_Q[(D/Q)^k]`. The terms of order 0 and 1 are 1 and 0;
/// with `Q >= (1-q) N(0)` that of order `k` has `E_Q[(D/Q)^k] <= (1-q)^(1-k) E_N(0)|y_1 - y_-1|^k`, which is
/// `4 sinh(1/σ²)` for `k = 2` and at most `2 exp((k² - k)/2σ²)`. Neither is it more than `1 - q + q exp(2 α (α - 1)/σ²)`,
/// by convexity. Between whole orders the logarithm of the moment lies below its chord.
pub(crate) fn swapped_divergence(q: f64, sigma: f64, alpha: f64) -> f64 {
    let (below, above) = (alpha.floor(), alpha.ceil());
    let at = |order: f64| if order > 1.0 { swapped_log_moment(q, sigma, order) } else { 0.0 };
    let fraction = alpha - below;
    let log_moment = if fraction > 0.0 { (1.0 - fraction) * at(below) + fraction * at(above) } else { at(alpha) };
    log_moment / (alpha - 1.0) * (1.0 + MARGIN)
}

fn swapped_log_moment(q: f64, sigma: f64, alpha: f64) -> f64 {
    let inverse = 1.0 / (sigma * sigma);
    let convex = 2.0 * alpha * (alpha - 1.0) * inverse;
    let convex = if convex < 500.0 { log1p(q * expm1(convex)) } else { log_sum(log1p(-q), log(q) + convex) };
    let terms = (2..=alpha as u32).map(|k| {
        let k = f64::from(k);
        let size =
            if k < 3.0 { inverse + log(-2.0 * expm1(-2.0 * inverse)) } else { log(2.0) + (k * k - k) * inverse / 2.0 };
        log_binomial(alpha, k) + k * log(q) + (1.0 - k) * log1p(-q) + size
    });
    log_one_plus(&terms.collect::<Vec<_>>()).min(convex)
}

/// `log(1 + Σ exp(term))`.
fn log_one_plus(terms: &[f64]) -> f64 {
    let largest = terms.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    let excess = largest + log(terms.iter().map(|term| exp(term - largest)).sum());
    if excess > 0.0 { excess + log1p(exp(-excess)) } else { log1p(exp(excess)) }
}

fn log_sum(a: f64, b: f64) -> f64 {
    a.max(b) + log1p(exp(-(a - b).abs()))
}

fn log_expm1(x: f64) -> f64 {
    if x < 1.0 { log(expm1(x)) } else { x + log(-expm1(-x)) }
}

/// `log E_Q[(P/Q)^α]` for a whole order.
///
/// Source: Mironov, Talwar and Zhang 2019, section 3.3: `A = Σ C(α,k) (1-q)^(α-k) q^k exp((k²-k)/2σ²)`, here as
/// `1 + Σ_{k>=2} ... (exp(..) - 1)`, a sum without cancellation.
fn whole_log_moment(q: f64, sigma: f64, alpha: f64) -> f64 {
    let terms: Vec<f64> = (2..=alpha as u32)
        .map(|k| {
            let k = f64::from(k);
            let x = (k * k - k) / (2.0 * sigma * sigma);
            log_binomial(alpha, k) + (alpha - k) * log1p(-q) + k * log(q) + x + log(-expm1(-x))
        })
        .collect();
    log_one_plus(&terms)
}

/// `log E_Q[(P/Q)^α]` for a fractional order, from above; infinite where the series does not settle.
///
/// Source: the same section: the integral is split at `z = ½ + σ² ln(1/q - 1)`, where the two parts of `P` are equal, and
/// either side expanded in the smaller one. Past `α` the terms alternate and shrink, so what is left out is no more than
/// the last term.
fn fractional_log_moment(q: f64, sigma: f64, alpha: f64) -> f64 {
    let split = 0.5 + sigma * sigma * (log1p(-q) - log(q));
    let part = |power: f64, rest: f64, tail: f64| {
        let log_tail = log(0.5 * erfc(tail / (std::f64::consts::SQRT_2 * sigma)));
        rest * log1p(-q) + power * log(q) + (power * power - power) / (2.0 * sigma * sigma) + log_tail
    };
    let (mut sum, mut size, mut sign, mut log_choose) = (0.0, 0.0, 1.0, 0.0);
    for k in 0..1_000 {
        let k = f64::from(k);
        let left = exp(log_choose + part(k, alpha - k, k - split));
        let right = exp(log_choose + part(alpha - k, k, split - alpha + k));
        let term = left + right;
        if !term.is_finite() {
            return f64::INFINITY;
        }
        sum += sign * term;
        size += term;
        if k > alpha && term <= 1e-15 * sum {
            return log(sum + term + 1e-12 * size);
        }
        let factor = (alpha - k) / (k + 1.0);
        if factor < 0.0 {
            sign = -sign;
        }
        log_choose += log(factor.abs());
    }
    f64::INFINITY
}

fn log_binomial(n: f64, k: f64) -> f64 {
    lgamma(n + 1.0) - lgamma(k + 1.0) - lgamma(n - k + 1.0)
}

/// Divergence of order `α > 1` of the Laplace mechanism of scale `b` and sensitivity 1 (Mironov 2017, Proposition 6):
/// `log(α/(2α-1) exp((α-1)/b) + (α-1)/(2α-1) exp(-α/b)) / (α-1)`.
pub(crate) fn laplace_divergence(scale: f64, alpha: f64) -> f64 {
    let (grown, shrunk) = ((alpha - 1.0) / scale, -alpha / scale);
    let (more, less) = (alpha / (2.0 * alpha - 1.0), (alpha - 1.0) / (2.0 * alpha - 1.0));
    (grown + log(more + less * exp(shrunk - grown))).max(0.0) / (alpha - 1.0) * (1.0 + MARGIN) + MARGIN / scale
}

/// ε at `delta` of what is ρ-zero-concentrated private: `α ρ` at every order (Bun and Steinke 2016), at the orders near
/// the best one.
pub(crate) fn concentrated(rho: f64, delta: f64) -> f64 {
    let best = 1.0 + sqrt(-log(delta) / rho);
    least((-8..=8).map(|step| 1.0 + (best - 1.0) * exp(f64::from(step) / 8.0)), delta, |alpha| {
        alpha * rho * (1.0 + MARGIN)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn order_two_has_its_closed_form() {
        let (q, sigma) = (0.01f64, 1.1f64);
        let exact = (q * q * ((1.0 / (sigma * sigma)).exp() - 1.0)).ln_1p();
        assert!((divergence(q, sigma, 2.0) / exact - 1.0).abs() < 2e-9);
    }

    /// The moment at fractional orders by Simpson's rule on 20,000 points.
    #[test]
    fn fractional_orders_are_the_integral() {
        for (q, sigma, alpha) in [(0.01, 1.0, 1.5), (0.1, 2.0, 3.7), (0.3, 0.8, 5.3), (0.001, 0.7, 2.2)] {
            let f = |x: f64| {
                let ratio: f64 = 1.0 + q * (((2.0 * x - 1.0) / (2.0 * sigma * sigma)).exp() - 1.0);
                ratio.powf(alpha) * (-x * x / (2.0 * sigma * sigma)).exp() / (sigma * std::f64::consts::TAU.sqrt())
            };
            let (low, high) = (-12.0 * sigma, alpha + 12.0 * sigma);
            let step = (high - low) / 20_000.0;
            let inner: f64 =
                (1..20_000).map(|i| f(low + f64::from(i) * step) * if i % 2 == 1 { 4.0 } else { 2.0 }).sum();
            let exact = ((f(low) + inner + f(high)) * step / 3.0).ln() / (alpha - 1.0);
            let found = divergence(q, sigma, alpha);
            assert!(
                found >= exact * (1.0 - 1e-9) && found <= exact * (1.0 + 1e-6),
                "{q} {sigma} {alpha}: {found} {exact}"
            );
        }
    }

    #[test]
    fn laplace_divergence_is_the_integral() {
        for (scale, alpha) in [(0.5f64, 1.5f64), (1.0, 2.0), (10.0, 32.0)] {
            let f = |x: f64| {
                let (p, q) =
                    ((-x.abs() / scale).exp() / (2.0 * scale), (-(x - 1.0).abs() / scale).exp() / (2.0 * scale));
                p.powf(alpha) * q.powf(1.0 - alpha)
            };
            let (low, high, points) = (-12.0 * scale, 12.0 * scale + 1.0, 1_000_000);
            let step = (high - low) / f64::from(points);
            let integral: f64 = (0..points).map(|i| f(low + (f64::from(i) + 0.5) * step)).sum::<f64>() * step;
            let exact = integral.ln() / (alpha - 1.0);
            assert!((laplace_divergence(scale, alpha) / exact - 1.0).abs() < 1e-4, "{scale} {alpha}");
        }
    }

    /// A Gaussian mechanism is ρ = μ²/2 concentrated: the bound lies above its exact ε, and not far.
    #[test]
    fn concentrated_bounds_the_gaussian() {
        for (mu, delta) in [(0.1, 1e-5), (1.0, 1e-6), (5.0, 1e-10)] {
            let exact = crate::pld::gaussian(mu, delta).upper;
            let found = concentrated(mu * mu / 2.0, delta);
            assert!(found >= exact && found <= 1.2 * exact, "{mu} {delta}: {found} {exact}");
        }
    }
}
