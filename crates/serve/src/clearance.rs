//! A predictor that stops when its clearance does.

use underpin_core::{Denied, Inputs, Outputs, Predict};

/// Says whether a model may still answer.
pub trait ClearanceCheck {
    /// Asked before every answer; should return within milliseconds.
    ///
    /// # Errors
    ///
    /// [`Denied::Revoked`] when the clearance was revoked or has expired; [`Denied::Unavailable`] when that cannot
    /// be told. Either way nothing is answered.
    fn check(&self) -> Result<(), Denied>;
}

impl<S: ClearanceCheck + ?Sized> ClearanceCheck for &S {
    fn check(&self) -> Result<(), Denied> {
        (**self).check()
    }
}

impl<S: ClearanceCheck + ?Sized> ClearanceCheck for std::sync::Arc<S> {
    fn check(&self) -> Result<(), Denied> {
        (**self).check()
    }
}

/// Answers only while `clearance` says so; it is asked before every request.
///
/// # Guarantees
///
/// 1. Once the check denies, no further request reaches `inner` (`nothing_is_asked_once_the_standing_is_lost`).
///
/// # Limits
///
/// A request already being answered when the clearance is revoked is still answered.
#[derive(Clone, Copy, Debug)]
pub struct Revocable<P, S> {
    /// What answers.
    pub inner: P,
    /// Who says whether it may.
    pub clearance: S,
}

impl<P: Predict, S: ClearanceCheck> Predict for Revocable<P, S> {
    fn predict(&self, inputs: &Inputs) -> Result<Outputs, Denied> {
        self.clearance.check().inspect_err(|denied| tracing::warn!(%denied, "no clearance in force"))?;
        self.inner.predict(inputs)
    }
}
