//! One of the two systems under attack, as the adversary meets it.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use underpin_core::{Denied, Inputs, Outputs, Predict, System};
use underpin_metrics::Setting;
use underpin_privacy::SecretKey;
use underpin_serve::{Clock, OutputPerturbation, Perturb, QueryLedger, QueryLimit, Quota};

use crate::Error;

/// A system: a model, how such models are trained, and what its endpoint lets through.
pub(crate) struct Side<'a, M, R> {
    /// Which of the two.
    pub(crate) system: System,
    /// The model, bare: what a white-box adversary holds.
    pub(crate) model: &'a M,
    /// Trains such models: what a gray-box adversary knows.
    pub(crate) trainer: &'a R,
    /// The same pipeline's model, had the rows been poisoned.
    pub(crate) poisoned: &'a M,
    /// What a client meets.
    pub(crate) endpoint: Endpoint<'a, M>,
    /// What stands between clients and the model; none for a system without a guard.
    pub(crate) guard: Option<Guard<'a>>,
}

/// What stands between clients and a model.
#[derive(Clone, Copy)]
pub(crate) struct Guard<'a> {
    pub(crate) perturb: &'a [Perturb],
    pub(crate) quota: Quota,
    pub(crate) key: &'a SecretKey,
}

impl Guard<'_> {
    /// Puts the perturbations around `model`, the first innermost; quotas are kept client by client.
    pub(crate) fn around<'m, M: Predict + Send + Sync>(&self, model: &'m M) -> Endpoint<'m, M> {
        Endpoint::Guarded(perturbed(Box::new(model), self.perturb, self.key))
    }
}

/// A predictor of any kind, for as long as `'m`.
pub(crate) type Answers<'m> = Box<dyn Predict + Send + Sync + 'm>;

/// Puts perturbations around `endpoint`, the first innermost; their noise comes from `key`.
pub(crate) fn perturbed<'m>(mut endpoint: Answers<'m>, perturb: &[Perturb], key: &SecretKey) -> Answers<'m> {
    for (layer, perturb) in perturb.iter().enumerate() {
        let key = key.derive("underpin output perturbation", &[&(layer as u64).to_le_bytes()]);
        endpoint = Box::new(OutputPerturbation::new(endpoint, *perturb, key));
    }
    endpoint
}

/// A model as clients meet it.
pub(crate) enum Endpoint<'a, M> {
    /// Without a guard.
    Bare(&'a M),
    /// Behind perturbed answers.
    Guarded(Answers<'a>),
}

impl<M: Predict> Predict for Endpoint<'_, M> {
    fn predict(&self, inputs: &Inputs) -> Result<Outputs, Denied> {
        match self {
            Self::Bare(model) => model.predict(inputs),
            Self::Guarded(endpoint) => endpoint.predict(inputs),
        }
    }
}

/// A predictor asked by one adversary with several keys, one after the other.
struct Keys<'a, P> {
    limit: &'a QueryLimit<P>,
    held: u64,
    /// Keys whose quota is spent.
    used: AtomicU64,
}

impl<P: Predict> Predict for Keys<'_, P> {
    /// Denied for its quota only when every key's is spent, or the key in use has less left than `inputs` need.
    fn predict(&self, inputs: &Inputs) -> Result<Outputs, Denied> {
        loop {
            let key = self.used.load(Ordering::Relaxed);
            match self.limit.client(&format!("adversary {key}")).predict(inputs) {
                Err(Denied::QuotaExhausted { used, limit, .. }) if used >= limit && key + 1 < self.held => {
                    self.used.store(key + 1, Ordering::Relaxed);
                }
                answer => return answer,
            }
        }
    }
}

impl<M: Predict, R> Side<'_, M, R> {
    /// Runs `adversary` against the endpoint with `keys` API keys, each with a fresh quota, counted by a ledger as in
    /// deployment; when the quota of one key is spent the next is used.
    pub(crate) fn as_clients<T>(&self, keys: u64, adversary: impl FnOnce(&dyn Predict) -> T) -> Result<T, Error> {
        let Some(Guard { quota, .. }) = self.guard else { return Ok(adversary(&self.endpoint)) };
        let folder = tempfile::tempdir().map_err(Error::Scratch)?;
        let ledger = Arc::new(QueryLedger::open(&folder.path().join("queries.redb"))?);
        // Rates are kept by waiting, which costs an adversary time, not answers; only the lifetime quota counts here.
        let limit = QueryLimit::new(&self.endpoint, ledger, Quota { per_second: None, ..quota }, Clock::monotonic());
        Ok(adversary(&Keys { limit: &limit, held: keys, used: AtomicU64::new(0) }))
    }

    /// `setting` with the number of keys and the queries that they allow together, where there is a quota.
    pub(crate) fn with_keys(&self, setting: Setting, keys: u64) -> Setting {
        let setting = setting.with("keys", keys);
        match self.guard {
            Some(guard) => setting.with("allowed_queries", guard.quota.queries.saturating_mul(keys)),
            None => setting,
        }
    }

    /// The queries that `keys` keys allow together; none without a quota.
    pub(crate) fn allowance(&self, keys: u64) -> Option<usize> {
        self.guard
            .filter(|guard| guard.quota.queries < u64::MAX)
            .map(|guard| usize::try_from(guard.quota.queries.saturating_mul(keys)).unwrap_or(usize::MAX))
    }

    /// The queries that an adversary with so many `keys` can make, at most `wanted`.
    pub(crate) fn affordable(&self, wanted: usize, keys: u64) -> usize {
        self.allowance(keys).map_or(wanted, |allowed| allowed.min(wanted))
    }
}
