//! Extraction: a copy of the model from its answers.

use rand::seq::SliceRandom;
use underpin_core::{
    About, Access, Attack, Confidence, Denied, Examples, Inputs, Measurement, Metric, Point, Predict, Quantity, Seed,
    Series, System, Threat, Trainer,
};

use crate::answers::{Oracle, answers};
use crate::interval::{Proportion, paired_difference};
use crate::progress::{Progress, ended};
use crate::random::stream;
use crate::{Error, Setting};

/// Trains a copy on the victim's answers to the adversary's own inputs; black box.
///
/// Draws inputs at random from its pool (whose labels it does not look at), asks the victim until the budget or the
/// victim's patience ends, and trains the surrogate on the labels it got together with the few labelled rows it owns.
/// Without an answer it trains on these alone: its copy is then the baseline.
///
/// # Guarantees
///
/// 1. No more than `budget` queries are made: `knockoff_keeps_its_budget`.
/// 2. A denial ends the questions, not the attack: `knockoff_trains_on_what_it_got`.
/// 3. The labels of the pool are not used: `knockoff_does_not_look_at_the_pools_labels`.
///
/// # Source
///
/// Orekondy, Schiele and Fritz, Knockoff Nets, CVPR 2019, random strategy. Deviations: trainers here take labels, so
/// the copy learns the likeliest class of each answer and not its scores; the owned rows are added.
#[derive(Clone, Copy, Debug)]
pub struct Knockoff<'a, R: ?Sized> {
    /// How the copy is trained.
    pub surrogate: &'a R,
    /// Queries allowed.
    pub budget: usize,
    /// Labelled rows that the adversary owns; at least one.
    pub owned: &'a Examples,
}

/// What the victim answered.
#[derive(Clone, Debug, PartialEq)]
pub struct Answered {
    /// The inputs it answered, with its answers for labels.
    pub examples: Examples,
    /// Why it answered no more, if it denied.
    pub denied: Option<Denied>,
}

/// A stolen copy.
#[derive(Clone, Debug)]
pub struct ExtractedModel<M> {
    /// The copy.
    pub copy: M,
    /// Queries that the victim answered.
    pub queries: u64,
    /// Why it answered no more, if it denied.
    pub denied: Option<Denied>,
}

impl<R: Trainer + ?Sized> Knockoff<'_, R> {
    /// The setting of measurements of this attack.
    pub fn setting(&self, system: System, confidence: Confidence) -> Setting {
        let parameters = [("budget", self.budget.into()), ("owned_rows", self.owned.len().into())];
        Setting::attack(system, Access::BlackBox, "knockoff", confidence, parameters)
    }

    /// Asks the victim about inputs drawn from `pool` without repeats.
    ///
    /// # Errors
    ///
    /// [`Error::Classes`] when the victim answers another number of classes than the owned rows have,
    /// [`Error::NoObservations`] when the pool is empty.
    pub fn ask<T: Predict + ?Sized>(&self, victim: &T, pool: &Inputs, seed: Seed) -> Result<Answered, Error> {
        if pool.is_empty() {
            return Err(Error::NoObservations { what: "pool" });
        }
        let mut order: Vec<usize> = (0..pool.len()).collect();
        order.shuffle(&mut stream(seed.derive("pool")));
        order.truncate(self.budget);
        let inputs = pool.select(&order);
        let mut oracle = Oracle::new(victim, self.owned.classes());
        let outputs = oracle.ask(&inputs)?;
        let answered: Vec<usize> = (0..outputs.len()).collect();
        let examples = Examples::new(inputs.select(&answered), outputs.labels(), self.owned.classes())?;
        Ok(Answered { examples, denied: oracle.denied })
    }

    /// Trains the copy on the first `queries` answers and the owned rows.
    ///
    /// # Errors
    ///
    /// [`Error::NoObservations`] when there is neither, [`Error::Training`] when the trainer fails,
    /// [`Error::Core`] when owned rows and answers differ in shape.
    pub fn copy(&self, answered: &Answered, queries: usize, seed: Seed) -> Result<R::Model, Error> {
        let first: Vec<usize> = (0..answered.examples.len().min(queries)).collect();
        let answers = answered.examples.select(&first);
        let rows = joined(self.owned, &answers)?;
        if rows.is_empty() {
            return Err(Error::NoObservations { what: "answers and owned rows" });
        }
        let trained = self.surrogate.train(&rows, seed.derive("copy"));
        let failed = |source| Error::Training { model: "surrogate", source: Box::new(source) };
        Ok(trained.map_err(failed)?.value)
    }

    /// The same surrogate trained without the victim's answers.
    ///
    /// # Errors
    ///
    /// As [`Knockoff::copy`].
    pub fn baseline(&self, seed: Seed) -> Result<R::Model, Error> {
        let nothing = Answered { examples: self.owned.select(&[]), denied: None };
        self.copy(&nothing, 0, seed)
    }
}

fn joined(first: &Examples, second: &Examples) -> Result<Examples, Error> {
    let (shape, other) = (first.inputs().shape(), second.inputs().shape());
    if shape != other {
        return Err(Denied::Shape { expected: shape.axes().to_vec(), found: other.axes().to_vec() }.into());
    }
    let values = [first.inputs().values(), second.inputs().values()].concat();
    let labels = [first.labels(), second.labels()].concat();
    Ok(Examples::new(Inputs::new(shape.clone(), values)?, labels, first.classes())?)
}

impl<T: Predict + ?Sized, R: Trainer + ?Sized> Attack<T> for Knockoff<'_, R> {
    type Outcome = ExtractedModel<R::Model>;
    type Error = Error;

    /// Steals from `target` with the inputs of `samples`.
    fn run(&self, target: &T, samples: &Examples, seed: Seed) -> Result<ExtractedModel<R::Model>, Error> {
        let answered = self.ask(target, samples.inputs(), seed)?;
        let queries = answered.examples.len() as u64;
        let copy = self.copy(&answered, answered.examples.len(), seed)?;
        ended(Threat::Extraction, Access::BlackBox, "knockoff", queries);
        Ok(ExtractedModel { copy, queries, denied: answered.denied })
    }
}

/// On which held-out inputs a copy, and the same surrogate without the victim's answers, agree with the victim.
#[derive(Clone, Debug, PartialEq)]
pub struct Agreement {
    /// The copy gives the victim's label.
    pub copy: Vec<bool>,
    /// The baseline gives the victim's label.
    pub baseline: Vec<bool>,
    /// Queries that the victim answered.
    pub queries: u64,
}

/// Compares `copy` and `baseline` with `victim` on `held_out`; the victim is asked without its limits, as a judge.
///
/// # Errors
///
/// [`Error::Denied`] when one of the three denies, [`Error::Classes`] when they answer other numbers of classes,
/// [`Error::NoObservations`] without an input.
pub fn agreement<V, C, B>(
    victim: &V,
    copy: &C,
    baseline: &B,
    held_out: &Inputs,
    classes: usize,
    queries: u64,
) -> Result<Agreement, Error>
where
    V: Predict + ?Sized,
    C: Predict + ?Sized,
    B: Predict + ?Sized,
{
    if held_out.is_empty() {
        return Err(Error::NoObservations { what: "held-out inputs" });
    }
    let truth = answers(victim, held_out, classes)?.labels();
    let same = |labels: Vec<usize>| labels.iter().zip(&truth).map(|(own, theirs)| own == theirs).collect();
    Ok(Agreement {
        copy: same(answers(copy, held_out, classes)?.labels()),
        baseline: same(answers(baseline, held_out, classes)?.labels()),
        queries,
    })
}

/// Fraction of inputs on which the copy agrees with the victim; chance is the baseline's share. Lower is safer.
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
            self.setting.proportion(About::Extraction, Quantity::Fidelity, Proportion::of(&agreement.copy))?;
        let chance = Proportion::of(&agreement.baseline).value();
        Ok(Measurement { chance: Some(chance), queries: Some(agreement.queries), ..measurement })
    }
}

/// Fidelity of the copy less that of the baseline, on the same inputs: what the victim gave away. Lower is safer.
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
        let interval = paired_difference(&agreement.copy, &agreement.baseline, self.setting.confidence)?;
        let value = Proportion::of(&agreement.copy).value() - Proportion::of(&agreement.baseline).value();
        let n = agreement.copy.len() as u64;
        let measurement = self.setting.measurement(About::Extraction, Quantity::FidelityGain, value, interval, n);
        Ok(Measurement { chance: Some(0.0), queries: Some(agreement.queries), ..measurement })
    }
}

/// Fidelity against queries: a curve named `fidelity`, from the baseline at 0 queries; one copy is trained per point.
///
/// Points beyond what was answered are left out; what was answered is always the last point.
///
/// # Errors
///
/// Those of [`Knockoff::copy`] and [`agreement`].
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
        let copy = knockoff.copy(answered, *stop, seed)?;
        let agreement = agreement(victim, &copy, &baseline, held_out, classes, *stop as u64)?;
        points.push(Point(*stop as f64, Proportion::of(&agreement.copy).value()));
        progress.step();
    }
    Ok(Series { name: "fidelity".into(), label: label.into(), x: "queries".into(), y: "fidelity".into(), points })
}
