//! Counters in the Prometheus text format, version 0.0.4.

use std::fmt::Write;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;

macro_rules! outcomes {
    ($($variant:ident => $word:literal),+ $(,)?) => {
        /// How a request to `infer` ended.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub(super) enum RequestOutcome { $($variant),+ }

        impl RequestOutcome {
            const ALL: &[Self] = &[$(Self::$variant),+];

            /// The word in metrics, logs and refusals.
            pub(super) const fn word(self) -> &'static str {
                match self { $(Self::$variant => $word),+ }
            }
        }
    };
}

outcomes! {
    Answered => "answered",
    Malformed => "malformed",
    OutOfContract => "out_of_contract",
    Unauthenticated => "unauthenticated",
    NotFound => "not_found",
    WrongMethod => "wrong_method",
    BodyTimeout => "body_timeout",
    TooLarge => "too_large",
    Encoded => "unsupported_encoding",
    QuotaExhausted => "quota_exhausted",
    RateLimited => "rate_limited",
    Revoked => "revoked",
    Unavailable => "unavailable",
    Overloaded => "overloaded",
    Timeout => "timeout",
    Failed => "failed",
}

/// Upper ends of the latency histogram's buckets, in seconds, as they are written.
const BUCKETS: [(f64, &str); 10] = [
    (0.001, "0.001"),
    (0.0025, "0.0025"),
    (0.005, "0.005"),
    (0.01, "0.01"),
    (0.025, "0.025"),
    (0.05, "0.05"),
    (0.1, "0.1"),
    (0.5, "0.5"),
    (2.0, "2"),
    (10.0, "10"),
];

/// Counts since the start. They name no client.
#[derive(Debug, Default)]
pub(super) struct Metrics {
    requests: [AtomicU64; RequestOutcome::ALL.len()],
    queries: [AtomicU64; RequestOutcome::ALL.len()],
    latency: [AtomicU64; BUCKETS.len() + 1],
    micros: AtomicU64,
}

impl Metrics {
    /// Counts one request to `infer` and its rows, as far as they were read.
    pub(super) fn count(&self, outcome: RequestOutcome, queries: u64, took: Duration) {
        self.requests[outcome as usize].fetch_add(1, Relaxed);
        self.queries[outcome as usize].fetch_add(queries, Relaxed);
        let bucket = BUCKETS.partition_point(|(end, _)| *end < took.as_secs_f64());
        self.latency[bucket].fetch_add(1, Relaxed);
        self.micros.fetch_add(u64::try_from(took.as_micros()).unwrap_or(u64::MAX), Relaxed);
    }

    /// All counters as text.
    pub(super) fn text(&self) -> String {
        let mut text = String::new();
        family(&mut text, "underpin_requests_total", "Inference requests by outcome.", &self.requests);
        family(&mut text, "underpin_queries_total", "Input rows by the outcome of their request.", &self.queries);
        self.histogram(&mut text);
        text
    }

    fn histogram(&self, text: &mut String) {
        let name = "underpin_request_seconds";
        head(text, name, "Time from the head of an inference request to its answer.", "histogram");
        let mut sum = 0;
        for ((_, end), count) in BUCKETS.iter().zip(&self.latency) {
            sum += count.load(Relaxed);
            line(text, format_args!("{name}_bucket{{le=\"{end}\"}} {sum}"));
        }
        sum += self.latency[BUCKETS.len()].load(Relaxed);
        line(text, format_args!("{name}_bucket{{le=\"+Inf\"}} {sum}"));
        line(text, format_args!("{name}_sum {}", Duration::from_micros(self.micros.load(Relaxed)).as_secs_f64()));
        line(text, format_args!("{name}_count {sum}"));
    }
}

fn family(text: &mut String, name: &str, help: &str, counts: &[AtomicU64]) {
    head(text, name, help, "counter");
    for (outcome, count) in RequestOutcome::ALL.iter().zip(counts) {
        line(text, format_args!("{name}{{outcome=\"{}\"}} {}", outcome.word(), count.load(Relaxed)));
    }
}

fn head(text: &mut String, name: &str, help: &str, kind: &str) {
    line(text, format_args!("# HELP {name} {help}"));
    line(text, format_args!("# TYPE {name} {kind}"));
}

fn line(text: &mut String, line: std::fmt::Arguments<'_>) {
    writeln!(text, "{line}").expect("invariant: writing to a string cannot fail");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_are_cumulative_and_end_at_infinity() {
        let metrics = Metrics::default();
        metrics.count(RequestOutcome::Answered, 3, Duration::from_millis(1));
        metrics.count(RequestOutcome::Answered, 2, Duration::from_millis(2));
        metrics.count(RequestOutcome::QuotaExhausted, 9, Duration::from_mins(1));
        let text = metrics.text();
        for line in [
            "underpin_requests_total{outcome=\"answered\"} 2",
            "underpin_queries_total{outcome=\"answered\"} 5",
            "underpin_queries_total{outcome=\"quota_exhausted\"} 9",
            "underpin_request_seconds_bucket{le=\"0.001\"} 1",
            "underpin_request_seconds_bucket{le=\"0.0025\"} 2",
            "underpin_request_seconds_bucket{le=\"10\"} 2",
            "underpin_request_seconds_bucket{le=\"+Inf\"} 3",
            "underpin_request_seconds_sum 60.003",
            "underpin_request_seconds_count 3",
        ] {
            assert!(text.lines().any(|found| found == line), "{line} is not in\n{text}");
        }
    }
}
