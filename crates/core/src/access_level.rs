//! Levels of access: what the adversary holds.

use serde::{Deserialize, Serialize};

use crate::words::words;

/// What the adversary holds.
///
/// Ordered by what it gives away: black box < gray box < white box.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum Access {
    /// Queries only: scores, the top classes or the label.
    BlackBox,
    /// Architecture, training recipe, data of the same distribution, and queries.
    GrayBox,
    /// Weights and gradients.
    WhiteBox,
}

words!(Access {
    BlackBox => "black_box",
    GrayBox => "gray_box",
    WhiteBox => "white_box",
});

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_of_access_are_what_serde_writes() {
        for access in Access::ALL {
            assert_eq!(serde_json::to_string(access).unwrap(), format!("\"{access}\""));
        }
    }

    #[test]
    fn access_is_ordered_by_what_it_gives_away() {
        assert!(Access::BlackBox < Access::GrayBox && Access::GrayBox < Access::WhiteBox);
    }
}
