//! Query limit: a predictor that counts each client's queries and keeps a rate.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use underpin_core::{Denied, Inputs, Outputs, Predict};

use crate::rate::Bucket;
use crate::{Clock, Error, QueryLedger, Quota};

/// Answers each client until its quota is spent; every query is counted on disk before it is answered.
///
/// Defends against extraction, and against every attack that needs many queries; it slows them, it does not stop
/// one that is content with the quota. Not itself a predictor: ask it for a [`client`](Self::client).
///
/// # Guarantees
///
/// 1. A client gets at most `quota.queries` answers, over all threads and restarts
///    (`threads_and_restarts_together_get_exactly_the_quota`, `no_acknowledged_query_is_uncounted`).
/// 2. A request larger than what is left is denied whole (`a_request_too_large_debits_nothing`).
/// 3. A request that is denied for its rate costs none of the lifetime quota (`a_hasty_client_waits_and_pays_nothing`).
///
/// A request larger than the rate's burst is denied with `retry_after_ms` of `u64::MAX`: never; split it.
///
/// # Limits
///
/// One person with two clients has two quotas. Queries that the inner predictor denies are counted.
/// The rate's state is in memory, one bucket per name: names should be those of authenticated clients.
/// The bucket is full again after a restart.
///
/// # Examples
///
/// ```
/// use std::sync::Arc;
/// use underpin_core::{Denied, Disclosure, Inputs, Outputs, Predict, Shape};
/// use underpin_serve::{Clock, QueryLedger, QueryLimit, Quota};
///
/// struct Coin;
/// impl Predict for Coin {
///     fn predict(&self, inputs: &Inputs) -> Result<Outputs, Denied> {
///         Ok(Outputs::new(2, vec![0.5; 2 * inputs.len()], Disclosure::Scores).expect("two scores per input"))
///     }
/// }
///
/// # let folder = tempfile::tempdir()?;
/// let ledger = Arc::new(QueryLedger::open(&folder.path().join("queries.redb"))?);
/// let limit = QueryLimit::new(Coin, ledger, Quota { queries: 3, per_second: None }, Clock::monotonic());
/// let two = Inputs::new(Shape::new([1])?, vec![0.0, 1.0])?;
/// assert!(limit.client("alice").predict(&two).is_ok());
/// assert_eq!(
///     limit.client("alice").predict(&two),
///     Err(Denied::QuotaExhausted { used: 2, limit: 3, asked: 2 }),
/// );
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct QueryLimit<P> {
    inner: P,
    ledger: Arc<QueryLedger>,
    quota: Quota,
    clock: Clock,
    buckets: Mutex<HashMap<String, Bucket>>,
}

impl<P> QueryLimit<P> {
    /// Limits `inner` to `quota` per client, counted in `ledger`.
    pub fn new(inner: P, ledger: Arc<QueryLedger>, quota: Quota, clock: Clock) -> Self {
        Self { inner, ledger, quota, clock, buckets: Mutex::default() }
    }

    /// The predictor as client `name` sees it.
    pub fn client<'a>(&'a self, name: &'a str) -> Limited<'a, P> {
        Limited { limit: self, name }
    }

    /// The quota of every client.
    pub fn quota(&self) -> Quota {
        self.quota
    }

    /// Queries that `name` has used.
    ///
    /// # Errors
    ///
    /// [`Error::Ledger`] when the ledger cannot be read.
    pub fn used(&self, name: &str) -> Result<u64, Error> {
        self.ledger.used(name)
    }

    /// Whether `name` may ask anything at all now: whether a query is left, and the rate allows one. Nothing is counted.
    ///
    /// # Errors
    ///
    /// As for a request of one query; [`Denied::Unavailable`] when the ledger cannot be read.
    pub fn check(&self, name: &str) -> Result<(), Denied> {
        let used = self.ledger.used(name).map_err(|error| {
            tracing::error!(%error, "the query ledger cannot be read");
            Denied::Unavailable { reason: "the query ledger cannot be read".into() }
        })?;
        if used >= self.quota.queries {
            return Err(Denied::QuotaExhausted { used, limit: self.quota.queries, asked: 1 });
        }
        self.bucket(name, |bucket, rate| bucket.holds(1, rate, self.clock.now())).unwrap_or(Ok(()))
    }

    fn admit(&self, name: &str, queries: u64) -> Result<(), Denied> {
        self.bucket(name, |bucket, rate| bucket.take(queries, rate, self.clock.now())).unwrap_or(Ok(()))?;
        self.ledger.debit(name, queries, &self.quota).map(drop).inspect_err(|_| {
            self.bucket(name, |bucket, rate| bucket.put_back(queries, rate));
        })
    }

    /// Applies `act` to the client's bucket, if there is a rate to keep.
    fn bucket<T>(&self, name: &str, act: impl FnOnce(&mut Bucket, crate::Rate) -> T) -> Option<T> {
        let rate = self.quota.per_second?;
        // OK to go on after a panic elsewhere: a bucket is two numbers, changed by arithmetic that cannot panic.
        let mut buckets = self.buckets.lock().unwrap_or_else(PoisonError::into_inner);
        if !buckets.contains_key(name) {
            buckets.insert(name.to_owned(), Bucket::full(rate, self.clock.now()));
        }
        buckets.get_mut(name).map(|bucket| act(bucket, rate))
    }
}

/// A [`QueryLimit`] as one client sees it.
#[derive(Debug)]
pub struct Limited<'a, P> {
    limit: &'a QueryLimit<P>,
    name: &'a str,
}

impl<P: Predict> Predict for Limited<'_, P> {
    fn predict(&self, inputs: &Inputs) -> Result<Outputs, Denied> {
        self.limit.admit(self.name, inputs.len() as u64).inspect_err(|denied| {
            tracing::info!(client = self.name, queries = inputs.len(), %denied, "query denied");
        })?;
        self.limit.inner.predict(inputs)
    }
}
