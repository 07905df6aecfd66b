//! Masses at consecutive knots: their convolution, and what becomes of them on other knots, each from its own side.

use libm::{exp, expm1};
use pulp::{Arch, NullaryFnOnce};

use super::losses::Side;

/// Masses at consecutive multiples of a spacing.
#[derive(Clone, Debug, Default)]
pub(super) struct Row {
    pub(super) first: i64,
    pub(super) masses: Vec<f64>,
}

impl Row {
    pub(super) fn end(&self) -> i64 {
        self.first + self.masses.len() as i64
    }

    pub(super) fn is_empty(&self) -> bool {
        self.masses.iter().all(|mass| *mass <= 0.0)
    }

    /// Adds a mass past all others.
    pub(super) fn push(&mut self, index: i64, mass: f64) {
        if self.masses.is_empty() {
            self.first = index;
        }
        self.masses.resize((index - self.first) as usize, 0.0);
        self.masses.push(mass);
    }

    pub(super) fn at(&mut self, index: i64) -> &mut f64 {
        &mut self.masses[(index - self.first) as usize]
    }

    /// The sum of both.
    pub(super) fn plus(mut self, other: &Self) -> Self {
        if other.masses.is_empty() {
            return self;
        }
        if self.masses.is_empty() {
            return other.clone();
        }
        let (first, end) = (self.first.min(other.first), self.end().max(other.end()));
        let mut masses = vec![0.0; (end - first) as usize];
        for row in [&self, other] {
            let from = (row.first - first) as usize;
            for (sum, mass) in masses[from..].iter_mut().zip(&row.masses) {
                *sum += mass;
            }
        }
        self.first = first;
        self.masses = masses;
        self
    }

    /// The convolution; all masses are positive.
    pub(super) fn times(&self, other: &Self) -> Self {
        if self.masses.is_empty() || other.masses.is_empty() {
            return Self::default();
        }
        let mut masses = vec![0.0; self.masses.len() + other.masses.len() - 1];
        let (short, long) = if self.masses.len() < other.masses.len() { (self, other) } else { (other, self) };
        Arch::new().dispatch(Convolve { short: &short.masses, long: &long.masses, sum: &mut masses });
        Self { first: self.first + other.first, masses }
    }

    /// On twice the spacing, `width` being the present one.
    pub(super) fn coarser(&self, width: f64, side: Side) -> Self {
        let (first, last) = (self.first.div_euclid(2), self.end().div_euclid(2));
        let mut coarse = Self { first, masses: vec![0.0; (last - first + 1) as usize] };
        match side {
            Side::Upper => {
                let below = 1.0 / (1.0 + exp(width));
                for (index, mass) in (self.first..).zip(&self.masses) {
                    let half = index.div_euclid(2);
                    if index & 1 == 0 {
                        *coarse.at(half) += mass;
                    } else {
                        *coarse.at(half) += mass * below;
                        *coarse.at(half + 1) += mass * (1.0 - below);
                    }
                }
            }
            Side::Lower => self.merged(width, &mut coarse),
        }
        coarse
    }

    /// Merges the masses at odd indices to losses at even ones; every merger leaves a loss that is no lower than its knot.
    ///
    /// Masses `a` one knot below and `b` one above merge to no less where `b >= exp(width) a`; `a` one below and `c` two
    /// above where `c (1 - exp(-2 width)) >= a (exp(width) - 1)`; `b` one above and `c` two below where
    /// `c (exp(2 width) - 1) <= b (1 - exp(-width))`.
    fn merged(&self, width: f64, coarse: &mut Self) {
        const KEPT: f64 = 1.0 - 8.0 * f64::EPSILON;
        let mass = |index: i64| {
            usize::try_from(index - self.first).ok().and_then(|at| self.masses.get(at)).copied().unwrap_or(0.0)
        };
        let first = coarse.first;
        let mut even: Vec<f64> = (first..coarse.end()).map(|half| mass(2 * half)).collect();
        let up = exp(width) * (1.0 + 16.0 * f64::EPSILON);
        let lift = expm1(width) / -expm1(-2.0 * width) * (1.0 + 32.0 * f64::EPSILON);
        let lower = -expm1(-width) / expm1(2.0 * width) * (1.0 - 32.0 * f64::EPSILON);
        // By place in `coarse`: what is left of the odd mass after that knot.
        let mut odd: Vec<f64> = (first..coarse.end()).map(|half| mass(2 * half + 1) * KEPT).collect();
        // Further apart than this nothing is gained by merging.
        if width < 30.0 {
            // With the odd masses two knots away: half of each one first, which leaves least where they change slowly.
            let halves: Vec<f64> = odd.windows(2).map(|pair| (pair[0] / 2.0).min(pair[1] / up / 2.0)).collect();
            let mut merge = |odd: &mut Vec<f64>, at: usize, part: f64| {
                coarse.masses[at + 1] += part * (1.0 + up) * KEPT;
                odd[at] = (odd[at] - part).max(0.0) * KEPT;
                odd[at + 1] = (odd[at + 1] - part * up).max(0.0) * KEPT;
            };
            for (at, part) in halves.into_iter().enumerate() {
                merge(&mut odd, at, part);
            }
            for at in 0..odd.len().saturating_sub(1) {
                let part = odd[at].min(odd[at + 1] / up) * KEPT;
                merge(&mut odd, at, part);
            }
            // What is left with the even masses three knots away.
            for at in 0..odd.len() {
                if at + 2 < even.len() {
                    let part = odd[at].min(even[at + 2] / lift * KEPT);
                    even[at + 2] = (even[at + 2] - part * lift).max(0.0) * KEPT;
                    coarse.masses[at + 1] += part * (1.0 + lift) * KEPT;
                    odd[at] = (odd[at] - part).max(0.0) * KEPT;
                }
                if at > 0 {
                    let part = odd[at].min(even[at - 1] / lower * KEPT);
                    even[at - 1] = (even[at - 1] - part * lower).max(0.0) * KEPT;
                    coarse.masses[at] += part * (1.0 + lower) * KEPT;
                    odd[at] = (odd[at] - part).max(0.0) * KEPT;
                }
            }
        }
        // The rest to the knots beneath.
        for (mass, rest) in coarse.masses.iter_mut().zip(&odd) {
            *mass += rest * KEPT;
        }
        for (half, mass) in (first..).zip(even) {
            *coarse.at(half) += mass * KEPT;
        }
    }
}

impl Row {
    /// Below: the masses moved down by `shift / 2^exponent` places, `width` being the present spacing.
    ///
    /// With `f` the fraction of a place, masses `a` beneath a knot by `f` and `b` above it by `1 - f` merge to no less than
    /// the knot where `b (1 - exp(-(1 - f) width)) >= a (exp(f width) - 1)`.
    pub(super) fn lowered(&self, shift: i64, exponent: u32, width: f64) -> Self {
        const KEPT: f64 = 1.0 - 8.0 * f64::EPSILON;
        let whole = shift >> exponent;
        let fraction = (shift - (whole << exponent)) as f64 / f64::from(exponent).exp2();
        let mut row = Self { first: self.first - whole - 1, masses: vec![0.0; self.masses.len() + 1] };
        if fraction <= 0.0 {
            row.masses[1..].copy_from_slice(&self.masses);
            return row;
        }
        let count = self.masses.len();
        let mut left: Vec<f64> = self.masses.iter().map(|mass| mass * KEPT).collect();
        // Partners as near as there are: knots may be empty.
        let distances = [1.0, 2.0, 3.0].map(|places: f64| places - fraction);
        if fraction < 0.5 {
            // Each mass rises to the knot above it, with a smaller part of one further up, from the left.
            let parts = distances
                .map(|distance| expm1(fraction * width) / -expm1(-distance * width) * (1.0 + 32.0 * f64::EPSILON));
            for at in 0..count {
                for (partner, part) in (at + 1..count).zip(parts) {
                    let raised = left[at].min(left[partner] / part * KEPT);
                    if raised > 0.0 && raised.is_finite() {
                        row.masses[at + 1] += raised * (1.0 + part) * KEPT;
                        left[partner] = (left[partner] - raised * part).max(0.0) * KEPT;
                        left[at] = (left[at] - raised).max(0.0) * KEPT;
                    }
                }
                row.masses[at] += left[at];
            }
        } else {
            // Each mass falls to the knot beneath it, with a smaller part of one further down, from the right.
            let parts = [0.0, 1.0, 2.0].map(|places| {
                -expm1(-(1.0 - fraction) * width) / expm1((fraction + places) * width) * (1.0 - 32.0 * f64::EPSILON)
            });
            for at in (0..count).rev() {
                let mut lowered = left[at];
                row.masses[at] += lowered * KEPT;
                for (partner, part) in (0..at).rev().zip(parts) {
                    let raised = left[partner].min(lowered * part);
                    if raised > 0.0 {
                        row.masses[at] += raised * KEPT;
                        left[partner] = (left[partner] - raised).max(0.0) * KEPT;
                        lowered = (lowered - raised / part).max(0.0) * KEPT;
                    }
                }
            }
        }
        row
    }
}

/// Adds the convolution of two rows to `sum`.
struct Convolve<'a> {
    short: &'a [f64],
    long: &'a [f64],
    sum: &'a mut [f64],
}

impl NullaryFnOnce for Convolve<'_> {
    type Output = ();

    #[inline(always)]
    #[allow(clippy::inline_always, reason = "what is not inlined is not compiled for the wider instructions")]
    fn call(self) {
        let Self { short, long, sum } = self;
        for (at, one) in short.iter().enumerate().filter(|(_, one)| **one > 0.0) {
            for (sum, other) in sum[at..].iter_mut().zip(long) {
                *sum += one * other;
            }
        }
    }
}
