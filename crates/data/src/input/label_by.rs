//! How a label column was found.

/// How the label column was found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LabelBy {
    /// The source names it.
    Source,
    /// It is the only column with a name that labels go by.
    Name,
    /// It is the last column, and the only one whose values can be classes.
    Values,
    /// It is the last column of a table without a header.
    Last,
}

impl std::fmt::Display for LabelBy {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Source => "as asked for",
            Self::Name => "the only column named as labels are",
            Self::Values => "the last column, and the only one whose values can be classes",
            Self::Last => "the last column of a table without a header",
        })
    }
}
