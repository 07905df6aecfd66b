//! What a report is made from: evidence, policy, verdicts, and what came of them.

use underpin_core::{Evidence, Policy, Record, Verdict};

use crate::summary::{DataSummary, Reconstruction};

/// Everything that a report shows. It computes nothing new but core's two scores.
#[derive(Clone, Copy, Debug)]
pub struct Report<'a> {
    /// What was done and measured.
    pub evidence: &'a Evidence,
    /// The bars it was judged by.
    pub policy: &'a Policy,
    /// The judgement of each bar.
    pub verdicts: &'a [Verdict],
    /// What came of it.
    pub outcome: GateResult<'a>,
    /// What collection did to the rows.
    pub data: &'a DataSummary,
    /// What inversion attacks reconstructed; may be empty.
    pub reconstructions: &'a [Reconstruction],
}

impl Report<'_> {
    /// Whether the report says "cleared": the outcome does, and every bar of the policy has exactly one verdict,
    /// which is met.
    ///
    /// # Guarantees
    ///
    /// 1. An outcome that its verdicts do not bear out is reported as refused: `a_clearance_must_be_borne_out`.
    pub fn is_cleared(&self) -> bool {
        let judged = |bar: usize| {
            let mut verdicts = self.verdicts.iter().filter(|verdict| verdict.bar == bar);
            verdicts.next().is_some_and(Verdict::is_met) && verdicts.next().is_none()
        };
        matches!(self.outcome, GateResult::Cleared { .. }) && (0..self.policy.bars().len()).all(judged)
    }

    /// Whether the report says "released": it says "cleared", and every limit of the policy's intent is met, judged once.
    pub fn is_released(&self) -> bool {
        let GateResult::Cleared { release: Some(release), .. } = self.outcome else { return false };
        let limits = self.policy.release_bars().len();
        let each_once = release.len() == limits && release.iter().enumerate().all(|(at, verdict)| verdict.bar == at);
        self.is_cleared() && limits > 0 && each_once && release.iter().all(Verdict::is_met)
    }

    /// The safety evaluation, if the report says "cleared" and there was one.
    pub(super) fn safety(&self) -> Option<&Record> {
        match self.outcome {
            GateResult::Cleared { safety, .. } if self.is_cleared() => safety,
            _ => None,
        }
    }
}

/// What came of a run.
#[derive(Clone, Copy, Debug)]
pub enum GateResult<'a> {
    /// A clearance was given.
    Cleared {
        /// When it expires, seconds since 1970 UTC.
        expires_at: u64,
        /// The key it is signed with, by its identifier.
        key: &'a str,
        /// The safety evaluation that the clearance opened: measurements about safety and alignment.
        safety: Option<&'a Record>,
        /// The judgement of each limit of the policy's intent; none if that is not known.
        release: Option<&'a [Verdict]>,
    },
    /// No clearance was given.
    Refused,
}
