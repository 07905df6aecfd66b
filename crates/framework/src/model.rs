//! What the lifecycle asks of a model, and how a run's models are trained.

use underpin_core::{Audited, Examples, LossGradient, Seed, Trainer};
use underpin_train::Classifier;

use crate::Error;

/// A model that can be carried through the lifecycle.
pub trait Model: LossGradient + Send + Sync {
    /// The bytes that are signed, stored and served.
    ///
    /// # Errors
    ///
    /// When the model cannot be written down.
    fn artifact(&self) -> Result<Vec<u8>, Error>;
}

impl Model for Classifier {
    fn artifact(&self) -> Result<Vec<u8>, Error> {
        Ok(self.to_safetensors()?)
    }
}

/// How the model to be cleared is trained, and its undefended twin: the same model, plainly.
#[derive(Clone, Copy, Debug)]
pub struct Recipe<D, U> {
    /// Trains the model to be cleared.
    pub defended: D,
    /// Trains the twin.
    pub undefended: U,
}

/// A trainer that keeps its progress to itself: dozens of shadow models would drown the one bar that counts them.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Hushed<'a, R>(pub(crate) &'a R);

impl<R: Trainer> Trainer for Hushed<'_, R> {
    type Model = R::Model;
    type Error = R::Error;

    fn train(&self, data: &Examples, seed: Seed) -> Result<Audited<R::Model>, R::Error> {
        tracing::subscriber::with_default(tracing::subscriber::NoSubscriber::default(), || self.0.train(data, seed))
    }
}
