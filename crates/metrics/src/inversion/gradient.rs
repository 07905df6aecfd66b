//! Gradient inversion (MI-Face): gradient descent on the input, white box.

use rayon::prelude::*;
use serde::{Deserialize, Serialize};
use underpin_core::{Access, Attack, Confidence, Examples, Inputs, LossGradient, Outputs, Seed, System, Threat};

use super::reconstructions::Reconstructions;
use crate::answers::answers;
use crate::progress::{Progress, ended};
use crate::{Error, Setting};

/// Gradient inversion: descends the loss of each class from a grey input to one that the model assigns to that class;
/// white box.
///
/// Steps have a fixed length along the averaged, normalised gradient, are smoothed on request and kept in `[0, 1]`.
/// The input of the lowest loss is kept. All classes go in one batch. Of the samples only the shape and the number of
/// classes are used: the adversary holds no data.
///
/// # Guarantees
///
/// 1. Reconstructions lie in `[0, 1]` and no sample's value is used: `inversion_uses_no_sample`.
///
/// # Source
///
/// Fredrikson, Jha and Ristenpart, CCS 2015, algorithm 1 (MI-Face). Deviations: cross-entropy instead of
/// `1 - score`, whose gradient vanishes; normalised steps with momentum; smoothing stands for their denoising.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct GradientInversion {
    /// Gradient steps, at least 1.
    pub steps: usize,
    /// Root-mean-square change of a feature per step.
    pub step_size: f64,
    /// Fraction of the previous direction that is kept, in `[0, 1)`.
    pub momentum: f64,
    /// Fraction by which each step moves pixels to the mean of their 3 x 3 neighbourhood, in `[0, 1]`; 0 on tables.
    pub smoothing: f64,
    /// Value of every feature at the start, in `[0, 1]`.
    pub start: f64,
}

impl GradientInversion {
    /// 100 steps from grey, without smoothing.
    pub fn new() -> Self {
        Self { steps: 100, step_size: 0.01, momentum: 0.9, smoothing: 0.0, start: 0.5 }
    }

    /// The setting of measurements of this attack.
    pub fn setting(&self, system: System, confidence: Confidence) -> Setting {
        let parameters = [
            ("steps", self.steps.into()),
            ("step_size", self.step_size.into()),
            ("momentum", self.momentum.into()),
            ("smoothing", self.smoothing.into()),
            ("start", self.start.into()),
        ];
        Setting::attack(system, Access::WhiteBox, "gradient_inversion", confidence, parameters)
    }

    fn check(&self) -> Result<(), Error> {
        let refuse = |name, value, range| Err(Error::out_of_range(name, value, range));
        if self.steps == 0 {
            return refuse("steps", 0.0, "[1, inf)");
        }
        if !(self.step_size > 0.0 && self.step_size.is_finite()) {
            return refuse("step_size", self.step_size, "(0, inf)");
        }
        if !(0.0..1.0).contains(&self.momentum) {
            return refuse("momentum", self.momentum, "[0, 1)");
        }
        if !(0.0..=1.0).contains(&self.smoothing) {
            return refuse("smoothing", self.smoothing, "[0, 1]");
        }
        if !(0.0..=1.0).contains(&self.start) {
            return refuse("start", self.start, "[0, 1]");
        }
        Ok(())
    }
}

impl Default for GradientInversion {
    fn default() -> Self {
        Self::new()
    }
}

impl<T: LossGradient + ?Sized> Attack<T> for GradientInversion {
    type Outcome = Reconstructions;
    type Error = Error;

    fn run(&self, target: &T, samples: &Examples, _: Seed) -> Result<Reconstructions, Error> {
        self.check()?;
        let (shape, classes) = (samples.inputs().shape(), samples.classes());
        let (size, labels) = (shape.size(), (0..classes).collect::<Vec<usize>>());
        let image = shape.image().filter(|_| self.smoothing > 0.0);
        #[allow(clippy::cast_possible_truncation, reason = "features are 32 bits wide")]
        let mut inputs = Inputs::new(shape.clone(), vec![self.start as f32; classes * size])?;
        let mut best = (inputs.clone(), losses(&answers(target, &inputs, classes)?));
        let mut direction = vec![0.0_f64; classes * size];
        let progress = Progress::new("gradient inversion", self.steps);
        for _ in 0..self.steps {
            let gradients = target.loss_gradient(&inputs, &labels)?;
            if gradients.values().len() != inputs.values().len() {
                let (expected, found) = (inputs.values().len(), gradients.values().len());
                return Err(Error::Length { name: "gradients", expected, found });
            }
            (inputs.values_mut().par_chunks_mut(size))
                .zip(direction.par_chunks_mut(size))
                .zip(gradients.values().par_chunks(size))
                .for_each(|((row, direction), gradient)| {
                    self.descend(row, direction, gradient);
                    if let Some(image) = image {
                        smooth(row, image, self.smoothing);
                    }
                });
            keep_best(&mut best, &inputs, &losses(&answers(target, &inputs, classes)?));
            progress.step();
        }
        let queries = (classes * (2 * self.steps + 1)) as u64;
        ended(Threat::Inversion, Access::WhiteBox, "gradient_inversion", queries);
        Ok(Reconstructions { inputs: best.0, queries })
    }
}

impl GradientInversion {
    #[allow(clippy::cast_possible_truncation, reason = "features are 32 bits wide")]
    fn descend(&self, row: &mut [f32], direction: &mut [f64], gradient: &[f32]) {
        let length = |values: &mut dyn Iterator<Item = f64>| {
            let (sum, n) = values.fold((0.0, 0.0), |(sum, n), g| (sum + g * g, n + 1.0));
            (sum / n).sqrt()
        };
        let known = |g: &f32| if g.is_finite() { f64::from(*g) } else { 0.0 };
        let scale = length(&mut gradient.iter().map(known));
        if scale > 0.0 {
            for (direction, g) in direction.iter_mut().zip(gradient) {
                *direction = self.momentum * *direction + (1.0 - self.momentum) * known(g) / scale;
            }
        }
        let size = length(&mut direction.iter().copied());
        if size > 0.0 {
            for (value, direction) in row.iter_mut().zip(direction) {
                *value = (f64::from(*value) - self.step_size * *direction / size).clamp(0.0, 1.0) as f32;
            }
        }
    }
}

/// Keeps, class by class, the input of the lower loss.
pub(super) fn keep_best(best: &mut (Inputs, Vec<f64>), inputs: &Inputs, losses: &[f64]) {
    let size = inputs.shape().size();
    for (class, (loss, row)) in losses.iter().zip(inputs.rows()).enumerate() {
        if *loss < best.1[class] {
            best.1[class] = *loss;
            best.0.values_mut()[class * size..][..size].copy_from_slice(row);
        }
    }
}

/// Cross-entropy of class `i` in answer `i`; infinite for NaN.
pub(super) fn losses(outputs: &Outputs) -> Vec<f64> {
    let loss = |(class, row): (usize, &[f32])| {
        let score = f64::from(row[class]);
        if score.is_nan() { f64::INFINITY } else { -score.ln() }
    };
    outputs.rows().enumerate().map(loss).collect()
}

/// Moves each pixel towards the mean of its 3 x 3 neighbourhood, within its channel.
#[allow(clippy::cast_possible_truncation, reason = "features are 32 bits wide")]
fn smooth(row: &mut [f32], [channels, height, width]: [usize; 3], fraction: f64) {
    let before = row.to_vec();
    for channel in 0..channels {
        for y in 0..height {
            for x in 0..width {
                let (mut sum, mut count) = (0.0, 0.0);
                for near_y in y.saturating_sub(1)..(y + 2).min(height) {
                    for near_x in x.saturating_sub(1)..(x + 2).min(width) {
                        sum += f64::from(before[(channel * height + near_y) * width + near_x]);
                        count += 1.0;
                    }
                }
                let at = (channel * height + y) * width + x;
                row[at] = ((1.0 - fraction) * f64::from(before[at]) + fraction * sum / count) as f32;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn smoothing_keeps_a_flat_image_and_spreads_a_dot() {
        let mut flat = [0.25_f32; 9];
        smooth(&mut flat, [1, 3, 3], 1.0);
        assert!(flat.iter().all(|value| (value - 0.25).abs() < 1e-7));
        let mut dot = [0.0, 0.0, 0.0, 0.0, 0.9, 0.0, 0.0, 0.0, 0.0];
        smooth(&mut dot, [1, 3, 3], 0.5);
        // The centre: 0.9 / 2 + 0.1 / 2; a corner: half the mean of its four.
        assert!((dot[4] - 0.5).abs() < 1e-6 && (dot[0] - 0.1125).abs() < 1e-6, "{dot:?}");
    }
}
