//! Transfer attack: adversarial examples made on a surrogate and applied to the target.

use underpin_core::{Access, Attack, Confidence, Examples, LossGradient, Perturbed, Predict, Seed, System, Threat};

use super::pgd::{Goal, Pgd};
use crate::progress::ended;
use crate::{Error, Setting};

/// Transfer attack: makes adversarial examples on a surrogate and never queries the target; gray box.
///
/// The surrogate is the adversary's own model, by the target's recipe on data of the same distribution. Every restart
/// climbs the surrogate's loss to the end, on samples that the surrogate misclassifies as well: the target may classify them correctly.
/// Queries of the target: 0.
///
/// # Source
///
/// Papernot, McDaniel and Goodfellow 2016 (arXiv 1605.07277).
#[derive(Clone, Copy, Debug)]
pub struct Transfer<'a, S: ?Sized> {
    /// The adversary's own model.
    pub surrogate: &'a S,
    /// The attack on it.
    pub attack: Pgd,
}

impl<S: LossGradient + ?Sized> Transfer<'_, S> {
    /// The setting of measurements of this attack.
    pub fn setting(&self, system: System, confidence: Confidence) -> Setting {
        self.attack.describe(system, Access::GrayBox, "transfer", confidence)
    }
}

impl<S: LossGradient + ?Sized, T: Predict + ?Sized> Attack<T> for Transfer<'_, S> {
    type Outcome = Perturbed;
    type Error = Error;

    fn run(&self, _: &T, samples: &Examples, seed: Seed) -> Result<Perturbed, Error> {
        let perturbed = self.attack.perturb(self.surrogate, samples, Goal::Loss, seed)?;
        ended(Threat::Evasion, Access::GrayBox, "transfer", 0);
        Ok(Perturbed { queries: 0, ..perturbed })
    }
}
