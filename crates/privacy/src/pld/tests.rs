//! Bounds against closed forms: they must enclose them everywhere, and lie close in the common range.

use super::fourier::{self, Composed, Tilt};
use super::gaussian::{Cells, Knots};
use super::losses::{Losses, Side};
use super::{Composition, Leaf, exact};
use crate::Bounds;

fn repeated(rate: f64, sigma: f64, steps: u64) -> Composition {
    Composition::new(vec![(Leaf::Gaussian { rate, sigma }, steps)])
}

/// δ of one subsampled Gaussian at `epsilon`, removing a row: `q` times the Gaussian's δ at its own ε (Balle, Barthe and
/// Gaboardi 2018, Theorem 8): `P - e^ε Q` with `P/Q = 1 - q + q y`.
fn one_step(rate: f64, sigma: f64, epsilon: f64) -> f64 {
    let inner = (epsilon.exp_m1() / rate).ln_1p();
    rate * exact::gaussian_delta(1.0 / sigma, inner, Side::Upper)
}

#[test]
fn one_step_encloses_its_closed_form() {
    for rate in [1e-6, 1e-3, 0.1, 0.9] {
        for sigma in [0.3, 0.7, 1.0, 5.0, 100.0] {
            for delta in [1e-3, 1e-6, 1e-10, 1e-14] {
                let Some(found) = repeated(rate, sigma, 1).epsilon(delta, 0.01) else { continue };
                let case = format!("{rate} {sigma} {delta}: {found:?}");
                let slack = 1.0 + 1e-9;
                assert!(one_step(rate, sigma, found.upper) <= delta * slack, "{case}");
                assert!(found.lower == 0.0 || one_step(rate, sigma, found.lower) * slack >= delta, "{case}");
            }
        }
    }
}

/// The whole machinery, lattice, transform, tilting, on the one composition that has a closed form.
#[test]
fn composed_gaussians_enclose_their_closed_form() {
    for (sigma, steps) in [(2.0, 1), (1.0, 3), (3.0, 40), (30.0, 1_000), (200.0, 100_000), (2_000.0, 10_000_000)] {
        for delta in [1e-3, 1e-5, 1e-9, 1e-15] {
            let truth = exact::gaussian((steps as f64).sqrt() / sigma, delta);
            assert!(truth.upper - truth.lower <= 1e-6 * truth.upper, "{truth:?}");
            let delta_at = |side| exact::gaussian_delta((steps as f64).sqrt() / sigma, truth.upper, side);
            assert!(delta_at(Side::Lower) < delta_at(Side::Upper));
            let cells = Cells {
                rate: 1.0,
                sigma,
                width: 0.1 / sigma,
                tail: 1e-4 * delta / steps as f64,
                knots: Knots::Spread(0.03),
            };
            let ask = |losses: &Losses, side| fourier::epsilon(&[(losses, steps)], side, delta, None).unwrap().value;
            let (directions, lower) = (cells.upper(), ask(&cells.lower(), Side::Lower));
            for upper in [ask(&directions.remove, Side::Upper), ask(&directions.add, Side::Upper)] {
                assert!(
                    upper >= truth.lower && upper <= truth.upper * 1.01,
                    "{sigma} {steps} {delta} {upper} {truth:?}"
                );
            }
            assert!(lower <= truth.upper && lower >= truth.lower * 0.97, "{sigma} {steps} {delta} {lower} {truth:?}");
        }
    }
}

/// δ and ε answer each other, from the same side.
#[test]
fn delta_inverts_epsilon() {
    let cells = Cells { rate: 0.01, sigma: 1.0, width: 2e-3, tail: 1e-13, knots: Knots::Spread(0.05) };
    for (losses, side) in [(cells.upper().remove, Side::Upper), (cells.lower(), Side::Lower)] {
        for tilt in [Tilt::None, Tilt::Chernoff, Tilt::At(1.8)] {
            let composed = Composed::new(&[(&losses, 1_000)], side, 1e-5, tilt).unwrap();
            let epsilon = composed.epsilon(1e-5);
            assert!(
                (composed.delta(epsilon) / 1e-5 - 1.0).abs() < 1e-6,
                "{side:?} {epsilon} {}",
                composed.delta(epsilon)
            );
        }
    }
}

/// On cells of every kind: masses add up to one from their own side, and each lower ratio is the cell's own.
#[test]
fn masses_lie_on_their_side_of_one() {
    for rate in [1e-5, 0.01, 0.5, 1.0] {
        for sigma in [0.5, 1.0, 10.0] {
            let width = 0.2 * Cells::deviation(rate, sigma);
            let cells = Cells { rate, sigma, width, tail: 1e-12, knots: Knots::Spread(0.06) };
            let total = |losses: &Losses| losses.atoms.iter().map(|(_, mass)| mass).sum::<f64>() + losses.infinite;
            // Mass under the other distribution: each atom's mass over its ratio.
            let other = |losses: &Losses| -> f64 {
                losses.atoms.iter().map(|(index, mass)| mass * (-losses.loss(*index)).exp()).sum()
            };
            let (directions, lower) = (cells.upper(), cells.lower());
            for losses in [&directions.remove, &directions.add] {
                assert!((1.0..1.0 + 1e-6).contains(&total(losses)), "{rate} {sigma} {}", total(losses));
                assert!((other(losses) - 1.0).abs() < 1e-6);
            }
            assert!((1.0 - 1e-5..=1.0).contains(&total(&lower)), "{rate} {sigma} {}", total(&lower));
            assert!((other(&lower) - 1.0).abs() < 1e-5, "{rate} {sigma} {}", other(&lower));
        }
    }
}

/// Far ends of the parameters: never wrong (the sides keep their order, the Rényi bound is not undercut) and never
/// without an end.
#[test]
fn extremes_are_answered_or_declined() {
    for rate in [1e-9, 1e-4, 0.999_999] {
        for sigma in [0.05, 0.6, 1e6] {
            for (steps, delta) in [(1, 1e-15), (10_000_000, 1e-3)] {
                let composition = repeated(rate, sigma, steps);
                let (found, renyi): (Option<Bounds>, _) =
                    (composition.epsilon(delta, 0.01), composition.renyi_epsilon(delta));
                if let Some(found) = found {
                    let case = format!("{rate} {sigma} {steps} {delta} {found:?} {renyi}");
                    assert!(found.lower <= found.upper && found.lower <= renyi, "{case}");
                }
            }
        }
    }
}

/// One event that gives all away with a probability of a tenth: its other losses have nine tenths of the mass, once.
#[test]
fn a_single_event_is_not_scaled_twice() {
    let one = Composition::new(vec![(Leaf::response(1.0, 2.0, 0.1), 1)]);
    let truth = 0.1 + 0.9 * (1.0 - 1.0 / 1f64.exp()) * 1f64.exp() / (1f64.exp() + 1.0);
    let found = one.delta(0.0, 0.01).unwrap();
    assert!(found.lower <= truth && truth <= found.upper && found.gap() < 1e-5, "{truth} {found:?}");
}
