//! Zero-concentrated differential privacy.

use underpin_core::{Delta, Epsilon};

use crate::error::within;
use crate::{Error, rdp};

/// ρ of zero-concentrated differential privacy: the Rényi divergence of order α is at most `α ρ`, for every `α > 1`.
///
/// Unit: nats; `0 < ρ`; smaller is more private.
///
/// # Guarantees
///
/// 1. [`epsilon`](Self::epsilon) is an upper bound, and at least Bun and Steinke's `ρ + 2 sqrt(ρ log(1/δ))` is not below
///    it (`concentrated_privacy_improves_on_its_first_conversion`, `concentrated_bounds_the_gaussian`).
/// 2. What is `ε`-private is `ε²/2`-zero-concentrated private (`pure_privacy_is_concentrated`).
///
/// # Source
///
/// Bun and Steinke 2016, Propositions 1.3 and 1.4, Lemma 1.7; the conversion is Canonne, Kamath and Steinke 2020,
/// Corollary 13, least over the orders near the best one.
///
/// # Examples
///
/// ```
/// use underpin_core::Delta;
/// use underpin_privacy::ZeroConcentrated;
///
/// let done = ZeroConcentrated::composed([ZeroConcentrated::new(0.01)?; 50])?;
/// assert!(done.epsilon(Delta::new(1e-6)?) < 5.8);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, PartialOrd)]
pub struct ZeroConcentrated(f64);

impl ZeroConcentrated {
    /// # Errors
    ///
    /// [`Error::OutOfRange`] unless `rho` lies in `[1e-18, 1e12]`.
    pub fn new(rho: f64) -> Result<Self, Error> {
        Ok(Self(within("rho", rho, "[1e-18, 1e12]", |rho| (1e-18..=1e12).contains(&rho))?))
    }

    /// That of anything `epsilon`-private: `ε²/2`, rounded up.
    ///
    /// # Errors
    ///
    /// [`Error::OutOfRange`] when ρ leaves its range.
    pub fn of_pure(epsilon: Epsilon) -> Result<Self, Error> {
        Self::new(epsilon.value() * epsilon.value() / 2.0 * (1.0 + 4.0 * f64::EPSILON))
    }

    /// All of these: `Σ ρ`, rounded up.
    ///
    /// # Errors
    ///
    /// [`Error::OutOfRange`] of no mechanism, or when ρ leaves its range.
    pub fn composed(mechanisms: impl IntoIterator<Item = Self>) -> Result<Self, Error> {
        let (sum, count) = mechanisms.into_iter().fold((0.0, 0.0), |(sum, count), Self(rho)| (sum + rho, count + 1.0));
        Self::new(sum * (1.0 + count * f64::EPSILON))
    }

    /// ρ.
    pub const fn rho(self) -> f64 {
        self.0
    }

    /// An upper bound on ε at `delta`.
    pub fn epsilon(self, delta: Delta) -> f64 {
        rdp::concentrated(self.0, delta.value())
    }

    /// The largest ρ, to a relative 1e-9, whose ε at `delta` is within `epsilon`.
    ///
    /// # Errors
    ///
    /// [`Error::Unreachable`] when none in range is.
    pub fn within(epsilon: Epsilon, delta: Delta) -> Result<Self, Error> {
        let fits = |rho: f64| Self(rho).epsilon(delta) <= epsilon.value();
        let (mut low, mut high): (f64, f64) = (1e-18, 1e12);
        if !fits(low) {
            return Err(Error::Unreachable { name: "rho", target: epsilon.value(), range: "[1e-18, 1e12]" });
        }
        while high > low * (1.0 + 1e-9) {
            let middle = (low * high).sqrt();
            if fits(middle) { low = middle } else { high = middle }
        }
        Self::new(low)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn concentrated_privacy_improves_on_its_first_conversion() {
        for rho in [1e-6, 1e-3, 0.1, 1.0, 30.0] {
            for delta in [1e-3, 1e-6, 1e-12] {
                let found = ZeroConcentrated::new(rho).unwrap().epsilon(Delta::new(delta).unwrap());
                let first = rho + 2.0 * (-rho * delta.ln()).sqrt();
                assert!(found <= first, "{rho} {delta}: {found} {first}");
                // Neighbours are then less than δ apart in total variation: sqrt(ρ/2), by Pinsker.
                if (rho / 2.0).sqrt() <= delta {
                    assert_eq!(found, 0.0);
                    continue;
                }
                assert!(found >= 0.4 * first, "{rho} {delta}: {found} {first}");
                let back = ZeroConcentrated::within(Epsilon::new(found).unwrap(), Delta::new(delta).unwrap()).unwrap();
                assert!((back.rho() / rho - 1.0).abs() < 1e-6, "{rho} {delta}");
            }
        }
        for bad in [f64::NAN, -1.0, 0.0, f64::INFINITY] {
            assert!(ZeroConcentrated::new(bad).is_err());
        }
        assert!(ZeroConcentrated::composed([]).is_err());
    }

    /// Randomized response is ε-private: its divergence of every order lies below that of `ε²/2`.
    #[test]
    fn pure_privacy_is_concentrated() {
        for epsilon in [0.01, 0.5, 3.0] {
            let rho = ZeroConcentrated::of_pure(Epsilon::new(epsilon).unwrap()).unwrap().rho();
            let event = crate::Event::Pure { epsilon: Epsilon::new(epsilon).unwrap() };
            for order in [1.01, 1.5, 2.0, 7.3, 64.0] {
                let divergence = event.renyi_divergence(order, crate::Adjacency::Replace).unwrap();
                assert!(divergence <= order * rho * (1.0 + 1e-9), "{epsilon} {order}");
            }
        }
    }
}
