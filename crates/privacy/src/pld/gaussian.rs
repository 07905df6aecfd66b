//! Losses of the Poisson-subsampled Gaussian.
//!
//! `Q = N(0, σ²)`, `P = (1-q) N(0, σ²) + q N(1, σ²)`. With `y = dN(1,σ²)/dN(0,σ²)`, the ratio `P/Q` is
//! `1 - q + q y`, so all is worked out for the Gaussian pair in `y`, where nothing cancels however small `q` is.

use libm::{exp, expm1, log, log1p, sqrt};

use super::losses::Losses;
use super::nested::Grid;
use super::tails::{Cell, Tail, ULPS};

/// Both directions of add-or-remove: `P` over `Q` (a row is removed) and `Q` over `P` (a row is added).
pub(crate) struct Directions {
    pub(crate) remove: Losses,
    pub(crate) add: Losses,
}

/// One subsampled Gaussian, its lattice width and the mass that may be moved to infinity.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Cells {
    pub(crate) rate: f64,
    pub(crate) sigma: f64,
    pub(crate) width: f64,
    pub(crate) tail: f64,
    /// Which multiples of the width are knots.
    pub(crate) knots: Knots,
}

/// Which multiples of a lattice's width carry mass.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Knots {
    /// Further apart far out, by this part of their distance from 0.
    Spread(f64),
    /// Those of nested lattices.
    Nested(Grid),
}

/// Cells of outputs where no lattice asks for others.
pub(super) const MERGED: u32 = 400;

/// A boundary between cells of outputs.
#[derive(Clone, Copy)]
struct Cut {
    /// Likelihood ratio there; at most 0 stands for the far left.
    ratio: f64,
    zero: Tail,
    one: Tail,
}

/// What is found at `far`, else nearer and nearer to `next`, and there last.
pub(super) fn farthest<T>(next: i64, far: i64, find: impl Fn(i64) -> Option<T>) -> Option<T> {
    let mut jump = far - next;
    loop {
        match find(next + jump) {
            None if jump > 0 => jump /= 2,
            found => return found,
        }
    }
}

impl Cells {
    /// Cut where the likelihood ratio is `ratio`.
    fn cut(&self, ratio: f64) -> Cut {
        if ratio <= 0.0 {
            return Cut { ratio, zero: Tail::LEFT_END, one: Tail::LEFT_END };
        }
        self.cut_at_log(log(ratio), ratio)
    }

    fn cut_at_log(&self, log_ratio: f64, ratio: f64) -> Cut {
        let (centre, half) = (self.sigma * log_ratio, 0.5 / self.sigma);
        Cut { ratio, zero: Tail::at(centre + half), one: Tail::at(centre - half) }
    }

    /// Logarithm of the likelihood ratio above which `N(1)` has at most the mass `tail / rate`.
    fn last_log_ratio(&self) -> f64 {
        let z = sqrt(2.0 * log(self.rate / self.tail).max(1.0));
        (z + 0.5 / self.sigma) / self.sigma
    }

    /// Loss above which there is next to no mass.
    pub(crate) fn highest(&self) -> f64 {
        self.loss_of(exp(self.last_log_ratio().min(700.0)))
    }

    fn loss_of(&self, ratio: f64) -> f64 {
        log1p(self.rate * (ratio - 1.0))
    }

    /// Next index of a knot after `index`, for knots whose distance grows with their distance from 0.
    pub(super) fn after(&self, index: i64) -> i64 {
        match self.knots {
            Knots::Spread(spread) => index + ((index.unsigned_abs() as f64 * spread) as i64).max(1),
            Knots::Nested(grid) => grid.after(index),
        }
    }

    /// The knots to end the next cell at, the nearest and one further out, for a cell that ends at `least` at the earliest.
    pub(super) fn candidates(&self, least: i64, last: i64) -> (i64, i64) {
        match self.knots {
            Knots::Spread(_) => (least, least.max(self.after(last))),
            Knots::Nested(_) => {
                let knot = self.after(least - 1);
                (knot, knot)
            }
        }
    }

    /// Standard deviation of the loss under `P`, by a sum over 80 points: it only steers the lattice.
    pub(crate) fn deviation(rate: f64, sigma: f64) -> f64 {
        let (mut total, mut first, mut second) = (0.0, 0.0, 0.0);
        let (low, high) = (-6.0, 6.0 + 1.0 / sigma);
        for point in 0..80 {
            let z: f64 = low + (high - low) * f64::from(point) / 79.0;
            let ratio = exp((z - 0.5 / sigma) / sigma);
            let weight = exp(-z * z / 2.0) * (1.0 + rate * (ratio - 1.0));
            let loss = log1p(rate * (ratio - 1.0));
            total += weight;
            first += weight * loss;
            second += weight * loss * loss;
        }
        sqrt((second / total - (first / total).powi(2)).max(0.0))
    }

    /// Dominating losses by connecting the dots: each cell's mass goes to its two ends so that its mass under `P` and
    /// under `Q` stay (Doroshenko, Ghazi, Kamath, Kumar and Manurangsi 2022): the chord of the hockey-stick curve.
    pub(crate) fn upper(&self) -> Directions {
        let ratio = |index: i64| 1.0 + expm1(index as f64 * self.width) / self.rate;
        let highest = self.highest();
        let full = self.rate >= 1.0;
        // The loss is above log(1 - q); without subsampling it is cut where `P` over `Q` is cut, mirrored.
        let lowest = (if full { -highest } else { log1p(-self.rate) } / self.width).floor() as i64;
        let below = self.cut(if full { ratio(lowest) } else { ratio(lowest).min(0.0) });
        let (mut carried, mut added) = (0.0, 0.0);
        if full {
            let (zero, one) = (below.zero.mass + below.zero.error, below.one.mass + below.one.error);
            (carried, added) = (one / below.ratio, zero);
        }
        let (masses, removed) = self.dots(lowest, below, carried);
        Directions {
            remove: self.losses(
                0.0,
                masses.iter().map(|(index, mass)| (*index, mass * self.weight(*index))).collect(),
                removed,
            ),
            add: self.losses(0.0, masses.iter().rev().map(|(index, mass)| (-index, *mass)).collect(), added),
        }
    }

    /// Dominating losses of the pair whose hockey-stick curve is the larger of both directions' at every ratio: that of
    /// `P` over `Q` above 1 and that of `Q` over `P` below ([`super::Leaf::FixedSize`]).
    ///
    /// A cell of outputs with losses in `[l, m]`, `l >= 0`, stands for one with losses in `[-m, -l]` of the other
    /// direction too; what is left, `(1 - q) (1 - 2 Φ(-1/2σ))`, has loss 0.
    pub(crate) fn upper_of_both(&self) -> Losses {
        let (masses, removed) = self.dots(0, self.cut(1.0), 0.0);
        let middle = (1.0 - self.rate) * libm::erf(0.5 / self.sigma * std::f64::consts::FRAC_1_SQRT_2);
        self.mirrored(&masses, middle * (1.0 + 32.0 * f64::EPSILON), removed)
    }

    /// Losses of a pair that is its own mirror image, from the masses under `Q` at the knots from 0 on; `middle` more at 0.
    pub(super) fn mirrored(&self, masses: &[(i64, f64)], middle: f64, infinite: f64) -> Losses {
        let below = masses.iter().rev().map(|(index, mass)| (-index, *mass));
        let above = masses.iter().map(|(index, mass)| (*index, mass * self.weight(*index)));
        let mut atoms: Vec<_> = below.collect();
        for (index, mass) in above {
            match atoms.last_mut() {
                Some((last, at)) if *last == index => *at += mass + middle,
                _ => atoms.push((index, mass)),
            }
        }
        self.losses(0.0, atoms, infinite)
    }

    /// `P` over `Q` at a knot, from above.
    fn weight(&self, index: i64) -> f64 {
        let loss = index as f64 * self.width;
        exp(loss) * (1.0 + ULPS * (4.0 + loss.abs()))
    }

    /// The masses under `Q` at the knots from `first` on, which lies at the cut `below` and holds `carried` already, and
    /// the mass under `P` that is moved to infinity.
    fn dots(&self, first: i64, mut below: Cut, mut carried: f64) -> (Vec<(i64, f64)>, f64) {
        let highest = self.highest();
        let (mut index, mut masses) = (first, Vec::new());
        let cell = |below: Cut, above: Cut| {
            let ((zero, zero_error), (one, one_error)) = (below.zero.to(above.zero), below.one.to(above.one));
            Cell { zero, zero_error, one, one_error }
        };
        loop {
            let next = if index == first { index + 1 } else { self.after(index) };
            let loss = next as f64 * self.width;
            let above = self.cut(1.0 + expm1(loss) / self.rate);
            let (to_below, to_above) = cell(below, above).split(below.ratio, above.ratio, loss);
            masses.push((index, carried + to_below));
            carried = to_above;
            (index, below) = (next, above);
            if loss > highest {
                break;
            }
        }
        let rest = cell(below, Cut { ratio: f64::INFINITY, zero: Tail::RIGHT_END, one: Tail::RIGHT_END });
        masses.push((index, carried + rest.zero + rest.zero_error));
        let excess = (rest.one - below.ratio * rest.zero).max(0.0);
        (masses, self.rate * (excess + rest.one_error + below.ratio * rest.zero_error))
    }

    /// Dominated losses on no lattice: outputs merged into cells of one length, each cell's loss and its mass, from below.
    pub(crate) fn cells_alone(&self) -> Vec<(f64, f64)> {
        let (half, reach) = (0.5 / self.sigma, 9.0);
        let ends = (0..=MERGED).map(|at| {
            let z = -reach + (2.0 * reach + 2.0 * half) * f64::from(at) / f64::from(MERGED);
            (Tail::at(z), Tail::near(z - 2.0 * half, 8.0 * f64::EPSILON * (z.abs() + half)))
        });
        let inner: Vec<_> = ends.collect();
        let first = (Tail::LEFT_END, Tail::LEFT_END);
        let last = (Tail::RIGHT_END, Tail::RIGHT_END);
        let lower = std::iter::once(first).chain(inner.iter().copied());
        let upper = inner.iter().copied().chain([last]);
        lower
            .zip(upper)
            .filter_map(|(below, above)| {
                let ((zero, zero_error), (one, one_error)) = (below.0.to(above.0), below.1.to(above.1));
                let mass = (1.0 - self.rate) * (zero - zero_error) + self.rate * (one - one_error);
                let mass = mass * (1.0 - 4.0 * ULPS);
                let loss = log(mass / (zero + zero_error));
                (mass > 0.0 && loss.is_finite()).then(|| (loss - 8.0 * f64::EPSILON * (1.0 + loss.abs()), mass))
            })
            .collect()
    }

    /// Dominated losses of `P` over `Q`: outputs are merged into cells, a post-processing, and each cell's upper end is
    /// chosen so that the cell's ratio lies on the lattice, whose origin is the ratio of the leftmost cell.
    pub(crate) fn lower(&self) -> Losses {
        let mut below = self.first_cell();
        let ((zero, error), (one, one_error)) = (Tail::LEFT_END.to(below.zero), Tail::LEFT_END.to(below.one));
        // Never above the cell's own ratio, which is where its loss must not lie above.
        let first = (one - one_error) / (zero + error);
        // Ratio of the Gaussians at the loss `origin + index * width`.
        let excess = self.rate.recip() - 1.0;
        let ratio = |index: i64| {
            let loss = index as f64 * self.width;
            first * exp(loss) + excess * expm1(loss)
        };
        let origin = self.loss_of(first);
        let mut atoms = vec![(0, (zero - error).max(0.0))];
        let mut index = 0;
        let highest = self.last_log_ratio();
        let origin_index = (origin / self.width).trunc() as i64;
        while log(below.ratio) < highest {
            // The first knot that lies far enough above the cell's lower end for the cell to have some width; further out
            // one that lies further above, if what is left of the line reaches it.
            let from = (self.loss_of(below.ratio) - origin) / self.width + 0.3;
            let next = (from.ceil() as i64).max(index + 1);
            let (next, far) = self.candidates(next + origin_index, index + origin_index - 1);
            let (nearest, low) = (next - origin_index, self.loss_of(below.ratio));
            let above = farthest(nearest, far - origin_index, |knot| {
                let above = self.cell_end(below, ratio(knot))?;
                // Where the density falls fast a cell takes much from far above to reach its knot, and all of it for the knot's loss.
                let at = origin + knot as f64 * self.width;
                let even = self.loss_of(above.ratio) - at <= 2.0 * (at - low);
                (knot == nearest || even).then_some((knot, above))
            });
            let above = above.map(|(knot, above)| {
                index = knot;
                above
            });
            let (zero, error) = below.zero.to(above.map_or(Tail::RIGHT_END, |above| above.zero));
            let Some(above) = above else {
                // All that is left in one cell, at the knot below its ratio.
                let (one, one_error) = below.one.to(Tail::RIGHT_END);
                let knot = ((self.loss_of((one - one_error) / (zero + error)) - origin) / self.width).floor() as i64;
                if knot > index {
                    atoms.push((knot, (zero - error).max(0.0)));
                }
                break;
            };
            atoms.push((index, (zero - error).max(0.0)));
            below = above;
        }
        for (index, mass) in &mut atoms {
            let loss = origin + *index as f64 * self.width;
            *mass *= exp(loss) * (1.0 - ULPS * (64.0 + loss.abs()));
        }
        self.losses(origin, atoms, 0.0)
    }

    /// Upper end of the leftmost cell: half a lattice width of loss above the cell's own.
    fn first_cell(&self) -> Cut {
        let excess = self.rate.recip() - 1.0;
        let (mut low, mut high) = (-(8.0 + 0.5 / self.sigma) / self.sigma, self.last_log_ratio());
        for _ in 0..60 {
            let middle = f64::midpoint(low, high);
            let cut = self.cut_at_log(middle, exp(middle));
            let (zero, one) = (Tail::LEFT_END.to(cut.zero).0, Tail::LEFT_END.to(cut.one).0);
            let target = one / zero * exp(self.width / 2.0) + excess * expm1(self.width / 2.0);
            if cut.ratio > target { high = middle } else { low = middle }
        }
        self.cut_at_log(high, exp(high))
    }

    /// The cut above `below` up to which the masses under `N(1)` and `N(0)` stand in the ratio `target`, or a little
    /// above it; none when the rest of the line does not reach it.
    fn cell_end(&self, below: Cut, target: f64) -> Option<Cut> {
        let (rest_zero, rest_one) = (below.zero.to(Tail::RIGHT_END), below.one.to(Tail::RIGHT_END));
        if rest_one.0 - rest_one.1 <= target * (rest_zero.0 + rest_zero.1) {
            return None;
        }
        // Newton's method from the mirror image of the lower end: `g = one - target * zero` rises from where the ratio is the
        // target on. Far from its root the logarithm of `one / (target * zero)` is more nearly straight.
        let first = log(target);
        let (mut low, mut high) = (first, ((38.0 + 0.5 / self.sigma) / self.sigma).min(700.0));
        let mut log_ratio = log(2.0 * target - below.ratio).max(first + 1e-12);
        for _ in 0..60 {
            let cut = self.cut_at_log(log_ratio, exp(log_ratio));
            let ((zero, zero_error), (one, one_error)) = (below.zero.to(cut.zero), below.one.to(cut.one));
            let (excess, error) = (one - target * zero, one_error + target * zero_error);
            if excess >= error && excess <= 1e-7 * (cut.ratio - target) * zero + 4.0 * error {
                return Some(cut);
            }
            let z = self.sigma * log_ratio + 0.5 / self.sigma;
            let density = exp(-z * z / 2.0) * self.sigma / std::f64::consts::TAU.sqrt();
            let slope = (cut.ratio - target) * density;
            let aim = 2.0 * error + 2e-8 * (cut.ratio - target) * zero;
            if excess < aim {
                low = log_ratio;
            } else {
                high = log_ratio;
            }
            let step = if excess.abs() > 0.5 * target * zero {
                log(one / (target * zero)) / (density * (cut.ratio / one - 1.0 / zero))
            } else {
                (excess - aim) / slope
            };
            let next = (log_ratio - step).max(f64::midpoint(first, log_ratio));
            log_ratio = if next > low && next < high { next } else { f64::midpoint(low, high) };
        }
        None
    }

    pub(super) fn losses(&self, origin: f64, atoms: Vec<(i64, f64)>, infinite: f64) -> Losses {
        // The rounding of a knot's ratio moves its loss by so much.
        let farthest = atoms.iter().map(|(index, _)| (origin + *index as f64 * self.width).abs()).fold(0.0, f64::max);
        Losses { origin, width: self.width, atoms, infinite, loss_error: f64::EPSILON * (32.0 + 2.0 * farthest) }
    }
}
