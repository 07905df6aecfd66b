//! The judgement of rows by the contract and the sanitizers; an injected copy is judged by the same.

use underpin_core::{Audited, Inputs, Seed};
use underpin_data::{Collection, Contract, RawTable, Rows};
use underpin_train::Classifier;

use crate::Error;
use crate::config::Config;
use crate::job::Protection;

/// Judges rows as the configuration says; the red team's copy is judged by the same.
pub(crate) struct Judge<'a> {
    pub(crate) config: &'a Config,
    pub(crate) protection: Protection,
    pub(crate) contract: &'a Contract,
    pub(crate) seed: Seed,
}

impl Judge<'_> {
    pub(crate) fn judge(&self, raw_table: RawTable, held_out: Rows) -> Result<Audited<Collection>, Error> {
        let Audited { value, mut record } = underpin_data::admit(raw_table, self.contract)?;
        let collection = value.hold_out(held_out)?;
        if self.protection == Protection::Undefended || collection.rows().is_empty() {
            return Ok(Audited { value: collection, record });
        }
        let looked_at = self.representation(&collection)?;
        let judged =
            self.config.collection.sanitizers.sanitize(collection, &looked_at, self.seed.derive("sanitizers"))?;
        record.merge(judged.record);
        Ok(Audited { value: judged.value, record })
    }

    /// The last hidden layer of a model fitted to the rows as they came: where a backdoor must show if it works.
    fn representation(&self, collection: &Collection) -> Result<impl Fn(&Inputs) -> Inputs + use<>, Error> {
        let trainer = underpin_train::Sgd::plain(self.config.training_undefended().clone());
        let trainer = crate::model::WithoutProgress(&trainer);
        let data = collection.rows().examples();
        let fit = underpin_core::Trainer::train(&trainer, data, self.seed.derive("representation"));
        let model: Classifier = fit.map_err(|error| Error::training("model that detectors look through", error))?.value;
        Ok(move |inputs: &Inputs| model.features(inputs).expect("invariant: rows that kept the contract fit the model"))
    }
}
