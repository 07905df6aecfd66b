//! Errors of this crate.

use std::borrow::Cow;
use std::path::PathBuf;

use underpin_core::{ErrorOrigin, OutOfRange};

use crate::Adjacency;
use crate::budget::{FileFault, RecordFault};
use crate::fresh_fault::FreshFault;

/// Errors of `underpin-privacy`.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A setting or a value lies outside the interval that is allowed.
    #[error(transparent)]
    OutOfRange(#[from] OutOfRange),
    /// The operating system gave no random bytes.
    #[error("the operating system gave no random bytes: {cause}")]
    NoEntropy {
        /// What it said.
        cause: getrandom::Error,
    },
    /// Every step that was accounted for has been taken.
    #[error("all {max_steps} steps of this run are taken; no further batch is drawn")]
    StepsExhausted {
        /// Steps allowed.
        max_steps: u64,
    },
    /// A batch was released into a run that did not draw it.
    #[error("this batch was drawn by another run")]
    ForeignBatch,
    /// The progress of another run, or of this one under another key.
    #[error("this progress is of another run, or this run has drawn a batch already")]
    ForeignRun,
    /// The last batch drawn is not released, and what comes after it is made from it.
    #[error("the batch of step {step} is drawn but not released; no further batch is drawn before it is")]
    StepPending {
        /// The step, from 1.
        step: u64,
    },
    /// A clipped sum, or a row's vector, holds NaN or an infinity.
    #[error("value {value} at position {position} of what is to be released is not finite")]
    NotFinite {
        /// Position in the sum or vector.
        position: usize,
        /// The value, as text.
        value: String,
    },
    /// A row's vector does not have as many coordinates as the sum.
    #[error("a row's vector has {found} coordinates; the sum has {expected}")]
    WrongLength {
        /// Coordinates of the vector.
        found: usize,
        /// Coordinates of the sum.
        expected: usize,
    },
    /// A clipped sum is longer than clipped vectors can add up to: clipping was left out.
    #[error(
        "the clipped sum of {rows} rows has L2 norm {norm}; {rows} rows clipped to {clipping_norm} reach at most {at_most}"
    )]
    NotClipped {
        /// Rows in the batch.
        rows: usize,
        /// Norm of the sum that was given.
        norm: f64,
        /// Norm to which each row is to be clipped.
        clipping_norm: f64,
        /// Largest norm allowed.
        at_most: f64,
    },
    /// The losses span so much more than their finest part that no lattice in reach holds both.
    #[error("the composition's losses need a lattice of more than 2^21 points")]
    OutOfReach,
    /// An event has no proven bound under a neighbouring relation.
    #[error("{event} is not accounted under {adjacency}: {reason}")]
    Unaccounted {
        /// The event.
        event: &'static str,
        /// The relation that was asked about.
        adjacency: Adjacency,
        /// Why not, and what can be asked instead.
        reason: &'static str,
    },
    /// A cost does not fit in what is left of a budget; nothing was spent.
    #[error("the answer costs {asked} of the privacy budget's {of}, of which {left} is left")]
    OverBudget {
        /// Which of the budget's sums is nearest to holding the cost, and does not.
        of: &'static str,
        /// Fraction of the whole budget that was asked for.
        asked: f64,
        /// Fraction of the whole budget that is left.
        left: f64,
    },
    /// A cost is not accounted under the budget's neighbouring relation.
    #[error("{cost} is not accounted under the budget's neighbouring relation, {adjacency:?}")]
    OtherRelation {
        /// What was to be paid.
        cost: &'static str,
        /// The budget's relation.
        adjacency: Adjacency,
    },
    /// A budget has paid for a run, but less than it would cost.
    #[error("the budget has paid {paid} for {run}, which would cost {asked}")]
    OtherCost {
        /// Name of the run.
        run: String,
        /// What was paid.
        paid: String,
        /// What it would cost.
        asked: String,
    },
    /// A run is under way in this process already.
    #[error("{run} is under way already; one at a time is allowed")]
    RunInUse {
        /// Name of the run.
        run: String,
    },
    /// A run is not as far as its budget has it, or its list of steps is another.
    #[error(
        "a run at step {steps} of its list of steps; the budget has it at step {reached}, of another list or later"
    )]
    RunBehind {
        /// Steps of the mark refused.
        steps: u64,
        /// Steps that the budget has.
        reached: u64,
    },
    /// A label or unit is too long.
    #[error("a text of {bytes} bytes is too long for a budget's record; at most {at_most} are allowed")]
    TextTooLong {
        /// Its length.
        bytes: usize,
        /// The largest length.
        at_most: usize,
    },
    /// A text is not the head of a budget's record.
    #[error("{value:?} is not a head: a number, a colon, 64 hexadecimal digits")]
    NoHead {
        /// The text.
        value: String,
    },
    /// A budget's file cannot be made, read or written.
    #[error("budget {}: {fault}", .path.display())]
    BudgetFile {
        /// The file.
        path: PathBuf,
        /// Why not.
        fault: FileFault,
    },
    /// A budget's file is open already, here or in another process.
    #[error("budget {} is open already; one writer at a time is allowed", .path.display())]
    BudgetInUse {
        /// The file.
        path: PathBuf,
    },
    /// A budget's file does not hold an unbroken record.
    #[error("budget {} is damaged or no budget: {fault}", .path.display())]
    BudgetDamaged {
        /// The file.
        path: PathBuf,
        /// Where it departs from a record.
        fault: RecordFault,
    },
    /// A budget's file is older than what the caller knows of it, or another budget's.
    #[error("budget {} was rolled back: it lacks entry {known}; it has {found}", .path.display())]
    BudgetRolledBack {
        /// The file.
        path: PathBuf,
        /// The head that the caller knows.
        known: String,
        /// What the file has there, or its last entry.
        found: String,
    },
    /// A budget's file was made under other terms.
    #[error("budget {} was made with {name} = {stored}; {given} is asked for", .path.display())]
    OtherTerms {
        /// The file.
        path: PathBuf,
        /// The term that differs.
        name: &'static str,
        /// As it is in the file.
        stored: String,
        /// As the caller gave it.
        given: String,
    },
    /// The fresh bytes of a run cannot be kept, read or removed.
    #[error("fresh bytes of the run in {}: {fault}", .path.display())]
    FreshBytes {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        fault: FreshFault,
    },
    /// There is none of what at least one is needed of.
    #[error("not one {what}; at least one is needed")]
    Nothing {
        /// What is missing.
        what: &'static str,
    },
    /// A column holds NaN.
    #[error("row {row} of the column is NaN; a column holds numbers and infinities")]
    NotANumber {
        /// Position of the row.
        row: usize,
    },
    /// A list is not in the order that it must have.
    #[error("{what} {position} must {must}")]
    Disorder {
        /// What the list holds.
        what: &'static str,
        /// Position of the first that is wrong.
        position: usize,
        /// What it must be.
        must: &'static str,
    },
    /// What was asked for is public: it needs no noise and no budget.
    #[error("{what} is public under this adjacency: nothing is to be released")]
    Public {
        /// What was asked for.
        what: &'static str,
    },
    /// OpenDP refused.
    #[error("OpenDP refused: {reason}")]
    OpenDp {
        /// What it said.
        reason: String,
    },
    /// No parameter in the allowed range reaches the target.
    #[error("no {name} in {range} reaches epsilon = {target}")]
    Unreachable {
        /// What was searched for.
        name: &'static str,
        /// The target ε.
        target: f64,
        /// Where it was searched.
        range: &'static str,
    },
}

/// `value` if `within`, else [`Error::OutOfRange`]; NaN is never within.
pub(crate) fn within(
    name: &'static str,
    value: f64,
    range: &'static str,
    within: impl FnOnce(f64) -> bool,
) -> Result<f64, Error> {
    if within(value) { Ok(value) } else { Err(Error::out_of_range(name, value, range)) }
}

impl Error {
    /// Whose fault it is: the caller's (an argument, a setting, the order of calls), the input's (a file that was damaged
    /// or exchanged) or the system's.
    pub fn origin(&self) -> ErrorOrigin {
        match self {
            Self::OutOfRange(_)
            | Self::StepsExhausted { .. }
            | Self::ForeignBatch
            | Self::ForeignRun
            | Self::StepPending { .. }
            | Self::NotFinite { .. }
            | Self::WrongLength { .. }
            | Self::NotClipped { .. }
            | Self::OutOfReach
            | Self::Unaccounted { .. }
            | Self::OverBudget { .. }
            | Self::OtherRelation { .. }
            | Self::OtherCost { .. }
            | Self::RunInUse { .. }
            | Self::TextTooLong { .. }
            | Self::NoHead { .. }
            | Self::BudgetInUse { .. }
            | Self::OtherTerms { .. }
            | Self::Nothing { .. }
            | Self::NotANumber { .. }
            | Self::Disorder { .. }
            | Self::Public { .. }
            | Self::OpenDp { .. }
            | Self::Unreachable { .. } => ErrorOrigin::Caller,
            Self::BudgetFile { fault, .. } => match fault {
                FileFault::Io { kind: std::io::ErrorKind::NotFound | std::io::ErrorKind::AlreadyExists, .. }
                | FileFault::Exposed(_) => ErrorOrigin::Caller,
                FileFault::Io { .. } | FileFault::WriterPanicked => ErrorOrigin::System,
            },
            Self::FreshBytes { fault, .. } => match fault {
                FreshFault::Exposed(_) => ErrorOrigin::Caller,
                FreshFault::Damaged => ErrorOrigin::Input,
                FreshFault::Io { .. } => ErrorOrigin::System,
            },
            Self::BudgetDamaged { .. } | Self::BudgetRolledBack { .. } | Self::RunBehind { .. } => ErrorOrigin::Input,
            Self::NoEntropy { .. } => ErrorOrigin::System,
        }
    }

    /// `name` is `value`, which lies outside `range`.
    pub(crate) fn out_of_range(
        name: impl Into<Cow<'static, str>>,
        value: f64,
        range: impl Into<Cow<'static, str>>,
    ) -> Self {
        Self::OutOfRange(OutOfRange::new(name, value, range))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::budget::EntryFault;
    use crate::durable::Exposure;

    #[test]
    fn an_error_says_whose_fault_it_is() {
        let file = |fault| Error::BudgetFile { path: "a.budget".into(), fault };
        let io = |kind| file(FileFault::Io { kind, message: String::new() });
        let fault = RecordFault::Entry { sequence: 3, fault: EntryFault::Unchained };
        let damaged = Error::BudgetDamaged { path: "a.budget".into(), fault };
        assert_eq!(
            damaged.to_string(),
            "budget a.budget is damaged or no budget: entry 3: its hash does not continue the chain"
        );
        for (error, origin) in [
            (Error::out_of_range("epsilon", 0.0, "(0, inf)"), ErrorOrigin::Caller),
            (Error::OverBudget { of: "epsilon", asked: 2.0, left: 1.0 }, ErrorOrigin::Caller),
            (io(std::io::ErrorKind::NotFound), ErrorOrigin::Caller),
            (io(std::io::ErrorKind::StorageFull), ErrorOrigin::System),
            (file(FileFault::Exposed(Exposure::Permissions { mode: 0o644 })), ErrorOrigin::Caller),
            (file(FileFault::WriterPanicked), ErrorOrigin::System),
            (damaged, ErrorOrigin::Input),
            (Error::RunBehind { steps: 1, reached: 2 }, ErrorOrigin::Input),
        ] {
            assert_eq!(error.origin(), origin, "{error}");
        }
    }
}
