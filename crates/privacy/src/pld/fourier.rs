//! Composition by the fast Fourier transform, under exponential tilting, every error counted.

use std::sync::{LazyLock, Mutex, PoisonError};

use libm::{exp, expm1, log, log2, sqrt};
use realfft::RealFftPlanner;
use rustfft::num_complex::Complex;

use super::cumulants::{Cumulants, least};
use super::losses::{Part, Side};

/// Largest transform; a composition that needs a longer one is not worked out.
pub(crate) const LONGEST: usize = 1 << 21;
/// Fraction of δ that the mass beyond the window may cost.
const CUT: f64 = 1e-5;
/// Fraction of δ that rounding may cost before the losses are tilted more.
const ROUNDING: f64 = 3e-3;

static PLANNER: LazyLock<Mutex<RealFftPlanner<f64>>> = LazyLock::new(|| Mutex::new(RealFftPlanner::new()));

/// The distribution of the sum of many losses, on a window of the lattice.
///
/// With `M` the moment generating function, each loss is tilted to `mass * exp(order * loss) / M(order)`, the tilted
/// masses are folded on `0..n`, transformed, raised to their powers, multiplied and transformed back. What is wrong
/// with a value so found:
///
/// - mass outside the window is folded into it: bounded by Chernoff (`folded`), added to nothing above (folding only
///   adds), subtracted below; what lies above the window is charged in full to the upper bound (`beyond`);
/// - rounding of the transforms and powers: `rounding` a lattice point, added above, subtracted below;
/// - rounding of the tilted masses: a relative error of the whole, a factor above and below.
pub(crate) struct Composed {
    side: Side,
    /// Loss of the window's first point.
    start: f64,
    width: f64,
    order: f64,
    /// Loss at which the masses below are as large as the tilted ones.
    target: f64,
    /// `tilted mass * exp(-order * (loss - target))`: times `exp(log_scale)` the mass itself.
    masses: Vec<f64>,
    /// Error of a tilted mass.
    rounding: f64,
    log_scale: f64,
    /// Upper: δ to be added. Lower: δ that is certain.
    extra: f64,
    /// Lower: tilted mass that may have been folded in.
    folded: f64,
    loss_error: f64,
}

/// An answer and the lattice points it took: finer lattices are not worth their time past some 2^20.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Found {
    pub(crate) value: f64,
    pub(crate) points: usize,
}

/// Lattice points past which bounds are not refined.
pub(crate) const ENOUGH: usize = 1 << 20;

/// How the losses are tilted before they are transformed. Any order gives valid bounds: rounding, at ε, weighs
/// `M(order) exp(-order * ε)`.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Tilt {
    /// Not at all: best unless rounding counts.
    None,
    /// By the order at which Chernoff's bound on ε is least: the Rényi accountant's best order.
    Chernoff,
    /// By the order at which rounding weighs least at this ε.
    At(f64),
}

/// ε at `delta` of composed `parts`, from the asked side; none when no window is short enough.
///
/// Tilted only where rounding counts; then about `near`, if an ε near the answer is known, else about the answer so far.
pub(crate) fn epsilon(parts: &[Part<'_>], side: Side, delta: f64, near: Option<f64>) -> Option<Found> {
    let mut best: Option<f64> = None;
    let (mut points, mut rounded) = (0, f64::INFINITY);
    for attempt in 0..4 {
        let tilt = match near.or(best) {
            _ if attempt == 0 => Tilt::None,
            Some(at) if at.is_finite() && (near.is_some() || rounded < 1.0 || attempt > 1) => Tilt::At(at),
            _ => Tilt::Chernoff,
        };
        let Some(composed) = Composed::new(parts, side, delta, tilt) else { continue };
        let found = composed.epsilon(delta);
        points = points.max(composed.masses.len());
        best = Some(match (best, side) {
            (None, _) => found,
            (Some(best), Side::Upper) => best.min(found),
            (Some(best), Side::Lower) => best.max(found),
        });
        rounded = composed.rounded(found, delta);
        if rounded < ROUNDING || (attempt == 1 && near.is_some()) {
            break;
        }
    }
    best.map(|value| Found { value, points })
}

/// δ at `epsilon` of composed `parts`, from the asked side; none when no window is short enough. `near` is a δ near the
/// answer, if one is known.
pub(crate) fn delta(parts: &[Part<'_>], side: Side, epsilon: f64, near: Option<f64>) -> Option<Found> {
    let cumulants = Cumulants(parts);
    let most = 4.0 / parts.first()?.0.width;
    // Chernoff's bound on P(S > ε) is a little above δ; any δ serves to lay out the window.
    let exponent = |order: f64| cumulants.at(order) - order * epsilon;
    let mut near = near.unwrap_or_else(|| 0.1 * exp(least(cumulants.guess(), most, exponent).1));
    let mut best: Option<Found> = None;
    for tilt in [Tilt::None, Tilt::At(epsilon), Tilt::At(epsilon)] {
        let Some(composed) = Composed::new(parts, side, near.clamp(1e-250, 0.1), tilt) else { continue };
        let (value, points) = (composed.delta(epsilon), composed.masses.len());
        best = Some(best.map_or(Found { value, points }, |best| {
            let value = if side == Side::Upper { best.value.min(value) } else { best.value.max(value) };
            Found { value, points: best.points.max(points) }
        }));
        // A window laid out for a δ that is much too large folds too much mass.
        let found = best.map_or(value, |best| best.value);
        if matches!(tilt, Tilt::At(_)) && found > 0.03 * near {
            break;
        }
        near = near.min(found.max(1e-250));
    }
    best
}

impl Composed {
    /// Composes `parts`, all on lattices of one width, with a window for asking about δ near `delta`.
    ///
    /// None when the window is longer than 2^21 points.
    pub(crate) fn new(parts: &[Part<'_>], side: Side, delta: f64, tilt: Tilt) -> Option<Self> {
        let cumulants = Cumulants(parts);
        let width = parts.first()?.0.width;
        let guess = cumulants.guess();
        let most = 4.0 / width;
        let start = guess * sqrt(-2.0 * log(delta));
        let (order, target) = match tilt {
            Tilt::None => (0.0, 0.0),
            Tilt::Chernoff => least(start, most, |order| (cumulants.at(order) - log(delta)) / order),
            Tilt::At(near) => (least(start, most, |order| cumulants.at(order) - order * near).0, near),
        };
        let cumulant = cumulants.at(order);
        // Tilted mass that weighs a fraction CUT of δ at the target.
        let log_folded = log(CUT) + (log(delta) - cumulant + order * target).min(0.0);
        let reach = guess * sqrt(-2.0 * log_folded);
        let (above, mut end) = least(reach, most, |more| (cumulants.at(order + more) - cumulant - log_folded) / more);
        let mut above = order + above;
        // These need not be exact, only not too small: a thousandth covers the rounding of all but the cumulants.
        let covered = |one: f64, other: f64| 1.001 * exp(cumulants.error(one) + cumulants.error(other));
        let over = covered(above, order) * exp(cumulants.at(above) - cumulant - (above - order) * end);
        if order > 0.0 {
            let log_beyond = log(CUT * delta);
            let (untilted, further) =
                least(guess * sqrt(-2.0 * log_beyond), most, |order| (cumulants.at(order) - log_beyond) / order);
            if further > end {
                (above, end) = (untilted, further);
            }
        }
        let (beneath, start) = least(reach, most, |less| (cumulants.at(order - less) - cumulant - log_folded) / less);
        let origin: f64 = parts.iter().map(|(losses, times)| losses.origin * *times as f64).sum();
        let first = ((-start - origin) / width).floor();
        let needed = ((end - origin) / width).ceil() - first + 1.0;
        if !(needed <= LONGEST as f64 && first.abs() < 1e15) {
            return None;
        }
        let (first, length) = (first as i64, transform_length(needed as usize));
        let end = origin + (first + length as i64) as f64 * width;
        let start = origin + first as f64 * width;
        // Tilted mass below the window, and true mass above it.
        let under = covered(order - beneath, order) * exp(cumulants.at(order - beneath) - cumulant + beneath * start);
        let beyond = covered(above, 0.0) * exp(cumulants.at(above) - above * end);
        // One event's masses are taken as they are; those of a transform are relative to the moment at the order.
        let ((values, rounding, relative), scale) = match parts {
            [(losses, 1)] if order <= 0.0 => ((losses.folded(length), 0.0, 0.0), 0.0),
            _ => (transform(parts, order, length)?, cumulant),
        };
        let sign = if side == Side::Upper { 1.0 } else { -1.0 };
        let relative = relative + summed(length);
        let weigh = |point: i64| exp(-order * (start + point as f64 * width - target) + sign * relative);
        let masses = (0..length as i64)
            .map(|point| {
                let value = values[(first + point).rem_euclid(length as i64) as usize];
                (value + sign * rounding).max(0.0) * if order > 0.0 { weigh(point) } else { exp(sign * relative) }
            })
            .collect();
        Some(Self {
            side,
            start,
            width,
            order,
            target,
            masses,
            rounding,
            log_scale: scale - order * target,
            extra: cumulants.infinite(side) + if side == Side::Upper { beyond } else { 0.0 },
            folded: over + under,
            loss_error: parts.iter().map(|(losses, times)| *times as f64 * losses.loss_error).sum::<f64>()
                + 8.0 * f64::EPSILON * (start.abs() + end.abs()),
        })
    }

    /// ε at `delta`: never too small for an upper, never too large for a lower composition.
    pub(crate) fn epsilon(&self, delta: f64) -> f64 {
        let target = (delta - self.extra) * exp(-self.log_scale);
        if target <= 0.0 {
            return if self.side == Side::Upper { f64::INFINITY } else { self.end() };
        }
        let (keep, lose) = (exp(-self.width), -expm1(-self.width));
        let (mut mass, mut curve) = (0.0, 0.0);
        for point in (0..self.masses.len()).rev() {
            // `curve` is Σ mass_j (1 - exp(point - j)) over the points above.
            curve = keep * curve + lose * mass;
            let asked = target + self.folded_at(point);
            if curve >= asked {
                let inside = self.side.falls([mass, curve], asked, self.width, self.summed());
                return self.shifted(self.start + point as f64 * self.width + inside);
            }
            mass += self.masses[point];
        }
        if self.side == Side::Upper { self.shifted(self.start) } else { 0.0 }
    }

    /// δ at `epsilon`: never too small for an upper, never too large for a lower composition.
    ///
    /// Below the window an upper one bounds nothing, and a lower one what it bounds at the window's start.
    pub(crate) fn delta(&self, epsilon: f64) -> f64 {
        let sign = if self.side == Side::Upper { -1.0 } else { 1.0 };
        let position = (epsilon + sign * self.loss_error - self.start) / self.width;
        if position < 0.0 && self.side == Side::Upper {
            return 1.0;
        }
        let point = (position.max(0.0) as usize).min(self.masses.len() - 1);
        let mass: f64 = self.masses[point + 1..].iter().sum();
        let (keep, lose) = (exp(-self.width), -expm1(-self.width));
        let (mut above, mut curve) = (0.0, 0.0);
        for at in (point..self.masses.len()).rev() {
            curve = keep * curve + lose * above;
            above += self.masses[at];
        }
        let inside = (position - point as f64).clamp(0.0, 1.0) * self.width;
        // As in [`Side::falls`].
        let slope = (mass - curve + sign * self.summed() * mass).max(0.0);
        let found = curve - slope * expm1(inside) - self.folded_at(point);
        (found.max(0.0) * exp(self.log_scale) + self.extra).min(1.0)
    }

    /// Relative error of a sum over the points.
    fn summed(&self) -> f64 {
        summed(self.masses.len())
    }

    fn folded_at(&self, point: usize) -> f64 {
        if self.side == Side::Upper { 0.0 } else { self.folded * self.weight(point) }
    }

    fn weight(&self, point: usize) -> f64 {
        exp(-self.order * (self.start + point as f64 * self.width - self.target))
    }

    /// Fraction of `delta` that rounding may make up at `epsilon`.
    fn rounded(&self, epsilon: f64, delta: f64) -> f64 {
        let point = (((epsilon - self.start) / self.width).max(0.0) as usize).min(self.masses.len() - 1);
        let points = ((self.masses.len() - point) as f64).min(1.0 / -expm1(-self.order * self.width));
        self.rounding * self.weight(point) * points * exp(self.log_scale) / delta
    }

    fn shifted(&self, epsilon: f64) -> f64 {
        let error = self.loss_error + 4.0 * f64::EPSILON * epsilon.abs();
        (if self.side == Side::Upper { epsilon + error } else { epsilon - error }).max(0.0)
    }

    fn end(&self) -> f64 {
        self.start + self.masses.len() as f64 * self.width
    }
}

/// Relative error of a sum over so many points, each good to some ulps.
fn summed(points: usize) -> f64 {
    4.0 * f64::EPSILON * points as f64
}

/// The next length that transforms fast: a power of two, or three times one.
fn transform_length(needed: usize) -> usize {
    let two = needed.next_power_of_two().max(64);
    let three = two / 4 * 3;
    if three >= needed { three } else { two }
}

/// Masses of the tilted sum folded on `0..length`, the error of each, and the relative error of all.
fn transform(parts: &[Part<'_>], order: f64, length: usize) -> Option<(Vec<f64>, f64, f64)> {
    let (forward, inverse) = {
        let mut planner = PLANNER.lock().unwrap_or_else(PoisonError::into_inner);
        (planner.plan_fft_forward(length), planner.plan_fft_inverse(length))
    };
    // An output is a sum over one path per input; a stage adds a relative error below 16 units of 2^-53 to each path
    // (Higham 2002, section 24.1, read entry by entry). So an output is off by at most this fraction of Σ |input|.
    let stages = 8.0 * f64::EPSILON * (log2(length as f64) + 2.0);
    let mut product = vec![Complex::new(1.0, 0.0); length / 2 + 1];
    let mut errors = vec![0.0; length / 2 + 1];
    let mut spectrum = product.clone();
    let mut relative = 0.0;
    for (losses, times) in parts {
        let log_moment = losses.log_moment(order);
        let mut masses = vec![0.0; length];
        let mut steepest: f64 = 0.0;
        for (index, mass) in &losses.atoms {
            let exponent = order * losses.loss(*index) - log_moment;
            steepest = steepest.max((order * losses.loss(*index)).abs() + log_moment.abs());
            masses[index.rem_euclid(length as i64) as usize] += mass * exp(exponent);
        }
        relative += *times as f64 * f64::EPSILON * (8.0 + 2.0 * steepest);
        let error = stages * masses.iter().sum::<f64>();
        forward.process(&mut masses, &mut spectrum).ok()?;
        let power = Power::new(*times, error);
        for ((total, total_error), value) in product.iter_mut().zip(&mut errors).zip(&spectrum) {
            let (raised, raised_error) = power.of(*value);
            let (before, size) = (total.norm(), raised.norm());
            *total_error = *total_error * (size + raised_error) + before * (raised_error + 4.0 * f64::EPSILON * size);
            *total *= raised;
        }
    }
    product[0].im = 0.0;
    // OK because every length is even.
    product[length / 2].im = 0.0;
    let size: f64 = product.iter().map(|value| value.norm()).sum();
    let mut values = vec![0.0; length];
    inverse.process(&mut product, &mut values).ok()?;
    let unit = 1.0 / length as f64;
    for value in &mut values {
        *value *= unit;
    }
    let rounding = 2.0 * unit * (errors.iter().sum::<f64>() + stages * size);
    Some((values, rounding, relative))
}

/// Raises values of a characteristic function, each known to `error`, to a power.
struct Power {
    times: u64,
    error: f64,
    /// Squared size below which the power is below `exp(-50)` and taken for 0.
    least: f64,
}

impl Power {
    fn new(times: u64, error: f64) -> Self {
        Self { times, error, least: (exp(-50.0 / times as f64) - error).max(0.0).powi(2) }
    }

    /// The power, and its error: `n e (|z| + e)^(n-1)` and a relative `8 n` ulps of the squarings.
    fn of(&self, value: Complex<f64>) -> (Complex<f64>, f64) {
        let square = value.norm_sqr();
        let times = self.times as f64;
        if self.times == 1 {
            return (value, self.error);
        }
        if square < self.least {
            return (Complex::new(0.0, 0.0), 2e-22);
        }
        let (mut result, mut base, mut left) = (Complex::new(1.0, 0.0), value, self.times);
        while left > 0 {
            if left & 1 == 1 {
                result *= base;
            }
            base *= base;
            left >>= 1;
        }
        let size = sqrt(square);
        // (|z| + e)^(n-1) <= |z|^(n-1) exp((n - 1) e / |z|), and |z| > 0 here unless n is below 50 / ln(1/|z|).
        let grown = if size > 1e-9 {
            result.norm() / size * exp(times * self.error / size)
        } else {
            exp((times - 1.0) * log(size + self.error))
        };
        (result, times * self.error * grown + 8.0 * times * f64::EPSILON * result.norm())
    }
}
