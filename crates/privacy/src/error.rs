//! What this crate refuses.

/// What `underpin-privacy` refuses.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A parameter lies outside its range.
    #[error("{name} = {value} is outside {range}")]
    OutOfRange {
        /// Parameter as written in the source paper.
        name: &'static str,
        /// Rejected value.
        value: f64,
        /// Allowed interval.
        range: &'static str,
    },
    /// The operating system gave no random bytes.
    #[error("the operating system gave no random bytes: {reason}")]
    NoEntropy {
        /// What it said.
        reason: String,
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
    /// A clipped sum holds NaN or an infinity.
    #[error("value {value} at position {position} of the clipped sum is not finite")]
    NotFinite {
        /// Position in the sum.
        position: usize,
        /// The value, as text.
        value: String,
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
        adjacency: crate::Adjacency,
        /// Why not, and what can be asked instead.
        reason: &'static str,
    },
    /// A cost does not fit in what is left of a budget; nothing was spent.
    #[error("the answer costs {asked} of the privacy budget, of which {left} is left")]
    OverBudget {
        /// Share of the whole budget that was asked for.
        asked: f64,
        /// Share of the whole budget that is left.
        left: f64,
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
    if within(value) { Ok(value) } else { Err(Error::OutOfRange { name, value, range }) }
}
