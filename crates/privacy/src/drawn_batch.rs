//! One step's rows, and how far a run has come.

use std::fmt;

/// The rows of one step, drawn by Poisson sampling.
///
/// Comes only from [`PrivateSteps::draw`](crate::PrivateSteps::draw), is not `Clone`, and is consumed by [`PrivateSteps::release`](crate::PrivateSteps::release): one draw, one
/// release. May be empty: an empty batch is a step like any other, and its sum is zero.
///
/// # Examples
///
/// ```
/// # use underpin_privacy::{SecretKey, SubsampledGaussian};
/// # let mut run = SubsampledGaussian::new(0.5, 1.0, 1.0)?.start(8, 1, SecretKey::new([0; 32]))?;
/// let batch = run.draw()?;
/// run.release(batch, &mut [0.0])?;
/// # Ok::<(), underpin_privacy::Error>(())
/// ```
///
/// A second release of one batch does not compile, nor does a second copy of a run or of its key, nor a batch that was
/// not drawn:
///
/// ```compile_fail
/// # use underpin_privacy::{SecretKey, SubsampledGaussian};
/// # let mut run = SubsampledGaussian::new(0.5, 1.0, 1.0)?.start(8, 1, SecretKey::new([0; 32]))?;
/// let batch = run.draw()?;
/// run.release(batch, &mut [0.0])?;
/// run.release(batch, &mut [0.0])?;
/// # Ok::<(), underpin_privacy::Error>(())
/// ```
///
/// ```compile_fail
/// # use underpin_privacy::{SecretKey, SubsampledGaussian};
/// # let mut run = SubsampledGaussian::new(0.5, 1.0, 1.0)?.start(8, 1, SecretKey::new([0; 32]))?;
/// let batch = run.clone().draw()?;
/// run.release(batch, &mut [0.0])?;
/// # Ok::<(), underpin_privacy::Error>(())
/// ```
///
/// ```compile_fail
/// # use underpin_privacy::{SecretKey, SubsampledGaussian};
/// # let mut run = SubsampledGaussian::new(0.5, 1.0, 1.0)?.start(8, 1, SecretKey::new([0; 32]).clone())?;
/// let batch = run.draw()?;
/// run.release(batch, &mut [0.0])?;
/// # Ok::<(), underpin_privacy::Error>(())
/// ```
///
/// ```compile_fail
/// # use underpin_privacy::{Batch, SecretKey, SubsampledGaussian};
/// # let mut run = SubsampledGaussian::new(0.5, 1.0, 1.0)?.start(8, 1, SecretKey::new([0; 32]))?;
/// let batch = Batch { indices: vec![0], ..run.draw()? };
/// run.release(batch, &mut [0.0])?;
/// # Ok::<(), underpin_privacy::Error>(())
/// ```
///
/// `Debug` does not show the rows: which ones were drawn is secret.
pub struct Batch {
    pub(crate) indices: Vec<usize>,
    pub(crate) step: u64,
    pub(crate) run: [u8; 32],
}

/// How far a run has come: with the key and the mechanism, all that a checkpoint needs to take it up again.
///
/// Tells nothing of the key. Each step's sample and noise depend on the key and the step's number alone, so that a run
/// taken up again continues the same random stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Progress {
    pub(crate) steps: u64,
    pub(crate) released: u64,
    pub(crate) run: [u8; 32],
}

impl Progress {
    /// Steps drawn.
    pub const fn steps(&self) -> u64 {
        self.steps
    }
}

impl fmt::Debug for Batch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Batch").field("step", &self.step).finish_non_exhaustive()
    }
}

impl Batch {
    /// Positions of the rows, ascending; each at most once.
    pub fn indices(&self) -> &[usize] {
        &self.indices
    }
}
