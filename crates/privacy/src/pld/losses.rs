//! One event's privacy losses on a lattice.

use libm::{exp, expm1, log, log1p};

/// Which way a discretisation errs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Side {
    /// Dominates the event: what follows is an upper bound.
    Upper,
    /// Dominated by the event: what follows is a lower bound.
    Lower,
}

impl Side {
    /// How far above a knot the curve falls to `target`, to the asked side: it is `next >= target` at the knot, and the one
    /// above lies `gap` away, at which it is below `target`. `mass` is what lies above the knot, in a sum that may be off by
    /// the fraction `rounding`.
    ///
    /// At `u` above the knot the curve is `next - slope (exp(u) - 1)`, with `slope = Σ mass exp(-distance) = mass - next`. Where all
    /// of the mass lies far above, little is left of this difference but rounding: it is taken for smaller above, for larger below.
    pub(super) fn falls(self, [mass, next]: [f64; 2], target: f64, gap: f64, rounding: f64) -> f64 {
        let off = rounding * mass;
        let slope = if self == Self::Upper { (mass - next - off).max(0.0) } else { (mass - next).max(0.0) + off };
        let inside = log1p((next - target) / slope);
        // Not a number: no slope, and nothing to fall.
        if inside.is_nan() { if self == Self::Upper { gap } else { 0.0 } } else { inside.clamp(0.0, gap) }
    }
}

/// One event's losses, and how often it happens.
pub(crate) type Part<'a> = (&'a Losses, u64);

/// Masses of the privacy loss `log(P/Q)` under `P`, on the lattice `origin + index * width`.
///
/// Stands for the hockey-stick curve `h(x) = infinite + Σ mass (1 - x / exp(loss))+`, which lies above (below) that of
/// the event for every `x >= 0`, floating point included. Composition keeps that order:
/// `H_x(P×R ‖ Q×S) = E_R[h(x dS/dR)]`.
#[derive(Clone, Debug)]
pub(crate) struct Losses {
    pub(crate) origin: f64,
    pub(crate) width: f64,
    /// Index and mass, in ascending order of index.
    pub(crate) atoms: Vec<(i64, f64)>,
    /// Mass of what only `P` can give.
    pub(crate) infinite: f64,
    /// Bound on the error of one atom's loss.
    pub(crate) loss_error: f64,
}

impl Losses {
    pub(crate) fn loss(&self, index: i64) -> f64 {
        self.origin + index as f64 * self.width
    }

    /// Adds mass at an index not far below the highest so far.
    pub(crate) fn add(&mut self, index: i64, mass: f64) {
        let at = self.atoms.iter().rposition(|(other, _)| *other <= index);
        match at {
            Some(at) if self.atoms[at].0 == index => self.atoms[at].1 += mass,
            _ => self.atoms.insert(at.map_or(0, |at| at + 1), (index, mass)),
        }
    }

    /// Logarithm of the moment generating function at `order`, good to [`log_moment_error`](Self::log_moment_error).
    pub(crate) fn log_moment(&self, order: f64) -> f64 {
        let ends = [self.atoms.first(), self.atoms.last()];
        let shift = ends.into_iter().flatten().map(|(index, _)| order * self.loss(*index)).fold(0.0, f64::max);
        // For small exponents the excess over 1 is what counts: sum it apart.
        let small = shift < 0.5;
        let (mut sum, mut mass) = (0.0, Total::default());
        for (index, own) in &self.atoms {
            let exponent = order * self.loss(*index);
            if small {
                sum += own * expm1(exponent);
                mass.add(*own);
            } else {
                sum += own * exp(exponent - shift);
            }
        }
        if small { log1p(sum + (mass.get() - 1.0)) } else { shift + log(sum) }
    }

    /// Bound on the rounding of `log_moment`: exponents are off by an ulp of themselves, terms by some, and a sum by one of every
    /// term, whose sizes come to no more than 1, or than the farthest exponent where that is small.
    pub(crate) fn log_moment_error(&self, order: f64) -> f64 {
        let lowest = self.atoms.first().map_or(0.0, |(index, _)| self.loss(*index));
        let farthest = order.abs() * self.highest().abs().max(lowest.abs());
        f64::EPSILON * (16.0 + 4.0 * farthest + self.atoms.len() as f64 * (2.0 * farthest).min(1.0))
    }

    /// The highest finite loss.
    pub(crate) fn highest(&self) -> f64 {
        self.atoms.last().map_or(0.0, |(index, _)| self.loss(*index))
    }

    /// Variance of the finite losses: it only steers searches.
    pub(crate) fn variance(&self) -> f64 {
        let moment =
            |power: i32| self.atoms.iter().map(|(index, mass)| mass * self.loss(*index).powi(power)).sum::<f64>();
        (moment(2) - moment(1).powi(2)).max(0.0)
    }

    /// The masses folded on `0..length`.
    pub(crate) fn folded(&self, length: usize) -> Vec<f64> {
        let mut masses = vec![0.0; length];
        for (index, mass) in &self.atoms {
            masses[index.rem_euclid(length as i64) as usize] += mass;
        }
        masses
    }

    /// All finite masses.
    pub(crate) fn mass(&self) -> f64 {
        total(self.atoms.iter().map(|(_, mass)| *mass))
    }
}

/// A sum good to an ulp of itself, and to one of the numbers' sizes squared, however many they are (Knuth 1998, section 4.2.2).
#[derive(Default)]
struct Total {
    sum: f64,
    lost: f64,
}

impl Total {
    fn add(&mut self, number: f64) {
        let sum = self.sum + number;
        let added = sum - self.sum;
        self.lost += (self.sum - (sum - added)) + (number - added);
        self.sum = sum;
    }

    fn get(&self) -> f64 {
        self.sum + self.lost
    }
}

/// As [`Total`].
pub(super) fn total(numbers: impl Iterator<Item = f64>) -> f64 {
    let mut total = Total::default();
    numbers.for_each(|number| total.add(number));
    total.get()
}
