//! PGD: projected gradient descent (adversarial examples, white box).

use rayon::prelude::*;
use serde::{Deserialize, Serialize};
use underpin_core::{
    Access, Attack, Confidence, Examples, Inputs, LossGradient, Norm, Outputs, Perturbed, Radius, Seed, System, Threat,
};

use super::ball::Ball;
use crate::answers::{answers, check_samples};
use crate::progress::{Progress, ended};
use crate::random::stream;
use crate::{Error, Setting};

/// Examples per request for gradients.
const BATCH: usize = 256;

/// PGD, projected gradient descent: the strongest first-order attack within a ball; white box.
///
/// From a random point of the ball, climbs the loss of the true label by steps of fixed size (its sign for L∞, its
/// direction for L2) and projects back on the ball and the box `[0, 1]`. Of all restarts and the input itself it keeps,
/// example by example, a misclassified input rather than one classified correctly, then the higher loss. An example that
/// is misclassified is not attacked again.
///
/// # Guarantees
///
/// 1. Every input stays within `radius` of its sample and in `[0, 1]`, exactly: `every_attack_keeps_its_contract`.
/// 2. An already misclassified sample stays misclassified: `every_attack_keeps_its_contract`.
///
/// # Limits
///
/// A model whose gradients vanish or mislead looks robust to it; `Square` needs no gradient and shows that.
///
/// # Edge cases
///
/// Radius 0 or no step returns samples and random points of the ball. NaN gradients count as 0.
///
/// # Examples
///
/// Access is a trait bound: a guarded endpoint, which is only `Predict`, cannot be attacked by gradients.
///
/// ```compile_fail
/// # use underpin_core::{Attack, Examples, LossGradient, Perturbed, Predict, Seed};
/// # use underpin_metrics::{Error, evasion::Pgd};
/// fn attack(pgd: &Pgd, endpoint: &dyn Predict, samples: &Examples) -> Result<Perturbed, Error> {
///     pgd.run(endpoint, samples, Seed(1))
/// }
/// ```
///
/// ```
/// # use underpin_core::{Attack, Examples, LossGradient, Perturbed, Predict, Seed};
/// # use underpin_metrics::{Error, evasion::Pgd};
/// fn attack(pgd: &Pgd, model: &dyn LossGradient, samples: &Examples) -> Result<Perturbed, Error> {
///     pgd.run(model, samples, Seed(1))
/// }
/// ```
///
/// # Source
///
/// Madry, Makelov, Schmidt, Tsipras and Vladu, ICLR 2018, section 2.1. Deviation: the loss comes from the scores.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Pgd {
    /// How the size of a perturbation is measured.
    pub norm: Norm,
    /// Largest size of a perturbation.
    pub radius: Radius,
    /// Gradient steps of each restart.
    pub steps: usize,
    /// Size of a step, in the unit of the inputs; 2.5 radius / steps is usual.
    pub step_size: Radius,
    /// Random starts, at least 1.
    pub restarts: usize,
}

impl Pgd {
    /// `steps` steps of 2.5 radius / steps, as in Madry et al.
    pub fn new(norm: Norm, radius: Radius, steps: usize, restarts: usize) -> Self {
        // OK because 2.5 / max(steps, 1) times a finite radius, at most itself times 2.5, is checked again here.
        let step_size = Radius::new(2.5 * radius.value() / steps.max(1) as f64).unwrap_or(radius);
        Self { norm, radius, steps, step_size, restarts }
    }

    /// The setting of measurements of this attack.
    pub fn setting(&self, system: System, confidence: Confidence) -> Setting {
        self.describe(system, Access::WhiteBox, "pgd", confidence)
    }

    pub(super) fn describe(&self, system: System, access: Access, name: &str, confidence: Confidence) -> Setting {
        let parameters = [
            ("steps", self.steps.into()),
            ("step_size", self.step_size.value().into()),
            ("restarts", self.restarts.into()),
        ];
        Setting::attack(system, access, name, confidence, parameters)
    }

    pub(super) fn perturb<T: LossGradient + ?Sized>(
        &self,
        target: &T,
        samples: &Examples,
        goal: Goal,
        seed: Seed,
    ) -> Result<Perturbed, Error> {
        check_samples(samples)?;
        if self.restarts == 0 {
            return Err(Error::out_of_range("restarts", 0.0, "[1, inf)"));
        }
        let clean = answers(target, samples.inputs(), samples.classes())?;
        let mut kept = Kept { inputs: samples.inputs().clone(), harm: harm(&clean, samples.labels()) };
        let mut queries = samples.len() as u64;
        let progress = Progress::new("projected gradient descent", self.restarts * samples.len().div_ceil(BATCH));
        for restart in 0..self.restarts {
            let active: Vec<usize> = (0..samples.len()).filter(|example| goal.is_open(kept.harm[*example])).collect();
            let passes = self.restart(target, samples, &active, seed.nth(restart as u64), &mut kept, &progress)?;
            queries += passes * active.len() as u64;
        }
        Ok(Perturbed { inputs: kept.inputs, norm: self.norm, radius: self.radius, queries })
    }

    /// One random start for the active samples; gives the passes made for each.
    fn restart<T: LossGradient + ?Sized>(
        &self,
        target: &T,
        samples: &Examples,
        active: &[usize],
        seed: Seed,
        kept: &mut Kept,
        progress: &Progress,
    ) -> Result<u64, Error> {
        let ball = Ball::new(self.norm, self.radius);
        for batch in active.chunks(BATCH) {
            let origins = samples.select(batch);
            let start =
                |example: &usize| ball.random(samples.inputs().row(*example), &mut stream(seed.nth(*example as u64)));
            let rows: Vec<Vec<f32>> = batch.par_iter().map(start).collect();
            let mut inputs = Inputs::new(samples.inputs().shape().clone(), rows.concat())?;
            for _ in 0..self.steps {
                let gradients = target.loss_gradient(&inputs, origins.labels())?;
                if gradients.values().len() != inputs.values().len() {
                    let (expected, found) = (inputs.values().len(), gradients.values().len());
                    return Err(Error::Length { name: "gradients", expected, found });
                }
                let size = inputs.shape().size();
                (inputs.values_mut().par_chunks_mut(size))
                    .zip(origins.inputs().values().par_chunks(size))
                    .zip(gradients.values().par_chunks(size))
                    .for_each(|((row, origin), gradient)| ball.ascend(origin, row, gradient, self.step_size.value()));
            }
            let outputs = answers(target, &inputs, samples.classes())?;
            kept.replace(batch, &inputs, &harm(&outputs, origins.labels()));
            progress.step();
        }
        Ok(self.steps as u64 + 1)
    }
}

impl<T: LossGradient + ?Sized> Attack<T> for Pgd {
    type Outcome = Perturbed;
    type Error = Error;

    fn run(&self, target: &T, samples: &Examples, seed: Seed) -> Result<Perturbed, Error> {
        let perturbed = self.perturb(target, samples, Goal::Misclassified, seed)?;
        ended(Threat::Evasion, Access::WhiteBox, "pgd", perturbed.queries);
        Ok(perturbed)
    }
}

/// When a sample is done with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Goal {
    /// Once it is misclassified.
    Misclassified,
    /// Never: another model is to misclassify it, so every start climbs as far as it can.
    Loss,
}

impl Goal {
    fn is_open(self, harm: Harm) -> bool {
        self == Self::Loss || !harm.misclassified
    }
}

/// Whether an input is misclassified, and its loss.
#[derive(Clone, Copy, Debug)]
struct Harm {
    misclassified: bool,
    /// Cross-entropy of the true label, in nats.
    loss: f64,
}

struct Kept {
    inputs: Inputs,
    harm: Vec<Harm>,
}

impl Kept {
    fn replace(&mut self, batch: &[usize], inputs: &Inputs, harm: &[Harm]) {
        let size = inputs.shape().size();
        for ((row, example), harm) in inputs.rows().zip(batch).zip(harm) {
            let before = self.harm[*example];
            // Of equals the later: where scores saturate, the loss no longer shows that a start has gone further.
            if (harm.misclassified, harm.loss) >= (before.misclassified, before.loss) {
                self.harm[*example] = *harm;
                self.inputs.values_mut()[example * size..][..size].copy_from_slice(row);
            }
        }
    }
}

fn harm(outputs: &Outputs, labels: &[usize]) -> Vec<Harm> {
    let right = crate::answers::classified_correctly(outputs, labels);
    let harm = |((row, label), right): ((&[f32], &usize), bool)| {
        let score = f64::from(row[*label]);
        Harm { misclassified: !right, loss: if score.is_nan() { f64::INFINITY } else { -score.ln() } }
    };
    outputs.rows().zip(labels).zip(right).map(harm).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use underpin_core::{Disclosure, Shape};

    #[test]
    fn a_misclassified_input_is_kept_and_then_the_higher_loss() {
        let inputs = |values: Vec<f32>| Inputs::new(Shape::new([1]).unwrap(), values).unwrap();
        let harm = |misclassified, loss| Harm { misclassified, loss };
        let mut kept = Kept { inputs: inputs(vec![0.0; 4]), harm: vec![harm(false, 1.0); 4] };
        let batch = [0, 1, 3];
        kept.replace(&batch, &inputs(vec![0.1, 0.2, 0.3]), &[harm(true, 0.5), harm(false, 2.0), harm(false, 0.9)]);
        assert_eq!(kept.inputs.values(), [0.1, 0.2, 0.0, 0.0], "misclassified, higher, not asked, lower");
        kept.replace(&batch, &inputs(vec![0.4, 0.5, 0.6]), &[harm(false, 9.0), harm(true, 0.1), harm(false, 1.0)]);
        assert_eq!(
            kept.inputs.values(),
            [0.1, 0.5, 0.0, 0.6],
            "misclassified stays, misclassified wins, equal is replaced"
        );
    }

    #[test]
    fn an_answer_of_nan_is_misclassified_at_any_loss() {
        let outputs = Outputs::new(2, vec![f32::NAN, 0.5, 1.0, 0.0, 0.25, 0.75], Disclosure::Scores).unwrap();
        let found = harm(&outputs, &[0, 0, 0]);
        assert_eq!(found.iter().map(|harm| harm.misclassified).collect::<Vec<_>>(), [true, false, true]);
        assert!(
            found[0].loss.is_infinite() && found[1].loss.abs() < 1e-9 && (found[2].loss - 4.0_f64.ln()).abs() < 1e-6
        );
    }
}
