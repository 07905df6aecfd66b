//! Knockoff Nets: extracts a model (model stealing) by training a surrogate on its answers.

use rand::seq::SliceRandom;
use underpin_core::{Access, Attack, Confidence, Denied, Examples, Inputs, Predict, Seed, System, Threat, Trainer};

use crate::answers::Oracle;
use crate::progress::ended;
use crate::random::stream;
use crate::{Error, Setting};

/// Knockoff Nets: trains a surrogate on the victim's answers to the adversary's own inputs; black box.
///
/// Draws inputs at random from its pool (whose labels it does not look at), asks the victim until the budget or the
/// victim denies, and trains the surrogate on the labels it got together with the few labelled rows it owns.
/// Without an answer it trains on these alone: the extracted model is then the baseline.
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
/// the extracted model learns the likeliest class of each answer and not its scores; the owned rows are added.
#[derive(Clone, Copy, Debug)]
pub struct Knockoff<'a, R: ?Sized> {
    /// How the surrogate is trained.
    pub surrogate: &'a R,
    /// Queries allowed.
    pub budget: usize,
    /// Labelled rows that the adversary owns; at least one.
    pub owned: &'a Examples,
}

/// The answers of the victim.
#[derive(Clone, Debug, PartialEq)]
pub struct Answered {
    /// The inputs it answered, with its answers for labels.
    pub examples: Examples,
    /// Why it answered no more, if it denied.
    pub denied: Option<Denied>,
}

/// Outcome of an extraction attack: the extracted model.
#[derive(Clone, Debug)]
pub struct ExtractedModel<M> {
    /// The surrogate, trained on what the victim answered.
    pub model: M,
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

    /// Extracts a model: trains the surrogate on the first `queries` answers and the owned rows.
    ///
    /// # Errors
    ///
    /// [`Error::NoObservations`] when there is neither, [`Error::Training`] when the trainer fails,
    /// [`Error::Core`] when owned rows and answers differ in shape.
    pub fn extract(&self, answered: &Answered, queries: usize, seed: Seed) -> Result<R::Model, Error> {
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
    /// As [`Knockoff::extract`].
    pub fn baseline(&self, seed: Seed) -> Result<R::Model, Error> {
        let nothing = Answered { examples: self.owned.select(&[]), denied: None };
        self.extract(&nothing, 0, seed)
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

    /// Extracts a model from `target` with the inputs of `samples`.
    fn run(&self, target: &T, samples: &Examples, seed: Seed) -> Result<ExtractedModel<R::Model>, Error> {
        let answered = self.ask(target, samples.inputs(), seed)?;
        let queries = answered.examples.len() as u64;
        let model = self.extract(&answered, answered.examples.len(), seed)?;
        ended(Threat::Extraction, Access::BlackBox, "knockoff", queries);
        Ok(ExtractedModel { model, queries, denied: answered.denied })
    }
}
