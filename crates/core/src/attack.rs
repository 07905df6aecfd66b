//! Predictors and those who attack them: access is a trait bound.

use crate::{Examples, Inputs, Norm, Outputs, Radius, Seed, Shape};

/// Why a predictor gave no answer. An outcome, not a failure: guards deny on purpose.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Denied {
    /// The client's quota is spent for good.
    #[error("quota exhausted: {used} of {limit} queries used, {asked} more asked")]
    QuotaExhausted {
        /// Queries answered so far.
        used: u64,
        /// Queries allowed.
        limit: u64,
        /// Queries in the request that was denied.
        asked: u64,
    },
    /// The client asks too fast.
    #[error("rate limited: retry after {retry_after_ms} ms")]
    RateLimited {
        /// When a request of this size can be answered.
        retry_after_ms: u64,
    },
    /// The model's clearance was revoked.
    #[error("the clearance of this model was revoked: {reason}")]
    Revoked {
        /// Why.
        reason: String,
    },
    /// The inputs do not fit the model.
    #[error("inputs of shape {found:?} given to a model that takes {expected:?}")]
    Shape {
        /// Shape of one example that the model takes.
        expected: Vec<usize>,
        /// Shape of one example that was given.
        found: Vec<usize>,
    },
    /// An input is NaN or infinite.
    #[error("value {value} at position {position} of example {example} is not finite")]
    NotFinite {
        /// Position of the example.
        example: usize,
        /// Position of the value in the example.
        position: usize,
        /// The value, as text.
        value: String,
    },
    /// The guard could not do its duty, so nothing was answered.
    #[error("no answer: {reason}")]
    Unavailable {
        /// Why.
        reason: String,
    },
}

impl Denied {
    /// Refuses inputs that do not fit `shape` or hold a value that is not finite.
    ///
    /// # Errors
    ///
    /// [`Denied::Shape`] or [`Denied::NotFinite`], naming the place.
    pub fn unless_valid(inputs: &Inputs, shape: &Shape) -> Result<(), Self> {
        if inputs.shape() != shape {
            return Err(Self::Shape { expected: shape.axes().to_vec(), found: inputs.shape().axes().to_vec() });
        }
        match inputs.values().iter().position(|value| !value.is_finite()) {
            Some(at) => Err(Self::NotFinite {
                example: at / shape.size(),
                position: at % shape.size(),
                value: inputs.values()[at].to_string(),
            }),
            None => Ok(()),
        }
    }
}

/// Answers queries: all that a black-box adversary has.
///
/// A guard wraps a predictor and is again one; it does not pass [`LossGradient`] on, so a white-box attack
/// on a guarded endpoint does not compile.
pub trait Predict {
    /// Scores for `inputs`, `[example, class]`; as many rows as inputs.
    ///
    /// # Errors
    ///
    /// [`Denied`] when no answer is given. Then none of the inputs is answered.
    fn predict(&self, inputs: &Inputs) -> Result<Outputs, Denied>;
}

/// Gives gradients: what a white-box adversary has beyond answers.
pub trait LossGradient: Predict {
    /// Gradient at each input of its own cross-entropy loss (nats) for `labels`, `[example, ...shape]`.
    ///
    /// Not averaged over the examples: each row is the gradient of that example's loss alone.
    ///
    /// # Errors
    ///
    /// [`Denied`] as for [`Predict::predict`].
    fn loss_gradient(&self, inputs: &Inputs, labels: &[usize]) -> Result<Inputs, Denied>;
}

impl<P: Predict + ?Sized> Predict for &P {
    fn predict(&self, inputs: &Inputs) -> Result<Outputs, Denied> {
        (**self).predict(inputs)
    }
}

impl<P: Predict + ?Sized> Predict for Box<P> {
    fn predict(&self, inputs: &Inputs) -> Result<Outputs, Denied> {
        (**self).predict(inputs)
    }
}

impl<P: LossGradient + ?Sized> LossGradient for &P {
    fn loss_gradient(&self, inputs: &Inputs, labels: &[usize]) -> Result<Inputs, Denied> {
        (**self).loss_gradient(inputs, labels)
    }
}

/// Plays an adversary. The access it needs is the bound on `Target`.
pub trait Attack<Target: ?Sized> {
    /// What the adversary ends up with.
    type Outcome;

    /// Why the attack could not be played to its end.
    type Error: std::error::Error + Send + Sync + 'static;

    /// Attacks `target` with `samples`; the same seed gives the same outcome.
    ///
    /// # Errors
    ///
    /// When the attack cannot run on such samples, or the target denies what the attack cannot do without.
    fn run(&self, target: &Target, samples: &Examples, seed: Seed) -> Result<Self::Outcome, Self::Error>;
}

/// Outcome of an evasion attack: inputs near the given ones, meant to be misclassified.
#[derive(Clone, Debug, PartialEq)]
pub struct Perturbed {
    /// One perturbed input per sample, in the samples' order; within `radius` of it, and in `[0, 1]`.
    pub inputs: Inputs,
    /// How the size of a perturbation is measured.
    pub norm: Norm,
    /// Largest size of a perturbation allowed.
    pub radius: Radius,
    /// Forward or backward passes asked of the target, over all samples.
    pub queries: u64,
}

/// A backdoor's trigger: a few features set to fixed values, and the class that an input wearing it shall be read as.
///
/// Source: BadNets (Gu, Dolan-Gavitt and Garg 2017): a patch of pixels; on a table, a rare combination of values.
#[derive(Clone, Debug, PartialEq)]
pub struct Trigger {
    /// Positions in the example, row-major, and the value each is set to.
    pub features: Vec<(usize, f32)>,
    /// The class that the adversary wants answered.
    pub target: usize,
}

impl Trigger {
    /// Puts the trigger on one example; positions outside it are passed over.
    ///
    /// # Examples
    ///
    /// ```
    /// use underpin_core::Trigger;
    ///
    /// let mut row = [0.0; 4];
    /// Trigger { features: vec![(1, 0.5), (3, 1.0)], target: 0 }.stamp(&mut row);
    /// assert_eq!(row, [0.0, 0.5, 0.0, 1.0]);
    /// ```
    pub fn stamp(&self, row: &mut [f32]) {
        for (position, value) in &self.features {
            if let Some(feature) = row.get_mut(*position) {
                *feature = *value;
            }
        }
    }
}
