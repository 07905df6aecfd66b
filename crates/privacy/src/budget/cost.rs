//! What an answer costs.

use underpin_core::{Delta, Epsilon};

use super::filter::{Charge, Filter, delta_units, nats};
use crate::error::within;
use crate::rounded::DISTANCE;
use crate::steps::NOISE_SHARE;
use crate::{Adjacency, Error, Event, SubsampledGaussian, rdp};

/// Relative margin for the rounding of the sums below.
const MARGIN: f64 = 1e-9;
/// Largest order at which sampling is accounted: the bound is a sum of so many terms.
const MOST_TERMS: f64 = 4096.0;

/// What an answer costs: a guarantee that holds for it whatever was answered before, under the budget's neighbouring
/// relation.
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub enum Cost {
    /// An ε-private answer.
    Pure(Epsilon),
    /// An (ε, δ)-private answer; needs [`crate::BudgetTerms::set_aside`].
    Approximate {
        /// Its ε.
        epsilon: Epsilon,
        /// Its δ.
        delta: Delta,
    },
    /// A ρ-zero-concentrated answer (Bun and Steinke 2016), finite and not negative; a Gaussian one of
    /// `sensitivity / σ = μ` has ρ = μ²/2.
    Concentrated(f64),
    /// Steps of a subsampled Gaussian, each drawn, released and looked at before the next: [`SubsampledGaussian::cost`].
    SubsampledGaussian {
        /// Probability with which each row is taken, in `[1e-9, 1]`.
        sampling_rate: f64,
        /// Standard deviation over clipping norm, in `[0.05, 1e6]`.
        noise_multiplier: f64,
        /// Steps, at most 2^53.
        steps: u64,
        /// Coordinates of each sum. Each charges `(1 + exp ε) 2^-104`, ε the budget's, to the millionth of δ that pays
        /// for the distance of the noise drawn by [`crate::PrivateSteps`] from a Gaussian.
        coordinates: u64,
    },
}

impl SubsampledGaussian {
    /// What `steps` steps, each of which releases `coordinates` numbers, cost a budget.
    ///
    /// Accounted by Rényi divergence at the budget's order: [`crate::BudgetTerms::suited_to`] chooses one that suits. A whole
    /// run, or a few of them, may be cheaper as [`Event::cost`], by the tighter accountant.
    ///
    /// # Examples
    ///
    /// A step that does not fit is refused before its rows are drawn:
    ///
    /// ```
    /// use underpin_core::{Delta, Epsilon};
    /// use underpin_privacy::{Budget, Error, SecretKey, SubsampledGaussian};
    ///
    /// let budget = Budget::new(Epsilon::new(1.0)?, Delta::new(1e-6)?)?;
    /// let mechanism = SubsampledGaussian::new(0.25, 4.0, 1.0)?;
    /// let mut run = mechanism.start(8, 100, SecretKey::from_os()?)?;
    /// let refused = loop {
    ///     let paid = match budget.reserve_for("a step", mechanism.cost(1, 2)) {
    ///         Ok(paid) => paid,
    ///         Err(refused) => break refused,
    ///     };
    ///     let batch = run.draw()?;
    ///     let mut sum = [0.0; 2]; // of the batch's clipped vectors
    ///     paid.answer(|| run.release(batch, &mut sum))?;
    /// };
    /// assert!(matches!(refused, Error::OverBudget { .. }) && run.steps() > 5);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub const fn cost(&self, steps: u64, coordinates: u64) -> Cost {
        Cost::SubsampledGaussian {
            sampling_rate: self.sampling_rate(),
            noise_multiplier: self.noise_multiplier(),
            steps,
            coordinates,
        }
    }
}

impl Event {
    /// What it costs a budget of the relation `adjacency` as a whole: (ε, `delta`)-private at the upper bound on ε. As in
    /// [`crate::PrivateSteps::epsilon`], a millionth of `delta` is left to pay for the distance of noise from its ideal.
    ///
    /// # Errors
    ///
    /// As for [`Event::epsilon`]; [`Error::OutOfRange`] when no finite ε is reached.
    pub fn cost(&self, delta: Delta, adjacency: Adjacency) -> Result<Cost, Error> {
        let ideal = Delta::new(delta.value() * (1.0 - NOISE_SHARE)).unwrap_or(delta);
        let upper = self.epsilon(ideal, adjacency)?.upper;
        let refused = Error::out_of_range("epsilon", upper, "(0, inf)");
        let epsilon = Epsilon::new(upper.max(f64::MIN_POSITIVE)).map_err(|_| refused)?;
        Ok(Cost::Approximate { epsilon, delta })
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

/// The charge of what is bounded in Rényi divergence only. What has none tells nothing, and has an ε: 0.
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
