//! What the lifecycle asks of a model, and how a run's models are trained.

use underpin_core::{Attack, Audited, Examples, LossGradient, Seed, Trainer};
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

/// How the model to be cleared is trained, and its undefended baseline: the same model, plainly.
#[derive(Clone, Copy, Debug)]
pub struct Recipe<D, U> {
    /// Trains the model to be cleared.
    pub defended: D,
    /// Trains the baseline.
    pub undefended: U,
    /// Trains what an adversary trains on few rows of its own: surrogates, extracted or for transfer.
    pub adversary: U,
}

/// Works without a word to whoever listens.
pub(crate) fn without_progress<T>(work: impl FnOnce() -> T) -> T {
    tracing::subscriber::with_default(tracing::subscriber::NoSubscriber::default(), work)
}

/// A trainer that keeps its progress to itself: dozens of shadow models would drown the one bar that counts
/// them.
#[derive(Clone, Copy, Debug)]
pub(crate) struct WithoutProgress<'a, R>(pub(crate) &'a R);

impl<R: Trainer> Trainer for WithoutProgress<'_, R> {
    type Model = R::Model;
    type Error = R::Error;

    fn train(&self, data: &Examples, seed: Seed) -> Result<Audited<R::Model>, R::Error> {
        without_progress(|| self.0.train(data, seed))
    }
}

/// An attack that keeps its progress to itself: the adversary of every batch would drown the bar of the training.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Silent<A>(pub(crate) A);

impl<T: ?Sized, A: Attack<T>> Attack<T> for Silent<A> {
    type Outcome = A::Outcome;
    type Error = A::Error;

    fn run(&self, target: &T, samples: &Examples, seed: Seed) -> Result<A::Outcome, A::Error> {
        without_progress(|| self.0.run(target, samples, seed))
    }
}
