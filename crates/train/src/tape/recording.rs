//! Norms and sums of the per-example gradients that one backward pass left.

use super::gradient::{ExampleGradients, Gradient};
use super::parameters::Parameter;
use crate::Error;

/// The most examples that are summed in single precision.
const BLOCK: usize = 64;

/// One layer's gradients, or those of all layers that share a parameter.
pub(crate) struct Layer {
    /// Positions of the parameters among all, in the order in which the gradients hold them.
    pub(crate) parameters: Vec<usize>,
    pub(crate) gradients: Box<dyn ExampleGradients>,
}

/// Per-example gradients of every layer on a tape.
///
/// # Guarantees
///
/// 1. Norms and sums are those of one backward pass per example, to 1e-4 relative, on every device
///    (`every_layer_agrees_with_one_by_one_backward_passes`).
/// 2. Consecutive rows taken as one unit have the norm, and the place in the sum, of the sum of their gradients
///    (`every_layer_agrees_with_one_by_one_backward_passes`).
/// 3. A parameter that several layers share, or one layer at several places, has one gradient per example: its parts
///    are added up before they are squared (`parts_of_a_shared_gradient_are_added_before_they_are_squared`).
pub struct Recording {
    pub(crate) examples: usize,
    /// All parameters that train, in the model's order.
    pub(crate) parameters: Vec<Parameter>,
    pub(crate) layers: Vec<Layer>,
}

impl std::fmt::Debug for Recording {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Recording").field("examples", &self.examples).finish_non_exhaustive()
    }
}

impl Recording {
    /// Number of examples.
    pub fn examples(&self) -> usize {
        self.examples
    }

    /// Gradients of one parameter that were made elsewhere than on a tape.
    pub(crate) fn of_one(examples: usize, parameter: Parameter, gradients: Box<dyn ExampleGradients>) -> Self {
        Self { examples, parameters: vec![parameter], layers: vec![Layer { parameters: vec![0], gradients }] }
    }

    /// Takes each `rows` consecutive examples as one, whose gradient is the sum of theirs: the augmentations of one
    /// example (their losses weighted by `1 / rows`), or all that one user contributed.
    ///
    /// # Errors
    ///
    /// [`Error::OutOfRange`] unless `rows` divides the number of examples.
    pub fn grouped(self, rows: usize) -> Result<Self, Error> {
        if rows == 0 || !self.examples.is_multiple_of(rows) {
            let allowed = "a divisor of the number of examples on the tape";
            return Err(Error::out_of_range("rows of a group", rows as f64, allowed));
        }
        let Self { examples, parameters, layers } = self;
        let size = |own: &[usize]| own.iter().map(|parameter| parameters[*parameter].size()).sum();
        let group = |layer: Layer| {
            let gradients = layer.gradients.grouped(rows, size(&layer.parameters));
            Layer { gradients, ..layer }
        };
        let layers = if rows > 1 { layers.into_iter().map(group).collect() } else { layers };
        Ok(Self { examples: examples / rows, parameters, layers })
    }

    /// The L2 norm of each example's gradient over all parameters, `[example]`.
    pub fn norms(&mut self) -> Vec<f64> {
        let mut norms = vec![0.0; self.examples];
        for layer in &mut self.layers {
            layer.gradients.add_squared_norms(&mut norms);
        }
        norms.into_iter().map(f64::sqrt).collect()
    }

    /// The L2 norms of each layer's part of each example's gradient, `[layer][example]`; layers that share a parameter
    /// are one.
    pub(crate) fn layer_norms(&mut self) -> Vec<Vec<f64>> {
        let of = |layer: &mut Layer| {
            let mut norms = vec![0.0; self.examples];
            layer.gradients.add_squared_norms(&mut norms);
            norms.into_iter().map(f64::sqrt).collect()
        };
        self.layers.iter_mut().map(of).collect()
    }

    /// The sum of the examples' gradients.
    pub fn sum(&self) -> Gradient {
        self.weighted_sum(|_| vec![1.0; self.examples], BLOCK)
    }

    /// The sum of the examples' gradients, each scaled down to a norm of at most `clipping_norm` (flat clipping).
    ///
    /// An example whose gradient is not finite takes no part. `batch` is the number of examples of the whole logical
    /// batch, of which this recording may be a part: it decides how few examples are summed in single precision.
    ///
    /// # Guarantees
    ///
    /// 1. Each example adds a vector of norm at most `clipping_norm` (`no_example_adds_more_than_the_clipping_norm`,
    ///    `no_sequence_adds_more_than_the_clipping_norm`).
    /// 2. The sum over a batch of at most [`Recording::MOST`] examples is off by at most `clipping_norm / 512` in L2,
    ///    conversion to single precision included: blocks of `b` examples contribute `(b + 3) * 2^-24` of
    ///    `clipping_norm` for each example (`sums_are_exact_enough`, `sums_of_sequences_are_exact_enough`).
    ///
    /// # Source
    ///
    /// Abadi et al., CCS 2016, algorithm 1; formed by book-keeping, Bu, Wang, Zha and Karypis 2022.
    pub fn clipped_sum(&mut self, clipping_norm: f64, batch: usize) -> Gradient {
        self.clip(clipping_norm, single(batch))
    }

    /// The sum of the examples' gradients, each layer's part of each times its factor, `[example]` of one layer; as
    /// exact as [`Recording::clipped_sum`] for factors that keep to a norm.
    pub(crate) fn scaled_sum(&self, factors: impl Fn(usize) -> Vec<f32>, batch: usize) -> Gradient {
        self.weighted_sum(factors, single(batch))
    }

    /// The most examples of a batch whose clipped sum is exact enough for the noise of `underpin-privacy`.
    pub const MOST: usize = 6_000;

    fn weighted_sum(&self, weights: impl Fn(usize) -> Vec<f32>, block: usize) -> Gradient {
        let mut position = 0;
        self.gathered(|layer, own| {
            layer.gradients.add_weighted(&weights(position), block, own);
            position += 1;
        })
    }

    /// A gradient to which `add(layer, values)` adds each layer's, in the order of the layers.
    pub(super) fn gathered(&self, mut add: impl FnMut(&Layer, &mut [f64])) -> Gradient {
        let mut gradient = Gradient::zero(self.parameters.clone());
        let mut places = Vec::with_capacity(self.parameters.len());
        let mut from = 0;
        for parameter in &self.parameters {
            places.push(from..from + parameter.size());
            from += parameter.size();
        }
        for layer in &self.layers {
            let parameters = &layer.parameters;
            let size = parameters.iter().map(|parameter| places[*parameter].len()).sum();
            let first = places[parameters[0]].start;
            if parameters.windows(2).all(|pair| places[pair[0]].end == places[pair[1]].start) {
                add(layer, &mut gradient.values_mut()[first..first + size]);
                continue;
            }
            let mut own = vec![0.0; size];
            add(layer, &mut own);
            let mut rest = own.as_slice();
            for place in parameters.iter().map(|parameter| places[*parameter].clone()) {
                let (values, after) = rest.split_at(place.len());
                gradient.values_mut()[place].iter_mut().zip(values).for_each(|(sum, value)| *sum += value);
                rest = after;
            }
        }
        gradient
    }
}

/// How many examples of a batch are summed in single precision at most.
fn single(batch: usize) -> usize {
    (30_000 / batch.max(1)).saturating_sub(4).clamp(1, BLOCK)
}

/// What scales a gradient of L2 norm `norm` down to `most`; 1 if it needs none, 0 if it is not finite.
///
/// Less than the exact quotient, so that rounding it, and the products with it, to single precision keeps to `most`.
pub(crate) fn factor(norm: f64, most: f64) -> f32 {
    match norm {
        norm if !norm.is_finite() => 0.0,
        norm if norm <= most => 1.0,
        norm => rounded_down(most / norm),
    }
}

/// Below `factor` by a relative `2^-23` at least; 0 where single precision has no full precision left.
#[allow(clippy::cast_possible_truncation, reason = "the factor is rounded down first")]
pub(crate) fn rounded_down(factor: f64) -> f32 {
    let factor = (factor * (1.0 - 1.0 / 4_194_304.0)) as f32;
    if factor < f32::MIN_POSITIVE { 0.0 } else { factor }
}
