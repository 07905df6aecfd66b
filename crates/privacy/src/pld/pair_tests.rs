//! The pairs of replaced rows: against closed forms, quadrature, and every other pair of outputs.

use libm::erfc;
use proptest::prelude::*;

use super::gaussian::{Cells, Knots};
use super::leaf::Leaf;
use super::losses::Part;
use super::{Composition, fourier};
use crate::pld::Side;

/// `N(mean, sigma²)` above `x`.
fn tail(x: f64, mean: f64, sigma: f64) -> f64 {
    0.5 * erfc((x - mean) / (sigma * std::f64::consts::SQRT_2))
}

fn density(x: f64, mean: f64, sigma: f64) -> f64 {
    (-(x - mean).powi(2) / (2.0 * sigma * sigma)).exp() / (sigma * std::f64::consts::TAU.sqrt())
}

/// Two mixtures on a line: `(1-q) N(0) + q N(mean)` each.
#[derive(Clone, Copy)]
struct Pair {
    rate: f64,
    sigma: f64,
    means: [f64; 2],
}

impl Pair {
    fn density(&self, x: f64, which: usize) -> f64 {
        (1.0 - self.rate) * density(x, 0.0, self.sigma) + self.rate * density(x, self.means[which], self.sigma)
    }

    fn tail(&self, x: f64, which: usize) -> f64 {
        (1.0 - self.rate) * tail(x, 0.0, self.sigma) + self.rate * tail(x, self.means[which], self.sigma)
    }

    /// Hockey-stick divergence at `alpha`: the ratio rises along the line, so the best test is a half-line.
    fn divergence(&self, alpha: f64) -> f64 {
        let variance = self.sigma * self.sigma;
        let ratio = |x: f64| {
            let part = |mean: f64| 1.0 - self.rate + self.rate * ((x * mean - mean * mean / 2.0) / variance).exp();
            part(self.means[0]) / part(self.means[1])
        };
        let (mut low, mut high) = (-60.0 * self.sigma, 60.0 * self.sigma);
        for _ in 0..200 {
            let middle = f64::midpoint(low, high);
            if ratio(middle) > alpha { high = middle } else { low = middle }
        }
        let found = self.tail(high, 0) - alpha * self.tail(high, 1);
        found.max(0.0).max(1.0 - alpha)
    }
}

fn swapped(rate: f64, sigma: f64) -> Pair {
    Pair { rate, sigma, means: [1.0, -1.0] }
}

/// A row replaced in a sample of fixed size, `sigma` in units of the clipping norm.
fn removed(rate: f64, sigma: f64) -> Pair {
    Pair { rate, sigma, means: [2.0, 0.0] }
}

/// The curve claimed for a sample of fixed size: the larger of both directions, whichever the ratio.
fn fixed_size(rate: f64, sigma: f64, alpha: f64) -> f64 {
    if alpha >= 1.0 {
        removed(rate, sigma).divergence(alpha)
    } else {
        1.0 - alpha + alpha * removed(rate, sigma).divergence(1.0 / alpha)
    }
}

fn simpson(low: f64, high: f64, f: impl Fn(f64) -> f64) -> f64 {
    let points = 4_000;
    let step = (high - low) / f64::from(points);
    let inner: f64 = (1..points).map(|i| f(low + f64::from(i) * step) * if i % 2 == 1 { 4.0 } else { 2.0 }).sum();
    (f(low) + inner + f(high)) * step / 3.0
}

const CASES: [(f64, f64); 7] = [(1e-4, 0.7), (0.01, 0.6), (0.01, 1.0), (0.01, 4.0), (0.3, 0.5), (0.3, 2.0), (0.9, 1.5)];

#[test]
fn swapped_encloses_its_closed_form() {
    for (rate, sigma) in CASES {
        let one = Composition::new(vec![(Leaf::Swapped { rate, sigma }, 1)]);
        for epsilon in [0.0, 0.001, 0.1, 1.0, 3.0] {
            let truth = swapped(rate, sigma).divergence(f64::exp(epsilon));
            if truth < 1e-11 {
                continue;
            }
            let (found, slack) = (one.delta(epsilon, 0.01).unwrap(), 1e-14);
            let case = format!("{rate} {sigma} {epsilon}: {truth:e} {found:?}");
            assert!(found.lower <= truth + slack && truth <= found.upper + slack, "{case}");
            assert!(found.upper <= 1.02 * truth + slack && found.lower >= 0.98 * truth - slack, "{case}");
        }
    }
}

/// Two steps by Simpson's rule: `H_α(P² ‖ Q²) = E_P[H_{α/r}(P ‖ Q)]`.
#[test]
fn two_replacements_are_the_integral() {
    for (rate, sigma) in CASES {
        let pair = swapped(rate, sigma);
        for epsilon in [0.01, 0.3, 1.0] {
            let (low, high) = (-10.0 * sigma, 10.0 * sigma + 1.0);
            let truth = simpson(low, high, |x| {
                let (p, q) = (pair.density(x, 0), pair.density(x, 1));
                p * pair.divergence(f64::exp(epsilon) * q / p)
            });
            if truth < 1e-9 {
                continue;
            }
            let found = Composition::new(vec![(Leaf::Swapped { rate, sigma }, 2)]).delta(epsilon, 0.01).unwrap();
            let case = format!("{rate} {sigma} {epsilon}: {truth:e} {found:?}");
            assert!(found.lower <= truth * (1.0 + 1e-5) && truth <= found.upper * (1.0 + 1e-5), "{case}");
            assert!(found.gap() <= 0.02, "{case}");
        }
    }
}

/// One step and two of the dominating pair of fixed-size samples: ratios above 1 are those of `u` under `u N(0)`, those
/// below are `1/u` under `N(0)`, the rest is 1.
#[test]
fn two_fixed_size_samples_are_the_integral() {
    for (rate, sigma) in CASES {
        let pair = removed(rate, sigma);
        let leaf = Leaf::FixedSize { rate, sigma: sigma / 2.0 };
        for epsilon in [0.01, 0.3, 1.0] {
            let alpha = f64::exp(epsilon);
            let above = |x: f64| {
                let (p, q) = (pair.density(x, 0), pair.density(x, 1));
                p * fixed_size(rate, sigma, alpha * q / p) + q * fixed_size(rate, sigma, alpha * p / q)
            };
            let middle = (1.0 - rate) * libm::erf(1.0 / (sigma * std::f64::consts::SQRT_2));
            let two = simpson(1.0, 2.0 + 10.0 * sigma, above) + middle * fixed_size(rate, sigma, alpha);
            for (truth, times) in [(fixed_size(rate, sigma, alpha), 1), (two, 2)] {
                if truth < 1e-9 {
                    continue;
                }
                let found = Composition::new(vec![(leaf.clone(), times)]).delta(epsilon, 0.01).unwrap();
                let case = format!("{rate} {sigma} {epsilon} {times}: {truth:e} {found:?}");
                assert!(found.upper >= truth * (1.0 - 1e-5) && found.upper <= 1.02 * truth, "{case}");
                assert!(found.lower <= truth * (1.0 + 1e-5), "{case}");
                // The lower bound is attained: by rows of one direction throughout.
                assert!(times > 1 || found.lower >= 0.98 * truth, "{case}");
            }
        }
    }
}

/// Steps of either direction, however mixed, cost no more than the upper bound; and it is not that of one direction.
#[test]
fn either_direction_of_a_fixed_size_sample_is_covered() {
    let (rate, sigma, steps, delta) = (0.01, 0.5, 1_000, 1e-5);
    let cells =
        Cells { rate, sigma, width: 0.2 * Cells::deviation(rate, sigma), tail: 1e-12, knots: Knots::Spread(0.05) };
    let (directions, both) = (cells.upper(), cells.upper_of_both());
    let epsilon = |parts: &[Part<'_>]| fourier::epsilon(parts, Side::Upper, delta, None).unwrap().value;
    let covered = epsilon(&[(&both, steps)]);
    for removed in [0, 1, 250, 500, 750, 999, 1_000] {
        let mixed = epsilon(&[(&directions.remove, removed), (&directions.add, steps - removed)]);
        assert!(mixed <= covered * (1.0 + 1e-9), "{removed}: {mixed} {covered}");
    }
    assert!(covered > 1.001 * epsilon(&[(&directions.remove, steps)]), "or the halves would not matter");
}

/// A sample of nearly all rows is the Gaussian mechanism.
#[test]
fn nearly_full_samples_are_the_gaussian() {
    for (sigma, steps, delta) in [(2.0, 1u64, 1e-5), (20.0, 100, 1e-5), (300.0, 10_000, 1e-12)] {
        let truth = super::gaussian(2.0 * (steps as f64).sqrt() / sigma, delta);
        let rate = 1.0 - 1e-9;
        for leaf in [Leaf::Swapped { rate, sigma }, Leaf::FixedSize { rate, sigma: sigma / 2.0 }] {
            let found = Composition::new(vec![(leaf, steps)]).epsilon(delta, 0.01).unwrap();
            assert!(found.lower <= truth.upper && found.upper >= truth.lower * (1.0 - 1e-8), "{found:?} {truth:?}");
            assert!(found.gap() <= 0.01, "{found:?}");
        }
    }
}

/// `E(c_0 Y_0 + c_1 Y_u - c_2 Y_v)+` over the plane, on a grid of 300 by 300.
fn plane(rate: f64, sigma: f64, alpha: f64, u: [f64; 2], v: [f64; 2]) -> f64 {
    let (points, reach) = (300, 7.0 * sigma + 2.0);
    let step = 2.0 * reach / f64::from(points);
    let at = |index: i32| -reach + (f64::from(index) + 0.5) * step;
    let gaussian = |x: f64, y: f64, mean: [f64; 2]| density(x, mean[0], sigma) * density(y, mean[1], sigma);
    let mut total = 0.0;
    for i in 0..points {
        for j in 0..points {
            let (x, y) = (at(i), at(j));
            let rest = (1.0 - rate) * (1.0 - alpha) * gaussian(x, y, [0.0; 2]);
            total += (rest + rate * (gaussian(x, y, u) - alpha * gaussian(x, y, v))).max(0.0);
        }
    }
    total * step * step
}

fn within(radius: f64) -> impl Strategy<Value = [f64; 2]> {
    (0.0..std::f64::consts::TAU, 0.0..1.0f64).prop_map(move |(angle, fraction)| {
        [radius * fraction.sqrt() * angle.cos(), radius * fraction.sqrt() * angle.sin()]
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, failure_persistence: None, ..ProptestConfig::default() })]

    /// Any replacement of a row in a Poisson sample, in the plane, at ratios on both sides of 1.
    #[test]
    fn no_replacement_costs_more_than_the_opposite(
        u in within(1.0), v in within(1.0), rate in 0.05f64..0.95, sigma in 0.4f64..2.0, alpha in 0.3f64..4.0,
    ) {
        let (found, worst) = (plane(rate, sigma, alpha, u, v), swapped(rate, sigma).divergence(alpha));
        prop_assert!(found <= worst * 1.002 + 1e-5, "{found} {worst}");
    }

    /// Any replacement of a row in a sample of fixed size: three vectors of norm 1, `y` the one it displaces.
    #[test]
    fn no_fixed_size_replacement_costs_more(
        x in within(1.0), other in within(1.0), y in within(1.0),
        rate in 0.05f64..0.95, sigma in 0.4f64..2.0, alpha in 0.3f64..4.0,
    ) {
        let [u, v] = [x, other].map(|row| [row[0] - y[0], row[1] - y[1]]);
        let (found, worst) = (plane(rate, sigma, alpha, u, v), fixed_size(rate, sigma, alpha));
        prop_assert!(found <= worst * 1.002 + 1e-5, "{found} {worst}");
    }
}
