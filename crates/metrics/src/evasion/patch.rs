//! The proposals of the square attack.

use rand::RngExt;
use rand::seq::index;
use rand_chacha::ChaCha12Rng;
use underpin_core::{Norm, Shape};

use super::ball::Ball;
use crate::random::sign;

/// How the features of an example lie.
#[derive(Clone, Copy, Debug)]
pub(super) struct Area {
    channels: usize,
    height: usize,
    width: usize,
    image: bool,
}

impl Area {
    /// An image by channels, height and width; anything else is a table: one row of features without neighbours.
    pub(super) fn of(shape: &Shape) -> Self {
        match shape.image() {
            Some([channels, height, width]) => Self { channels, height, width, image: true },
            None => Self { channels: 1, height: 1, width: shape.size(), image: false },
        }
    }

    /// Groups of positions that one proposal changes, one group per channel: a square, or on a table scattered
    /// features, each a group of its own.
    fn window(self, fraction: f64, least: usize, rng: &mut ChaCha12Rng) -> Window {
        let plane = self.height * self.width;
        if !self.image {
            let count = round(fraction * plane as f64).clamp(1, plane);
            let groups = index::sample(rng, plane, count).into_iter().map(|feature| vec![feature]).collect();
            return Window { groups, side: 1 };
        }
        let side = round((fraction * plane as f64).sqrt()).max(least).min(self.height).min(self.width);
        let top = rng.random_range(0..=self.height - side);
        let left = rng.random_range(0..=self.width - side);
        let square = |channel: usize| {
            let at = move |cell: usize| channel * plane + (top + cell / side) * self.width + left + cell % side;
            (0..side * side).map(at).collect()
        };
        Window { groups: (0..self.channels).map(square).collect(), side }
    }
}

struct Window {
    groups: Vec<Vec<usize>>,
    side: usize,
}

#[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a fraction of a count, not negative")]
fn round(count: f64) -> usize {
    count.round() as usize
}

/// Where the search starts: vertical stripes for L∞, a grid of bumps for L2.
pub(super) fn start(ball: Ball, area: Area, origin: &[f32], rng: &mut ChaCha12Rng) -> Vec<f32> {
    match ball.norm {
        Norm::Linf => {
            let stripes: Vec<f32> = (0..area.channels * area.width).map(|_| sign(rng)).collect();
            let plane = area.height * area.width;
            let stripe = |at: usize| stripes[at / plane * area.width + at % area.width];
            let delta: Vec<f64> = (0..origin.len()).map(|at| ball.radius * f64::from(stripe(at))).collect();
            moved(ball, origin, &delta)
        }
        Norm::L2 => {
            let mut delta = vec![0.0; origin.len()];
            let side = (area.height.min(area.width) / 5).max(1);
            for top in (0..=area.height - side).step_by(side) {
                for left in (0..=area.width - side).step_by(side) {
                    let bump = bump(side, side);
                    for channel in 0..area.channels {
                        let sign = f64::from(sign(rng));
                        for (cell, height) in bump.iter().enumerate() {
                            let row = channel * area.height + top + cell / side;
                            delta[row * area.width + left + cell % side] = sign * height;
                        }
                    }
                }
            }
            stretched(ball, origin, &delta)
        }
    }
}

/// One proposal from the best point so far.
pub(super) fn propose(
    ball: Ball,
    area: Area,
    origin: &[f32],
    best: &[f32],
    fraction: f64,
    rng: &mut ChaCha12Rng,
) -> Vec<f32> {
    let delta: Vec<f64> = origin.iter().zip(best).map(|(a, b)| f64::from(*b) - f64::from(*a)).collect();
    match ball.norm {
        Norm::Linf => recolour(ball, area, origin, &delta, fraction, rng),
        Norm::L2 => shift_mass(ball, area, origin, delta, fraction, rng),
    }
}

/// Algorithm 2: paints the window, each channel, with `+radius` or `-radius`; again while that changes nothing.
fn recolour(ball: Ball, area: Area, origin: &[f32], delta: &[f64], fraction: f64, rng: &mut ChaCha12Rng) -> Vec<f32> {
    let window = area.window(fraction, 1, rng);
    let before = moved(ball, origin, delta);
    for _ in 0..16 {
        let mut painted = delta.to_vec();
        for group in &window.groups {
            let colour = ball.radius * f64::from(sign(rng));
            for at in group {
                painted[*at] = colour;
            }
        }
        let after = moved(ball, origin, &painted);
        if after != before {
            return after;
        }
    }
    before
}

/// Algorithm 3: takes the budget of a second window, adds what is unused, and spends it in the first on a bump pair.
fn shift_mass(
    ball: Ball,
    area: Area,
    origin: &[f32],
    mut delta: Vec<f64>,
    fraction: f64,
    rng: &mut ChaCha12Rng,
) -> Vec<f32> {
    let (first, second) = (area.window(fraction, 3, rng), area.window(fraction, 3, rng));
    let unused = (ball.radius.powi(2) - delta.iter().map(|d| d * d).sum::<f64>()).max(0.0);
    let pattern = bump_pair(first.side, rng);
    let length = |group: &[usize], delta: &[f64]| group.iter().map(|at| delta[*at].powi(2)).sum::<f64>();
    let channels = first.groups.len() as f64;
    let mut updates = Vec::with_capacity(first.groups.len());
    for (group, other) in first.groups.iter().zip(&second.groups) {
        let both = length(group, &delta)
            + other.iter().filter(|at| !group.contains(at)).map(|at| delta[*at].powi(2)).sum::<f64>();
        let own = length(group, &delta).sqrt() + 1e-10;
        let sign = f64::from(sign(rng));
        let mut update: Vec<f64> =
            group.iter().zip(&pattern).map(|(at, bump)| sign * bump + delta[*at] / own).collect();
        let size = update.iter().map(|u| u * u).sum::<f64>().sqrt().max(1e-10);
        let budget = (unused / channels + both).sqrt();
        for value in &mut update {
            *value *= budget / size;
        }
        updates.push(update);
    }
    second.groups.iter().flatten().for_each(|at| delta[*at] = 0.0);
    for (group, update) in first.groups.iter().zip(updates) {
        group.iter().zip(update).for_each(|(at, value)| delta[*at] = value);
    }
    stretched(ball, origin, &delta)
}

/// A pyramid of concentric rectangles of unit length (the paper's η); 1 for a single cell.
fn bump(height: usize, width: usize) -> Vec<f64> {
    let mut cells = vec![0.0; height * width];
    let (centre_row, centre_column) = (height / 2, width / 2);
    for ring in 0..=centre_row.max(centre_column) {
        let value = 1.0 / ((ring + 1) as f64).powi(2);
        for (at, cell) in cells.iter_mut().enumerate() {
            let (row, column) = (at / width, at % width);
            if row.abs_diff(centre_row) <= ring && column.abs_diff(centre_column) <= ring {
                *cell += value;
            }
        }
    }
    let length = cells.iter().map(|cell| cell * cell).sum::<f64>().sqrt();
    for cell in &mut cells {
        *cell /= length;
    }
    cells
}

/// A bump and its opposite, side by side or one above the other, of unit length.
fn bump_pair(side: usize, rng: &mut ChaCha12Rng) -> Vec<f64> {
    if side < 2 {
        return vec![1.0];
    }
    let upper = bump(side / 2, side);
    let lower = bump(side - side / 2, side);
    let pair: Vec<f64> = upper.into_iter().chain(lower.into_iter().map(|cell| -cell)).collect();
    let turned = rng.random::<bool>();
    let at = |cell: usize| if turned { cell % side * side + cell / side } else { cell };
    (0..side * side).map(|cell| pair[at(cell)] / std::f64::consts::SQRT_2).collect()
}

/// The input moved by `delta`, within ball and box.
fn moved(ball: Ball, origin: &[f32], delta: &[f64]) -> Vec<f32> {
    #[allow(clippy::cast_possible_truncation, reason = "features are 32 bits wide")]
    let mut row: Vec<f32> = origin.iter().zip(delta).map(|(a, d)| (f64::from(*a) + d) as f32).collect();
    ball.project(origin, &mut row);
    row
}

/// The input moved in the direction of `delta` by the whole radius, within ball and box.
fn stretched(ball: Ball, origin: &[f32], delta: &[f64]) -> Vec<f32> {
    let length = delta.iter().map(|d| d * d).sum::<f64>().sqrt().max(f64::MIN_POSITIVE);
    let delta: Vec<f64> = delta.iter().map(|d| d * ball.radius / length).collect();
    moved(ball, origin, &delta)
}
