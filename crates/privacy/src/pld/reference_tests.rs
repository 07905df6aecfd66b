//! Bounds against numbers found another way, and against closed forms where only rounding tells sides apart.

use super::cumulants::Cumulants;
use super::gaussian::{Cells, Knots};
use super::losses::{Losses, Side};
use super::{Composition, Leaf};

/// ε as the root of `δ(ε) = (1/2πi) ∫ exp(K(s) - s ε) / (s (s + 1)) ds`, the contour led through the saddle point (Zhu, Dong and
/// Wang 2022 invert the same characteristic function): `K` by Gauss and Legendre's rule over the outputs, no lattice, no bound.
/// Good to some 1e-6, relative.
#[test]
fn bounds_enclose_contour_integrals() {
    let added = [
        (1e-5, 0.5, 100_000, 1e-8, 1.492_583_263),
        (2e-5, 0.8, 10_000_000, 1e-9, 0.665_554_770_5),
        (3e-4, 0.35, 1_000_000, 1e-6, 95.350_099_72),
        (7e-4, 1.3, 3_000_000, 1e-12, 7.960_705_661),
        (1e-3, 2.0, 1_000_000, 1e-6, 2.420_858_348),
        (5e-5, 9.0, 8_000_000, 1e-7, 0.063_587_612_42),
        (9e-4, 4.0, 200_000, 1e-5, 0.349_259_177_3),
        (1e-6, 0.05, 10_000_000, 1e-3, 3_934.257_779),
        (3e-5, 0.06, 5_000_000, 1e-7, 27_927.508_72),
    ];
    let replaced = [
        (1e-4, 0.7, 1_000_000, 1e-10, 2.409_979_888),
        (2e-5, 0.4, 400_000, 1e-7, 5.993_994_202),
        (8e-4, 0.6, 150_000, 1e-12, 14.059_956_19),
        (4e-5, 3.0, 9_000_000, 1e-5, 0.267_461_468),
        (1e-5, 0.3, 2_000_000, 1e-9, 28.237_595_33),
        (1e-5, 0.05, 10_000_000, 1e-6, 28_526.812_98),
    ];
    let added = added.map(|(rate, sigma, steps, delta, truth)| (Leaf::Gaussian { rate, sigma }, steps, delta, truth));
    let replaced =
        replaced.map(|(rate, sigma, steps, delta, truth)| (Leaf::Swapped { rate, sigma }, steps, delta, truth));
    for (leaf, steps, delta, truth) in added.into_iter().chain(replaced) {
        let found = Composition::new(vec![(leaf.clone(), steps)]).epsilon(delta, 0.01).unwrap();
        let case = format!("{leaf:?} {steps} {delta}: {found:?} {truth}");
        assert!(found.lower <= truth * (1.0 + 1e-6) && found.upper >= truth * (1.0 - 1e-6), "{case}");
        assert!(found.gap() < 0.025, "{case}");
    }
}

/// What is paid by δ alone costs no ε: one step by its sampling rate, more by the chance that any of them draws the row. A δ a
/// part in a thousand short of that leaves the long loss of a drawn row.
#[test]
fn what_delta_pays_costs_nothing() {
    for (rate, steps) in [(1e-6_f64, 1_u64), (1e-3, 1), (1e-7, 10_000), (1e-5, 300)] {
        let drawn: f64 = 1.0 - (1.0 - rate).powf(steps as f64);
        for leaf in [Leaf::Gaussian { rate, sigma: 0.05 }, Leaf::Swapped { rate, sigma: 0.05 }] {
            let sum = Composition::new(vec![(leaf, steps)]);
            let enough = if steps == 1 { rate } else { drawn * (1.0 + 1e-9) };
            let found = sum.epsilon(enough, 0.01).unwrap();
            assert!(found.lower <= 0.0 && found.upper <= 0.0, "{rate} {steps}: {found:?}");
            assert!(sum.upper(enough, 0.01) <= 0.0, "{rate} {steps}");
            let short = sum.epsilon(drawn * 0.999, 0.02).unwrap();
            assert!(short.lower > 50.0, "{rate} {steps}: {short:?}");
        }
    }
    // Little noise by little: the total variation of one step is q erf(1/(σ sqrt 8)).
    let sum = Composition::new(vec![(Leaf::Gaussian { rate: 0.01, sigma: 1.0 }, 1)]);
    assert!(sum.upper(0.01 * 0.382_925, 0.01) <= 0.0 && sum.upper(0.01 * 0.382_924, 0.01) > 0.0);
}

/// A mass far above the knot leaves nothing of `mass - next` but rounding: ε still lies on its side of where the curve falls.
#[test]
fn a_curve_far_below_its_masses_falls_on_its_side() {
    // The curve of one mass at `gap` above the knot: `mass (1 - exp(u - gap))`.
    for gap in [0.5_f64, 5.0, 35.0, 36.5, 40.0, 500.0, 2_000.0] {
        for (mass, part) in [(1.0_f64, 1e-3_f64), (1e-6, 0.3), (1e-12, 1e-9)] {
            let next = mass * -(-gap).exp_m1();
            let target = mass * (1.0 - part);
            if next < target {
                continue;
            }
            let truth = gap + part.ln();
            let [above, below] = [Side::Upper, Side::Lower].map(|side| side.falls([mass, next], target, gap, 1e-14));
            assert!(below <= truth + 1e-7 && above >= truth - 1e-7, "{gap} {mass} {part}: {below} {truth} {above}");
        }
        // Masses that come to less than the curve, by rounding.
        let above = Side::Upper.falls([1.0 - 1e-16, 1.0], 0.9, gap, 1e-14);
        assert!(above >= gap, "{gap}: {above}");
    }
}

/// Above, what is infinite counts by all masses of the other events, though they come to more than 1.
#[test]
fn what_is_infinite_counts_by_all_masses() {
    let (times, excess, infinite) = (1_000_000_u64, 1e-7, 1e-12);
    let atoms = vec![(0, 0.5), (1, 0.5 + excess - infinite)];
    let losses = Losses { origin: 0.0, width: 0.1, atoms, infinite, loss_error: 0.0 };
    // tot^n - (tot - infinite)^n, to first order in what is infinite, and some of the second.
    let n = times as f64;
    let truth = n * infinite * ((n - 1.0) * (1.0_f64 + excess).ln()).exp() * (1.0 - n * infinite);
    let found = Cumulants(&[(&losses, times)]).infinite(Side::Upper);
    assert!(found >= truth && found < truth * 1.001, "{found} {truth}");
}

/// Little noise: cells far out end at their knots, not in one cell with all that lies above, whose loss is a quarter of theirs.
#[test]
fn rare_long_losses_keep_their_mean_below() {
    for (rate, spread) in [(1e-6_f64, 0.06), (1e-6, 0.033), (1e-4, 0.06), (1e-2, 0.03)] {
        let sigma = 0.05_f64;
        let width = 0.1 * Cells::deviation(rate, sigma);
        let lower = Cells { rate, sigma, width, tail: 1e-14, knots: Knots::Spread(spread) }.lower();
        let mean: f64 = lower.atoms.iter().map(|(index, mass)| mass * lower.loss(*index)).sum();
        // Of a drawn row log q + 1/2σ², but for what is below 1e-4 of it, and of another next to nothing.
        let truth = rate * (rate.ln() + 0.5 / (sigma * sigma));
        assert!(mean <= truth && mean >= 0.97 * truth - rate, "{rate} {spread}: {mean} {truth}");
    }
}
