//! Rate limit: a token bucket for each client.

use std::fmt;
use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};
use underpin_core::Denied;

/// A token bucket: full at first, and refilled steadily.
///
/// # Guarantees
///
/// 1. In any window of `t` seconds at most `burst + rate·t` queries are let through
///    (`no_window_lets_more_through_than_burst_and_rate`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Rate {
    /// Queries per second that the bucket regains.
    pub rate: NonZeroU32,
    /// Queries that a full bucket holds; a larger request is never let through.
    pub burst: NonZeroU32,
}

/// Time since some fixed moment, never going back. Passed in, so that tests own it.
#[derive(Clone)]
pub struct Clock(Arc<dyn Fn() -> Duration + Send + Sync>);

impl Clock {
    /// A clock that reads `now`.
    pub fn new(now: impl Fn() -> Duration + Send + Sync + 'static) -> Self {
        Self(Arc::new(now))
    }

    /// The system's monotonic clock, from 0 at this call.
    pub fn monotonic() -> Self {
        let start = Instant::now();
        Self::new(move || start.elapsed())
    }

    /// Time since the clock's start.
    pub fn now(&self) -> Duration {
        (self.0)()
    }
}

impl fmt::Debug for Clock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Clock").field(&self.now()).finish()
    }
}

/// One query in the bucket's unit: `rate` queries a second are `rate` units a nanosecond.
const QUERY: u128 = 1_000_000_000;

/// State of one client's token bucket.
#[derive(Debug)]
pub(crate) struct Bucket {
    level: u128,
    at: Duration,
}

impl Bucket {
    pub(crate) fn full(rate: Rate, now: Duration) -> Self {
        Self { level: capacity(rate), at: now }
    }

    /// Takes `queries` out, all or none.
    pub(crate) fn take(&mut self, queries: u64, rate: Rate, now: Duration) -> Result<(), Denied> {
        let per_nanosecond = u128::from(rate.rate.get());
        let gained = now.saturating_sub(self.at).as_nanos().saturating_mul(per_nanosecond);
        self.level = self.level.saturating_add(gained).min(capacity(rate));
        self.at = self.at.max(now);
        let needed = u128::from(queries) * QUERY;
        if needed > capacity(rate) {
            return Err(Denied::RateLimited { retry_after_ms: u64::MAX });
        }
        if let Some(left) = self.level.checked_sub(needed) {
            self.level = left;
            return Ok(());
        }
        let wait = (needed - self.level).div_ceil(per_nanosecond).div_ceil(1_000_000);
        Err(Denied::RateLimited { retry_after_ms: u64::try_from(wait).unwrap_or(u64::MAX) })
    }

    /// Whether so many queries could be taken out now.
    pub(crate) fn holds(&mut self, queries: u64, rate: Rate, now: Duration) -> Result<(), Denied> {
        self.take(queries, rate, now).map(|()| self.put_back(queries, rate))
    }

    /// Puts back what was taken for queries that were then denied.
    pub(crate) fn put_back(&mut self, queries: u64, rate: Rate) {
        self.level = (self.level + u128::from(queries) * QUERY).min(capacity(rate));
    }
}

fn capacity(rate: Rate) -> u128 {
    u128::from(rate.burst.get()) * QUERY
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn rate(rate: u32, burst: u32) -> Rate {
        Rate { rate: rate.try_into().unwrap(), burst: burst.try_into().unwrap() }
    }

    #[test]
    fn the_wait_is_what_the_refill_takes() {
        let rate = rate(4, 10);
        let mut bucket = Bucket::full(rate, Duration::ZERO);
        assert_eq!(bucket.take(10, rate, Duration::ZERO), Ok(()));
        // 3 queries at 4 per second: 750 ms.
        assert_eq!(bucket.take(3, rate, Duration::ZERO), Err(Denied::RateLimited { retry_after_ms: 750 }));
        assert!(bucket.take(3, rate, Duration::from_millis(749)).is_err());
        assert_eq!(bucket.take(3, rate, Duration::from_millis(750)), Ok(()));
        assert_eq!(
            bucket.take(11, rate, Duration::from_secs(9)),
            Err(Denied::RateLimited { retry_after_ms: u64::MAX })
        );
    }

    #[test]
    fn a_clock_that_goes_back_refills_nothing() {
        let rate = rate(1, 1);
        let mut bucket = Bucket::full(rate, Duration::from_secs(5));
        assert_eq!(bucket.take(1, rate, Duration::from_secs(5)), Ok(()));
        assert!(bucket.take(1, rate, Duration::from_secs(1)).is_err());
        assert!(bucket.take(1, rate, Duration::from_millis(5999)).is_err());
        assert_eq!(bucket.take(1, rate, Duration::from_secs(6)), Ok(()));
    }

    proptest! {
        #[test]
        fn no_window_lets_more_through_than_burst_and_rate(
            per_second in 1_u32..2000,
            burst in 1_u32..100,
            asks in prop::collection::vec((0_u64..2_000_000_000, 0_u64..120), 1..60),
        ) {
            let rate = rate(per_second, burst);
            let mut bucket = Bucket::full(rate, Duration::ZERO);
            let mut now = Duration::ZERO;
            let mut let_through = vec![];
            for (gap, queries) in asks {
                now += Duration::from_nanos(gap);
                if bucket.take(queries, rate, now).is_ok() {
                    let_through.push((now, queries));
                }
            }
            for (start, (from, _)) in let_through.iter().enumerate() {
                let mut sum = 0;
                for (at, queries) in &let_through[start..] {
                    sum += u128::from(*queries);
                    let window = at.saturating_sub(*from).as_nanos() * u128::from(per_second);
                    prop_assert!(sum * QUERY <= u128::from(burst) * QUERY + window);
                }
            }
        }
    }
}
