//! Attacks: the trait of an adversary, and the outcomes that more than one crate uses.

use crate::examples::{Examples, Inputs};
use crate::number::{Norm, Radius};
use crate::seed::Seed;

/// Runs an attack on a target. The access that the adversary needs is the bound on `Target`.
///
/// # Examples
///
/// A black-box attack: asks for the class of each sample and reports which are misclassified as they are.
///
/// ```
/// use underpin_core::{Attack, Denied, Disclosure, Examples, Inputs, Outputs, Predict, Seed, Shape};
///
/// struct AsTheyAre;
///
/// impl<T: Predict + ?Sized> Attack<T> for AsTheyAre {
///     type Outcome = Vec<bool>;
///     type Error = Denied;
///
///     fn run(&self, target: &T, samples: &Examples, _seed: Seed) -> Result<Vec<bool>, Denied> {
///         let predicted = target.predict(samples.inputs())?.labels();
///         Ok(predicted.iter().zip(samples.labels()).map(|(predicted, label)| predicted != label).collect())
///     }
/// }
///
/// /// Always predicts class 0.
/// struct Constant;
///
/// impl Predict for Constant {
///     fn predict(&self, inputs: &Inputs) -> Result<Outputs, Denied> {
///         let scores = inputs.rows().flat_map(|_| [1.0, 0.0]).collect();
///         Outputs::new(2, scores, Disclosure::Scores).map_err(|error| Denied::Unavailable { reason: error.to_string() })
///     }
/// }
///
/// let inputs = Inputs::new(Shape::new([1])?, vec![0.2, 0.8])?;
/// let samples = Examples::new(inputs, vec![0, 1], 2)?;
/// assert_eq!(AsTheyAre.run(&Constant, &samples, Seed(1))?, [false, true]);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub trait Attack<Target: ?Sized> {
    /// What the adversary ends up with.
    type Outcome;

    /// Why the attack could not be run to its end.
    type Error: std::error::Error + Send + Sync + 'static;

    /// Attacks `target` with `samples`; the same seed gives the same outcome.
    ///
    /// # Errors
    ///
    /// When the attack cannot run on such samples, or the target denies what the attack cannot do without.
    fn run(&self, target: &Target, samples: &Examples, seed: Seed) -> Result<Self::Outcome, Self::Error>;
}

/// Outcome of an evasion attack: inputs near the given ones, meant to be misclassified.
#[derive(Clone, Debug, PartialEq)]
pub struct Perturbed {
    /// One perturbed input per sample, in the samples' order; within `radius` of it, and in `[0, 1]`.
    pub inputs: Inputs,
    /// How the size of a perturbation is measured.
    pub norm: Norm,
    /// Largest size of a perturbation allowed.
    pub radius: Radius,
    /// Forward or backward passes asked of the target, over all samples.
    pub queries: u64,
}

/// A backdoor's trigger: a few features set to fixed values, and the class that an input bearing it is to be classified
/// as.
///
/// Source: BadNets (Gu, Dolan-Gavitt and Garg 2017): a patch of pixels; on a table, a rare combination of values.
#[derive(Clone, Debug, PartialEq)]
pub struct Trigger {
    /// Positions in the example, row-major, and the value each is set to.
    pub features: Vec<(usize, f32)>,
    /// The class that the adversary wants the model to predict.
    pub target: usize,
}

impl Trigger {
    /// Puts the trigger on one example; positions outside it are passed over.
    ///
    /// # Examples
    ///
    /// ```
    /// use underpin_core::Trigger;
    ///
    /// let mut row = [0.0; 4];
    /// Trigger { features: vec![(1, 0.5), (3, 1.0)], target: 0 }.stamp(&mut row);
    /// assert_eq!(row, [0.0, 0.5, 0.0, 1.0]);
    /// ```
    pub fn stamp(&self, row: &mut [f32]) {
        for (position, value) in &self.features {
            if let Some(feature) = row.get_mut(*position) {
                *feature = *value;
            }
        }
    }
}
