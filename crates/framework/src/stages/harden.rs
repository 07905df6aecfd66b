//! The fourth state: the model stands behind its guard.

use underpin_privacy::SecretKey;

use super::declare::Declared;
use super::train::Trained;
use crate::Error;
use crate::assess;
use crate::collected::CollectedData;
use crate::config::{Config, Serving};
use crate::model::Model;

/// A model behind its guard, ready to be attacked.
#[derive(Debug)]
pub struct Guarded<M> {
    pub(super) trained: Trained<M>,
    pub(super) artifact: Vec<u8>,
    pub(super) key: SecretKey,
}

impl<M: Model> Trained<M> {
    /// Puts the guard of the settings around the model, as deployment will; its noise comes from `key`.
    ///
    /// # Errors
    ///
    /// When the model cannot be written down, or a perturbation is out of range.
    pub fn harden(self, key: SecretKey) -> Result<Guarded<M>, Error> {
        let artifact = self.model.artifact()?;
        Ok(Guarded { trained: self, artifact, key })
    }
}

impl<M: Model> Guarded<M> {
    /// The policy, the rows and all that came before.
    pub fn collected(&self) -> &CollectedData {
        &self.trained.sanitized.collected
    }

    /// The policy that was declared.
    pub fn declared(&self) -> &Declared {
        &self.trained.sanitized.declared
    }

    /// The settings of the run.
    pub fn config(&self) -> &Config {
        &self.trained.sanitized.config
    }

    /// The model's bytes.
    pub fn artifact(&self) -> &[u8] {
        &self.artifact
    }

    /// The model as clients meet it, without their quotas.
    pub(crate) fn endpoint(&self) -> assess::Endpoint<'_, M> {
        let Serving { quota, perturb } = &self.config().serving;
        let guard = assess::Guard { perturb, quota: *quota, key: &self.key };
        guard.around(&self.trained.model)
    }
}
