//! What a cost takes from a budget, in whole units, and the sums of it: exact, so that giving back is exact too.

/// Units of ε and divergences: `2^-60` nats.
pub(super) const NATS: f64 = (1_u64 << 60) as f64;
/// Units of δ: `2^-126`.
pub(super) const DELTAS: f64 = (1_u128 << 126) as f64;

/// A cost in units.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Charge {
    pub(super) divergence: u128,
    /// None where no ε bounds it.
    pub(super) epsilon: Option<u128>,
    pub(super) delta: u128,
    /// `(1 + e^ε)` times the total variation of the noise from its ideal, ε the whole.
    pub(super) distance: u128,
}

/// Sums of charges.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Spent {
    pub(super) divergence: u128,
    pub(super) epsilon: u128,
    /// Charges without ε.
    pub(super) unbounded: u64,
    pub(super) delta: u128,
    pub(super) distance: u128,
}

/// What costs nothing.
impl Default for Charge {
    fn default() -> Self {
        Self { divergence: 0, epsilon: Some(0), delta: 0, distance: 0 }
    }
}

impl Charge {
    /// Whether it takes no more from any sum than another charge does.
    pub(super) fn is_within(&self, other: &Self) -> bool {
        let epsilon = |charge: &Self| charge.epsilon.unwrap_or(u128::MAX);
        self.divergence <= other.divergence
            && epsilon(self) <= epsilon(other)
            && self.delta <= other.delta
            && self.distance <= other.distance
    }
}

impl Spent {
    /// None on overflow, which no limit allows.
    pub(super) fn plus(&self, charge: &Charge) -> Option<Self> {
        Some(Self {
            divergence: self.divergence.checked_add(charge.divergence)?,
            epsilon: self.epsilon.checked_add(charge.epsilon.unwrap_or(0))?,
            unbounded: self.unbounded.checked_add(u64::from(charge.epsilon.is_none()))?,
            delta: self.delta.checked_add(charge.delta)?,
            distance: self.distance.checked_add(charge.distance)?,
        })
    }

    /// Takes back a charge that was added before; None where it was not.
    pub(super) fn minus(&self, charge: &Charge) -> Option<Self> {
        Some(Self {
            divergence: self.divergence.checked_sub(charge.divergence)?,
            epsilon: self.epsilon.checked_sub(charge.epsilon.unwrap_or(0))?,
            unbounded: self.unbounded.checked_sub(u64::from(charge.epsilon.is_none()))?,
            delta: self.delta.checked_sub(charge.delta)?,
            distance: self.distance.checked_sub(charge.distance)?,
        })
    }
}

/// Units of ε or a divergence, rounded up; the most there are for infinity and NaN.
pub(super) fn nats(value: f64) -> u128 {
    units(value, NATS)
}

/// Units of a δ, rounded up; the most there are for infinity and NaN.
pub(super) fn delta_units(value: f64) -> u128 {
    units(value, DELTAS)
}

fn units(value: f64, scale: f64) -> u128 {
    // OK because scaling by a power of two is exact and the cast saturates.
    if value.is_nan() { u128::MAX } else { (value * scale).ceil() as u128 }
}
