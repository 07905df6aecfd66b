//! Gradients: of each example, layer by layer, and summed.

use burn::module::{Module, ParamId};
use burn::optim::GradientsParams;
use burn::tensor::Device;
use rayon::prelude::*;

use super::each::EachGradient;
use super::host;
use super::parameters::{Parameter, Parameters};
use crate::Error;

/// The gradients of one layer's parameters, one per example, in whatever form is cheapest.
pub(crate) trait ExampleGradients: Send + Sync {
    /// Adds each example's squared norm over all parameters to `norms`, `[example]`.
    ///
    /// At least the squared norm of what [`ExampleGradients::add_weighted`] adds with weight 1, up to rounding there.
    fn add_squared_norms(&mut self, norms: &mut [f64]);

    /// Adds the sum over examples of weight times gradient to `sum`; weights of 0 take no part, NaN or not.
    ///
    /// No more than `block` examples are summed in single precision; their totals are summed in double.
    fn add_weighted(&self, weights: &[f32], block: usize, sum: &mut [f64]);

    /// Takes each `rows` consecutive examples as one, whose gradient, of `size` values, is the sum of theirs; with
    /// [`Grouped`] for a layer without a form of its own for it. Called before the norms are asked for.
    fn grouped(self: Box<Self>, rows: usize, size: usize) -> Box<dyn ExampleGradients>;

    /// The same gradients one at a time, where their norms are not cheaper than they are.
    fn each(&self) -> Option<&dyn EachGradient> {
        None
    }
}

/// Consecutive examples of any layer as one, their gradients added up one group after the other.
pub(crate) struct Grouped {
    members: Box<dyn ExampleGradients>,
    rows: usize,
    /// Values of one gradient.
    size: usize,
    /// `[group, value]`, once the norms were asked for.
    groups: Vec<f64>,
}

impl Grouped {
    pub(crate) fn new(members: Box<dyn ExampleGradients>, rows: usize, size: usize) -> Self {
        Self { members, rows, size, groups: Vec::new() }
    }
}

impl ExampleGradients for Grouped {
    fn grouped(self: Box<Self>, rows: usize, size: usize) -> Box<dyn ExampleGradients> {
        Box::new(Self::new(self.members, self.rows * rows, size))
    }

    fn add_squared_norms(&mut self, norms: &mut [f64]) {
        self.groups = vec![0.0; norms.len() * self.size];
        let mut weights = vec![0.0; norms.len() * self.rows];
        for (group, (target, norm)) in self.groups.chunks_exact_mut(self.size).zip(norms).enumerate() {
            let own = group * self.rows..(group + 1) * self.rows;
            weights[own.clone()].fill(1.0);
            self.members.add_weighted(&weights, self.rows, target);
            weights[own].fill(0.0);
            *norm += target.iter().map(|value| value * value).sum::<f64>();
        }
    }

    fn add_weighted(&self, weights: &[f32], block: usize, sum: &mut [f64]) {
        if self.groups.is_empty() {
            let weights: Vec<f32> = weights.iter().flat_map(|weight| std::iter::repeat_n(*weight, self.rows)).collect();
            return self.members.add_weighted(&weights, block, sum);
        }
        for (gradient, weight) in self.groups.chunks_exact(self.size).zip(weights).filter(|(_, weight)| **weight != 0.0)
        {
            sum.iter_mut().zip(gradient).for_each(|(sum, value)| *sum += f64::from(*weight) * value);
        }
    }
}

/// Gradients that can be added to another layer's, example by example.
pub(crate) trait Additive: ExampleGradients {
    /// Values of one example's gradient.
    fn size(&self) -> usize;

    /// Adds one example's gradient to `target`, laid out as in [`ExampleGradients::add_weighted`].
    ///
    /// Returns how far, in L2, what that adds with weight 1 may be from it.
    fn add_example(&self, example: usize, target: &mut [f64]) -> f64;
}

/// How much is added to a norm that was formed from `positions` terms in double precision, `mass` being the sum of their
/// norms.
///
/// Where the terms cancel, the rounding of their sum is large beside the norm. With this much added, an example's
/// weight times its mass is at most `C 2^29 / max(positions, 1024)` for a clipping norm `C`, so that sums in double
/// precision, of which no chain is longer than twice that many terms, are off by less than `2^-23 C` for each example.
pub(crate) fn slack(positions: usize, mass: f64) -> f64 {
    mass * positions.max(1024) as f64 / f64::from(1 << 29)
}

/// A gradient over all parameters of a model that train, in the model's order.
#[derive(Clone, Debug, PartialEq)]
pub struct Gradient {
    parameters: Vec<Parameter>,
    values: Vec<f64>,
}

impl Gradient {
    /// The gradient of no example: what an empty batch sums to.
    ///
    /// # Errors
    ///
    /// As [`Tape::recording`](crate::Tape::recording).
    pub fn none<M: Module>(model: &M) -> Result<Self, Error> {
        Ok(Self::zero(Parameters::of(model)?.0.trained()))
    }

    pub(crate) fn zero(parameters: Vec<Parameter>) -> Self {
        let size = parameters.iter().map(Parameter::size).sum();
        Self { parameters, values: vec![0.0; size] }
    }

    pub(crate) fn values_mut(&mut self) -> &mut [f64] {
        &mut self.values
    }

    /// Adds another gradient over the same parameters.
    ///
    /// # Errors
    ///
    /// [`underpin_core::Error::Length`] when it is over others.
    pub fn add(&mut self, other: &Self) -> Result<(), underpin_core::Error> {
        let (expected, found) = (self.values.len(), other.values.len());
        if self.parameters != other.parameters {
            return Err(underpin_core::Error::Length { name: "gradient", expected, found });
        }
        self.values.iter_mut().zip(&other.values).for_each(|(value, other)| *value += other);
        Ok(())
    }

    /// All values, parameter by parameter, row-major.
    pub fn values(&self) -> &[f64] {
        &self.values
    }

    /// The same parameters with other values: after noise was added, or a division.
    ///
    /// # Errors
    ///
    /// [`underpin_core::Error::Length`] when there are not as many.
    pub fn with_values(&self, values: Vec<f64>) -> Result<Self, underpin_core::Error> {
        if values.len() == self.values.len() {
            Ok(Self { parameters: self.parameters.clone(), values })
        } else {
            let (expected, found) = (self.values.len(), values.len());
            Err(underpin_core::Error::Length { name: "gradient", expected, found })
        }
    }

    /// Hands the gradient to any burn optimiser, on the plain `device` of the model.
    pub fn into_params(self, device: &Device) -> GradientsParams {
        let values: Vec<f32> = self.values.par_iter().map(|value| host::rounded(*value)).collect();
        self.params(&values, device)
    }

    /// Other values for the same parameters, as many, for any burn optimiser.
    pub(crate) fn params(&self, values: &[f32], device: &Device) -> GradientsParams {
        let mut params = GradientsParams::new();
        let mut rest = values;
        for parameter in &self.parameters {
            let (values, after) = rest.split_at(parameter.size());
            rest = after;
            register(&mut params, parameter.id, values.to_vec(), &parameter.shape, device);
        }
        params
    }
}

fn register(params: &mut GradientsParams, id: ParamId, values: Vec<f32>, shape: &[usize], device: &Device) {
    match *shape {
        [a] => params.register(id, host::tensor(values, [a], device)),
        [a, b] => params.register(id, host::tensor(values, [a, b], device)),
        [a, b, c] => params.register(id, host::tensor(values, [a, b, c], device)),
        [a, b, c, d] => params.register(id, host::tensor(values, [a, b, c, d], device)),
        [a, b, c, d, e] => params.register(id, host::tensor(values, [a, b, c, d, e], device)),
        _ => unreachable!("invariant: the tape's layers have weights of rank 1 to 5"),
    }
}
