//! The hyperbolic tangent, several times faster than the mathematics library's.

use burn::tensor::Tensor;

use super::host::{self, Values};
use super::lanes::each2;
use super::op::{Operation, apply};

/// `tanh` of every value, to within 5e-7 of it; treats each example alone, so that any tape may pass through it.
///
/// burn's own `tanh` calls the mathematics library for each value, which took most of the time of a small network.
pub(crate) fn tanh<const D: usize>(input: Tensor<D>) -> Tensor<D> {
    let (device, dims) = (input.device().inner(), input.dims());
    let mut values = vec![0.0; dims.iter().product()];
    each2(&mut values, Values::of(input.clone().inner()).as_slice(), |output, value| *output = approximate(value));
    apply(&Tanh { output: host::tensor(values, dims, &device) }, input, None)
}

#[derive(Clone, Debug)]
struct Tanh<const D: usize> {
    output: Tensor<D>,
}

impl<const D: usize> Operation<D, D> for Tanh<D> {
    fn forward(&self, _: Tensor<D>) -> Tensor<D> {
        self.output.clone()
    }

    fn input_gradient(&self, gradient: Tensor<D>) -> Tensor<D> {
        let (device, dims) = (gradient.device(), gradient.dims());
        let mut slopes = Values::of(gradient).as_slice().to_vec();
        let output = Values::of(self.output.clone());
        each2(&mut slopes, output.as_slice(), |slope, output| *slope *= 1.0 - output * output);
        host::tensor(slopes, dims, &device)
    }
}

/// Rational minimax approximation of degree 13 over 6, as in Eigen's `generic_fast_tanh_float`; NaN stays NaN.
#[inline]
fn approximate(x: f32) -> f32 {
    let x = x.clamp(-7.905_311, 7.905_311);
    let y = x * x;
    let odd = [
        -2.760_768_5e-16_f32,
        2.000_188e-13,
        -8.604_672e-11,
        5.122_297_1e-8,
        1.485_722_4e-5,
        6.372_619_3e-4,
        4.893_524_6e-3,
    ];
    let even = [1.198_258_4e-6_f32, 1.185_347e-4, 2.268_434_6e-3, 4.893_525e-3];
    let horner = |sum: f32, coefficient: &f32| sum * y + coefficient;
    x * odd.iter().fold(0.0, horner) / even.iter().fold(0.0, horner)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::DeviceKind;

    #[test]
    fn it_is_the_hyperbolic_tangent() {
        for step in -100_000..=100_000 {
            let x = step as f32 / 8_000.0;
            let error = f64::from(approximate(x)) - f64::from(x).tanh();
            assert!(error.abs() < 5e-7, "{x}: off by {error}");
        }
        assert!(approximate(f32::NAN).is_nan());
        assert!(approximate(f32::INFINITY) <= 1.0 && approximate(f32::NEG_INFINITY) >= -1.0);
    }

    #[test]
    fn its_gradient_is_that_of_burns_own() {
        for kind in DeviceKind::ALL {
            let input = host::tensor(vec![-3.0, -0.5, 0.0, 0.1, 1.0, 20.0], [2, 3], &kind.device()).autodiff();
            let input = input.require_grad();
            let own = input.grad(&tanh(input.clone()).sum().backward()).unwrap();
            let expected = input.grad(&burn::tensor::activation::tanh(input.clone()).sum().backward()).unwrap();
            for (own, expected) in host::values(own).iter().zip(host::values(expected)) {
                assert!((own - expected).abs() < 1e-6, "{kind}");
            }
        }
    }
}
