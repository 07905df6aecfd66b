//! Gap attack (label-only membership inference): members are classified correctly more often.

use underpin_core::{Access, Attack, Confidence, Examples, Predict, Seed, System, Threat};

use super::scores::{MembershipScores, check_members};
use crate::answers::{answers, check_samples, classified_correctly};
use crate::progress::ended;
use crate::{Error, Setting};

/// Gap attack: calls a sample a member when the target classifies it correctly; black box, label only.
///
/// Score 1 when classified correctly, 0 when not: measure it with a fixed threshold of 0.5. Its advantage is the
/// generalisation gap; any attack worth its cost must beat it.
///
/// # Source
///
/// Yeom, Giacomelli, Fredrikson and Jha, CSF 2018, adversary 1; "gap attack" in Choquette-Choo et al., ICML 2021.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LabelOnlyGap {
    /// The first so many samples were trained on, the others not. Splits the scores; the adversary does not use it.
    pub members: usize,
}

impl LabelOnlyGap {
    /// The setting of measurements of this attack.
    pub fn setting(&self, system: System, confidence: Confidence) -> Setting {
        Setting::attack(system, Access::BlackBox, "label_only_gap", confidence, [("members", self.members.into())])
    }
}

impl<T: Predict + ?Sized> Attack<T> for LabelOnlyGap {
    type Outcome = MembershipScores;
    type Error = Error;

    fn run(&self, target: &T, samples: &Examples, _: Seed) -> Result<MembershipScores, Error> {
        check_samples(samples)?;
        check_members(samples, self.members)?;
        let outputs = answers(target, samples.inputs(), samples.classes())?;
        let correct = classified_correctly(&outputs, samples.labels());
        let scores = correct.into_iter().map(|correct| f64::from(u8::from(correct))).collect();
        ended(Threat::MembershipInference, Access::BlackBox, "label_only_gap", samples.len() as u64);
        Ok(MembershipScores::split(scores, self.members, samples.len() as u64))
    }
}
