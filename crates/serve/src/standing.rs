//! A predictor that stops when its clearance does.

use underpin_core::{Denied, Inputs, Outputs, Predict};

/// Says whether a model may still answer.
pub trait Standing {
    /// Asked before every answer; should return within milliseconds.
    ///
    /// # Errors
    ///
    /// [`Denied::Revoked`] when the clearance was revoked or has expired; [`Denied::Unavailable`] when that cannot
    /// be told. Either way nothing is answered.
    fn standing(&self) -> Result<(), Denied>;
}

impl<S: Standing + ?Sized> Standing for &S {
    fn standing(&self) -> Result<(), Denied> {
        (**self).standing()
    }
}

impl<S: Standing + ?Sized> Standing for std::sync::Arc<S> {
    fn standing(&self) -> Result<(), Denied> {
        (**self).standing()
    }
}

/// Answers only while `standing` says so; it is asked before every request.
///
/// # Guarantees
///
/// 1. Once the standing denies, no further request reaches `inner` (`nothing_is_asked_once_the_standing_is_lost`).
///
/// # Limits
///
/// A request already being answered when the clearance is revoked is still answered.
#[derive(Clone, Copy, Debug)]
pub struct Revocable<P, S> {
    /// What answers.
    pub inner: P,
    /// Who says whether it may.
    pub standing: S,
}

impl<P: Predict, S: Standing> Predict for Revocable<P, S> {
    fn predict(&self, inputs: &Inputs) -> Result<Outputs, Denied> {
        self.standing.standing().inspect_err(|denied| tracing::warn!(%denied, "no standing"))?;
        self.inner.predict(inputs)
    }
}
