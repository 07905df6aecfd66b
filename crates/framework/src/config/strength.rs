//! Strength of attacks: what a policy asks of the plan, and where a configuration falls short of it.

use underpin_core::{About, AmountUnit, Bar, Norm, Policy, Quantity, Requirement, Shortfall, Value};
use underpin_train::Settings;

use super::{Attacks, Config, Evasion, Extraction, Inversion, Membership, Poisoning};

/// The recipe of the undefended baseline, as it stands beside the accuracy loss.
const RECOMMENDED: &str = "recommended";

/// What the bars of a policy ask of an attack's parameters.
pub(super) struct Asked<'a> {
    policy: &'a Policy,
}

impl<'a> Asked<'a> {
    pub(super) const fn by(policy: &'a Policy) -> Self {
        Self { policy }
    }

    /// The largest number that a bar about one of `attacks` asks of `parameter`; `least` if none asks for more.
    pub(super) fn count(&self, attacks: &[&str], parameter: &str, least: usize) -> usize {
        let asked = self.bars(attacks).filter_map(|bar| number(bar.require.get(parameter)?)).fold(0.0, f64::max);
        #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "not negative; saturates")]
        least.max(asked.ceil() as usize)
    }

    /// The largest sample that a bar about one of `attacks` asks for; `least` if none asks for more.
    pub(super) fn samples(&self, attacks: &[&str], least: usize) -> usize {
        let asked = self.bars(attacks).map(|bar| bar.min_samples).max().unwrap_or(0);
        least.max(usize::try_from(asked).unwrap_or(usize::MAX))
    }

    /// The false-positive rate at which a bar asks for the true-positive rate; `otherwise` if none does.
    pub(super) fn false_positive_rate(&self, otherwise: f64) -> f64 {
        let of = self.policy.bars().iter().filter(|bar| bar.quantity == Quantity::TprAtFpr);
        of.filter_map(|bar| number(bar.require.get("fpr")?)).reduce(f64::max).unwrap_or(otherwise)
    }

    /// The fraction of poisoned rows that a bar asks for; `least` if none asks for more.
    pub(super) fn fraction(&self, parameter: &str, least: f64) -> f64 {
        self.policy.bars().iter().filter_map(|bar| number(bar.require.get(parameter)?)).fold(least, f64::max)
    }

    /// Keys that a bar says the adversary holds; `least` if none says more.
    pub(super) fn keys(&self, least: u64) -> u64 {
        let asked = self.policy.bars().iter().filter_map(|bar| number(bar.require.get("keys")?)).fold(0.0, f64::max);
        #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "not negative; saturates")]
        least.max(asked.ceil() as u64)
    }

    /// The largest perturbation that a bar names, and its norm.
    pub(super) fn perturbation(&self) -> Option<(Norm, f64)> {
        let named = self.policy.bars().iter().filter_map(|bar| bar.perturbation);
        let largest = named.max_by(|a, b| a.radius.value().total_cmp(&b.radius.value()));
        largest.map(|perturbation| (perturbation.norm, perturbation.radius.value()))
    }

    fn bars(&self, attacks: &[&str]) -> impl Iterator<Item = &Bar> {
        self.policy.bars().iter().filter(|bar| bar.attack.as_deref().is_some_and(|attack| attacks.contains(&attack)))
    }
}

/// The number that a requirement asks for by itself: a multiple of another parameter has one only where it ends.
fn number(requirement: &Requirement) -> Option<f64> {
    match requirement {
        Requirement::AtLeast(amount) if amount.unit == AmountUnit::One => Some(amount.value),
        Requirement::AtLeast(amount) => amount.up_to,
        Requirement::AtMost(_) => None,
        Requirement::Equals(value) => value.number(),
    }
}

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
            found.push((about, shortfall("attacks.evasion.norm", norm.word(), format!("= {}", plan.norm))));
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
        at_least(found, about, "attacks.membership.false_positive_rate", *false_positive_rate, plan.false_positive_rate);
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
            found.push((about, shortfall("attacks.extraction.owned", owned, format!("<= {}", plan.owned))));
        }
        if *batch_size != plan.batch_size {
            let asked = format!("= {}", plan.batch_size);
            found.push((about, shortfall("attacks.extraction.batch_size", batch_size, asked)));
        }
        at_least(found, about, "attacks.extraction.attackers", *attackers as f64, plan.attackers as f64);
    }
}

impl Poisoning {
    fn shortfalls(&self, plan: &Self, found: &mut Found) {
        let Self { fraction, target } = self;
        at_least(found, About::Poisoning, "attacks.poisoning.fraction", *fraction, plan.fraction);
        if *target != plan.target {
            found.push((About::Poisoning, shortfall("attacks.poisoning.target", target, format!("= {}", plan.target))));
        }
    }
}

fn at_least(found: &mut Found, about: About, name: &str, has: f64, least: f64) {
    // NaN is weaker than anything.
    if !(has >= least) {
        found.push((about, shortfall(name, Value::from(has), format!(">= {least}"))));
    }
}

fn shortfall(name: &str, found: impl ToString, asked: String) -> Shortfall {
    Shortfall { parameter: name.to_owned(), found: Some(found.to_string()), asked }
}

impl Config {
    /// [`RECOMMENDED`] when the undefended baseline is trained as `recommended` would, or for more epochs; otherwise
    /// `changed`: the accuracy lost against it means nothing.
    pub(crate) fn baseline_recipe(&self, recommended: &Settings) -> &'static str {
        let own = self.training_undefended();
        let same = Settings { epochs: recommended.epochs, ..own.clone() } == *recommended;
        if same && own.epochs >= recommended.epochs { RECOMMENDED } else { "changed" }
    }
}
