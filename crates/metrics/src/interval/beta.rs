//! The regularised incomplete beta function and the normal distribution.

/// `I_x(a, b)` for `a, b > 0` and `x` in `[0, 1]`, by the continued fraction of Didonato and Morris (1992), evaluated
/// by Lentz's method (Press et al., Numerical Recipes, section 6.4).
///
/// Relative error below [`relative_error`]; the prefactor's logarithm dominates it.
pub(super) fn regularised(x: f64, a: f64, b: f64) -> f64 {
    if x <= 0.0 {
        return 0.0;
    }
    if x >= 1.0 {
        return 1.0;
    }
    if x > (a + 1.0) / (a + b + 2.0) {
        return 1.0 - small_side(1.0 - x, b, a);
    }
    small_side(x, a, b)
}

/// A bound on the relative error of [`regularised`] where it is small: the logarithm of the prefactor sums terms of
/// the order of `(a + b) ln(a + b)`, each rounded.
pub(super) fn relative_error(a: f64, b: f64) -> f64 {
    let n = a + b + 2.0;
    1e-13 + 8.0 * f64::EPSILON * n * n.ln()
}

fn small_side(x: f64, a: f64, b: f64) -> f64 {
    let log_beta = libm::lgamma(a) + libm::lgamma(b) - libm::lgamma(a + b);
    let front = (a * x.ln() + b * (-x).ln_1p() - log_beta).exp() / a;
    front * continued_fraction(x, a, b)
}

fn continued_fraction(x: f64, a: f64, b: f64) -> f64 {
    const TINY: f64 = 1e-300;
    let away = |value: f64| if value.abs() < TINY { TINY } else { value };
    let mut c = 1.0;
    let mut d = 1.0 / away(1.0 - (a + b) * x / (a + 1.0));
    let mut fraction = d;
    for m in 1..100_000 {
        let m = f64::from(m);
        let even = m * (b - m) * x / ((a + 2.0 * m - 1.0) * (a + 2.0 * m));
        d = 1.0 / away(1.0 + even * d);
        c = away(1.0 + even / c);
        fraction *= d * c;
        let odd = -(a + m) * (a + b + m) * x / ((a + 2.0 * m) * (a + 2.0 * m + 1.0));
        d = 1.0 / away(1.0 + odd * d);
        c = away(1.0 + odd / c);
        let factor = d * c;
        fraction *= factor;
        if (factor - 1.0).abs() < 1e-16 {
            break;
        }
    }
    fraction
}

/// `P(Z <= z)` of a standard normal variable.
pub(crate) fn normal_cdf(z: f64) -> f64 {
    0.5 * libm::erfc(-z / std::f64::consts::SQRT_2)
}

/// The `z >= 0` that a standard normal variable exceeds with probability `tail`, in `(0, 1/2]`; rounded up.
pub(crate) fn normal_quantile(tail: f64) -> f64 {
    let (mut low, mut high) = (0.0, 40.0);
    while high - low > 1e-14 * high {
        let middle = f64::midpoint(low, high);
        if middle <= low || middle >= high {
            break;
        }
        if normal_cdf(-middle) > tail {
            low = middle;
        } else {
            high = middle;
        }
    }
    high
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn beta_of_whole_numbers_is_a_polynomial() {
        // I_x(2, 3) = 6x^2 - 8x^3 + 3x^4.
        for x in [0.0_f64, 0.1, 0.37, 0.5, 0.9, 1.0] {
            let expected = 6.0 * x.powi(2) - 8.0 * x.powi(3) + 3.0 * x.powi(4);
            assert!((regularised(x, 2.0, 3.0) - expected).abs() < 1e-14, "{x}");
        }
    }

    #[test]
    fn quantiles_of_the_normal_are_the_tables() {
        for (tail, z) in
            [(0.025, 1.959_963_984_540_054), (0.05, 1.644_853_626_951_472_7), (0.001, 3.090_232_306_167_813)]
        {
            assert!((normal_quantile(tail) - z).abs() < 1e-12, "{tail}");
        }
        assert!((normal_cdf(1.0) - 0.841_344_746_068_543).abs() < 1e-15);
    }
}
