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
//!    `P` and of `Q`, which an analyst may tell apart.)
//! 2. An (ε', δ')-private step is a function of one that tells all with probability δ' and else is ε'-private, on both
//!    neighbours alike (Kairouz, Oh and Viswanath 2015). The sum of δ' expected under `P` is at most δ₂, so the
//!    transcripts on which anything is told at all add no more than that. It is left to bound `∫ (P - e^ε Q)₊` over the
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

use super::terms::BudgetTerms;
use crate::Error;
use crate::steps::NOISE_SHARE;

/// Units of ε and divergences: `2^-60` nats.
const NATS: f64 = (1_u64 << 60) as f64;
/// Units of δ: `2^-126`.
const DELTAS: f64 = (1_u128 << 126) as f64;

/// A cost in units.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Charge {
    pub(super) divergence: u128,
    /// None where no ε bounds it.
    pub(super) epsilon: Option<u128>,
    pub(super) delta: u128,
    /// `(1 + e^ε)` times the total variation of the noise from its ideal, ε the whole.
    pub(super) distance: u128,
}

/// Sums of charges.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Spent {
    divergence: u128,
    epsilon: u128,
    /// Charges without ε.
    unbounded: u64,
    delta: u128,
    distance: u128,
}

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
        let share = |order: f64| divergence(whole, delta, order) / order;
        let best = || orders().max_by(|a, b| share(*a).total_cmp(&share(*b))).unwrap_or(2.0);
        let order = terms.order.unwrap_or_else(best);
        let divergence = (divergence(whole, delta, order).max(0.0) * NATS).floor() as u128;
        let delta = (terms.pool() * DELTAS).floor() as u128;
        let distance = (terms.delta.value() * NOISE_SHARE * DELTAS).floor() as u128;
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
    pub(super) fn share(&self, charge: &Charge) -> f64 {
        charge.divergence as f64 / self.divergence as f64
    }

    /// The sums with the charge added, where that fits.
    pub(super) fn add(&self, spent: &Spent, charge: &Charge) -> Result<Spent, Error> {
        let by_divergence = (self.share(charge), self.divergence_left(spent));
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

    /// The larger share that is left of ε and of the divergence.
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

/// What costs nothing.
impl Default for Charge {
    fn default() -> Self {
        Self { divergence: 0, epsilon: Some(0), delta: 0, distance: 0 }
    }
}

impl Charge {
    /// Whether it takes no more from any sum than another charge does.
    pub(super) fn is_within(&self, other: &Self) -> bool {
        let epsilon = |charge: &Self| charge.epsilon.unwrap_or(u128::MAX);
        self.divergence <= other.divergence
            && epsilon(self) <= epsilon(other)
            && self.delta <= other.delta
            && self.distance <= other.distance
    }
}

impl Spent {
    /// None on overflow, which no limit allows.
    pub(super) fn plus(&self, charge: &Charge) -> Option<Self> {
        Some(Self {
            divergence: self.divergence.checked_add(charge.divergence)?,
            epsilon: self.epsilon.checked_add(charge.epsilon.unwrap_or(0))?,
            unbounded: self.unbounded.checked_add(u64::from(charge.epsilon.is_none()))?,
            delta: self.delta.checked_add(charge.delta)?,
            distance: self.distance.checked_add(charge.distance)?,
        })
    }

    /// Takes back a charge that was added before; None where it was not.
    pub(super) fn minus(&self, charge: &Charge) -> Option<Self> {
        Some(Self {
            divergence: self.divergence.checked_sub(charge.divergence)?,
            epsilon: self.epsilon.checked_sub(charge.epsilon.unwrap_or(0))?,
            unbounded: self.unbounded.checked_sub(u64::from(charge.epsilon.is_none()))?,
            delta: self.delta.checked_sub(charge.delta)?,
            distance: self.distance.checked_sub(charge.distance)?,
        })
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

/// Share that is left, in `[0, 1]`.
fn left(spent: u128, limit: u128) -> f64 {
    if limit == 0 { 0.0 } else { limit.saturating_sub(spent) as f64 / limit as f64 }
}

/// δ₁, rounded down; above 0, since 99 % of δ at most are set aside.
fn composed(terms: &BudgetTerms) -> f64 {
    let delta = terms.delta.value();
    delta - delta * NOISE_SHARE - terms.pool() - delta * 4.0 * f64::EPSILON
}

/// D of (a), from below by more than its rounding; negative where no divergence is small enough.
fn divergence(epsilon: f64, delta: f64, order: f64) -> f64 {
    let (shift, tail) = (-libm::log1p(-1.0 / order), (libm::log(delta) + libm::log(order)) / (order - 1.0));
    epsilon + shift + tail - 4e-9 * epsilon - 1e-12 * (shift.abs() + tail.abs())
}

/// Units of ε or a divergence, rounded up; the most there are for infinity and NaN.
pub(super) fn nats(value: f64) -> u128 {
    units(value, NATS)
}

/// Units of a δ, rounded up; the most there are for infinity and NaN.
pub(super) fn delta_units(value: f64) -> u128 {
    units(value, DELTAS)
}

fn units(value: f64, scale: f64) -> u128 {
    // OK because scaling by a power of two is exact and the cast saturates.
    if value.is_nan() { u128::MAX } else { (value * scale).ceil() as u128 }
}

#[cfg(test)]
#[path = "filter_tests.rs"]
mod tests;
