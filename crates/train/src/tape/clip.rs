//! The clipped sum in one pass over the examples.

use super::each::{self, EachGradient};
use super::gradient::Gradient;
use super::recording::{Recording, factor};

impl Recording {
    /// As [`Recording::clipped_sum`], with at most `block` examples summed in single precision.
    ///
    /// First the squared norms of the layers that have cheap ones; then each example's gradient in the others, whose
    /// norm settles its factor, and which is added to the sum at once; last the weighted sum of the former.
    pub(super) fn clip(&mut self, clipping_norm: f64, block: usize) -> Gradient {
        let mut squared = vec![0.0; self.examples];
        for layer in &mut self.layers {
            if layer.gradients.each().is_none() {
                layer.gradients.add_squared_norms(&mut squared);
            }
        }
        let each: Vec<&dyn EachGradient> = self.layers.iter().filter_map(|layer| layer.gradients.each()).collect();
        let mut sums = vec![0.0; each.iter().map(|layer| layer.size()).sum()];
        let factor = |squared: f64| factor(squared.sqrt(), clipping_norm);
        let factors = each::add_clipped(&each, &squared, factor, block, &mut sums);
        let mut sums = sums.as_slice();
        self.gathered(|layer, own| match layer.gradients.each() {
            Some(each) => {
                let (sum, after) = sums.split_at(each.size());
                sums = after;
                own.iter_mut().zip(sum).for_each(|(own, value)| *own += value);
            }
            None => layer.gradients.add_weighted(&factors, block, own),
        })
    }
}
