//! What a run found, told to people: a page, a model card and the rows of the closing table.
//!
//! Pure functions from evidence to text: no file, clock or script. [`html`] gives one self-contained page,
//! [`model_card`] a Markdown file, [`table`] the rows that a terminal shows.

mod card;
mod chart;
mod compare;
mod curves;
mod detail;
mod matrix;
mod page;
mod picture;
mod safety;
mod sanitisation;
mod scores;
mod table;
mod verdict;
mod words;

#[cfg(test)]
mod browser_tests;
#[cfg(test)]
mod sample;
#[cfg(test)]
mod tests;

use underpin_core::{Evidence, Policy, Record, Verdict};

pub use card::model_card;
pub use page::html;
pub use table::{BarStatus, HEADINGS, Row, table};

/// Everything that a report tells. It computes nothing new but core's two scores.
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

    /// The safety evaluation, if the report says "cleared" and there was one.
    fn safety(&self) -> Option<&Record> {
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
    },
    /// No clearance was given.
    Refused,
}

/// What collection did to the rows of a data set.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct DataSummary {
    /// Name of the data set.
    pub name: String,
    /// Rows read, before any was dropped.
    pub rows_read: u64,
    /// Rows kept, for training and for testing.
    pub kept: u64,
    /// Rows dropped, by whom and why.
    pub dropped: Vec<Dropped>,
    /// The classes, in the order of their labels.
    pub classes: Vec<Class>,
    /// Some of the quarantined rows, where rows are images.
    pub examples: Vec<Picture>,
}

/// Rows that one sanitizer dropped for one reason.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Dropped {
    /// Name of the sanitizer.
    pub by: String,
    /// Why.
    pub reason: String,
    /// How many.
    pub rows: u64,
}

/// A class of the data set.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Class {
    /// Its name.
    pub name: String,
    /// Rows of it that were kept.
    pub rows: u64,
}

/// An image.
///
/// Values outside `[0, 1]` are drawn as the nearest end; NaN is drawn magenta. One channel is drawn grey, three as
/// red, green and blue; of any other number the first channel is drawn. An image whose values do not fill its shape
/// is not drawn; the page says so.
#[derive(Clone, Debug, PartialEq)]
pub struct Picture {
    /// Channels, height and width.
    pub shape: [usize; 3],
    /// Values in `[0, 1]`, `[channel, row, column]`.
    pub values: Vec<f32>,
    /// What it shows.
    pub caption: String,
}

/// What inversion made of one class, beside the class's mean.
#[derive(Clone, Debug, PartialEq)]
pub struct Reconstruction {
    /// Name of the class.
    pub class: String,
    /// Mean of the class's held-out members.
    pub mean: Picture,
    /// What the attack got from the undefended model.
    pub undefended: Option<Picture>,
    /// What it got from the defended one.
    pub defended: Option<Picture>,
}
