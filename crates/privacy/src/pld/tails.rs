//! Normal tail probabilities with their errors.

use libm::erfc;

/// Units of the last place by which a normal tail may be off, relative, per unit of squared argument and 16 more.
pub(super) const ULPS: f64 = 2.0 * f64::EPSILON;

/// A normal tail probability, the smaller of the two, and its error.
#[derive(Clone, Copy)]
pub(super) struct Tail {
    pub(super) right: bool,
    pub(super) mass: f64,
    pub(super) error: f64,
}

impl Tail {
    pub(super) fn at(z: f64) -> Self {
        let mass = 0.5 * erfc(z.abs() * std::f64::consts::FRAC_1_SQRT_2);
        Self { right: z >= 0.0, mass, error: mass * ULPS * (z * z + 16.0) }
    }

    /// The tail at a `z` that is itself off by at most `slack`: by at most the density times that, which is the mass times
    /// at most `|z| + 1` (Birnbaum 1942).
    pub(super) fn near(z: f64, slack: f64) -> Self {
        let tail = Self::at(z);
        Self { error: tail.error + tail.mass * (z.abs() + 1.0) * slack, ..tail }
    }

    pub(super) const LEFT_END: Self = Self { right: false, mass: 0.0, error: 0.0 };
    pub(super) const RIGHT_END: Self = Self { right: true, mass: 0.0, error: 0.0 };

    /// Mass between two points and its error.
    pub(super) fn to(self, above: Self) -> (f64, f64) {
        let mass = match (self.right, above.right) {
            (true, true) => self.mass - above.mass,
            (false, false) => above.mass - self.mass,
            _ => 1.0 - self.mass - above.mass,
        };
        (mass.max(0.0), self.error + above.error + mass.abs() * ULPS)
    }
}

/// A cell of outputs: its mass under `Q` (`zero`) and in a measure `one` of which the likelihood ratio `P/Q` is an
/// increasing affine function, and their errors.
#[derive(Clone, Copy)]
pub(super) struct Cell {
    pub(super) zero: f64,
    pub(super) zero_error: f64,
    pub(super) one: f64,
    pub(super) one_error: f64,
}

impl Cell {
    /// The mass under `Q` that goes to the cell's lower and to its upper end, whose ratios `d one / d zero` are `below`
    /// and `above`, so that both masses stay; each from above. `loss` is the upper end's, for the rounding of its ratio.
    pub(super) fn split(self, below: f64, above: f64, loss: f64) -> (f64, f64) {
        let Self { zero, zero_error, one, one_error } = self;
        let step = above - below;
        let error =
            (one_error + above.abs() * zero_error + (16.0 + loss.abs()) * ULPS * (one.abs() + above.abs() * zero))
                / step;
        let (to_below, to_above) = ((above * zero - one) / step, (one - below * zero) / step);
        (to_below.max(0.0) + error, to_above.max(0.0) + error)
    }
}
