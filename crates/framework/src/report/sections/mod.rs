//! The sections of the page, each from the report to markup.

pub(super) mod compare;
pub(super) mod curves;
pub(super) mod detail;
pub(super) mod matrix;
pub(super) mod picture;
pub(super) mod safety;
pub(super) mod sanitisation;
pub(super) mod scores;
pub(super) mod verdict;
