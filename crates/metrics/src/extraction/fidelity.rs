//! Fidelity: how often an extracted model agrees with its victim.

use underpin_core::{About, Inputs, Measurement, Metric, Point, Predict, Quantity, Seed, Series, Trainer};

use super::knockoff::{Answered, Knockoff};
use crate::answers::answers;
use crate::interval::{Proportion, paired_difference};
use crate::progress::Progress;
use crate::{Error, Setting};

/// On which held-out inputs an extracted model, and the same surrogate without the victim's answers, agree with the victim.
#[derive(Clone, Debug, PartialEq)]
pub struct Agreement {
    /// The extracted model predicts the victim's label.
    pub extracted: Vec<bool>,
    /// What the adversary has without the victim's answers predicts the victim's label: the better of the surrogate
    /// trained without them and of the victim's most frequent answer given always.
    pub baseline: Vec<bool>,
    /// Queries that the victim answered.
    pub queries: u64,
}

/// Compares the `extracted` model and the `baseline` with `victim` on `held_out`; the victim is asked without its limits, as a judge.
///
/// # Errors
///
/// [`Error::Denied`] when one of the three denies, [`Error::Classes`] when they answer other numbers of classes,
/// [`Error::NoObservations`] without an input.
pub fn agreement<V, E, B>(
    victim: &V,
    extracted: &E,
    baseline: &B,
    held_out: &Inputs,
    classes: usize,
    queries: u64,
) -> Result<Agreement, Error>
where
    V: Predict + ?Sized,
    E: Predict + ?Sized,
    B: Predict + ?Sized,
{
    if held_out.is_empty() {
        return Err(Error::NoObservations { what: "held-out inputs" });
    }
    let truth = answers(victim, held_out, classes)?.labels();
    let same =
        |labels: Vec<usize>| -> Vec<bool> { labels.iter().zip(&truth).map(|(own, theirs)| own == theirs).collect() };
    let constant = |class: usize| -> Vec<bool> { truth.iter().map(|theirs| *theirs == class).collect() };
    let hits = |agrees: &[bool]| agrees.iter().filter(|agrees| **agrees).count();
    let surrogate = same(answers(baseline, held_out, classes)?.labels());
    let constant = (0..classes).map(constant).max_by_key(|agrees| hits(agrees)).unwrap_or_default();
    let baseline = if hits(&constant) > hits(&surrogate) { constant } else { surrogate };
    Ok(Agreement { extracted: same(answers(extracted, held_out, classes)?.labels()), baseline, queries })
}

/// Fidelity: fraction of inputs on which the extracted model agrees with the victim; chance is the baseline's fraction. Lower is safer.
///
/// # Source
///
/// Jagielski et al., USENIX Security 2020, section 3: functional fidelity.
#[derive(Clone, Debug, PartialEq)]
pub struct Fidelity {
    /// What it is measured under.
    pub setting: Setting,
}

impl Metric<Agreement> for Fidelity {
    type Error = Error;

    fn measure(&self, agreement: &Agreement) -> Result<Measurement, Error> {
        let measurement =
            self.setting.proportion(About::Extraction, Quantity::Fidelity, Proportion::of(&agreement.extracted))?;
        let chance = Proportion::of(&agreement.baseline).value();
        Ok(Measurement { chance: Some(chance), queries: Some(agreement.queries), ..measurement })
    }
}

/// Fidelity gain: fidelity of the extracted model less that of the baseline, on the same inputs. Lower is safer.
///
/// Unit: difference, in `[-1, 1]`; chance 0. Paired interval.
#[derive(Clone, Debug, PartialEq)]
pub struct FidelityGain {
    /// What it is measured under.
    pub setting: Setting,
}

impl Metric<Agreement> for FidelityGain {
    type Error = Error;

    fn measure(&self, agreement: &Agreement) -> Result<Measurement, Error> {
        let interval = paired_difference(&agreement.extracted, &agreement.baseline, self.setting.confidence)?;
        let value = Proportion::of(&agreement.extracted).value() - Proportion::of(&agreement.baseline).value();
        let n = agreement.extracted.len() as u64;
        let measurement = self.setting.measurement(About::Extraction, Quantity::FidelityGain, value, interval, n);
        Ok(Measurement { chance: Some(0.0), queries: Some(agreement.queries), ..measurement })
    }
}

/// Fidelity against queries: a curve named `fidelity`, from the baseline at 0 queries; one surrogate is trained per point.
///
/// Points beyond what was answered are left out; what was answered is always the last point.
///
/// # Errors
///
/// Those of [`Knockoff::extract`] and [`agreement`].
pub fn fidelity_curve<R, V>(
    knockoff: &Knockoff<'_, R>,
    answered: &Answered,
    queries: &[usize],
    victim: &V,
    held_out: &Inputs,
    label: impl Into<String>,
    seed: Seed,
) -> Result<Series, Error>
where
    R: Trainer + ?Sized,
    R::Model: Predict,
    V: Predict + ?Sized,
{
    let total = answered.examples.len();
    let mut stops: Vec<usize> = queries.iter().copied().filter(|stop| *stop < total).chain([0, total]).collect();
    stops.sort_unstable();
    stops.dedup();
    let classes = knockoff.owned.classes();
    let baseline = knockoff.baseline(seed)?;
    let mut points = Vec::with_capacity(stops.len());
    let progress = Progress::new("fidelity against queries", stops.len());
    for stop in &stops {
        let extracted = knockoff.extract(answered, *stop, seed)?;
        let agreement = agreement(victim, &extracted, &baseline, held_out, classes, *stop as u64)?;
        points.push(Point(*stop as f64, Proportion::of(&agreement.extracted).value()));
        progress.step();
    }
    Ok(Series { name: "fidelity".into(), label: label.into(), x: "queries".into(), y: "fidelity".into(), points })
}
