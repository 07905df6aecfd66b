//! Losses of mechanisms whose loss takes few values, and of the Laplace mechanism.

use libm::{exp, expm1, log};

use super::losses::{Losses, Side};

/// Masses at given losses, and the mass at infinity.
#[derive(Clone, Debug)]
pub(crate) struct Atoms {
    /// Loss and mass; in ascending order of loss.
    pub(crate) masses: Vec<(f64, f64)>,
    pub(crate) infinite: f64,
    /// Bound on the relative error of a mass.
    pub(crate) margin: f64,
    /// `ρ` of what is ρ-zero-concentrated private and whose masses are cut: no sum over them bounds a high moment.
    concentrated: Option<f64>,
}

/// Covers the few operations behind a mass.
const MARGIN: f64 = 64.0 * f64::EPSILON;

impl Atoms {
    /// Losses of answering truly with odds `exp(epsilon)` against each of `categories - 1` others; `delta` gives all away.
    pub(crate) fn response(epsilon: f64, categories: f64, delta: f64) -> Self {
        let other = (1.0 - delta) / (exp(epsilon) + categories - 1.0);
        let mut masses = vec![(-epsilon, other), (0.0, other * (categories - 2.0)), (epsilon, other * exp(epsilon))];
        masses.retain(|(_, mass)| *mass > 0.0);
        Self { masses, infinite: delta, margin: MARGIN * (1.0 + epsilon), concentrated: None }
    }

    /// Losses of a discrete Gaussian shifted by `s`: `(s² - 2 s k) / 2σ²` at `k`, cut beyond 39 standard deviations, where
    /// the mass is below 1e-300. A smaller shift costs less: with a likelihood ratio that falls in `k` the best test is
    /// `k <= c` (Neyman and Pearson 1933), and `c` outputs are the likelier the smaller the shift.
    pub(crate) fn discrete_gaussian(sigma: f64, shift: f64) -> Self {
        let reach = (39.0 * sigma).ceil() as i64 + 1;
        let weight = |k: i64| exp(-(k as f64 / sigma).powi(2) / 2.0);
        let total: f64 = (-reach..=reach).map(weight).sum();
        let masses = (-reach..=reach)
            .rev()
            .map(|k| ((shift * shift - 2.0 * shift * k as f64) / (2.0 * sigma * sigma), weight(k) / total));
        // The sum of so many terms, and exponents up to 761.
        let margin = f64::EPSILON * (1_000.0 + 2.0 * reach as f64);
        let concentrated = Some(shift * shift / (2.0 * sigma * sigma));
        Self { masses: masses.collect(), infinite: 1e-290, margin, concentrated }
    }

    /// The highest finite loss.
    pub(crate) fn highest(&self) -> f64 {
        self.masses.last().map_or(0.0, |(loss, _)| *loss)
    }

    /// Rényi divergence of order `alpha`, from above; of a discrete Gaussian by Canonne, Kamath and Steinke 2020,
    /// Proposition 5: `α s² / 2σ²`.
    pub(crate) fn divergence(&self, alpha: f64) -> f64 {
        if let Some(rho) = self.concentrated {
            return alpha * rho * (1.0 + 1e-12);
        }
        if self.infinite > 1e-250 {
            return f64::INFINITY;
        }
        let highest = self.highest();
        let sum: f64 = self.masses.iter().map(|(loss, mass)| mass * exp((alpha - 1.0) * (loss - highest))).sum();
        let error = self.margin + f64::EPSILON * (64.0 + 4.0 * alpha * highest + self.masses.len() as f64);
        (highest + (log(sum) + error) / (alpha - 1.0)).max(0.0) * (1.0 + 1e-12)
    }

    /// On the lattice `index * width` (above: each mass goes to the two knots beside it so that its mass under `P` and
    /// under `Q` stay) or `origin + index * width` (below: each goes to the knot at or below it; the highest lies on one).
    pub(crate) fn on_lattice(&self, width: f64, side: Side) -> Losses {
        let highest = self.highest();
        let origin = if side == Side::Upper { 0.0 } else { highest - (highest / width).round() * width };
        let mut losses = Losses { origin, width, atoms: Vec::new(), infinite: self.infinite, loss_error: 0.0 };
        // Rounding of a loss may move it over a knot: that error is kept apart and added to ε.
        losses.loss_error =
            16.0 * f64::EPSILON * (1.0 + highest.abs()) + if side == Side::Lower { 1e-9 * width } else { 0.0 };
        for (loss, mass) in &self.masses {
            match side {
                Side::Upper => {
                    let index = (loss / width).floor();
                    let inside = (loss - index * width).clamp(0.0, width);
                    let fraction = expm1(-inside) / expm1(-width);
                    losses.add(index as i64, mass * ((1.0 - fraction) + self.margin));
                    losses.add(index as i64 + 1, mass * (fraction + self.margin));
                }
                Side::Lower => {
                    let index = ((loss - origin) / width + 1e-9).floor();
                    losses.add(index as i64, mass * (1.0 - self.margin));
                }
            }
        }
        losses
    }
}

/// Losses of Laplace noise of scale `b`: atoms at `±1/b`, and between them a density.
///
/// `P` is centred at 0, `Q` at 1: the loss at `x` in `[0, 1]` is `(1 - 2x)/b`. A stretch of losses `[l, m]` has mass
/// `½ exp(-1/2b) (exp(m/2) - exp(l/2))` under `P`, and the loss of its masses is `(l + m)/2` exactly.
pub(crate) fn laplace(scale: f64, width: f64, side: Side) -> Losses {
    let highest = 1.0 / scale;
    let stretch = |low: f64, high: f64| 0.5 * exp((low - highest) / 2.0) * expm1((high - low) / 2.0);
    let mut atoms = vec![(-highest, 0.5 * exp(-highest)), (highest, 0.5)];
    if side == Side::Upper {
        // A stretch between two knots has its loss in their middle: the dots see only its two masses.
        let (first, last) = ((-highest / width).ceil() as i64, (highest / width).floor() as i64);
        let mut low = -highest;
        for knot in (first..=last).map(|knot| knot as f64 * width).chain([highest]) {
            if knot > low {
                atoms.push((f64::midpoint(low, knot), stretch(low, knot)));
                low = knot;
            }
        }
    } else {
        // Stretches two knots long about every other knot down from the highest: merged, their loss lies on the knot.
        let mut high = highest;
        while high > -highest {
            let low = (high - 2.0 * width).max(-highest);
            atoms.push((f64::midpoint(low, high), stretch(low, high)));
            high = low;
        }
    }
    atoms.sort_by(|one, other| one.0.total_cmp(&other.0));
    Atoms { masses: atoms, infinite: 0.0, margin: MARGIN * (1.0 + highest), concentrated: None }.on_lattice(width, side)
}

/// Width of a lattice near `width` on which losses `±loss` and their middle lie on knots of even distance.
pub(crate) fn aligned(loss: f64, width: f64) -> f64 {
    let halves = (loss / (2.0 * width)).ceil().max(1.0);
    loss / (2.0 * halves)
}

/// Variance of a loss that takes few values.
pub(crate) fn variance(masses: &[(f64, f64)]) -> f64 {
    let moment = |power: i32| masses.iter().map(|(loss, mass)| mass * loss.powi(power)).sum::<f64>();
    (moment(2) - moment(1).powi(2)).max(0.0)
}
