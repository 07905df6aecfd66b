//! Adam that knows how much of a squared gradient is noise.

use burn::optim::{LearningRate, Optimizer, RecordState, StateSink, StateSource};
use burn::tensor::{Device, Tensor};

use crate::Error;

/// DP-Adam with bias correction: Adam whose second moment has the noise's variance taken out.
///
/// Adam divides by the root of the mean squared gradient, which under privacy noise of deviation `s` is the gradient's
/// plus `s²`: with much noise, all coordinates are divided by nearly the same. Here
/// `step = rate * m̂ / sqrt(max(v̂ - s², floor))`.
///
/// A burn optimiser: `ModuleOptimizer::from(adam)`.
///
/// # Source
///
/// Tang, Shpilevskiy and Lécuyer, *DP-AdamBC*, AAAI 2024, algorithm 1 (γ' is `floor` here).
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct CorrectedAdam {
    variance: f64,
    floor: f64,
}

/// Moments of the gradient of one parameter.
#[derive(Clone, Debug)]
pub struct Moments<const D: usize> {
    /// Steps taken.
    pub time: usize,
    /// Moving average of the gradients.
    pub first: Tensor<D>,
    /// Moving average of their squares.
    pub second: Tensor<D>,
}

impl<const D: usize> RecordState for Moments<D> {
    fn state_flatten(&self, prefix: &str, out: &mut StateSink) {
        out.push_scalar(prefix, "time", self.time.into());
        out.push_tensor(prefix, "first", self.first.clone().into_data());
        out.push_tensor(prefix, "second", self.second.clone().into_data());
    }

    fn state_unflatten(prefix: &str, source: &mut StateSource, device: &Device) -> Option<Self> {
        let time = source.take_scalar(prefix, "time")?.try_into().ok()?;
        let mut tensor = |name| Some(Tensor::from_data(source.take_tensor(prefix, name)?, device));
        Some(Self { time, first: tensor("first")?, second: tensor("second")? })
    }
}

const BETA: [f64; 2] = [0.9, 0.999];

impl CorrectedAdam {
    /// For noise of the given standard deviation in each coordinate of the averaged gradient
    /// ([`crate::Steps::noise_deviation`]), and the least second moment.
    ///
    /// # Errors
    ///
    /// [`Error::OutOfRange`] unless `deviation` is finite and not negative, and `floor` finite and above 0.
    pub fn new(deviation: f64, floor: f64) -> Result<Self, Error> {
        if !(deviation.is_finite() && deviation >= 0.0) {
            return Err(Error::out_of_range("noise deviation", deviation, "[0, inf)"));
        }
        if !(floor.is_finite() && floor > 0.0) {
            return Err(Error::out_of_range("floor", floor, "(0, inf)"));
        }
        Ok(Self { variance: deviation * deviation, floor })
    }
}

impl Optimizer for CorrectedAdam {
    type State<const D: usize> = Moments<D>;

    fn step<const D: usize>(
        &self,
        rate: LearningRate,
        weights: Tensor<D>,
        gradient: Tensor<D>,
        state: Option<Moments<D>>,
    ) -> (Tensor<D>, Option<Moments<D>>) {
        let square = gradient.clone().square();
        let state = match state {
            Some(Moments { time, first, second }) => Moments {
                time: time + 1,
                first: first * BETA[0] + gradient * (1.0 - BETA[0]),
                second: second * BETA[1] + square * (1.0 - BETA[1]),
            },
            None => Moments { time: 1, first: gradient * (1.0 - BETA[0]), second: square * (1.0 - BETA[1]) },
        };
        let time = i32::try_from(state.time).unwrap_or(i32::MAX);
        let first = state.first.clone() / (1.0 - BETA[0].powi(time));
        let second = state.second.clone() / (1.0 - BETA[1].powi(time)) - self.variance;
        let step = first / second.clamp_min(self.floor).sqrt();
        (weights - step * rate, Some(state))
    }

    fn to_device<const D: usize>(state: Moments<D>, device: &Device) -> Moments<D> {
        let Moments { time, first, second } = state;
        Moments { time, first: first.to_device(device), second: second.to_device(device) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::DeviceKind;
    use crate::tape::host;

    /// Two steps by hand, one coordinate above the noise and one below.
    #[test]
    fn the_noises_variance_is_taken_out() {
        let device = DeviceKind::Flex.device();
        let adam = CorrectedAdam::new(0.5, 0.01).unwrap();
        let tensor = |values: [f32; 2]| host::tensor(values.to_vec(), [2], &device);
        let (weights, state) = adam.step(0.1, tensor([1.0, 1.0]), tensor([1.0, 0.3]), None);
        let found = host::values(weights.clone());
        // v̂ - s² is 1 - 0.25 and 0.09 - 0.25, below the floor.
        let expected = [1.0 - 0.1 / 0.75f32.sqrt(), 1.0 - 0.1 * 0.3 / 0.1];
        assert!(found.iter().zip(expected).all(|(found, expected)| (found - expected).abs() < 1e-5), "{found:?}");
        let (weights, state) = adam.step(0.1, weights, tensor([-1.0, 0.3]), state);
        assert_eq!(state.unwrap().time, 2);
        let first = (0.9 * 0.1 - 0.1) / (1.0 - 0.81);
        let expected = expected[0] - 0.1 * first / 0.75f32.sqrt();
        assert!((host::values(weights)[0] - expected).abs() < 1e-5);
        for (deviation, floor) in [(-1.0, 1.0), (f64::NAN, 1.0), (1.0, 0.0), (1.0, f64::INFINITY)] {
            assert!(CorrectedAdam::new(deviation, floor).is_err());
        }
    }
}
