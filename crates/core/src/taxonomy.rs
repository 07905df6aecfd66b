//! Taxonomy: concerns, phases and threats (NIST AI 100-2 e2025), with their identifiers in ATLAS and OWASP.

use serde::{Deserialize, Serialize};

use crate::access_level::Access;
use crate::words::words;

/// Security, or one of the concerns that rest on it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum Concern {
    /// The model withstands an adversary.
    Security,
    /// The model does no harm in use.
    Safety,
    /// What the model is and does is on record.
    Transparency,
    /// Who did what, and when, is on record.
    Accountability,
    /// The model does what its policy intends.
    Alignment,
}

words!(Concern {
    Security => "security",
    Safety => "safety",
    Transparency => "transparency",
    Accountability => "accountability",
    Alignment => "alignment",
});

/// The part of a model's life in which something happens.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum Phase {
    /// Rows are gathered and cleaned.
    Collection,
    /// A model is trained on them.
    Training,
    /// The model answers queries.
    Deployment,
}

words!(Phase {
    Collection => "collection",
    Training => "training",
    Deployment => "deployment",
});

/// What an adversary is after (NIST AI 100-2 e2025).
///
/// Exhaustive on purpose: a new threat must break every policy and report that ignores it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum Threat {
    /// Training rows are injected or altered; backdoors included.
    Poisoning,
    /// Inputs are perturbed to be misclassified.
    Evasion,
    /// Training inputs or class prototypes are reconstructed.
    Inversion,
    /// The model is extracted (stolen) through its answers.
    Extraction,
    /// An adversary infers whether a row was trained on.
    MembershipInference,
}

words!(Threat {
    Poisoning => "poisoning",
    Evasion => "evasion",
    Inversion => "inversion",
    Extraction => "extraction",
    MembershipInference => "membership_inference",
});

/// Where other catalogues list a threat.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Identifiers {
    /// MITRE ATLAS 5.6.1 techniques.
    pub atlas: &'static [&'static str],
    /// MITRE ATLAS 5.6.1 mitigations.
    pub mitigations: &'static [&'static str],
    /// OWASP Machine Learning Security Top 10, 2023.
    pub owasp: &'static [&'static str],
    /// NIST AI 100-2 e2025.
    pub nist: &'static [&'static str],
}

impl Threat {
    /// The levels of access at which an adversary with this aim exists, most first: a complete policy decides each.
    ///
    /// Who holds the weights has nothing to extract; rows are poisoned before there are weights to hold.
    pub const fn access_levels(self) -> &'static [Access] {
        match self {
            Self::Evasion | Self::Inversion | Self::MembershipInference => {
                &[Access::WhiteBox, Access::GrayBox, Access::BlackBox]
            }
            Self::Extraction | Self::Poisoning => &[Access::GrayBox, Access::BlackBox],
        }
    }

    /// Identifiers of this threat in MITRE ATLAS 5.6.1, OWASP ML Top 10 2023 and NIST AI 100-2 e2025.
    ///
    /// # Examples
    ///
    /// ```
    /// use underpin_core::Threat;
    ///
    /// assert_eq!(Threat::Extraction.identifiers().owasp, ["ML05:2023"]);
    /// ```
    pub const fn identifiers(self) -> Identifiers {
        match self {
            Self::Poisoning => Identifiers {
                atlas: &["AML.T0020", "AML.T0059", "AML.T0019", "AML.T0018.000", "AML.T0043.004"],
                mitigations: &["AML.M0007", "AML.M0025", "AML.M0008", "AML.M0013"],
                owasp: &["ML02:2023", "ML10:2023"],
                nist: &["NISTAML.013", "NISTAML.012", "NISTAML.024", "NISTAML.023", "NISTAML.021"],
            },
            Self::Evasion => Identifiers {
                atlas: &["AML.T0015", "AML.T0043.000", "AML.T0043.001", "AML.T0043.002"],
                mitigations: &["AML.M0003", "AML.M0010", "AML.M0015"],
                owasp: &["ML01:2023"],
                nist: &["NISTAML.022", "NISTAML.025"],
            },
            Self::Inversion => Identifiers {
                atlas: &["AML.T0024.001"],
                mitigations: &["AML.M0002", "AML.M0004"],
                owasp: &["ML03:2023"],
                nist: &["NISTAML.032"],
            },
            Self::Extraction => Identifiers {
                atlas: &["AML.T0024.002"],
                mitigations: &["AML.M0002", "AML.M0004"],
                owasp: &["ML05:2023"],
                nist: &["NISTAML.031"],
            },
            Self::MembershipInference => Identifiers {
                atlas: &["AML.T0024.000"],
                mitigations: &["AML.M0002", "AML.M0004"],
                owasp: &["ML04:2023"],
                nist: &["NISTAML.033"],
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_what_serde_writes() {
        for threat in Threat::ALL {
            let json = serde_json::to_string(threat).unwrap();
            assert_eq!(json, format!("\"{threat}\""));
        }
        for concern in Concern::ALL {
            assert_eq!(serde_json::to_string(concern).unwrap(), format!("\"{concern}\""));
        }
        for phase in Phase::ALL {
            assert_eq!(serde_json::to_string(phase).unwrap(), format!("\"{phase}\""));
        }
    }

    #[test]
    fn every_threat_is_in_every_catalogue() {
        for threat in Threat::ALL {
            let ids = threat.identifiers();
            assert!(ids.atlas.iter().all(|id| id.starts_with("AML.T")), "{threat}");
            assert!(ids.mitigations.iter().all(|id| id.starts_with("AML.M")), "{threat}");
            assert!(ids.owasp.iter().all(|id| id.starts_with("ML") && id.ends_with(":2023")));
            assert!(ids.nist.iter().all(|id| id.starts_with("NISTAML.")), "{threat}");
            for list in [ids.atlas, ids.mitigations, ids.owasp, ids.nist] {
                assert!(!list.is_empty(), "{threat}");
            }
        }
    }
}
