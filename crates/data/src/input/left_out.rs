//! Columns that are left out, and why.

/// A column that is not read as a feature, and why.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LeftOut {
    /// Its name.
    pub column: String,
    /// Why.
    pub reason: String,
}

impl std::fmt::Display for LeftOut {
    /// `column "id" left out: every text in it occurs once, as identifiers do`.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "column {:?} left out: {}", self.column, self.reason)
    }
}
