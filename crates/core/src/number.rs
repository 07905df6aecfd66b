//! Numbers with a unit and a range, checked once, when they are made: ε, δ, radius, confidence.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::error::{Error, OutOfRange};
use crate::words::words;

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
                Ok(Self::checked(value)?)
            }

            /// [`Self::new`], with the error that every crate's error can hold.
            pub(crate) fn checked(value: f64) -> Result<Self, OutOfRange> {
                let within: fn(f64) -> bool = $within;
                if value.is_finite() && within(value) {
                    Ok(Self(value))
                } else {
                    Err(OutOfRange::new($name, value, $range))
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
    /// Differential-privacy parameter δ: the additive slack of (ε, δ)-differential privacy.
    ///
    /// Range: `0 < δ < 1`. Choose it well below one over the number of rows: a mechanism that publishes one row in full
    /// with probability δ is (0, δ)-private.
    ///
    /// # Source
    ///
    /// Dwork and Roth, The Algorithmic Foundations of Differential Privacy, 2014, section 2.3.
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
}
