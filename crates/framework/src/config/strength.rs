//! Strength of attacks: where a configuration falls short of the plan that follows from a policy.

use underpin_core::{About, Shortfall, Value};
use underpin_train::Settings;

use super::{Attacks, Config, Evasion, Extraction, Inversion, Membership, Poisoning};

/// The recipe of the undefended baseline, as it stands beside the accuracy loss.
const RECOMMENDED: &str = "recommended";

impl Attacks {
    /// Where these attacks are weaker than those of `plan`, by the threat that they measure and the configuration's names.
    ///
    /// Every field is compared, or said to have no bearing on strength: a new one does not compile before it is.
    pub(crate) fn shortfalls(&self, plan: &Self) -> Vec<(About, Shortfall)> {
        let Self { keys, evasion, membership, inversion, extraction, poisoning } = self;
        let mut found = Vec::new();
        let black_box = [About::Evasion, About::Inversion, About::Extraction];
        for about in black_box {
            at_least(&mut found, about, "attacks.keys", *keys as f64, plan.keys as f64);
        }
        evasion.shortfalls(&plan.evasion, &mut found);
        membership.shortfalls(&plan.membership, &mut found);
        inversion.shortfalls(&plan.inversion, &mut found);
        extraction.shortfalls(&plan.extraction, &mut found);
        poisoning.shortfalls(&plan.poisoning, &mut found);
        found
    }
}

type Found = Vec<(About, Shortfall)>;

impl Evasion {
    fn shortfalls(&self, plan: &Self, found: &mut Found) {
        // The radii are those of a curve for the report; no bar judges it.
        let Self { norm, radius, radii: _, steps, restarts, samples, square_samples, queries } = self;
        let about = About::Evasion;
        if *norm != plan.norm {
            found.push((about, shortfall("attacks.evasion.norm", &norm.word(), format!("= {}", plan.norm))));
        }
        at_least(found, about, "attacks.evasion.radius", *radius, plan.radius);
        for (name, has, least) in [
            ("attacks.evasion.steps", *steps, plan.steps),
            ("attacks.evasion.restarts", *restarts, plan.restarts),
            ("attacks.evasion.samples", *samples, plan.samples),
            ("attacks.evasion.square_samples", *square_samples, plan.square_samples),
            ("attacks.evasion.queries", *queries, plan.queries),
        ] {
            at_least(found, about, name, has as f64, least as f64);
        }
    }
}

impl Membership {
    fn shortfalls(&self, plan: &Self, found: &mut Found) {
        let Self { shadows, candidates, false_positive_rate } = self;
        let about = About::MembershipInference;
        at_least(found, about, "attacks.membership.shadows", *shadows as f64, plan.shadows as f64);
        at_least(found, about, "attacks.membership.candidates", *candidates as f64, plan.candidates as f64);
        at_least(
            found,
            about,
            "attacks.membership.false_positive_rate",
            *false_positive_rate,
            plan.false_positive_rate,
        );
    }
}

impl Inversion {
    fn shortfalls(&self, plan: &Self, found: &mut Found) {
        let Self { steps, queries } = self;
        at_least(found, About::Inversion, "attacks.inversion.steps", *steps as f64, plan.steps as f64);
        at_least(found, About::Inversion, "attacks.inversion.queries", *queries as f64, plan.queries as f64);
    }
}

impl Extraction {
    fn shortfalls(&self, plan: &Self, found: &mut Found) {
        // The budgets are points of the curve of the undefended system; the defended one is asked all that its keys allow.
        let Self { owned, attackers, batch_size, budgets: _ } = self;
        let about = About::Extraction;
        if *owned > plan.owned {
            found.push((about, shortfall("attacks.extraction.owned", &owned, format!("<= {}", plan.owned))));
        }
        if *batch_size != plan.batch_size {
            let asked = format!("= {}", plan.batch_size);
            found.push((about, shortfall("attacks.extraction.batch_size", &batch_size, asked)));
        }
        at_least(found, about, "attacks.extraction.attackers", *attackers as f64, plan.attackers as f64);
    }
}

impl Poisoning {
    fn shortfalls(&self, plan: &Self, found: &mut Found) {
        let Self { fraction, target } = self;
        at_least(found, About::Poisoning, "attacks.poisoning.fraction", *fraction, plan.fraction);
        if *target != plan.target {
            found
                .push((About::Poisoning, shortfall("attacks.poisoning.target", &target, format!("= {}", plan.target))));
        }
    }
}

fn at_least(found: &mut Found, about: About, name: &str, has: f64, least: f64) {
    // NaN is weaker than anything.
    if has < least || has.is_nan() {
        found.push((about, shortfall(name, &Value::from(has), format!(">= {least}"))));
    }
}

fn shortfall(name: &str, found: &dyn ToString, asked: String) -> Shortfall {
    Shortfall { parameter: name.to_owned(), found: Some(found.to_string()), asked }
}

impl Config {
    /// Where this falls short of `plan`, each setting once: weaker attacks, a baseline that accuracy loss cannot be measured
    /// against, an ε at a larger δ.
    pub(crate) fn shortfalls(&self, plan: &Self) -> Vec<Shortfall> {
        let mut found: Vec<Shortfall> = Vec::new();
        for (_, shortfall) in self.attacks.shortfalls(&plan.attacks) {
            if !found.contains(&shortfall) {
                found.push(shortfall);
            }
        }
        let recipe = self.baseline_recipe(plan.training_undefended());
        if recipe != RECOMMENDED {
            found.push(shortfall("undefended", &recipe, format!("{RECOMMENDED}, or more epochs")));
        }
        if let (Some(own), Some(plan)) = (&self.privacy, &plan.privacy)
            && own.delta.value() > plan.delta.value()
        {
            found.push(shortfall("privacy.delta", &own.delta, format!("<= {}", plan.delta)));
        }
        found
    }

    /// [`RECOMMENDED`] when the undefended baseline is trained as `recommended` would, or for more epochs; otherwise
    /// `changed`: the accuracy lost against it means nothing.
    pub(crate) fn baseline_recipe(&self, recommended: &Settings) -> &'static str {
        let own = self.training_undefended();
        let same = Settings { epochs: recommended.epochs, ..own.clone() } == *recommended;
        if same && own.epochs >= recommended.epochs { RECOMMENDED } else { "changed" }
    }
}

#[cfg(test)]
mod tests {
    use underpin_core::Shape;

    use super::*;
    use crate::DeviceKind;
    use crate::seal::policy;

    fn plan() -> Config {
        let (policy, _) = policy::read(policy::BASELINE.as_bytes()).unwrap();
        Config::recommended(&Shape::new([64]).unwrap(), [1000, 300], 10, DeviceKind::Flex, &policy)
    }

    /// Every number in a table, by its path.
    fn numbers(table: &toml::Table, path: &str, found: &mut Vec<String>) {
        for (name, value) in table {
            let path = format!("{path}.{name}");
            match value {
                toml::Value::Table(table) => numbers(table, &path, found),
                toml::Value::Integer(_) | toml::Value::Float(_) => found.push(path),
                _ => {}
            }
        }
    }

    #[test]
    fn every_number_of_the_attacks_counts_in_one_direction() {
        let plan = plan();
        assert_eq!(plan.attacks.shortfalls(&plan.attacks), []);
        let table = toml::Table::try_from(&plan.attacks).unwrap();
        let mut paths = Vec::new();
        numbers(&table, "attacks", &mut paths);
        assert!(paths.len() >= 16, "{paths:?}");
        for path in paths {
            // An integer reads as a float, too.
            let weaker = ["0", "1", "1000000000"].iter().filter_map(|value| {
                let changed = plan.changed(&format!("{path} = {value}")).ok()?;
                let found = changed.attacks.shortfalls(&plan.attacks);
                assert!(found.iter().all(|(_, shortfall)| shortfall.parameter == path), "{path}: {found:?}");
                Some(found.len())
            });
            assert!(weaker.sum::<usize>() > 0, "{path}: neither 0 nor 1 nor 1e9 is weaker than the plan");
        }
    }

    #[test]
    fn settings_that_flipped_a_bar_are_weaker() {
        let plan = plan();
        for (text, named) in [
            ("attacks.membership.false_positive_rate = 1e-9", "attacks.membership.false_positive_rate 0.000000001"),
            ("attacks.extraction.owned = 300", "attacks.extraction.owned 300, asked for: <= 50"),
            ("attacks.extraction.batch_size = 1", "attacks.extraction.batch_size 1, asked for: = 32"),
            ("attacks.evasion.norm = 'l2'", "attacks.evasion.norm l2, asked for: = linf"),
            ("attacks.evasion.radius = nan", "attacks.evasion.radius NaN"),
        ] {
            let found = plan.changed(text).unwrap().attacks.shortfalls(&plan.attacks);
            assert!(found.len() == 1 && found[0].1.to_string().starts_with(named), "{text}: {found:?}");
        }
        let recipe = |text: &str| plan.changed(text).unwrap().baseline_recipe(plan.training_undefended());
        assert_eq!(recipe("undefended.epochs = 3"), "changed");
        assert_eq!(recipe("undefended.batch_size = 1"), "changed");
        assert_eq!(recipe("undefended.epochs = 1000"), RECOMMENDED);
        assert_eq!(recipe("training.epochs = 3"), RECOMMENDED);
    }

    #[test]
    fn the_plan_follows_from_the_bars() {
        let stronger = policy::BASELINE
            .replace("name = \"baseline\"", "name = \"mine\"")
            .replace("require.steps = { at_least = 40 }", "require.steps = { at_least = 77 }")
            .replace("require.shadows = { at_least = 8 }", "require.shadows = { at_least = 128 }")
            .replace("require.keys = { at_least = 2 }", "require.keys = { at_least = 5 }")
            .replace("up_to = 1000 }", "up_to = 1500 }")
            .replace("up_to = 2000 }", "up_to = 3000 }")
            .replace("require.attackers = { at_least = 8 }", "require.attackers = { at_least = 9 }")
            .replace(
                "require.poisoned_fraction = { at_least = 0.05 }",
                "require.poisoned_fraction = { at_least = 0.08 }",
            )
            .replace("require.fpr = { equals = 0.01 }", "require.fpr = { equals = 0.02 }");
        let (policy, _) = policy::read(stronger.as_bytes()).unwrap();
        let Attacks { keys, evasion, membership, inversion, extraction, poisoning } =
            Config::recommended(&Shape::new([64]).unwrap(), [1000, 300], 10, DeviceKind::Flex, &policy).attacks;
        assert_eq!((keys, evasion.steps, evasion.queries), (5, 77, 1500));
        assert_eq!((membership.shadows, inversion.queries, extraction.attackers), (128, 3000, 9));
        assert!((membership.false_positive_rate - 0.02).abs() < 1e-12 && (poisoning.fraction - 0.08).abs() < 1e-12);
    }
}
