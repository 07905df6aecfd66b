//! One event's privacy losses on a lattice.

use libm::{exp, log, log1p};

/// Which way a discretisation errs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Side {
    /// Dominates the event: what follows is an upper bound.
    Upper,
    /// Dominated by the event: what follows is a lower bound.
    Lower,
}

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

    /// Logarithm of the moment generating function at `order`.
    pub(crate) fn log_moment(&self, order: f64) -> f64 {
        let exponents = || self.atoms.iter().map(|(index, _)| order * self.loss(*index));
        let shift = exponents().next().unwrap_or(0.0).max(exponents().next_back().unwrap_or(0.0)).max(0.0);
        // For small exponents the excess over 1 is what counts: sum it apart.
        if shift < 0.5 {
            let excess =
                std::iter::zip(&self.atoms, exponents()).map(|((_, mass), x)| mass * libm::expm1(x)).sum::<f64>();
            return log1p(excess + (self.mass() - 1.0));
        }
        shift + log(std::iter::zip(&self.atoms, exponents()).map(|((_, mass), x)| mass * exp(x - shift)).sum())
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

    fn mass(&self) -> f64 {
        self.atoms.iter().map(|(_, mass)| mass).sum()
    }
}
