//! A privacy budget that is spent before an answer is given.

use std::sync::atomic::{AtomicU64, Ordering};

use underpin_core::{Delta, Epsilon};

use crate::error::within;
use crate::{Error, rdp};

/// The whole budget, in units; costs are rounded up to a unit.
const WHOLE: u64 = 1 << 52;

/// What an answer costs.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Cost {
    /// An ε-private answer: ε²/2-zero-concentrated (Bun and Steinke 2016, Proposition 1.4).
    Pure(Epsilon),
    /// A ρ-zero-concentrated answer; a Gaussian one of `sensitivity / σ = μ` has ρ = μ²/2.
    Concentrated(f64),
}

/// ε at δ for answers whose questions may each depend on all answers before: a filter over zero-concentrated privacy.
///
/// Shared by reference between threads; not `Clone`. Held in memory only: who restarts with a new one refills it.
///
/// # Guarantees
///
/// 1. Answers whose reserved costs are true are together (ε, δ)-private, however the questions, and the costs, are chosen
///    (`what_is_spent_stays_within`).
/// 2. A cost that does not fit is refused and spends nothing (`what_does_not_fit_spends_nothing`).
/// 3. Threads never spend more together than the whole (`threads_share_one_budget`).
///
/// # Source
///
/// Whitehouse, Ramdas, Rogers and Wu, *Fully-Adaptive Composition in Differential Privacy*, ICML 2023, Theorem 1: costs
/// that stop at ρ are ρ-zero-concentrated; converted by Canonne, Kamath and Steinke 2020, Proposition 12.
///
/// # Examples
///
/// ```
/// use underpin_core::{Delta, Epsilon};
/// use underpin_privacy::{Budget, Cost, DiscreteLaplace, SecretKey};
///
/// let budget = Budget::new(Epsilon::new(1.0)?, Delta::new(1e-6)?)?;
/// let mut stream = SecretKey::from_os()?.stream("count", &[]);
/// let noise = DiscreteLaplace::new(20.0)?;
/// let cost = Cost::Pure(Epsilon::new(noise.epsilon(1))?);
/// let count = budget.reserve(cost)?.answer(|| 1_234 + noise.sample(&mut stream));
/// println!("about {count}; {} of the budget is left", budget.left());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct Budget {
    rho: f64,
    spent: AtomicU64,
}

/// A cost that is spent, and the right to one answer for it. Dropped unused, it stays spent.
#[must_use = "the cost is spent; answer with it, or give it back"]
#[derive(Debug)]
pub struct Reservation<'a> {
    budget: &'a Budget,
    units: u64,
}

impl Budget {
    /// A budget whose answers together are to be (`epsilon`, `delta`)-private.
    ///
    /// # Errors
    ///
    /// [`Error::OutOfRange`] when `epsilon` exceeds 1000.
    pub fn new(epsilon: Epsilon, delta: Delta) -> Result<Self, Error> {
        let epsilon = within("epsilon", epsilon.value(), "(0, 1000]", |epsilon| epsilon <= 1000.0)?;
        // ρ <= ε always; ρ = 0 spends nothing.
        let (mut low, mut high) = (0.0, epsilon);
        for _ in 0..100 {
            let middle = f64::midpoint(low, high);
            if rdp::concentrated(middle, delta.value()) <= epsilon {
                low = middle;
            } else {
                high = middle;
            }
        }
        Ok(Self { rho: low, spent: AtomicU64::new(0) })
    }

    /// Spends a cost ahead of its answer.
    ///
    /// # Errors
    ///
    /// [`Error::OverBudget`] when it does not fit; [`Error::OutOfRange`] unless a concentrated cost is finite and not
    /// negative.
    pub fn reserve(&self, cost: Cost) -> Result<Reservation<'_>, Error> {
        let rho = match cost {
            Cost::Pure(epsilon) => epsilon.value() * epsilon.value() / 2.0,
            Cost::Concentrated(rho) => within("rho", rho, "[0, inf)", |rho| rho >= 0.0 && rho.is_finite())?,
        };
        // Rounded up; a quotient past the whole saturates and does not fit.
        let units = (rho / self.rho * WHOLE as f64 * (1.0 + 4.0 * f64::EPSILON)).ceil() as u64;
        let fits = |spent: u64| spent.checked_add(units).filter(|total| *total <= WHOLE);
        match self.spent.fetch_update(Ordering::AcqRel, Ordering::Acquire, fits) {
            Ok(_) => Ok(Reservation { budget: self, units }),
            Err(spent) => Err(Error::OverBudget { asked: rho / self.rho, left: share(WHOLE - spent) }),
        }
    }

    /// Share of the budget that is left, in `[0, 1]`.
    pub fn left(&self) -> f64 {
        share(WHOLE - self.spent.load(Ordering::Acquire))
    }

    /// ρ of the whole budget.
    pub const fn rho(&self) -> f64 {
        self.rho
    }
}

impl Reservation<'_> {
    /// Gives the one answer that the cost pays for.
    pub fn answer<T>(self, answer: impl FnOnce() -> T) -> T {
        answer()
    }

    /// Gives the cost back. Only for a question of which nothing was worked out: an answer that was computed and thrown
    /// away, or an error that depends on the data, has cost what it costs.
    pub fn give_back(self) {
        self.budget.spent.fetch_sub(self.units, Ordering::AcqRel);
    }
}

fn share(units: u64) -> f64 {
    units as f64 / WHOLE as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    fn budget(epsilon: f64) -> Budget {
        Budget::new(Epsilon::new(epsilon).unwrap(), Delta::new(1e-6).unwrap()).unwrap()
    }

    #[test]
    fn what_is_spent_stays_within() {
        for epsilon in [0.01, 1.0, 20.0] {
            let budget = budget(epsilon);
            assert!(rdp::concentrated(budget.rho(), 1e-6) <= epsilon);
            assert!(rdp::concentrated(budget.rho() * 1.001, 1e-6) > epsilon, "none is left unused");
            let mut answers = 0;
            while budget.reserve(Cost::Concentrated(budget.rho() / 7.5)).map(|paid| paid.answer(|| ())).is_ok() {
                answers += 1;
            }
            assert_eq!(answers, 7);
        }
    }

    #[test]
    fn what_does_not_fit_spends_nothing() {
        let budget = budget(1.0);
        let refused = budget.reserve(Cost::Pure(Epsilon::new(2.0).unwrap()));
        assert!(matches!(refused, Err(Error::OverBudget { .. })));
        for bad in [f64::NAN, f64::INFINITY, -1e-9] {
            assert!(budget.reserve(Cost::Concentrated(bad)).is_err(), "{bad}");
        }
        assert_eq!(budget.left(), 1.0);
        let paid = budget.reserve(Cost::Concentrated(budget.rho() / 2.0)).unwrap();
        assert!(budget.left() <= 0.5);
        paid.give_back();
        assert_eq!(budget.left(), 1.0);
        drop(budget.reserve(Cost::Concentrated(budget.rho() / 2.0)).unwrap());
        assert!(budget.left() <= 0.5, "dropped unused, it stays spent");
    }

    #[test]
    fn threads_share_one_budget() {
        let budget = budget(1.0);
        let cost = Cost::Concentrated(budget.rho() / 1000.5);
        let answers: u32 = std::thread::scope(|scope| {
            let count = || (0..1000).filter(|_| budget.reserve(cost).is_ok()).count() as u32;
            let threads: Vec<_> = (0..4).map(|_| scope.spawn(count)).collect();
            threads.into_iter().map(|thread| thread.join().unwrap()).sum()
        });
        assert_eq!(answers, 1000);
    }
}
