//! What a measurement is about: a threat, utility, safety or alignment; and the system it was made on.

use serde::{Deserialize, Serialize};

use crate::taxonomy::Threat;
use crate::words::words;

/// What a number is about: a threat, or what security is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum About {
    /// [`Threat::Poisoning`].
    Poisoning,
    /// [`Threat::Evasion`].
    Evasion,
    /// [`Threat::Inversion`].
    Inversion,
    /// [`Threat::Extraction`].
    Extraction,
    /// [`Threat::MembershipInference`].
    MembershipInference,
    /// The model is of use: a constant answer withstands every attack.
    Utility,
    /// The model is safe in use.
    Safety,
    /// The model does what its policy intends.
    Alignment,
}

words!(About {
    Poisoning => "poisoning",
    Evasion => "evasion",
    Inversion => "inversion",
    Extraction => "extraction",
    MembershipInference => "membership_inference",
    Utility => "utility",
    Safety => "safety",
    Alignment => "alignment",
});

impl About {
    /// The threat, if it is about one.
    pub const fn threat(self) -> Option<Threat> {
        match self {
            Self::Poisoning => Some(Threat::Poisoning),
            Self::Evasion => Some(Threat::Evasion),
            Self::Inversion => Some(Threat::Inversion),
            Self::Extraction => Some(Threat::Extraction),
            Self::MembershipInference => Some(Threat::MembershipInference),
            Self::Utility | Self::Safety | Self::Alignment => None,
        }
    }
}

impl From<Threat> for About {
    fn from(threat: Threat) -> Self {
        match threat {
            Threat::Poisoning => Self::Poisoning,
            Threat::Evasion => Self::Evasion,
            Threat::Inversion => Self::Inversion,
            Threat::Extraction => Self::Extraction,
            Threat::MembershipInference => Self::MembershipInference,
        }
    }
}

/// The system a number was measured on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum System {
    /// The same model trained and served with no defence, for comparison.
    Undefended,
    /// The system to be cleared.
    Defended,
}

words!(System { Undefended => "undefended", Defended => "defended" });

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_what_serde_writes() {
        for about in About::ALL {
            assert_eq!(serde_json::to_string(about).unwrap(), format!("\"{about}\""));
        }
        for threat in Threat::ALL {
            assert_eq!(About::from(*threat).threat(), Some(*threat));
            assert_eq!(About::from(*threat).word(), threat.word());
        }
    }
}
