//! Nested lattices: each step keeps to its side of the hockey-stick curve, and whole sums enclose closed forms.

use proptest::prelude::*;

use super::*;
use crate::pld::gaussian::{Cells, Knots};
use crate::pld::{Composition, Leaf, exact};

const GRID: Grid = Grid { octave: 64, reach: 512, top: 40 };

/// The curve of masses at losses: `Σ mass (1 - x exp(-loss))+`, at the logarithm of `x`, as both factors may overflow.
fn curve(atoms: &[(f64, f64)], log_x: f64) -> f64 {
    atoms.iter().map(|(loss, mass)| mass * (1.0 - (log_x - loss).exp()).max(0.0)).sum()
}

fn atoms(row: &Row, width: f64) -> Vec<(f64, f64)> {
    (row.first..).zip(&row.masses).map(|(index, mass)| (index as f64 * width, *mass)).collect()
}

/// Whether one curve lies above the other everywhere, but for rounding, that of the losses here included; the order is tried at and
/// between all knots.
fn ordered(below: &[(f64, f64)], above: &[(f64, f64)], width: f64) -> Result<(), TestCaseError> {
    let total: f64 = above.iter().map(|(_, mass)| mass).sum();
    for step in -200..400 {
        let x = f64::from(step) * width / 4.0;
        let (low, high) = (curve(below, x), curve(above, x));
        prop_assert!(low <= high * (1.0 + 1e-12) + 1e-13 + 1e-15 * total * x.abs(), "at exp({x}): {low} above {high}");
    }
    Ok(())
}

fn rows() -> impl Strategy<Value = Row> {
    let mass = prop_oneof![Just(0.0), 0.0..1.0, 1e-12..1e-6];
    (-20_i64..20, prop::collection::vec(mass, 1..40)).prop_map(|(first, masses)| Row { first, masses })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, failure_persistence: None, ..ProptestConfig::default() })]

    /// Guarantee of `Row::coarser`: masses on twice the spacing lie on their side, for every spacing.
    #[test]
    fn a_coarser_row_keeps_to_its_side(row in rows(), exponent in -7_i32..5) {
        let width = f64::from(exponent).exp2();
        let fine = atoms(&row, width);
        ordered(&fine, &atoms(&row.coarser(width, Side::Upper), 2.0 * width), width)?;
        ordered(&atoms(&row.coarser(width, Side::Lower), 2.0 * width), &fine, width)?;
    }

    /// Above, the masses under `P` and under `Q` stay what they were.
    #[test]
    fn a_coarser_row_keeps_both_masses_above(row in rows(), exponent in -7_i32..5) {
        let width = f64::from(exponent).exp2();
        let total = |atoms: &[(f64, f64)], power: f64| atoms.iter().map(|(loss, mass)| mass * (-power * loss).exp()).sum::<f64>();
        let (fine, coarse) = (atoms(&row, width), atoms(&row.coarser(width, Side::Upper), 2.0 * width));
        for power in [0.0, 1.0] {
            let (before, after) = (total(&fine, power), total(&coarse, power));
            prop_assert!((after - before).abs() <= 1e-12 * before, "{before} {after}");
        }
    }

    /// Guarantee of `Row::lowered`: what is moved by a part of a place lies below.
    #[test]
    fn a_lowered_row_lies_below(row in rows(), shift in -70_i64..70, exponent in 0_u32..6, width in 1e-3..2.0_f64) {
        let spacing = width * f64::from(exponent).exp2();
        let lowered = row.lowered(shift, exponent, spacing);
        // Seen from the old index 0: the new one lies `shift` widths above it.
        let moved: Vec<_> =
            atoms(&lowered, spacing).into_iter().map(|(loss, mass)| (loss + shift as f64 * width, mass)).collect();
        ordered(&moved, &atoms(&row, spacing), spacing)?;
    }
}

/// Smooth masses lose almost nothing by merging: below, the mean under `Q` stays too.
#[test]
fn smooth_masses_lose_no_mean() {
    let width = 0.02;
    let masses = (-200..=200).map(|at| (-f64::from(at).powi(2) / 800.0).exp()).collect();
    let row = Row { first: -200, masses };
    let other = |atoms: &[(f64, f64)]| atoms.iter().map(|(loss, mass)| mass * (-loss).exp()).sum::<f64>();
    let (fine, coarse) = (atoms(&row, width), atoms(&row.coarser(width, Side::Lower), 2.0 * width));
    assert!((other(&coarse) / other(&fine) - 1.0).abs() < 1e-12, "{} {}", other(&coarse), other(&fine));
    let lowered = row.lowered(5, 4, width);
    let moved: Vec<_> =
        atoms(&lowered, width).into_iter().map(|(loss, mass)| (loss + 5.0 / 16.0 * width, mass)).collect();
    assert!((other(&moved) / other(&fine) - 1.0).abs() < 1e-6, "{} {}", other(&moved), other(&fine));
}

/// Sums of Gaussians on all rows, the one composition with a closed form, in numbers of steps of every kind of bits.
#[test]
fn nested_sums_enclose_the_gaussian() {
    for (sigma, steps) in [(2.0, 1_u64), (1.5, 2), (3.0, 37), (30.0, 1_000), (200.0, 99_999), (500.0, 1_000_000)] {
        for delta in [1e-3, 1e-6, 1e-12] {
            let truth = exact::gaussian((steps as f64).sqrt() / sigma, delta);
            let tail = 1e-4 * delta / steps as f64;
            let cells = Cells { rate: 1.0, sigma, width: 0.05 / sigma, tail, knots: Knots::Nested(GRID) };
            let ask = |losses: &Losses, side| {
                let sum = Nested::new(losses, side, GRID).repeated(steps, 0.05, 100.0).unwrap();
                sum.epsilon(delta, losses.loss_error * steps as f64)
            };
            let (directions, case) = (cells.upper(), format!("{sigma} {steps} {delta}"));
            for upper in [ask(&directions.remove, Side::Upper), ask(&directions.add, Side::Upper)] {
                assert!(upper >= truth.lower && upper <= truth.upper * 1.02, "{case}: {upper} {truth:?}");
            }
            let lower = ask(&cells.lower(), Side::Lower);
            assert!(lower <= truth.upper && lower >= truth.lower * 0.98, "{case}: {lower} {truth:?}");
        }
    }
}

/// The sum of two numbers of steps is their composition: on one lattice, by squaring or one after the other.
#[test]
fn sums_compose() {
    let (rate, sigma, delta) = (1e-4, 0.6, 1e-8);
    let width = 0.05 * Cells::deviation(rate, sigma);
    let cells = Cells { rate, sigma, width, tail: 1e-16, knots: Knots::Nested(GRID) };
    let one = Nested::new(&cells.upper().remove, Side::Upper, GRID);
    let sum = |times| one.clone().repeated(times, 0.05, 50.0).unwrap();
    let whole = sum(1_000).epsilon(delta, 0.0);
    let mut apart = sum(400);
    let mut rest = sum(600);
    while rest.width < apart.width {
        rest = rest.coarser();
    }
    while apart.width < rest.width {
        apart = apart.coarser();
    }
    let apart = apart.plus(&rest, 50.0).epsilon(delta, 0.0);
    assert!((whole / apart - 1.0).abs() < 0.01, "{whole} {apart}");
}

/// More of each that costs, costs more: steps, rates, less noise, a smaller δ. Bounds may overlap, but never cross over.
#[test]
fn bounds_are_monotone() {
    let ask = |rate: f64, sigma: f64, steps: u64, delta: f64| {
        let leaves = [Leaf::Gaussian { rate, sigma }, Leaf::Swapped { rate, sigma }];
        leaves.map(|leaf| Composition::new(vec![(leaf, steps)]).epsilon(delta, 0.01).unwrap())
    };
    for (rate, sigma, steps, delta) in
        [(1e-6, 0.5, 10_000, 1e-8), (1e-4, 0.4, 100, 1e-10), (1e-3, 1.0, 1_000_000, 1e-6)]
    {
        let least = ask(rate, sigma, steps, delta);
        let more = [
            ask(rate * 1.5, sigma, steps, delta),
            ask(rate, sigma * 0.9, steps, delta),
            ask(rate, sigma, steps * 2, delta),
            ask(rate, sigma, steps, delta / 8.0),
        ];
        for (kind, more) in more.iter().enumerate() {
            for (least, more) in least.iter().zip(more) {
                assert!(least.lower <= more.upper, "{kind}: {least:?} {more:?}");
                assert!(least.upper < more.upper && least.lower < more.lower, "{kind}: {least:?} {more:?}");
            }
        }
    }
}

/// The corners that one long lattice did not hold: close, and about what is known of them. The first was worked out by
/// direct integration of one long loss beside a Gaussian of all others, the next are what the lattice proved.
#[test]
fn rare_samples_are_bounded_closely() {
    for (rate, sigma, steps, delta, known) in [
        (1e-7, 0.5, 1_000_000, 1e-10, [0.072_821, 0.072_822]),
        (1e-6, 0.4, 2, 1e-10, [0.189_959, 0.194_544]),
        (1e-7, 0.4, 1_000, 1e-10, [0.167_585, 0.380_96]),
        (0.5, 0.05, 10_000_000, 1e-10, [0.0, 1.006_199e9]),
    ] {
        let found = Composition::new(vec![(Leaf::Gaussian { rate, sigma }, steps)]).epsilon(delta, 0.01).unwrap();
        let case = format!("{rate} {sigma} {steps} {delta}: {found:?}");
        assert!(found.lower <= known[1] && found.upper >= known[0], "{case}");
        assert!(found.gap() < 0.015, "{case}");
    }
}
