//! Access: what an adversary holds, as a word in evidence and as the traits `Predict` and `LossGradient`.

use crate::error::ErrorOrigin;
use crate::examples::{Inputs, Outputs, Shape};

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
    /// The guard could not work (count, log or add noise), so nothing was answered.
    #[error("no answer: {reason}")]
    Unavailable {
        /// Why.
        reason: String,
    },
}

impl Denied {
    /// Where the cause lies: in the inputs that were given, or with the predictor, which may answer later.
    pub fn origin(&self) -> ErrorOrigin {
        match self {
            Self::Shape { .. } | Self::NotFinite { .. } => ErrorOrigin::Caller,
            Self::QuotaExhausted { .. }
            | Self::RateLimited { .. }
            | Self::Revoked { .. }
            | Self::Unavailable { .. } => ErrorOrigin::System,
        }
    }

    /// Denies inputs that do not fit `shape` or hold a value that is not finite.
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

/// A predictor: answers queries with scores, which is all that a black-box adversary has.
///
/// A guard wraps a predictor and is again one; it does not pass [`LossGradient`] on, so a white-box attack
/// on a guarded endpoint does not compile.
///
/// # Examples
///
/// A model of one feature, and a guard that rounds its scores.
///
/// ```
/// use underpin_core::{Denied, Disclosure, Inputs, Outputs, Predict, Shape};
///
/// fn outputs(scores: Vec<f32>) -> Result<Outputs, Denied> {
///     Outputs::new(2, scores, Disclosure::Scores).map_err(|error| Denied::Unavailable { reason: error.to_string() })
/// }
///
/// /// The feature is the score of class 1.
/// struct Model(Shape);
///
/// impl Predict for Model {
///     fn predict(&self, inputs: &Inputs) -> Result<Outputs, Denied> {
///         Denied::unless_valid(inputs, &self.0)?;
///         outputs(inputs.values().iter().flat_map(|x| [1.0 - x, *x]).collect())
///     }
/// }
///
/// struct Rounded<P>(P);
///
/// impl<P: Predict> Predict for Rounded<P> {
///     fn predict(&self, inputs: &Inputs) -> Result<Outputs, Denied> {
///         outputs(self.0.predict(inputs)?.scores().iter().map(|score| (score * 10.0).round() / 10.0).collect())
///     }
/// }
///
/// let shape = Shape::new([1])?;
/// let endpoint = Rounded(Model(shape.clone()));
/// let answers = endpoint.predict(&Inputs::new(shape.clone(), vec![0.23])?)?;
/// assert_eq!(answers.scores(), [0.8, 0.2]);
/// let nan = Inputs::new(shape, vec![f32::NAN])?;
/// assert!(matches!(endpoint.predict(&nan), Err(Denied::NotFinite { example: 0, .. })));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub trait Predict {
    /// Scores for `inputs`, `[example, class]`; as many rows as inputs.
    ///
    /// # Errors
    ///
    /// [`Denied`] when no answer is given. Then none of the inputs is answered.
    fn predict(&self, inputs: &Inputs) -> Result<Outputs, Denied>;
}

/// Gradients of the loss at the inputs: what a white-box adversary has beyond answers.
///
/// # Examples
///
/// Logistic regression with one weight: the gradient of the cross-entropy at `x` is `weight * (score - label)`.
///
/// ```
/// use underpin_core::{Denied, Disclosure, Inputs, LossGradient, Outputs, Predict, Shape};
///
/// struct Logistic {
///     weight: f32,
/// }
///
/// impl Logistic {
///     fn score(&self, x: f32) -> f32 {
///         1.0 / (1.0 + (-self.weight * x).exp())
///     }
/// }
///
/// impl Predict for Logistic {
///     fn predict(&self, inputs: &Inputs) -> Result<Outputs, Denied> {
///         let scores = inputs.values().iter().flat_map(|x| [1.0 - self.score(*x), self.score(*x)]).collect();
///         Outputs::new(2, scores, Disclosure::Scores).map_err(|error| Denied::Unavailable { reason: error.to_string() })
///     }
/// }
///
/// impl LossGradient for Logistic {
///     fn loss_gradient(&self, inputs: &Inputs, labels: &[usize]) -> Result<Inputs, Denied> {
///         let mut gradients = inputs.clone();
///         for (x, label) in gradients.values_mut().iter_mut().zip(labels) {
///             *x = self.weight * (self.score(*x) - *label as f32);
///         }
///         Ok(gradients)
///     }
/// }
///
/// let model = Logistic { weight: 4.0 };
/// let inputs = Inputs::new(Shape::new([1])?, vec![0.0, 0.0])?;
/// assert_eq!(model.loss_gradient(&inputs, &[0, 1])?.values(), [2.0, -2.0]);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_denial_has_an_origin() {
        let shape = Denied::Shape { expected: vec![1], found: vec![2] };
        let spent = Denied::QuotaExhausted { used: 1, limit: 1, asked: 1 };
        assert_eq!((shape.origin(), spent.origin()), (ErrorOrigin::Caller, ErrorOrigin::System));
    }
}
