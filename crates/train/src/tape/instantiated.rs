//! Per-example gradients that are small, or that were given: kept as they are.

use super::factors::add_stored;
use super::gradient::{Additive, ExampleGradients, Grouped, slack};
use super::host::Values;
use super::lanes::squared_norm;

/// Per-example gradients, `[example, value]`.
#[derive(Debug)]
pub(crate) struct Instantiated {
    size: usize,
    examples: Vec<f32>,
}

impl Instantiated {
    pub(crate) fn new(size: usize, examples: Vec<f32>) -> Self {
        Self { size, examples }
    }
}

impl ExampleGradients for Instantiated {
    fn grouped(self: Box<Self>, rows: usize, size: usize) -> Box<dyn ExampleGradients> {
        Box::new(Grouped::new(self, rows, size))
    }

    fn add_squared_norms(&mut self, norms: &mut [f64]) {
        for (norm, gradient) in norms.iter_mut().zip(self.examples.chunks_exact(self.size)) {
            *norm += squared_norm(gradient);
        }
    }

    fn add_weighted(&self, weights: &[f32], _: usize, sum: &mut [f64]) {
        add_stored(&self.examples, weights, sum);
    }
}

impl Additive for Instantiated {
    fn size(&self) -> usize {
        self.size
    }

    fn add_example(&self, example: usize, target: &mut [f64]) -> f64 {
        let gradient = &self.examples[example * self.size..][..self.size];
        target.iter_mut().zip(gradient).for_each(|(sum, value)| *sum += f64::from(*value));
        slack(1, squared_norm(gradient).sqrt())
    }
}

/// One scale and one offset per feature: the sums, over all other axes, of gradient times input and of gradient.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Features {
    /// Axes before the feature's, multiplied, without the example's.
    pub(crate) outer: usize,
    pub(crate) count: usize,
    /// Axes after it.
    pub(crate) inner: usize,
}

impl Features {
    /// The gradients of scale (if there is an input) and offset (if it trains), one example after the other.
    pub(crate) fn gradients(self, input: Option<&Values>, gradient: &Values, offset: Offset) -> Instantiated {
        let Self { outer, count, inner } = self;
        let gradient = gradient.as_slice();
        let mut examples = Vec::new();
        let plane = (count * inner).max(1);
        for (example, own) in gradient.chunks_exact((outer * plane).max(1)).enumerate() {
            let mut sums = vec![[0.0_f64; 2]; count];
            for (at, value) in own.iter().enumerate() {
                let x = input.map_or(0.0, |input| input.as_slice()[example * own.len() + at]);
                let [scale, offset] = &mut sums[at % plane / inner.max(1)];
                *scale += f64::from(*value) * f64::from(x);
                *offset += f64::from(*value);
            }
            extend(&mut examples, input.map(|_| sums.iter().map(|[scale, _]| *scale)));
            extend(&mut examples, (offset == Offset::Trains).then(|| sums.iter().map(|[_, offset]| *offset)));
        }
        let parameters = usize::from(input.is_some()) + usize::from(offset == Offset::Trains);
        Instantiated::new(parameters * count, examples)
    }
}

/// Whether the offset has a gradient.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Offset {
    Trains,
    Fixed,
}

#[allow(clippy::cast_possible_truncation, reason = "gradients are kept in single precision")]
fn extend(examples: &mut Vec<f32>, values: Option<impl Iterator<Item = f64>>) {
    examples.extend(values.into_iter().flatten().map(|value| value as f32));
}
