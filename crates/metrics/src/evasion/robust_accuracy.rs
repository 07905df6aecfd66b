//! Robust accuracy: which samples are classified correctly before and after an evasion attack.

use underpin_core::{
    About, Attack, Examples, Measurement, Metric, Norm, Perturbed, Point, Predict, Quantity, Radius, Seed, Series,
};

use crate::answers::correct;
use crate::interval::Proportion;
use crate::progress::Progress;
use crate::{Error, Setting};

/// Which samples are classified correctly before an evasion attack, and which still after it.
#[derive(Clone, Debug, PartialEq)]
pub struct Evaded {
    /// Classified correctly as they are.
    pub clean: Vec<bool>,
    /// Classified correctly as they are and as perturbed: an already misclassified sample counts as broken.
    pub robust: Vec<bool>,
    /// How the size of a perturbation is measured.
    pub norm: Norm,
    /// Largest size of a perturbation allowed.
    pub radius: Radius,
    /// Queries that the attack made, over all samples.
    pub queries: u64,
}

/// Classifies perturbed inputs by `judge`: the system under test, without the limits that would deny the judgement.
///
/// # Errors
///
/// [`Error::Denied`] when the judge denies; [`Error::Length`] when samples and perturbed inputs differ in number or
/// shape; [`Error::NoObservations`] without a sample.
pub fn judge<T: Predict + ?Sized>(judge: &T, samples: &Examples, perturbed: &Perturbed) -> Result<Evaded, Error> {
    let (expected, found) = (samples.inputs().values().len(), perturbed.inputs.values().len());
    if samples.is_empty() {
        return Err(Error::NoObservations { what: "samples" });
    }
    if found != expected {
        return Err(Error::Length { name: "perturbed inputs", expected, found });
    }
    let clean = correct(judge, samples)?;
    let after = correct(judge, &samples.with_inputs(perturbed.inputs.clone())?)?;
    let robust = clean.iter().zip(after).map(|(before, after)| *before && after).collect();
    Ok(Evaded { clean, robust, norm: perturbed.norm, radius: perturbed.radius, queries: perturbed.queries })
}

/// What is left by the worst of several attacks on the same samples, sample by sample; queries add up.
///
/// Norm and radius are the first attack's; attacks of different balls are not comparable, so keep to one.
///
/// # Errors
///
/// [`Error::NoObservations`] without an attack, [`Error::Length`] when they attacked other numbers of samples,
/// [`Error::OutOfRange`] when their radii or norms differ.
pub fn worst_case(attacks: &[Evaded]) -> Result<Evaded, Error> {
    let Some((first, others)) = attacks.split_first() else {
        return Err(Error::NoObservations { what: "attacks" });
    };
    let mut worst = first.clone();
    for other in others {
        if other.robust.len() != worst.robust.len() {
            return Err(Error::Length { name: "samples", expected: worst.robust.len(), found: other.robust.len() });
        }
        if (other.norm, other.radius) != (worst.norm, worst.radius) {
            let value = other.radius.value();
            return Err(Error::out_of_range("radius", value, "that of the first attack, and its norm"));
        }
        worst.robust.iter_mut().zip(&other.robust).for_each(|(kept, other)| *kept &= other);
        worst.clean.iter_mut().zip(&other.clean).for_each(|(kept, other)| *kept &= other);
        worst.queries += other.queries;
    }
    Ok(worst)
}

/// Fraction of samples classified correctly before and after the attack; chance is the clean accuracy.
///
/// Unit: probability; higher is safer. Exact interval.
#[derive(Clone, Debug, PartialEq)]
pub struct RobustAccuracy {
    /// What it is measured under.
    pub setting: Setting,
}

impl Metric<Evaded> for RobustAccuracy {
    type Error = Error;

    fn measure(&self, evaded: &Evaded) -> Result<Measurement, Error> {
        let mut measurement =
            self.setting.proportion(About::Evasion, Quantity::RobustAccuracy, Proportion::of(&evaded.robust))?;
        measurement.chance = Some(Proportion::of(&evaded.clean).value());
        measurement.queries = Some(evaded.queries);
        measurement.radius = Some(evaded.radius);
        measurement.norm = Some(evaded.norm);
        Ok(measurement)
    }
}

/// Robust accuracy against radius: a curve named `robust_accuracy`, from the clean accuracy at radius 0.
///
/// `attack` makes the attack of each radius; it attacks `target`, and `judge` classifies what it made. A sample broken at
/// one radius counts as broken at every larger one, for the same perturbation is allowed there; so the curve never
/// rises.
///
/// # Errors
///
/// Those of the attack and of [`judge`](fn@judge); [`Error::OutOfRange`] when radii do not increase from above 0.
pub fn accuracy_curve<T, J, A>(
    target: &T,
    judge: &J,
    samples: &Examples,
    radii: &[Radius],
    attack: impl Fn(Radius) -> A,
    label: impl Into<String>,
    seed: Seed,
) -> Result<Series, Error>
where
    T: Predict + ?Sized,
    J: Predict + ?Sized,
    A: Attack<T, Outcome = Perturbed, Error = Error>,
{
    let mut robust = correct(judge, samples)?;
    let mut points = vec![Point(0.0, Proportion::of(&robust).value())];
    let mut previous = 0.0;
    let progress = Progress::new("robust accuracy against radius", radii.len());
    for (step, radius) in radii.iter().enumerate() {
        if radius.value() <= previous {
            return Err(Error::out_of_range("radius", radius.value(), "(previous radius, inf)"));
        }
        previous = radius.value();
        let perturbed = attack(*radius).run(target, samples, seed.nth(step as u64))?;
        let evaded = self::judge(judge, samples, &perturbed)?;
        robust.iter_mut().zip(&evaded.robust).for_each(|(kept, now)| *kept &= now);
        points.push(Point(previous, Proportion::of(&robust).value()));
        progress.step();
    }
    Ok(Series {
        name: "robust_accuracy".into(),
        label: label.into(),
        x: "radius".into(),
        y: "robust accuracy".into(),
        points,
    })
}
