//! Which answers fit together: a privacy filter for costs that are chosen as the answers come in.
//!
//! What is to be shown: the transcript of an analyst who chooses each question, and each cost, after all answers before
//! is (ε, δ)-private, as long as the costs together stay within the filter. Let `P` and `Q` be the transcript's laws on
//! two neighbours, and `S_D`, `S_ε`, `S_δ`, `S_τ` the sums along a transcript of divergences (of one order α), of ε, of δ
//! and of the total variation between the noise drawn and its ideal. The filter lets through what satisfies `S_δ <= δ₂`,
//! `(1 + e^ε) S_τ <= δ₃` and one of
//!
//! ```text
//! (a)  S_D <= D,   D = ε - ln(1 - 1/α) + (ln δ₁ + ln α) / (α - 1)      δ₁ + δ₂ + δ₃ = δ
//! (b)  S_ε <= ε
//! ```
//!
//! 1. With the ideal noise in place of the noise drawn, `P` and `Q` each change by at most the largest `S_τ`, and
//!    `∫ (P - e^ε Q)₊` by `1 + e^ε` times that: δ₃ at most. (Its limit is its own: the sums that count here are those of
//!    `P` and of `Q`, which an analyst may distinguish.)
//! 2. An (ε', δ')-private step is a function of one that releases everything with probability δ' and else is ε'-private, on both
//!    neighbours alike (Kairouz, Oh and Viswanath 2015). The sum of δ' expected under `P` is at most δ₂, so the
//!    transcripts on which anything is released add no more than that. It is left to bound `∫ (P - e^ε Q)₊` over the
//!    others, where all steps may be taken as pure or Rényi private.
//! 3. Where (b) holds, the loss `ln P/Q` is at most `S_ε <= ε` at every transcript (basic composition; Rogers, Roth,
//!    Ullman and Vadhan 2016): nothing is added.
//! 4. Where (a) holds, it held for every earlier part of the transcript, since the sums only grow. So these transcripts
//!    are, with the same law, complete transcripts of the analyst who stops before (a) would fail. For that one
//!    `M = exp((α-1)(loss - S_D))` is a supermartingale under `P`, so `E[exp((α-1) loss)] <= exp((α-1) D)`: the
//!    composition is (α, D)-Rényi private although the costs were chosen on the way (Feldman and Zrnic 2021; for
//!    concentrated privacy Whitehouse, Ramdas, Rogers and Wu 2023), and `∫ (P - e^ε Q)₊ <= δ₁` (Canonne, Kamath and
//!    Steinke 2020, Proposition 12).
//!
//! Together at most δ, and the same with `P` and `Q` exchanged. α is fixed when the budget is made, where D/α, the largest ρ, is greatest: concentrated
//! costs lose nothing by the one order, and (a) holds wherever the advanced composition of Whitehouse et al.,
//! `√(2 ln(1/δ₁) Σε²) + ½Σε² <= ε`, does. Sums count answers that were reserved and not given back, which are at least
//! the answers given, in whichever order those come.
//!
//! Sums are integers, so that they are exact and giving back is too; costs are rounded up to a unit, limits down.

use super::charge::{Charge, DELTAS, NATS, Spent};
use super::terms::BudgetTerms;
use crate::Error;
use crate::private_steps::NOISE_FRACTION;

/// The limits.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Filter {
    whole: f64,
    order: f64,
    divergence: u128,
    epsilon: u128,
    delta: u128,
    distance: u128,
}

impl Filter {
    /// The filter of the terms' order, else of that at which the largest ρ fits.
    pub(super) fn new(terms: &BudgetTerms) -> Self {
        let (whole, delta) = (terms.epsilon.value(), composed(terms));
        let fraction = |order: f64| divergence(whole, delta, order) / order;
        let best = || orders().max_by(|a, b| fraction(*a).total_cmp(&fraction(*b))).unwrap_or(2.0);
        let order = terms.order.unwrap_or_else(best);
        let divergence = (divergence(whole, delta, order).max(0.0) * NATS).floor() as u128;
        let delta = (terms.pool() * DELTAS).floor() as u128;
        let distance = (terms.delta.value() * NOISE_FRACTION * DELTAS).floor() as u128;
        Self { whole, order, divergence, epsilon: (whole * NATS).floor() as u128, delta, distance }
    }

    pub(super) const fn order(&self) -> f64 {
        self.order
    }

    /// The whole ε.
    pub(super) const fn epsilon(&self) -> f64 {
        self.whole
    }

    /// The largest ρ.
    pub(super) fn rho(&self) -> f64 {
        (self.divergence as f64 / NATS / self.order) * (1.0 - 1e-15)
    }

    /// Fraction of the divergence that a charge takes.
    pub(super) fn fraction(&self, charge: &Charge) -> f64 {
        charge.divergence as f64 / self.divergence as f64
    }

    /// The sums with the charge added, where that fits.
    pub(super) fn add(&self, spent: &Spent, charge: &Charge) -> Result<Spent, Error> {
        let by_divergence = (self.fraction(charge), self.divergence_left(spent));
        let Some(sum) = spent.plus(charge) else { return Err(over("Renyi divergence", by_divergence)) };
        if sum.delta > self.delta {
            return Err(over("delta", (charge.delta as f64 / self.delta as f64, self.delta_left(spent))));
        }
        if sum.distance > self.distance {
            let left = left(spent.distance, self.distance);
            return Err(over("delta for the noise's distance", (charge.distance as f64 / self.distance as f64, left)));
        }
        if sum.divergence <= self.divergence || (sum.unbounded == 0 && sum.epsilon <= self.epsilon) {
            return Ok(sum);
        }
        let Some(epsilon) = charge.epsilon.filter(|_| spent.unbounded == 0) else {
            return Err(over("Renyi divergence", by_divergence));
        };
        // The refusal names the sum that is nearer to holding it.
        let by_epsilon = (epsilon as f64 / self.epsilon as f64, self.epsilon_left(spent));
        let nearer = by_divergence.0 - by_divergence.1 < by_epsilon.0 - by_epsilon.1;
        Err(if nearer { over("Renyi divergence", by_divergence) } else { over("epsilon", by_epsilon) })
    }

    /// The larger fraction that is left of ε and of the divergence.
    pub(super) fn left(&self, spent: &Spent) -> f64 {
        self.divergence_left(spent).max(self.epsilon_left(spent))
    }

    pub(super) fn delta_left(&self, spent: &Spent) -> f64 {
        left(spent.delta, self.delta)
    }

    fn divergence_left(&self, spent: &Spent) -> f64 {
        left(spent.divergence, self.divergence)
    }

    fn epsilon_left(&self, spent: &Spent) -> f64 {
        if spent.unbounded == 0 { left(spent.epsilon, self.epsilon) } else { 0.0 }
    }
}

/// Orders to choose from, past 64 whole ones: there sampling is accounted faster.
pub(super) fn orders() -> impl Iterator<Item = f64> {
    let orders = (-290..=2200).map(|step| 1.0 + libm::exp(f64::from(step) / 64.0));
    orders.map(|order| if order > 64.0 { order.round() } else { order })
}

/// The refusal of a charge; what has no limit at all is asked for whole.
fn over(of: &'static str, (asked, left): (f64, f64)) -> Error {
    Error::OverBudget { of, asked: if asked.is_nan() { f64::INFINITY } else { asked }, left }
}

/// Fraction that is left, in `[0, 1]`.
fn left(spent: u128, limit: u128) -> f64 {
    if limit == 0 { 0.0 } else { limit.saturating_sub(spent) as f64 / limit as f64 }
}

/// δ₁, rounded down; above 0, since 99 % of δ at most are set aside.
fn composed(terms: &BudgetTerms) -> f64 {
    let delta = terms.delta.value();
    delta - delta * NOISE_FRACTION - terms.pool() - delta * 4.0 * f64::EPSILON
}

/// D of (a), from below by more than its rounding; negative where no divergence is small enough.
fn divergence(epsilon: f64, delta: f64, order: f64) -> f64 {
    let (shift, tail) = (-libm::log1p(-1.0 / order), (libm::log(delta) + libm::log(order)) / (order - 1.0));
    epsilon + shift + tail - 4e-9 * epsilon - 1e-12 * (shift.abs() + tail.abs())
}

#[cfg(test)]
#[path = "filter_tests.rs"]
mod tests;
