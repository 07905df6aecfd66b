//! The judgement: evidence, and the verdict of each bar of the declared policy.

use underpin_core::{Evidence, Unmet, Verdict};

use crate::summary::Reconstruction;

/// Evidence and its judgement under the policy.
#[derive(Debug)]
pub struct Judged {
    pub(super) evidence: Evidence,
    pub(super) verdicts: Vec<Verdict>,
    pub(crate) policy: String,
    pub(super) reconstructions: Vec<Reconstruction>,
}

impl Judged {
    /// What was measured.
    pub fn evidence(&self) -> &Evidence {
        &self.evidence
    }

    /// The judgement of each bar.
    pub fn verdicts(&self) -> &[Verdict] {
        &self.verdicts
    }

    /// What inversion made of each class, for the report.
    pub fn reconstructions(&self) -> &[Reconstruction] {
        &self.reconstructions
    }

    /// Each unmet bar, by position, and why.
    pub fn unmet(&self) -> impl Iterator<Item = (usize, &Unmet)> {
        self.verdicts.iter().filter_map(|verdict| Some((verdict.bar, verdict.unmet.as_ref()?)))
    }
}
