//! What the settings may be, asked before anything is trained.

use super::{Attacks, Config};
use crate::Error;

/// A setting's name in the file, its value, what is allowed, and whether it is.
struct Check {
    name: &'static str,
    value: f64,
    allowed: String,
    holds: bool,
}

impl Config {
    /// Refuses settings that no run on `classes` classes can follow, the smallest set that a surrogate trains on having
    /// `fewest` rows.
    ///
    /// # Errors
    ///
    /// [`Error::OutOfRange`] for the first one out of range; as for [`super::Privacy::check`].
    pub(crate) fn check(&self, classes: usize, fewest: usize) -> Result<(), Error> {
        let fraction = self.collection.injected_fraction;
        let injected = between("collection.injected_fraction", fraction, "(0, 0.5]", fraction > 0.0 && fraction <= 0.5);
        let canaries = self.privacy.map_or(0, |privacy| privacy.canaries);
        let canaries = between("privacy.canaries", canaries.into(), "0 and [6, inf)", canaries == 0 || canaries >= 6);
        let first = [injected, canaries].into_iter();
        let refused = first.chain(self.attacks.checks(classes)).find(|check| !check.holds);
        if let Some(privacy) = &self.privacy {
            crate::class_counts::split(privacy)?;
            // Shadow models train on as many rows as half of the candidates.
            privacy.check(&self.training, fewest.min(self.attacks.membership.candidates / 2))?;
        }
        refused.map_or(Ok(()), |Check { name, value, allowed, .. }| Err(Error::out_of_range(name, value, allowed)))
    }
}

impl Attacks {
    fn checks(&self, classes: usize) -> Vec<Check> {
        let Self { evasion, membership, inversion, extraction, poisoning, .. } = self;
        let (radius, fpr) = (evasion.radius, membership.false_positive_rate);
        let mut checks = vec![
            at_least("attacks.evasion.steps", evasion.steps, 1),
            at_least("attacks.evasion.restarts", evasion.restarts, 1),
            at_least("attacks.evasion.samples", evasion.samples, 1),
            at_least("attacks.evasion.square_samples", evasion.square_samples, 1),
            at_least("attacks.evasion.queries", evasion.queries, 2),
            between("attacks.evasion.radius", radius, "[0, inf)", radius >= 0.0 && radius.is_finite()),
            at_least("attacks.membership.candidates", membership.candidates, 2),
            between("attacks.membership.false_positive_rate", fpr, "(0, 1)", fpr > 0.0 && fpr < 1.0),
            at_least("attacks.inversion.steps", inversion.steps, 1),
            at_least("attacks.inversion.queries", inversion.queries, 2),
            at_least("attacks.extraction.owned", extraction.owned, 1),
            at_least("attacks.extraction.attackers", extraction.attackers, 1),
            at_least("attacks.extraction.batch_size", extraction.batch_size, 1),
            at_least("number of attacks.extraction.budgets", extraction.budgets.len(), 1),
            between("attacks.keys", self.keys as f64, "[1, inf)", self.keys >= 1),
        ];
        let even = membership.shadows > 0 && membership.shadows.is_multiple_of(2);
        checks.push(between("attacks.membership.shadows", membership.shadows as f64, "the even numbers from 2", even));
        let bad = |radius: &&f64| !(**radius >= 0.0 && radius.is_finite());
        checks.extend(
            evasion.radii.iter().find(bad).map(|radius| between("attacks.evasion.radii", *radius, "[0, inf)", false)),
        );
        checks.extend(extraction.budgets.iter().map(|budget| at_least("attacks.extraction.budgets", *budget, 1)));
        let target = format!("[0, {classes}): one of the {classes} classes");
        checks.push(between("attacks.poisoning.target", poisoning.target as f64, target, poisoning.target < classes));
        let fraction = poisoning.fraction;
        checks.push(between("attacks.poisoning.fraction", fraction, "(0, 1)", fraction > 0.0 && fraction < 1.0));
        checks
    }
}

fn at_least(name: &'static str, value: usize, least: usize) -> Check {
    between(name, value as f64, format!("[{least}, inf)"), value >= least)
}

fn between(name: &'static str, value: f64, allowed: impl Into<String>, holds: bool) -> Check {
    Check { name, value, allowed: allowed.into(), holds }
}

#[cfg(test)]
mod tests {
    use underpin_core::Shape;

    use super::*;
    use crate::DeviceKind;
    use crate::seal::policy;

    #[test]
    fn settings_out_of_range_are_named_before_anything_is_trained() {
        let (policy, _) = policy::read(policy::BASELINE.as_bytes()).unwrap();
        let defaults = Config::recommended(&Shape::new([30]).unwrap(), [500, 100], 3, DeviceKind::Flex, &policy);
        defaults.check(3, 100).unwrap();
        for (change, expected) in [
            ("privacy.statistics = 9.0", "privacy.statistics = 9 is outside [0, 8): part of privacy.epsilon"),
            ("privacy.canaries = 5", "privacy.canaries = 5 is outside 0 and [6, inf)"),
            ("attacks.keys = 0", "attacks.keys = 0 is outside [1, inf)"),
            ("attacks.extraction.budgets = []", "number of attacks.extraction.budgets = 0 is outside [1, inf)"),
            ("attacks.extraction.budgets = [5, 0]", "attacks.extraction.budgets = 0 is outside [1, inf)"),
            ("attacks.evasion.samples = 0", "attacks.evasion.samples = 0 is outside [1, inf)"),
            ("attacks.evasion.radius = nan", "attacks.evasion.radius = NaN is outside [0, inf)"),
            ("attacks.evasion.radii = [0.1, -1.0]", "attacks.evasion.radii = -1 is outside [0, inf)"),
            ("attacks.membership.shadows = 3", "attacks.membership.shadows = 3 is outside the even numbers from 2"),
            (
                "attacks.membership.false_positive_rate = 0.0",
                "attacks.membership.false_positive_rate = 0 is outside (0, 1)",
            ),
            ("attacks.poisoning.target = 3", "attacks.poisoning.target = 3 is outside [0, 3): one of the 3 classes"),
            ("attacks.poisoning.fraction = 1.0", "attacks.poisoning.fraction = 1 is outside (0, 1)"),
            ("collection.injected_fraction = 0.0", "collection.injected_fraction = 0 is outside (0, 0.5]"),
        ] {
            let refused = defaults.changed(change).unwrap().check(3, 100).unwrap_err();
            assert_eq!(refused.to_string(), expected);
        }
    }
}
