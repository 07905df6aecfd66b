//! Gaussian differential privacy.

use underpin_core::Delta;

use crate::error::within;
use crate::pld::{self, Side};
use crate::{Adjacency, Bounds, Error, Event, ZeroConcentrated};

/// μ of Gaussian differential privacy: no easier to distinguish neighbours than `N(0, 1)` from `N(μ, 1)`.
///
/// Unit: standard deviations; `0 < μ`; smaller is more private.
///
/// # Guarantees
///
/// 1. [`delta`](Self::delta) and [`epsilon`](Self::epsilon) enclose the closed form
///    `Φ(μ/2 - ε/μ) - exp(ε) Φ(-μ/2 - ε/μ)` (`gaussian_privacy_has_its_closed_form`).
///
/// # Source
///
/// Dong, Roth and Su 2022: Corollary 2.13 (the closed form), Corollary 3.3 (composition). Bun and Steinke 2016 (`ρ = μ²/2`).
///
/// # Examples
///
/// ```
/// use underpin_core::Delta;
/// use underpin_privacy::GaussianPrivacy;
///
/// let once = GaussianPrivacy::of_noise(5.0)?;
/// let done = GaussianPrivacy::composed([once; 100])?;
/// assert!((2.0..2.0 + 1e-12).contains(&done.mu()));
/// assert!(done.epsilon(Delta::new(1e-5)?).upper < 10.5);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, PartialOrd)]
pub struct GaussianPrivacy(f64);

impl GaussianPrivacy {
    /// # Errors
    ///
    /// [`Error::OutOfRange`] unless `mu` lies in `[1e-9, 1e6]`.
    pub fn new(mu: f64) -> Result<Self, Error> {
        Ok(Self(within("mu", mu, "[1e-9, 1000000]", |mu| (1e-9..=1e6).contains(&mu))?))
    }

    /// That of Gaussian noise of standard deviation `noise_multiplier` sensitivities: `μ = 1/σ`.
    ///
    /// # Errors
    ///
    /// [`Error::OutOfRange`] unless it is positive and μ in range.
    pub fn of_noise(noise_multiplier: f64) -> Result<Self, Error> {
        let range = "[1e-6, 1e9]";
        let noise = within("noise_multiplier", noise_multiplier, range, |noise| (1e-6..=1e9).contains(&noise))?;
        Self::new(up(noise.recip()).clamp(1e-9, 1e6))
    }

    /// All of these: `sqrt(Σ μ²)`, rounded up.
    ///
    /// # Errors
    ///
    /// [`Error::OutOfRange`] of no mechanism, or when μ leaves its range.
    pub fn composed(mechanisms: impl IntoIterator<Item = Self>) -> Result<Self, Error> {
        let (sum, count) =
            mechanisms.into_iter().fold((0.0, 0.0), |(sum, count), Self(mu)| (sum + mu * mu, count + 1.0));
        Self::new(sum.sqrt() * (1.0 + (count + 4.0) * f64::EPSILON))
    }

    /// μ.
    pub const fn mu(self) -> f64 {
        self.0
    }

    /// ε at `delta`, from both sides; to a relative 1e-6 down to δ = 1e-15.
    pub fn epsilon(self, delta: Delta) -> Bounds {
        pld::gaussian(self.0, delta.value())
    }

    /// δ at `epsilon` (0 allowed), from both sides.
    ///
    /// # Errors
    ///
    /// [`Error::OutOfRange`] unless `epsilon` is finite and not negative.
    pub fn delta(self, epsilon: f64) -> Result<Bounds, Error> {
        let epsilon = within("epsilon", epsilon, "[0, inf)", |epsilon| epsilon >= 0.0 && epsilon.is_finite())?;
        let at = |side| pld::gaussian_delta(self.0, epsilon, side).clamp(0.0, 1.0);
        Ok(Bounds { lower: at(Side::Lower), upper: at(Side::Upper) })
    }

    /// What it is in zero-concentrated privacy: `ρ = μ²/2`.
    ///
    /// # Errors
    ///
    /// [`Error::OutOfRange`] when ρ leaves its range.
    pub fn zero_concentrated(self) -> Result<ZeroConcentrated, Error> {
        ZeroConcentrated::new(up(self.0 * self.0 / 2.0))
    }

    /// As an event under `adjacency`, to be composed with others.
    pub fn event(self, adjacency: Adjacency) -> Event {
        // The event's scale is that of one row's norm, of which a replaced row changes two.
        let sensitivity = if adjacency == Adjacency::Replace { 2.0 } else { 1.0 };
        Event::Gaussian { noise_multiplier: sensitivity / up(self.0) }
    }
}

/// A little more: covers the rounding of a few operations.
fn up(value: f64) -> f64 {
    value * (1.0 + 4.0 * f64::EPSILON)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `Φ(1) - e^0 Φ(-1)` at μ = 2, ε = 0, and `Φ(1/2) - Φ(-1/2)` at μ = 1: tables of the normal distribution.
    #[test]
    fn gaussian_privacy_has_its_closed_form() {
        for (mu, epsilon, truth) in [
            (2.0, 0.0, 0.682_689_492_137_085_9),
            (1.0, 0.0, 0.382_924_922_548_026),
            // Φ(-1/2) - e Φ(-3/2) at μ = 1, ε = 1.
            (1.0, 1.0, 0.308_537_538_725_986_9 - std::f64::consts::E * 0.066_807_201_268_858_07),
        ] {
            let privacy = GaussianPrivacy::new(mu).unwrap();
            let found = privacy.delta(epsilon).unwrap();
            assert!(found.lower <= truth + 1e-15 && truth <= found.upper + 1e-15, "{mu} {epsilon} {found:?}");
            assert!(found.gap() < 1e-9);
            let back = privacy.epsilon(Delta::new(truth).unwrap());
            assert!(back.lower <= epsilon + 1e-9 && epsilon <= back.upper + 1e-9, "{back:?}");
        }
        for bad in [f64::NAN, -1.0, 0.0, f64::INFINITY] {
            assert!(GaussianPrivacy::new(bad).is_err() && GaussianPrivacy::of_noise(bad).is_err());
        }
        assert!(GaussianPrivacy::new(1.0).unwrap().delta(f64::NAN).is_err());
        assert!(GaussianPrivacy::composed([]).is_err());
    }

    /// Three routes to one number: the closed form, the event under either relation, and the loss distributions' Gaussian.
    #[test]
    fn gaussian_privacy_is_that_of_its_event() {
        let delta = Delta::new(1e-6).unwrap();
        let (noise, steps) = (12.5, 40u32);
        let privacy = GaussianPrivacy::composed((0..steps).map(|_| GaussianPrivacy::of_noise(noise).unwrap())).unwrap();
        let truth = Event::Gaussian { noise_multiplier: noise }
            .repeated(u64::from(steps))
            .epsilon(delta, Adjacency::AddOrRemove)
            .unwrap();
        for found in [
            privacy.epsilon(delta),
            privacy.event(Adjacency::AddOrRemove).epsilon(delta, Adjacency::AddOrRemove).unwrap(),
            privacy.event(Adjacency::Replace).epsilon(delta, Adjacency::Replace).unwrap(),
        ] {
            assert!(found.upper >= truth.lower && found.upper <= truth.upper * 1.001, "{found:?} {truth:?}");
        }
        let rho = privacy.zero_concentrated().unwrap();
        assert!((rho.rho() / (f64::from(steps) / (2.0 * noise * noise)) - 1.0).abs() < 1e-12);
        assert!(rho.epsilon(delta) >= truth.lower && rho.epsilon(delta) <= 1.2 * truth.upper);
    }
}
