//! Revocation: a predictor that stops answering when its clearance is revoked or expires.

use underpin_core::{Denied, Inputs, Outputs, Predict};

/// Whether a model's clearance still holds, so that it may answer.
///
/// # Examples
///
/// A clearance that is revoked by a file:
///
/// ```
/// use std::path::PathBuf;
///
/// use underpin_core::{Denied, Disclosure, Inputs, Outputs, Predict, Shape};
/// use underpin_serve::{ClearanceCheck, Revocable};
///
/// struct UnlessFile(PathBuf);
///
/// impl ClearanceCheck for UnlessFile {
///     fn check(&self) -> Result<(), Denied> {
///         match self.0.try_exists() {
///             Ok(false) => Ok(()),
///             Ok(true) => Err(Denied::Revoked { reason: format!("{} exists", self.0.display()) }),
///             // While the status is unknown, nothing is answered.
///             Err(error) => Err(Denied::Unavailable { reason: error.to_string() }),
///         }
///     }
/// }
///
/// struct Coin;
///
/// impl Predict for Coin {
///     fn predict(&self, inputs: &Inputs) -> Result<Outputs, Denied> {
///         Ok(Outputs::new(2, vec![0.5; 2 * inputs.len()], Disclosure::Scores).expect("two scores per input"))
///     }
/// }
///
/// # let folder = tempfile::tempdir()?;
/// let revoked = folder.path().join("revoked");
/// let guarded = Revocable { inner: Coin, clearance: UnlessFile(revoked.clone()) };
/// let one = Inputs::new(Shape::new([1])?, vec![0.0])?;
/// assert!(guarded.predict(&one).is_ok());
/// std::fs::write(&revoked, "")?;
/// assert!(matches!(guarded.predict(&one), Err(Denied::Revoked { .. })));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub trait ClearanceCheck {
    /// Asked before every answer; should return within milliseconds.
    ///
    /// # Errors
    ///
    /// [`Denied::Revoked`] when the clearance was revoked or has expired; [`Denied::Unavailable`] when that cannot
    /// be found out. Either way nothing is answered.
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

/// Revocation guard: answers only while `clearance` allows it, which is asked before every request.
///
/// # Guarantees
///
/// 1. Once the check denies, no further request reaches `inner` (`nothing_is_asked_once_the_clearance_is_lost`).
///
/// # Limits
///
/// A request already being answered when the clearance is revoked is still answered.
#[derive(Clone, Copy, Debug)]
pub struct Revocable<P, S> {
    /// What answers.
    pub inner: P,
    /// Whether it may.
    pub clearance: S,
}

impl<P: Predict, S: ClearanceCheck> Predict for Revocable<P, S> {
    fn predict(&self, inputs: &Inputs) -> Result<Outputs, Denied> {
        self.clearance.check().inspect_err(|denied| tracing::warn!(%denied, "the clearance does not hold"))?;
        self.inner.predict(inputs)
    }
}
