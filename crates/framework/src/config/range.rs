//! What the settings may be, asked before anything is trained.

use underpin_core::{OutOfRange, Shape};

use super::{Adversary, Attacks, Config};
use crate::Error;

/// A setting's name in the file, its value, what is allowed, and whether it is.
struct Check {
    name: &'static str,
    value: f64,
    allowed: String,
    holds: bool,
}

impl Config {
    /// Refuses settings that no run on rows of `shape` in `classes` classes can follow, the smallest set that a surrogate
    /// trains on having `fewest` rows.
    ///
    /// # Errors
    ///
    /// [`Error::OutOfRange`] for the first one out of range; as for [`super::Privacy::check`].
    pub(crate) fn check(&self, shape: &Shape, classes: usize, fewest: usize) -> Result<(), Error> {
        let fraction = self.collection.injected_fraction;
        let injected = between("collection.injected_fraction", fraction, "(0, 0.5]", fraction > 0.0 && fraction <= 0.5);
        let canaries = self.privacy.map_or(0, |privacy| privacy.canaries);
        let canaries = between("privacy.canaries", canaries.into(), "0 and [6, inf)", canaries == 0 || canaries >= 6);
        let first = [injected, canaries].into_iter().chain(self.adversary.iter().flat_map(Adversary::checks));
        let refused = first.chain(self.attacks.checks(classes, fewest)).find(|check| !check.holds);
        for (table, settings) in [("training", &self.training), ("undefended", self.training_undefended())] {
            settings.check_for(shape, classes).map_err(|error| match error {
                underpin_train::Error::OutOfRange(OutOfRange { name, value, range }) => {
                    Error::out_of_range(format!("{table}.{name}"), value, range)
                }
                other => other.into(),
            })?;
        }
        if let Some(privacy) = &self.privacy {
            crate::class_counts::split(privacy)?;
            // Shadow models train on as many rows as half of the candidates.
            privacy.check(&self.training, fewest.min(self.attacks.membership.candidates / 2))?;
        }
        refused.map_or(Ok(()), |Check { name, value, allowed, .. }| Err(Error::out_of_range(name, value, allowed)))
    }
}

impl Adversary {
    fn checks(&self) -> [Check; 2] {
        let Self { norm: _, radius, steps } = *self;
        let is_radius = radius >= 0.0 && radius.is_finite();
        [between("adversary.radius", radius, "[0, inf)", is_radius), at_least("adversary.steps", steps, 1)]
    }
}

impl Attacks {
    fn checks(&self, classes: usize, fewest: usize) -> Vec<Check> {
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
            within("attacks.extraction.owned", extraction.owned, fewest, "the adversary's rows"),
            at_least("attacks.extraction.attackers", extraction.attackers, 1),
            within(
                "attacks.extraction.batch_size",
                extraction.batch_size,
                extraction.owned,
                "attacks.extraction.owned",
            ),
            at_least("number of attacks.evasion.radii", evasion.radii.len(), 1),
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

fn within(name: &'static str, value: usize, most: usize, what: &str) -> Check {
    between(name, value as f64, format!("[1, {most}]: at most {what}"), (1..=most).contains(&value))
}

fn between(name: &'static str, value: f64, allowed: impl Into<String>, holds: bool) -> Check {
    Check { name, value, allowed: allowed.into(), holds }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::DeviceKind;
    use crate::seal::policy;

    #[test]
    fn settings_out_of_range_are_named_before_anything_is_trained() {
        let (policy, _) = policy::read(policy::BASELINE.as_bytes()).unwrap();
        let shape = Shape::new([30]).unwrap();
        let defaults = Config::recommended(&shape, [500, 100], 3, DeviceKind::Flex, &policy);
        defaults.check(&shape, 3, 100).unwrap();
        for (change, expected) in [
            ("privacy.statistics = 9.0", "privacy.statistics = 9 is outside 0 and [1e-9, 8): part of privacy.epsilon"),
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
            ("training.epochs = 0", "training.epochs = 0 is outside [1, inf)"),
            ("training.warm_up = 2.0", "training.warm_up = 2 is outside [0, 1]"),
            ("training.architecture = { mlp = { hidden = [0] } }", "training.width = 0 is outside [1, inf)"),
            (
                "training.optimiser = { adam = { learning_rate = 0.0 } }",
                "training.learning_rate = 0 is outside (0, inf)",
            ),
            ("adversary.radius = -1.0", "adversary.radius = -1 is outside [0, inf)"),
            ("adversary.steps = 0", "adversary.steps = 0 is outside [1, inf)"),
            ("attacks.evasion.radii = []", "number of attacks.evasion.radii = 0 is outside [1, inf)"),
            (
                "attacks.extraction.owned = 101",
                "attacks.extraction.owned = 101 is outside [1, 100]: at most the adversary's rows",
            ),
            (
                "attacks.extraction.batch_size = 16",
                "attacks.extraction.batch_size = 16 is outside [1, 15]: at most attacks.extraction.owned",
            ),
            ("collection.injected_fraction = 0.0", "collection.injected_fraction = 0 is outside (0, 0.5]"),
        ] {
            let refused = defaults.changed(change).unwrap().check(&shape, 3, 100).unwrap_err();
            assert_eq!(refused.to_string(), expected);
        }
    }
}
