//! Neighbouring relations.

/// Which data sets count as neighbours: what one person's data may change.
///
/// One event costs differently under each; the scales of [`crate::Event`] stay those of one row's contribution.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Adjacency {
    /// One row more or one row less (unbounded differential privacy).
    AddOrRemove,
    /// One row replaced by another (bounded differential privacy); the number of rows is public.
    Replace,
    /// One row replaced by one that contributes nothing; the number of rows is public (Kairouz et al. 2021).
    ZeroOut,
}

impl std::fmt::Display for Adjacency {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::AddOrRemove => "add-or-remove-one",
            Self::Replace => "replace-one",
            Self::ZeroOut => "zero-out-one",
        })
    }
}
