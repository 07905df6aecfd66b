//! Layers whose per-example weight gradient is a product of two factors, summed over positions.

use faer::linalg::matmul::matmul;
use faer::{Accum, MatMut, MatRef, Par};
use rayon::prelude::*;

use super::cost::{NormMethod, cheaper};
use super::gradient::{Additive, ExampleGradients, Grouped, slack};
use super::host::{Matrix, product};
use super::lanes::squared_norm;
use super::sizes::{Order, Sizes};

/// Whether factors could be put together.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Grouping {
    Done,
    /// Nothing has changed.
    Unfit,
}

/// One layer's factors, example by example.
pub(crate) trait Factors: Send + Sync {
    fn sizes(&self) -> Sizes;

    /// Takes each `rows` consecutive examples as one with that many times the positions, if the layout allows it.
    fn group(&mut self, rows: usize) -> Grouping;

    /// Writes one example's factors in one group.
    fn fill(&self, example: usize, group: usize, left: &mut [f32], right: &mut [f32]);

    /// Adds one example's gradient of the bias; called only if the layer has one that trains.
    fn add_bias(&self, example: usize, bias: &mut [f32]);
}

/// Per-example gradients in the layout weight (group by group), then bias.
#[derive(Debug)]
pub(crate) struct Factored<F> {
    factors: F,
    /// The method that was asked for; else the cheaper one is taken.
    asked: Option<NormMethod>,
    /// Number of examples.
    count: usize,
    /// `[example, weight then bias]`, once the norms were asked for and if they are instantiated.
    examples: Vec<f32>,
}

impl<F: Factors> Factored<F> {
    /// With the cheaper method unless one is asked for.
    pub(crate) fn new(factors: F, method: Option<NormMethod>, examples: usize) -> Self {
        Self { factors, asked: method, count: examples, examples: Vec::new() }
    }

    fn method(&self) -> NormMethod {
        self.asked.unwrap_or_else(|| cheaper(self.factors.sizes(), self.count))
    }

    fn scratch(&self) -> Scratch {
        let Sizes { positions, left, right, bias, .. } = self.factors.sizes();
        let [left, right] = [left, right].map(|width| vec![0.0; width * positions]);
        Scratch { left, right, bias: vec![0.0; bias], wide: [Vec::new(), Vec::new()], grams: [Vec::new(), Vec::new()] }
    }

    /// One example's gradient in single precision.
    fn write(&self, example: usize, scratch: &mut Scratch, target: &mut [f32]) {
        let sizes = self.factors.sizes();
        let (weight, bias) = target.split_at_mut(sizes.weights());
        for (group, weight) in weight.chunks_exact_mut(sizes.left * sizes.right).enumerate() {
            self.factors.fill(example, group, &mut scratch.left, &mut scratch.right);
            let [left, right] = [(&scratch.left, sizes.left), (&scratch.right, sizes.right)];
            let (left, right) = match sizes.order {
                Order::PositionsFirst => (
                    Matrix::new(left.0, sizes.positions, left.1).transposed(),
                    Matrix::new(right.0, sizes.positions, right.1),
                ),
                Order::PositionsLast => (
                    Matrix::new(left.0, left.1, sizes.positions),
                    Matrix::new(right.0, right.1, sizes.positions).transposed(),
                ),
            };
            product(weight, left, right);
        }
        if sizes.bias > 0 {
            bias.fill(0.0);
            self.factors.add_bias(example, bias);
        }
    }

    /// Adds one example's gradient, times `factor`, in double precision.
    fn add(&self, example: usize, factor: f64, scratch: &mut Scratch, target: &mut [f64]) {
        let sizes = self.factors.sizes();
        let (weight, bias) = target.split_at_mut(sizes.weights());
        for (group, weight) in weight.chunks_exact_mut(sizes.left * sizes.right).enumerate() {
            scratch.load(&self.factors, example, group, factor);
            let [left, right] = &scratch.wide;
            let (left, right) = (view(left, sizes, sizes.left), view(right, sizes, sizes.right));
            let target = MatMut::from_row_major_slice_mut(weight, sizes.left, sizes.right);
            matmul(target, Accum::Add, left, right.transpose(), 1.0, Par::Seq);
        }
        if sizes.bias > 0 {
            scratch.bias.fill(0.0);
            self.factors.add_bias(example, &mut scratch.bias);
            bias.iter_mut().zip(&scratch.bias).for_each(|(sum, value)| *sum += factor * f64::from(*value));
        }
    }

    /// An upper bound on one example's norm by inner products, squared; above the norm by at most [`slack`].
    fn ghost(&self, example: usize, scratch: &mut Scratch) -> f64 {
        let sizes = self.factors.sizes();
        let mut squared = 0.0;
        let mut mass = 0.0;
        for group in 0..sizes.groups {
            scratch.load(&self.factors, example, group, 1.0);
            let Scratch { wide, grams, .. } = scratch;
            for ((wide, gram), width) in wide.iter().zip(grams.iter_mut()).zip([sizes.left, sizes.right]) {
                gram.resize(sizes.positions * sizes.positions, 0.0);
                let wide = view(wide, sizes, width);
                let target = MatMut::from_row_major_slice_mut(gram, sizes.positions, sizes.positions);
                matmul(target, Accum::Replace, wide.transpose(), wide, 1.0, Par::Seq);
            }
            let [left, right] = &*grams;
            squared += left.iter().zip(right).map(|(left, right)| left * right).sum::<f64>();
            let diagonal = left.iter().zip(right).step_by(sizes.positions + 1);
            mass += diagonal.map(|(left, right)| (left * right).sqrt()).sum::<f64>();
        }
        if sizes.bias > 0 {
            scratch.bias.fill(0.0);
            self.factors.add_bias(example, &mut scratch.bias);
            squared += squared_norm(&scratch.bias);
        }
        // NaN must stay NaN: `f64::max` would drop it.
        let squared = if squared < 0.0 { 0.0 } else { squared };
        (squared.sqrt() + slack(sizes.positions, mass)).powi(2)
    }
}

/// A factor `[width, position]`.
fn view(values: &[f64], sizes: Sizes, width: usize) -> MatRef<'_, f64> {
    match sizes.order {
        Order::PositionsFirst => MatRef::from_row_major_slice(values, sizes.positions, width).transpose(),
        Order::PositionsLast => MatRef::from_row_major_slice(values, width, sizes.positions),
    }
}

/// What one thread computes in.
struct Scratch {
    left: Vec<f32>,
    right: Vec<f32>,
    bias: Vec<f32>,
    /// Left and right factor in double precision.
    wide: [Vec<f64>; 2],
    /// Inner products of all pairs of positions.
    grams: [Vec<f64>; 2],
}

impl Scratch {
    /// One example's factors in one group in double precision, the left one times `factor`.
    fn load(&mut self, factors: &impl Factors, example: usize, group: usize, factor: f64) {
        factors.fill(example, group, &mut self.left, &mut self.right);
        let [left, right] = &mut self.wide;
        left.clear();
        left.extend(self.left.iter().map(|value| factor * f64::from(*value)));
        right.clear();
        right.extend(self.right.iter().map(|value| f64::from(*value)));
    }
}

/// Most positions that one task of a weighted sum goes through, and tasks that wait to be summed; both fixed, so that
/// sums do not depend on the number of threads.
const TASK: usize = 1024;
const WAVE: usize = 8;

impl<F: Factors + 'static> ExampleGradients for Factored<F> {
    fn grouped(mut self: Box<Self>, rows: usize, size: usize) -> Box<dyn ExampleGradients> {
        match self.factors.group(rows) {
            Grouping::Done => {
                self.count /= rows;
                self
            }
            Grouping::Unfit => Box::new(Grouped::new(self, rows, size)),
        }
    }

    fn add_squared_norms(&mut self, norms: &mut [f64]) {
        if self.method() == NormMethod::Ghost {
            let norms = norms.par_iter_mut().enumerate();
            norms.for_each_init(|| self.scratch(), |scratch, (example, norm)| *norm += self.ghost(example, scratch));
            return;
        }
        let size = self.factors.sizes().gradient();
        let mut examples = vec![0.0; norms.len() * size];
        let work = examples.par_chunks_exact_mut(size).zip(norms.par_iter_mut()).enumerate();
        work.for_each_init(
            || self.scratch(),
            |scratch, (example, (target, norm))| {
                self.write(example, scratch, target);
                *norm += squared_norm(target);
            },
        );
        self.examples = examples;
    }

    fn add_weighted(&self, weights: &[f32], _: usize, sum: &mut [f64]) {
        let sizes = self.factors.sizes();
        if !self.examples.is_empty() {
            return add_stored(&self.examples, weights, sum);
        }
        let method = self.method();
        let task = (TASK / sizes.positions.max(1)).min(weights.len().div_ceil(WAVE)).max(1);
        let total = |(task_of_wave, weights): (usize, &[f32]), from: usize| {
            let mut total = vec![0.0; sizes.gradient()];
            let mut scratch = self.scratch();
            let mut one = vec![0.0; if method == NormMethod::Ghost { 0 } else { sizes.gradient() }];
            for (example, weight) in (from + task_of_wave * task..).zip(weights).filter(|(_, weight)| **weight != 0.0) {
                if method == NormMethod::Ghost {
                    self.add(example, f64::from(*weight), &mut scratch, &mut total);
                } else {
                    self.write(example, &mut scratch, &mut one);
                    add_stored(&one, &[*weight], &mut total);
                }
            }
            total
        };
        for (wave, weights) in weights.chunks(task * WAVE).enumerate() {
            let tasks = weights.par_chunks(task).enumerate();
            let totals: Vec<Vec<f64>> = tasks.map(|part| total(part, wave * WAVE * task)).collect();
            for total in totals {
                sum.iter_mut().zip(total).for_each(|(sum, value)| *sum += value);
            }
        }
    }
}

impl<F: Factors + 'static> Additive for Factored<F> {
    fn size(&self) -> usize {
        self.factors.sizes().gradient()
    }

    fn add_example(&self, example: usize, target: &mut [f64]) -> f64 {
        let sizes = self.factors.sizes();
        let mut scratch = self.scratch();
        self.add(example, 1.0, &mut scratch, target);
        let mut mass = squared_norm(&scratch.bias).sqrt();
        for group in 0..sizes.groups {
            scratch.load(&self.factors, example, group, 1.0);
            let [left, right] = &scratch.wide;
            let (left, right) = (view(left, sizes, sizes.left), view(right, sizes, sizes.right));
            mass += (0..sizes.positions).map(|at| left.col(at).norm_l2() * right.col(at).norm_l2()).sum::<f64>();
        }
        slack(sizes.positions, mass)
    }
}

/// Adds weight times example, from `[example, value]`; weights of 0 take no part.
pub(crate) fn add_stored(examples: &[f32], weights: &[f32], sum: &mut [f64]) {
    for (gradient, weight) in examples.chunks_exact(sum.len()).zip(weights).filter(|(_, weight)| **weight != 0.0) {
        sum.iter_mut().zip(gradient).for_each(|(sum, value)| *sum += f64::from(*weight) * f64::from(*value));
    }
}
