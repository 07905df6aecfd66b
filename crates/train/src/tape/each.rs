//! Gradients formed one example at a time, used while they are in cache, and never stored.

use std::ops::Range;

use rayon::prelude::*;

use super::lanes::{add_scaled, add_to_double, squared_norm};

/// Examples whose gradients one task sums at most.
const TASK: usize = 16;

/// Tasks that there are at least, for as many examples.
const TASKS: usize = 16;

/// Values of the sums that wait for one another.
const WAITING: usize = 1 << 20;

/// The gradients of one layer's parameters, cheapest formed example by example.
pub(crate) trait EachGradient: Sync {
    /// Values of one example's gradient.
    fn size(&self) -> usize;

    /// `write(example, target)` writes one example's gradient over `target`, the same bits each time; for one thread.
    #[allow(clippy::type_complexity, reason = "a name of its own would say less")]
    fn writer(&self) -> Box<dyn FnMut(usize, &mut [f32]) + '_>;
}

/// As [`ExampleGradients::add_squared_norms`](super::gradient::ExampleGradients::add_squared_norms).
pub(crate) fn add_squared_norms(layer: &dyn EachGradient, norms: &mut [f64]) {
    let scratch = || (layer.writer(), vec![0.0; layer.size()]);
    norms.par_iter_mut().enumerate().for_each_init(scratch, |(write, own), (example, norm)| {
        write(example, own);
        *norm += squared_norm(own);
    });
}

/// As [`ExampleGradients::add_weighted`](super::gradient::ExampleGradients::add_weighted).
///
/// What is added is the very gradient that has been measured, times the weight: where a gradient's terms cancel, one
/// that is worked out from scaled terms may be longer.
pub(crate) fn add_weighted(layer: &dyn EachGradient, weights: &[f32], block: usize, sum: &mut [f64]) {
    in_blocks(weights.len(), block, layer.size(), sum, |examples, total| {
        let (mut write, mut own) = (layer.writer(), vec![0.0; layer.size()]);
        for example in examples.filter(|example| weights[*example] != 0.0) {
            write(example, &mut own);
            add_scaled(total, weights[example], &own);
        }
    });
}

/// Adds the sum over examples of their gradients in all `layers`, each times its factor, to `sum`; and returns the
/// factors. Each gradient is formed once.
///
/// An example's factor follows from its squared norm: what `squared` says of other layers, and its norm in these.
pub(crate) fn add_clipped(
    layers: &[&dyn EachGradient],
    squared: &[f64],
    factor: impl Fn(f64) -> f32 + Sync,
    block: usize,
    sum: &mut [f64],
) -> Vec<f32> {
    let size = layers.iter().map(|layer| layer.size()).sum();
    let blocks = in_blocks(squared.len(), block, size, sum, |examples, total| {
        let mut writers: Vec<_> = layers.iter().map(|layer| (layer.size(), layer.writer())).collect();
        let mut own = vec![0.0; size];
        let one = |example: usize| {
            let mut rest = own.as_mut_slice();
            for (size, write) in &mut writers {
                let (part, after) = rest.split_at_mut(*size);
                rest = after;
                write(example, part);
            }
            let factor = factor(squared[example] + squared_norm(&own));
            if factor != 0.0 {
                add_scaled(total, factor, &own);
            }
            factor
        };
        examples.map(one).collect::<Vec<f32>>()
    });
    blocks.concat()
}

/// Runs `run(examples, total)` on blocks of examples and adds the totals to `sum` in their order.
fn in_blocks<R: Send>(
    examples: usize,
    block: usize,
    size: usize,
    sum: &mut [f64],
    run: impl Fn(Range<usize>, &mut [f32]) -> R + Sync,
) -> Vec<R> {
    // Does not depend on the number of threads, so that sums do not.
    let block = block.min(TASK).min(examples / TASKS).max(1);
    let ranges: Vec<Range<usize>> = (0..examples).step_by(block).map(|at| at..(at + block).min(examples)).collect();
    let task = |examples: &Range<usize>| {
        let mut total = vec![0.0; size];
        let result = run(examples.clone(), &mut total);
        (total, result)
    };
    let mut results = Vec::with_capacity(ranges.len());
    for ranges in ranges.chunks((WAITING / size.max(1)).max(rayon::current_num_threads())) {
        let done: Vec<(Vec<f32>, R)> = ranges.par_iter().map(task).collect();
        for (total, result) in done {
            add_to_double(sum, &total);
            results.push(result);
        }
    }
    results
}
