//! Layers that the tape does not know: by a rule for their per-example gradients, or one example at a time.

use std::collections::BTreeSet;
use std::sync::{Mutex, PoisonError};

use burn::module::{Module, ModuleVisitor, Param, ParamId};
use burn::tensor::{Gradients, Tensor};

use super::Tape;
use super::host::{self, Values};
use super::instantiated::Instantiated;
use super::kept::Kept;
use super::op::Identity;
use crate::Error;

/// A layer that knows its own per-example gradients.
///
/// [`Tape::fallback`] on the same layer gives the gradients to test the rule against.
///
/// # Examples
///
/// A layer that multiplies each feature by a weight of its own. The gradient of example `e` at weight `w` is
/// `input[e, w] * gradient[e, w]`:
///
/// ```
/// use burn::module::{Module, Param};
/// use burn::tensor::{Device, Tensor};
/// use underpin_train::{ExampleRule, Tape};
///
/// #[derive(Module, Debug)]
/// struct Scale {
///     weight: Param<Tensor<1>>,
/// }
///
/// impl Scale {
///     fn forward(&self, input: Tensor<2>) -> Tensor<2> {
///         input * self.weight.val().unsqueeze()
///     }
/// }
///
/// impl ExampleRule<2, 2> for Scale {
///     fn example_gradients(&self, input: Tensor<2>, gradient: Tensor<2>) -> Tensor<2> {
///         input * gradient
///     }
/// }
///
/// let device = Device::flex();
/// let scale = Scale { weight: Param::from_tensor(Tensor::ones([3], &device)) };
/// let rows = Tensor::<2>::from_floats([[3.0, 0.0, 4.0], [0.0, 2.0, 0.0]], &device);
/// let norms = |by_rule: bool| -> Result<Vec<f64>, underpin_train::Error> {
///     let mut tape = Tape::recording(&scale)?;
///     let outputs = if by_rule {
///         tape.custom(&scale, Scale::forward, rows.clone())
///     } else {
///         tape.fallback(&scale, Scale::forward, rows.clone())
///     };
///     Ok(tape.backward(outputs.sum_dim(1).squeeze_dim(1))?.norms())
/// };
/// assert_eq!(norms(true)?, [5.0, 2.0]);
/// assert_eq!(norms(true)?, norms(false)?);
/// # Ok::<(), underpin_train::Error>(())
/// ```
pub trait ExampleRule<const IN: usize, const OUT: usize>: Module + 'static {
    /// Each example's gradient of all float parameters in the module's order, row-major, one after the other:
    /// `[example, value]`; of frozen ones too, which are then left out.
    ///
    /// `input` is `[example, ...]`, and `gradient` the gradient of the losses at the layer's output, `[example, ...]`;
    /// both on the plain device.
    fn example_gradients(&self, input: Tensor<IN>, gradient: Tensor<OUT>) -> Tensor<2>;
}

impl Tape {
    /// Runs a layer that has a rule for its per-example gradients.
    ///
    /// `forward` is the layer's own forward pass; burn forms the gradient at the input from it. The rule is trusted: the
    /// privacy of what is released rests on it.
    ///
    /// # Errors at the backward pass
    ///
    /// [`Error::Layer`] when the rule's gradients are not `[example, value]` with a value for every parameter.
    pub fn custom<L, F, const IN: usize, const OUT: usize>(
        &mut self,
        layer: &L,
        forward: F,
        input: Tensor<IN>,
    ) -> Tensor<OUT>
    where
        L: ExampleRule<IN, OUT>,
        F: FnOnce(&L, Tensor<IN>) -> Tensor<OUT>,
    {
        self.opaque("custom", layer, forward, input, |layer, ids, input, gradient, _| {
            let [examples, found] = [gradient.dims()[0], ids.iter().map(|(_, size)| size).sum()];
            let values = layer.example_gradients(input, gradient).inner();
            if values.dims() != [examples, found] {
                return Err("the rule's gradients are not [example, value], a value for every parameter");
            }
            Ok(host::values(values))
        })
    }

    /// Runs a layer that the tape does not know, correctly and slowly: after the backward pass it runs each example
    /// alone, forward and backward, through burn's autodiff. Says so once for each type, as a `tracing` warning.
    ///
    /// # Errors at the backward pass
    ///
    /// [`Error::Layer`] when an example alone does not give the output that it gave among others, to 1e-4 relative: then
    /// the layer mixes examples, or draws random numbers.
    pub fn fallback<L, F, const IN: usize, const OUT: usize>(
        &mut self,
        layer: &L,
        forward: F,
        input: Tensor<IN>,
    ) -> Tensor<OUT>
    where
        L: Module + 'static,
        F: Fn(&L, Tensor<IN>) -> Tensor<OUT> + Clone + Send + 'static,
    {
        warn_once(std::any::type_name::<L>());
        let again = forward.clone();
        self.opaque("fallback", layer, forward, input, move |layer, ids, input, gradient, output| {
            let mut values = Vec::new();
            for example in 0..input.dims()[0] {
                let alone = again(layer, input.clone().narrow(0, example, 1).autodiff());
                let expected = output.clone().narrow(0, example, 1);
                if !close(&host::values(alone.clone()), &host::values(expected)) {
                    return Err(
                        "an example alone does not give the output that it gave among others: the layer mixes \
                                examples or is random",
                    );
                }
                let loss = (alone * gradient.clone().narrow(0, example, 1).autodiff()).sum();
                let mut found = Found { gradients: None, values: Vec::new() };
                if loss.is_tracked() {
                    found.gradients = Some(loss.backward());
                }
                layer.visit(&mut found);
                values.extend(found.values);
            }
            debug_assert_eq!(values.len(), input.dims()[0] * ids.iter().map(|(_, size)| size).sum::<usize>());
            Ok(values)
        })
    }

    /// Runs a layer with its weights held constant, and keeps what `gradients` later forms the gradients from.
    fn opaque<L, F, G, const IN: usize, const OUT: usize>(
        &mut self,
        kind: &'static str,
        layer: &L,
        forward: F,
        input: Tensor<IN>,
        gradients: G,
    ) -> Tensor<OUT>
    where
        L: Module + 'static,
        F: FnOnce(&L, Tensor<IN>) -> Tensor<OUT>,
        G: FnOnce(&L, &[(ParamId, usize)], Tensor<IN>, Tensor<OUT>, Tensor<OUT>) -> Result<Vec<f32>, &'static str>
            + Send
            + 'static,
    {
        let (at, kind) = self.begin(kind);
        let trained = layer.clone().train();
        let output = forward(&trained.clone().no_grad(), input.clone());
        let mut all = Ids(Vec::new());
        trained.visit(&mut all);
        let ids = all.0;
        // (position among the trained, values before it in a row, its size)
        let mut places: Vec<(usize, usize, usize)> = Vec::new();
        let mut before = 0;
        for (id, size) in &ids {
            places.extend(self.position((at, kind), *id).map(|position| (position, before, *size)));
            before += size;
        }
        let parameters: Vec<usize> = places.iter().map(|(position, ..)| *position).collect();
        let (output, slot) = self.run(&Identity, output, &parameters);
        let Some(slot) = slot else { return output };
        let (examples, input, plain) = (input.dims()[0], input.inner(), output.clone().inner());
        let collect = move || {
            let Some(gradient) = slot.take() else { return Ok(None) };
            let rows = gradients(&trained, &ids, input, gradient, plain).map_err(|fault| Error::Layer {
                layer: at,
                kind,
                fault,
            })?;
            let width = before.max(1);
            let own = |row: &[f32]| places.iter().flat_map(|(_, from, size)| row[*from..][..*size].to_vec()).collect();
            let values: Vec<Vec<f32>> = rows.chunks_exact(width).map(own).collect();
            let size = places.iter().map(|(_, _, size)| size).sum();
            Ok(Some(Box::new(Instantiated::new(size, values.concat())) as _))
        };
        self.keep((at, kind), examples, parameters, Kept::Other(Box::new(collect)));
        output
    }
}

/// All float parameters of a module and their sizes, in its order.
struct Ids(Vec<(ParamId, usize)>);

impl ModuleVisitor for Ids {
    fn visit_float<const D: usize>(&mut self, parameter: &Param<Tensor<D>>) {
        self.0.push((parameter.id, parameter.base().dims().iter().product()));
    }
}

/// The gradients of all float parameters of a module, in its order; 0 where there is none.
struct Found {
    gradients: Option<Gradients>,
    values: Vec<f32>,
}

impl ModuleVisitor for Found {
    fn visit_float<const D: usize>(&mut self, parameter: &Param<Tensor<D>>) {
        let parameter = parameter.base();
        match self.gradients.as_ref().and_then(|gradients| parameter.grad(gradients)) {
            Some(gradient) => self.values.extend_from_slice(Values::of(gradient.inner()).as_slice()),
            None => self.values.resize(self.values.len() + parameter.dims().iter().product::<usize>(), 0.0),
        }
    }
}

/// Equal to 1e-4 of the largest value, or both not finite.
fn close(a: &[f32], b: &[f32]) -> bool {
    let largest =
        a.iter().chain(b).filter(|value| value.is_finite()).fold(0.0_f32, |most, value| most.max(value.abs()));
    a.len() == b.len()
        && a.iter().zip(b).all(|(a, b)| (a - b).abs() <= 1e-4 * largest || !(a.is_finite() || b.is_finite()))
}

/// Layer types that the fallback has spoken of.
static SAID: Mutex<BTreeSet<&'static str>> = Mutex::new(BTreeSet::new());

fn warn_once(layer: &'static str) {
    if SAID.lock().unwrap_or_else(PoisonError::into_inner).insert(layer) {
        tracing::warn!(layer, "the tape does not know this layer: its examples run one at a time, slowly");
    }
}
