//! The tape: one forward pass for every use; it records nothing, sums gradients, or clips them example by example.

use burn::module::{Module, ParamId};
use burn::tensor::Tensor;

use super::cost::NormMethod;
use super::kept::{self, Entry, Kept};
use super::op::{Operation, Slot, apply};
use super::parameters::Parameters;
use super::recording::Recording;
use crate::Error;

/// Names a model's layers as its forward pass goes through them.
///
/// The layers' weights stay outside burn's autodiff. A recording tape keeps each layer's input and catches the gradient
/// at its output; from these it forms per-example gradients after one backward pass. A silent tape records nothing, so
/// only the gradient at the input is formed, and only if it is asked for.
///
/// A parameter that burn has frozen ([`Module::no_grad`], [`Module::freeze`], the base under a LoRA adapter) is not
/// recorded; the gradient still flows through it to the layers before.
///
/// # Guarantees
///
/// 1. Batch norm is refused before anything runs, by its path in the model (`batch_norm_is_refused_at_construction`).
/// 2. Every parameter that trains has passed through the tape, and none outside of it
///    (`a_parameter_that_the_tape_has_not_seen_is_refused`, `a_layer_outside_the_tape_is_refused`).
/// 3. Every layer ran on as many examples as there are losses (`a_first_axis_that_is_not_the_example_is_refused`).
/// 4. A frozen parameter gets no gradient, and the layers before it theirs
///    (`a_frozen_parameter_is_not_recorded_and_passes_the_gradient_on`).
///
/// # Limits
///
/// Whatever stands between the layers must treat each example alone. What mixes examples (a mean over the batch) makes
/// per-example gradients meaningless, and the tape cannot see it.
#[derive(Debug)]
pub struct Tape {
    /// A tracked leaf that makes every recorded layer run backward; none on a silent tape.
    anchor: Option<Tensor<1>>,
    parameters: Parameters,
    pub(super) layers: usize,
    pub(super) entries: Vec<Entry>,
    fault: Option<Error>,
    pub(super) norms: Option<NormMethod>,
}

impl Tape {
    /// A tape that records nothing: for prediction and for gradients at the input.
    pub fn silent() -> Self {
        let (parameters, entries) = (Parameters::default(), Vec::new());
        Self { anchor: None, parameters, layers: 0, entries, fault: None, norms: None }
    }

    /// A tape that records one forward pass of `model`, on a plain or an autodiff device.
    ///
    /// # Errors
    ///
    /// [`Error::Module`] when the model holds a batch norm that is not frozen, one parameter twice, a reparameterisation
    /// other than LoRA, or nothing that trains.
    pub fn recording<M: Module>(model: &M) -> Result<Self, Error> {
        let (parameters, device) = Parameters::of(model)?;
        let anchor = Tensor::zeros([1], &device.autodiff()).require_grad();
        Ok(Self { anchor: Some(anchor), parameters, ..Self::silent() })
    }

    /// The same tape with one way of forming norms for all layers that have both; to measure, not to choose.
    ///
    /// Without this, each layer takes what costs less.
    #[must_use]
    pub fn with_norms(self, method: NormMethod) -> Self {
        Self { norms: Some(method), ..self }
    }

    /// Runs the one backward pass, from the losses of the examples, `[example]`.
    ///
    /// Each loss must depend on its own example alone. Layers that did not reach the loss have a gradient of 0.
    ///
    /// # Errors
    ///
    /// [`Error::Layer`] for a layer whose per-example gradients the tape cannot form, and on a silent tape;
    /// [`Error::Unrecorded`], [`Error::OutsideTape`] and [`Error::Examples`] when a guarantee of the tape would not hold.
    pub fn backward(self, losses: Tensor<1>) -> Result<Recording, Error> {
        if let Some(fault) = self.fault {
            return Err(fault);
        }
        if self.anchor.is_none() {
            return Err(Error::Layer { layer: 0, kind: "none", fault: "a silent tape has recorded nothing" });
        }
        let seen: Vec<usize> = self.entries.iter().flat_map(|entry| &entry.parameters).copied().collect();
        self.parameters.all_seen(&seen)?;
        let [examples] = losses.dims();
        if let Some(Entry { layer: (layer, kind), examples: found, .. }) =
            self.entries.iter().find(|entry| entry.examples != examples)
        {
            return Err(Error::Examples { layer: *layer, kind, found: *found, losses: examples });
        }
        let total = losses.sum();
        if examples > 0 && total.is_tracked() {
            self.parameters.none_reached(&total.backward())?;
        }
        let layers = kept::collect(self.entries, &self.parameters, self.norms)?;
        Ok(Recording { examples, parameters: self.parameters.trained(), layers })
    }

    /// One more layer.
    pub(super) fn begin(&mut self, kind: &'static str) -> (usize, &'static str) {
        self.layers += 1;
        (self.layers, kind)
    }

    /// Position of a parameter among those that train; none for a frozen one and on a silent tape.
    pub(super) fn position(&mut self, (layer, kind): (usize, &'static str), id: ParamId) -> Option<usize> {
        self.anchor.as_ref()?;
        self.parameters.position(id).unwrap_or_else(|fault| {
            self.fault.get_or_insert(Error::Layer { layer, kind, fault });
            None
        })
    }

    /// Runs an operation; leaves its output's gradient in a slot if any of its parameters trains.
    pub(super) fn run<O: Operation<IN, OUT>, const IN: usize, const OUT: usize>(
        &self,
        operation: &O,
        input: Tensor<IN>,
        parameters: &[usize],
    ) -> (Tensor<OUT>, Option<Slot<OUT>>) {
        match &self.anchor {
            Some(anchor) if !parameters.is_empty() => {
                let slot = Slot::empty();
                (apply(operation, input, Some((anchor, &slot))), Some(slot))
            }
            _ => (apply(operation, input, None), None),
        }
    }

    pub(super) fn keep(&mut self, layer: (usize, &'static str), examples: usize, parameters: Vec<usize>, kept: Kept) {
        self.entries.push(Entry { layer, examples, parameters, kept });
    }
}
