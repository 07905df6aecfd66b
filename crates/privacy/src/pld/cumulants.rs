//! Moments of sums of losses, and the search for the order that serves best.

use libm::{exp, expm1, log1p, sqrt};

use super::losses::{Losses, Part, Side};

/// Cumulant generating function of the sum.
pub(super) struct Cumulants<'a>(pub(super) &'a [Part<'a>]);

impl Cumulants<'_> {
    pub(super) fn at(&self, order: f64) -> f64 {
        self.0.iter().map(|(losses, times)| *times as f64 * losses.log_moment(order)).sum()
    }

    /// Bound on the rounding of `at`.
    pub(super) fn error(&self, order: f64) -> f64 {
        self.0.iter().map(|(losses, times)| *times as f64 * losses.log_moment_error(order)).sum()
    }

    /// One over the standard deviation of the sum: where a search for an order starts.
    pub(super) fn guess(&self) -> f64 {
        let variance: f64 = self.0.iter().map(|(losses, times)| *times as f64 * losses.variance()).sum();
        1.0 / sqrt(variance.max(1e-30))
    }

    /// δ of what only `P` can give: `1 - Π (1 - infinite)^times`.
    ///
    /// Above, the masses of one event may come to a little more than 1, and each of the others counts by all of its mass.
    pub(super) fn infinite(&self, side: Side) -> f64 {
        let found = -expm1(self.0.iter().map(|(losses, times)| *times as f64 * log1p(-losses.infinite.min(1.0))).sum());
        if side == Side::Lower {
            return found * (1.0 - 1e-14);
        }
        let excess = |losses: &Losses| (losses.mass() - 1.0 + losses.infinite).max(0.0) + 4.0 * f64::EPSILON;
        let all: f64 = self.0.iter().map(|(losses, times)| *times as f64 * excess(losses)).sum();
        found * exp(all) * (1.0 + 1e-14)
    }
}

/// The positive argument near `start`, at most `most`, at which a function that falls and then rises is least, to a tenth, and its value.
pub(super) fn least(start: f64, most: f64, f: impl Fn(f64) -> f64) -> (f64, f64) {
    let start = start.min(most);
    let (mut at, mut value) = (start, f(start));
    for factor in [2.0, 1.4, 1.15] {
        for factor in [factor, 1.0 / factor] {
            let mut moved = false;
            for _ in 0..60 {
                let next = f(at * factor);
                if next >= value || next.is_nan() || at * factor > most {
                    break;
                }
                (at, value, moved) = (at * factor, next, true);
            }
            if moved {
                break;
            }
        }
    }
    (at, value)
}
