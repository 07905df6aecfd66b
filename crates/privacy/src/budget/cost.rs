//! What an answer costs.

use underpin_core::{Delta, Epsilon};

use crate::private_steps::NOISE_FRACTION;
use crate::{Adjacency, Error, Event, SubsampledGaussian};

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
        let ideal = Delta::new(delta.value() * (1.0 - NOISE_FRACTION)).unwrap_or(delta);
        let upper = self.epsilon(ideal, adjacency)?.upper;
        let refused = Error::out_of_range("epsilon", upper, "(0, inf)");
        let epsilon = Epsilon::new(upper.max(f64::MIN_POSITIVE)).map_err(|_| refused)?;
        Ok(Cost::Approximate { epsilon, delta })
    }
}
