//! What a cost takes from a budget's filter.

use super::charge::{Charge, delta_units, nats};
use super::cost::Cost;
use super::filter::{self, Filter};
use super::terms::BudgetTerms;
use crate::error::within;
use crate::rounded::DISTANCE;
use crate::{Adjacency, Error, SubsampledGaussian, rdp};

/// Relative margin for the rounding of the sums below.
const MARGIN: f64 = 1e-9;
/// Largest order at which sampling is accounted: the bound is a sum of so many terms.
const MOST_TERMS: f64 = 4096.0;

impl BudgetTerms {
    /// The same with the order at which `plan` takes the smallest fraction: worth it where most is spent on training, whose
    /// divergence grows fast with the order. What is asked later may be something else. No plan leaves all as it is.
    ///
    /// # Errors
    ///
    /// [`Error::OutOfRange`] and [`Error::OtherRelation`] for a cost that is none, or terms that make no budget.
    ///
    /// # Examples
    ///
    /// ```
    /// use underpin_core::{Delta, Epsilon};
    /// use underpin_privacy::{Budget, SubsampledGaussian, BudgetTerms};
    ///
    /// let step = SubsampledGaussian::new(0.01, 1.1, 1.0)?.cost(1, 26_010);
    /// let terms = BudgetTerms::new(Epsilon::new(1.0)?, Delta::new(1e-5)?);
    /// assert!(Budget::in_memory(&terms)?.reserve(step).is_err());
    /// assert!(Budget::in_memory(&terms.suited_to(&[step])?)?.reserve(step).is_ok());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn suited_to(self, plan: &[Cost]) -> Result<Self, Error> {
        self.check()?;
        let mut best = (f64::INFINITY, self.order);
        for order in filter::orders().step_by(4) {
            let filter = Filter::new(&Self { order: Some(order), ..self.clone() });
            let fraction = plan.iter().try_fold(0.0, |sum, cost| {
                Ok::<_, Error>(sum + filter.fraction(&cost.charge(&filter, self.adjacency)?))
            })?;
            if !plan.is_empty() && fraction < best.0 {
                best = (fraction, Some(order));
            }
        }
        Ok(Self { order: best.1, ..self })
    }
}

impl Cost {
    /// What it takes from each of the filter's sums, rounded up.
    pub(super) fn charge(&self, filter: &Filter, adjacency: Adjacency) -> Result<Charge, Error> {
        match *self {
            Self::Pure(epsilon) => Ok(pure(epsilon.value(), filter.order())),
            Self::Approximate { epsilon, delta } => {
                Ok(Charge { delta: delta_units(delta.value()), ..pure(epsilon.value(), filter.order()) })
            }
            Self::Concentrated(rho) => {
                let rho = within("rho", rho, "[0, inf)", |rho| rho >= 0.0 && rho.is_finite())?;
                Ok(renyi(filter.order() * rho, 0.0))
            }
            Self::SubsampledGaussian { sampling_rate, noise_multiplier, steps, coordinates } => {
                if adjacency == Adjacency::Replace {
                    return Err(Error::OtherRelation { cost: "a subsampled Gaussian", adjacency });
                }
                // Checks the ranges.
                let mechanism = SubsampledGaussian::new(sampling_rate, noise_multiplier, 1.0)?;
                let steps = within("steps", steps as f64, "[0, 2^53]", |steps| steps <= 9e15)?;
                let drawn = steps * coordinates as f64 * DISTANCE * (1.0 + MARGIN);
                let distance = if drawn > 0.0 { drawn * (1.0 + libm::exp(filter.epsilon())) } else { 0.0 };
                Ok(renyi(steps * step(&mechanism, filter.order()), distance))
            }
        }
    }
}

/// The charge of what is bounded in Rényi divergence only. What has none releases nothing, and has an ε: 0.
fn renyi(divergence: f64, distance: f64) -> Charge {
    let (divergence, epsilon) = if divergence == 0.0 { (0, Some(0)) } else { (nats(divergence.next_up()), None) };
    Charge { divergence, epsilon, delta: 0, distance: delta_units(distance) }
}

/// The charge of an ε-private answer.
///
/// Its divergence of order α is at most that of randomized response, which every ε-private mechanism is a function of
/// (Kairouz, Oh and Viswanath 2015): `(ln cosh((α-½)ε) - ln cosh(ε/2)) / (α-1)`; never above ε, nor above αε²/2.
fn pure(epsilon: f64, order: f64) -> Charge {
    let response = (log_cosh((order - 0.5) * epsilon) - log_cosh(epsilon / 2.0)) / (order - 1.0);
    // `min` passes over a NaN from an overflow: the others are bounds too.
    let divergence = (order / 2.0 * epsilon * epsilon).min(response) * (1.0 + MARGIN);
    let epsilon = nats(epsilon);
    Charge { divergence: nats(divergence).min(epsilon), epsilon: Some(epsilon), delta: 0, distance: 0 }
}

/// `ln cosh x` for `x >= 0`.
fn log_cosh(x: f64) -> f64 {
    if x < 1.0 {
        let half = libm::sinh(x / 2.0);
        libm::log1p(2.0 * half * half)
    } else {
        x + libm::log1p(libm::exp(-2.0 * x)) - std::f64::consts::LN_2
    }
}

/// Divergence of one step. Without sampling it is never less (the divergence is quasi-convex), and that bounds it at
/// orders beyond reach.
fn step(mechanism: &SubsampledGaussian, order: f64) -> f64 {
    let whole = rdp::divergence(1.0, mechanism.noise_multiplier(), order);
    if order > MOST_TERMS {
        return whole;
    }
    rdp::divergence(mechanism.sampling_rate(), mechanism.noise_multiplier(), order).min(whole)
}
