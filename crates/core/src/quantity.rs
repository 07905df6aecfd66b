//! Numbers with a unit and a range, checked once, when they are made.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::Error;
use crate::taxonomy::words;

macro_rules! quantity {
    ($(#[$doc:meta])* $type:ident, $name:literal, $range:literal, $within:expr) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, PartialOrd, Serialize, Deserialize)]
        #[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
        #[serde(try_from = "f64", into = "f64")]
        pub struct $type(f64);

        impl $type {
            /// Checks the range.
            ///
            /// # Errors
            ///
            /// [`Error::OutOfRange`] outside the range; NaN and infinities always.
            pub fn new(value: f64) -> Result<Self, Error> {
                let within: fn(f64) -> bool = $within;
                if value.is_finite() && within(value) {
                    Ok(Self(value))
                } else {
                    Err(Error::out_of_range($name, value, $range))
                }
            }

            /// The number itself.
            pub const fn value(self) -> f64 {
                self.0
            }
        }

        impl TryFrom<f64> for $type {
            type Error = Error;

            fn try_from(value: f64) -> Result<Self, Error> {
                Self::new(value)
            }
        }

        impl From<$type> for f64 {
            fn from(quantity: $type) -> Self {
                quantity.0
            }
        }

        impl fmt::Display for $type {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(f)
            }
        }
    };
}

quantity! {
    /// Differential-privacy loss bound ε.
    ///
    /// Unit: nats. Range: finite, `ε > 0`; smaller is more private.
    /// Not a perturbation's size; that is a [`Radius`].
    ///
    /// # Source
    ///
    /// Dwork, McSherry, Nissim and Smith, TCC 2006.
    ///
    /// # Examples
    ///
    /// ```
    /// use underpin_core::Epsilon;
    ///
    /// let spent = Epsilon::new(2.5)?;
    /// assert!(spent <= Epsilon::new(3.0)?);
    /// assert!(Epsilon::new(f64::NAN).is_err());
    /// # Ok::<(), underpin_core::Error>(())
    /// ```
    Epsilon, "epsilon", "(0, inf)", |x| x > 0.0
}

quantity! {
    /// Delta, δ: the additive slack of (ε, δ)-DP; choose it well below 1/n for n rows (Dwork and Roth 2014, section 2.3).
    ///
    /// Not the probability that ε does not hold: that is probabilistic DP, a stronger property. Range: `0 < δ < 1`.
    Delta, "delta", "(0, 1)", |x| x > 0.0 && x < 1.0
}

quantity! {
    /// Size of a perturbation, in the unit of the inputs (features lie in `[0, 1]`), under a [`Norm`].
    ///
    /// Range: finite, `>= 0`.
    Radius, "radius", "[0, inf)", |x| x >= 0.0
}

quantity! {
    /// Confidence level of an interval. Range: `0 < c < 1`.
    Confidence, "confidence", "(0, 1)", |x| x > 0.0 && x < 1.0
}

/// How the size of a perturbation is measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum Norm {
    /// The largest change of any feature.
    Linf,
    /// Euclidean length.
    L2,
}

words!(Norm { Linf => "linf", L2 => "l2" });

/// Where public randomness starts; the same seed gives the same run.
///
/// For reproducibility only. Noise that protects privacy must not come from a seed that is published:
/// whoever knows it can subtract the noise.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(transparent)]
pub struct Seed(pub u64);

impl Seed {
    /// A seed for one purpose, so that no two purposes share a random stream.
    ///
    /// FNV-1a over the purpose, finished by the mixer of `SplitMix64` (Steele, Lea and Flood, OOPSLA 2014).
    ///
    /// # Examples
    ///
    /// ```
    /// use underpin_core::Seed;
    ///
    /// let seed = Seed(7);
    /// assert_eq!(seed.derive("split"), seed.derive("split"));
    /// assert_ne!(seed.derive("split"), seed.derive("shadow"));
    /// ```
    #[must_use]
    pub fn derive(self, purpose: &str) -> Self {
        let hash = purpose
            .bytes()
            .fold(0xcbf2_9ce4_8422_2325, |hash: u64, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3));
        self.mix(hash)
    }

    /// The `index`-th of a family of seeds.
    #[must_use]
    pub fn nth(self, index: u64) -> Self {
        self.mix(index.wrapping_add(1).wrapping_mul(0x9e37_79b9_7f4a_7c15))
    }

    fn mix(self, with: u64) -> Self {
        let mut z = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15) ^ with.rotate_left(17);
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        Self(z ^ (z >> 31))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_hold_at_their_ends() {
        for bad in [f64::NAN, f64::INFINITY, -1.0, 0.0] {
            assert!(Epsilon::new(bad).is_err(), "{bad}");
            assert!(Delta::new(bad).is_err(), "{bad}");
            assert!(Confidence::new(bad).is_err(), "{bad}");
        }
        assert!(Delta::new(1.0).is_err());
        assert!(Radius::new(0.0).is_ok());
        assert!(Radius::new(-1e-9).is_err());
    }

    #[test]
    fn reading_checks_the_range() {
        assert!(serde_json::from_str::<Epsilon>("-1.0").is_err());
        assert!(serde_json::from_str::<Confidence>("0.95").is_ok());
    }

    #[test]
    fn derived_seeds_differ() {
        let mut seen = std::collections::HashSet::new();
        for base in 0..64 {
            for index in 0..64 {
                assert!(seen.insert(Seed(base).nth(index)));
            }
        }
        assert_ne!(Seed(0).derive("a"), Seed(1).derive("a"));
    }
}
