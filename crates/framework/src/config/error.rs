//! Errors of a configuration file or a recipe.

use underpin_train::Architecture;

/// Why a configuration or a recipe is refused.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ConfigError {
    /// The text is no TOML, has an unknown key, or a value of another kind; with line and column.
    #[error("{}", .0.to_string().trim())]
    Toml(#[from] toml::de::Error),
    /// The settings cannot be written as TOML.
    #[error("{0}")]
    NotWritten(#[from] toml::ser::Error),
    /// Noise that cancels between steps needs a clipping norm that stays.
    #[error(
        "privacy.clipping is adaptive and privacy.mechanism banded: noise cancels only between sums of one unit; \
         allowed: flat, per_layer, automatic"
    )]
    AdaptiveClippingWithBands,
    /// An optimiser that corrects for the noise needs noise of one deviation.
    #[error("training.optimiser is corrected_adam, which needs noise of one deviation; allowed: {allowed}")]
    CorrectedAdam {
        /// What goes with it.
        allowed: &'static str,
    },
    /// A recipe without rows.
    #[error("rows = 0 is outside [1, inf)")]
    NoRows,
    /// A recipe's baseline has another architecture than its model.
    #[error("baseline.architecture is {baseline:?}; a baseline has that of training, {training:?}")]
    OtherArchitecture {
        /// The baseline's.
        baseline: Box<Architecture>,
        /// The model's.
        training: Box<Architecture>,
    },
}
