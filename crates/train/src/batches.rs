//! Where batches come from, and what is done to their sums.

use std::sync::Arc;

use rand::SeedableRng;
use rand::seq::SliceRandom;
use rand_chacha::ChaCha12Rng;
use serde::{Deserialize, Serialize};
use underpin_core::{Delta, Seed};
use underpin_privacy::{
    Accountant, Batch, Bounds, Budget, CorrelatedGaussian, CorrelatedProgress, CorrelatedSteps, PaidRun, PrivateSteps,
    Progress,
};

use crate::{Error, PaymentFault};

/// How units are drawn, and what noise their sum gets: one value for sampler, noise and accountant.
#[derive(Debug)]
pub enum Steps {
    /// Every unit once an epoch; no noise, no privacy.
    Shuffled(Shuffled),
    /// Every unit with the same probability, on its own; independent noise (DP-SGD).
    Poisson(PrivateSteps),
    /// Every unit once in a fixed number of steps; noise that cancels between steps (DP-FTRL).
    Correlated(Cyclic),
}

/// A run under correlated noise over units in a public order.
#[derive(Debug)]
pub struct Cyclic {
    run: CorrelatedSteps,
    order: Vec<usize>,
    seed: Seed,
}

impl Cyclic {
    /// What the run does.
    pub const fn mechanism(&self) -> &CorrelatedGaussian {
        self.run.mechanism()
    }

    /// A run over its units in an order drawn from the public seed. It depends on no data and is no secret.
    pub fn new(run: CorrelatedSteps, seed: Seed) -> Self {
        let mut order: Vec<usize> = (0..run.rows()).collect();
        order.shuffle(&mut ChaCha12Rng::seed_from_u64(seed.derive("cycle").0));
        Self { run, order, seed }
    }
}

/// A new order of the units every epoch.
#[derive(Debug)]
pub struct Shuffled {
    order: Vec<usize>,
    at: usize,
    batch_size: usize,
    steps: u64,
    seed: Seed,
    rng: ChaCha12Rng,
}

impl Shuffled {
    /// Batches of `batch_size` of the `units` units; at the end of an epoch, of what is left. The seed is public.
    ///
    /// # Errors
    ///
    /// [`Error::TooFewRows`] unless there are as many units as a batch has; [`Error::OutOfRange`] for empty batches.
    pub fn new(units: usize, batch_size: usize, seed: Seed) -> Result<Self, Error> {
        if batch_size == 0 {
            return Err(Error::out_of_range("batch_size", 0.0, "[1, inf)"));
        }
        if units < batch_size {
            return Err(Error::TooFewRows { rows: units, batch_size });
        }
        let rng = ChaCha12Rng::seed_from_u64(seed.derive("order").0);
        Ok(Self { order: (0..units).collect(), at: 0, batch_size, steps: 0, seed, rng })
    }

    pub(crate) fn next(&mut self) -> Vec<usize> {
        if self.at == 0 {
            self.order.shuffle(&mut self.rng);
        }
        let end = (self.at + self.batch_size).min(self.order.len());
        let batch = self.order[self.at..end].to_vec();
        self.at = if end == self.order.len() { 0 } else { end };
        self.steps += 1;
        batch
    }
}

/// How far the steps have come.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) enum Reached {
    Shuffled(u64),
    Poisson(Progress),
    Correlated(CorrelatedProgress),
}

impl Reached {
    pub(crate) fn steps(&self) -> u64 {
        match self {
            Self::Shuffled(steps) => *steps,
            Self::Poisson(progress) => progress.steps(),
            Self::Correlated(progress) => progress.steps(),
        }
    }
}

impl Steps {
    pub(crate) fn draw(&mut self) -> Result<(Vec<usize>, Option<Batch>), Error> {
        match self {
            Self::Shuffled(shuffled) => Ok((shuffled.next(), None)),
            Self::Poisson(run) => {
                let batch = run.draw()?;
                Ok((batch.indices().to_vec(), Some(batch)))
            }
            Self::Correlated(Cyclic { run, order, .. }) => {
                let batch = run.draw()?;
                Ok((batch.indices().iter().map(|at| order[*at]).collect(), Some(batch)))
            }
        }
    }

    /// What is written down before a release.
    pub(crate) fn seal(&self, ticket: &Batch, sum: &[f32]) -> [u8; 32] {
        match self {
            Self::Shuffled(_) => unreachable!("invariant: tickets come from runs with noise"),
            Self::Poisson(run) => run.seal(ticket, sum),
            Self::Correlated(Cyclic { run, .. }) => run.seal(ticket, sum),
        }
    }

    /// Turns a sum into its noisy average.
    pub(crate) fn release(&mut self, ticket: Batch, sum: &mut [f32]) -> Result<(), Error> {
        match self {
            Self::Shuffled(_) => unreachable!("invariant: tickets come from runs with noise"),
            Self::Poisson(run) => Ok(run.release(ticket, sum)?),
            Self::Correlated(Cyclic { run, .. }) => Ok(run.release(ticket, sum)?),
        }
    }

    /// ε at `delta` of the steps drawn, or of the first `at_least` where they are more; none without noise.
    pub(crate) fn epsilon(&self, at_least: u64, delta: Delta) -> Result<Option<Bounds>, Error> {
        match self {
            Self::Shuffled(_) => Ok(None),
            Self::Poisson(run) => Ok(Some(run.epsilon_after(run.steps().max(at_least), delta)?)),
            Self::Correlated(Cyclic { run, .. }) if at_least > 0 => Ok(Some(run.epsilon_of_all(delta)?)),
            Self::Correlated(Cyclic { run, .. }) => Ok(Some(run.epsilon(delta)?)),
        }
    }

    /// Has `budget` pay for all steps of `coordinates` numbers each.
    pub(crate) fn pay(&self, budget: &Arc<Budget>, accountant: Accountant, coordinates: u64) -> Result<PaidRun, Error> {
        match self {
            Self::Shuffled(_) => Err(Error::Unpaid { fault: PaymentFault::NoNoise }),
            Self::Poisson(run) => Ok(run.pay(budget, accountant, coordinates)?),
            Self::Correlated(Cyclic { run, .. }) => Ok(run.pay(budget, accountant, coordinates)?),
        }
    }

    /// Whether `budget` has paid for them.
    pub(crate) fn are_paid_by(&self, budget: &Budget) -> Result<bool, Error> {
        match self {
            Self::Shuffled(_) => Ok(false),
            Self::Poisson(run) => Ok(run.is_paid_by(budget)?),
            Self::Correlated(Cyclic { run, .. }) => Ok(run.is_paid_by(budget)?),
        }
    }

    pub(crate) fn reached(&self) -> Reached {
        match self {
            Self::Shuffled(shuffled) => Reached::Shuffled(shuffled.steps),
            Self::Poisson(run) => Reached::Poisson(run.progress()),
            Self::Correlated(Cyclic { run, .. }) => Reached::Correlated(run.progress()),
        }
    }

    /// These steps, from where an earlier process left them; none for what another kind of steps had reached.
    pub(crate) fn resume(self, reached: Reached) -> Result<Option<Self>, underpin_privacy::Error> {
        Ok(match (self, reached) {
            (Self::Shuffled(mut shuffled), Reached::Shuffled(steps)) => {
                while shuffled.steps < steps {
                    shuffled.next();
                }
                Some(Self::Shuffled(shuffled))
            }
            (Self::Poisson(run), Reached::Poisson(progress)) => Some(Self::Poisson(run.resume(progress)?)),
            (Self::Correlated(Cyclic { run, order, seed }), Reached::Correlated(progress)) => {
                Some(Self::Correlated(Cyclic { run: run.resume(progress)?, order, seed }))
            }
            _ => None,
        })
    }

    /// All that decides what a step does, as text: two runs that differ in it are not one run.
    pub(crate) fn card(&self) -> String {
        match self {
            Self::Shuffled(shuffled) => {
                format!("shuffled {} by {} {:?}", shuffled.order.len(), shuffled.batch_size, shuffled.seed)
            }
            Self::Poisson(run) => {
                format!("{:?} batch {} steps {}", run.mechanism(), run.expected_batch_size(), run.max_steps())
            }
            Self::Correlated(Cyclic { run, seed, .. }) => {
                format!("{:?} batch {} {seed:?}", run.mechanism(), run.expected_batch_size())
            }
        }
    }

    /// L2 norm that each unit keeps to; none without noise.
    pub(crate) fn clipping_norm(&self) -> Option<f64> {
        match self {
            Self::Shuffled(_) => None,
            Self::Poisson(run) => Some(run.clipping_norm()),
            Self::Correlated(Cyclic { run, .. }) => Some(run.clipping_norm()),
        }
    }

    /// Standard deviation of the noise in each coordinate of an average over `units` units, the others being canaries;
    /// none without noise, and where it differs from step to step.
    pub fn noise_deviation(&self, units: usize) -> Option<f64> {
        let Self::Poisson(run) = self else { return None };
        let mechanism = run.mechanism();
        let thinned = self.rows() as f64 / units as f64;
        Some(mechanism.noise_multiplier() * mechanism.clipping_norm() / run.expected_batch_size() * thinned)
    }

    /// Number of units.
    pub(crate) fn rows(&self) -> usize {
        match self {
            Self::Shuffled(shuffled) => shuffled.order.len(),
            Self::Poisson(run) => run.rows(),
            Self::Correlated(Cyclic { run, .. }) => run.rows(),
        }
    }

    /// Whether noise cancels between steps, so that the unit of sums must not change.
    pub(crate) const fn is_correlated(&self) -> bool {
        matches!(self, Self::Correlated(_))
    }
}
