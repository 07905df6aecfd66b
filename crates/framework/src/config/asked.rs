//! What a policy asks of the attacks: the plan follows from its bars.

use underpin_core::{AmountUnit, Bar, Norm, Policy, Quantity, Requirement};

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
