//! The third state: a model is trained on rows that match their ledger.

use underpin_core::{Audited, Record, Seed, Trainer};
use underpin_privacy::SecretKey;

use super::collect::Sanitized;
use crate::config::Privacy;
use crate::model::{Model, Recipe};
use crate::{Error, class_counts};

/// Label of the random stream of the undefended baseline: another word would change the numbers of every seed.
const BASELINE: &str = "twin";

impl Sanitized {
    /// Fits the model and its undefended baseline to the rows that were kept.
    ///
    /// # Guarantees
    ///
    /// 1. Rows that do not match their ledger are not trained on: `rows_that_do_not_match_their_ledger_do_not_train`.
    ///
    /// # Errors
    ///
    /// When the rows are not exactly those that the ledger keeps, or training fails.
    pub fn train<D, U>(self, recipe: &Recipe<D, U>, seed: Seed) -> Result<Trained<D::Model>, Error>
    where
        D: Trainer<Model: Model>,
        U: Trainer<Model = D::Model>,
    {
        self.collected.ledger.verify(&self.collected.train)?;
        let data = self.collected.train.examples();
        let span = tracing::info_span!("training", phase = "training").entered();
        let fit = recipe.defended.train(data, seed.derive("model"));
        let Audited { value: model, record } = fit.map_err(|error| Error::training("model", error))?;
        let fit = recipe.undefended.train(data, seed.derive(BASELINE));
        let baseline = fit.map_err(|error| Error::training("undefended baseline", error))?.value;
        drop(span);
        Ok(Trained { sanitized: self, model, baseline, record })
    }

    /// Takes up a model that was trained on these rows before, to be assessed again; only the baseline is fitted anew.
    /// `record` is what its training left behind.
    pub(crate) fn restore<D, U>(
        self,
        recipe: &Recipe<D, U>,
        model: D::Model,
        record: Record,
        seed: Seed,
    ) -> Result<Trained<D::Model>, Error>
    where
        D: Trainer<Model: Model>,
        U: Trainer<Model = D::Model>,
    {
        self.collected.ledger.verify(&self.collected.train)?;
        let fit = recipe.undefended.train(self.collected.train.examples(), seed.derive(BASELINE));
        let baseline = fit.map_err(|error| Error::training("undefended baseline", error))?.value;
        Ok(Trained { sanitized: self, model, baseline, record })
    }
}

/// A model is fitted to rows that match their ledger.
#[derive(Debug)]
pub struct Trained<M> {
    pub(super) sanitized: Sanitized,
    pub(super) model: M,
    pub(super) baseline: M,
    pub(super) record: Record,
}

impl<M: Model> Trained<M> {
    /// The model.
    pub fn model(&self) -> &M {
        &self.model
    }

    /// What its training left behind, to be added to.
    pub(crate) fn record_mut(&mut self) -> &mut Record {
        &mut self.record
    }

    /// Counts the rows of each class privately, for the model card.
    ///
    /// # Errors
    ///
    /// When the counts would leave no ε to train with.
    pub(crate) fn count(mut self, privacy: &Privacy, key: &SecretKey, seed: Seed) -> Result<Self, Error> {
        let data = self.sanitized.collected.train.examples();
        class_counts::count(data, privacy, key, seed, &mut self.record)?;
        Ok(self)
    }
}

#[cfg(test)]
#[path = "train_tests.rs"]
mod tests;
