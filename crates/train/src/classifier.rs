//! A trained network as what attacks, guards and metrics see.

use burn::tensor::{Tensor, activation};
use underpin_core::{Denied, Disclosure, Examples, Inputs, LossGradient, Outputs, Predict, Seed, Shape};

use crate::network::Network;
use crate::tape::host;
use crate::{Architecture, DeviceKind, Error, Tape};

/// Values that pass through the network at a time; bounds the memory of large requests.
const CHUNK: usize = 1 << 18;

/// A network with the shape it takes and its classes. Scores are softmax probabilities.
///
/// Cheap to clone: clones share the weights, which never change.
#[derive(Clone, Debug)]
pub struct Classifier {
    pub(crate) network: Network,
    pub(crate) architecture: Architecture,
    pub(crate) shape: Shape,
    pub(crate) classes: usize,
    pub(crate) device: DeviceKind,
}

impl Classifier {
    /// An untrained network; the same seed gives the same weights.
    ///
    /// # Errors
    ///
    /// [`Error::NotAnImage`], [`Error::TooManyParameters`] or [`Error::OutOfRange`] when the architecture does not fit.
    pub fn initial(
        architecture: Architecture,
        shape: &Shape,
        classes: usize,
        device: DeviceKind,
        seed: Seed,
    ) -> Result<Self, Error> {
        let layers = architecture.layers(shape, classes)?;
        let network = Network::initial(&layers, &device.device(), seed);
        Ok(Self { network, architecture, shape: shape.clone(), classes, device })
    }

    /// The network's architecture.
    pub fn architecture(&self) -> &Architecture {
        &self.architecture
    }

    /// Shape of one example.
    pub fn shape(&self) -> &Shape {
        &self.shape
    }

    /// Number of classes.
    pub fn classes(&self) -> usize {
        self.classes
    }

    /// Where it computes.
    pub fn device(&self) -> DeviceKind {
        self.device
    }

    /// Number of parameters.
    pub fn parameters(&self) -> usize {
        self.network.values().len()
    }

    /// Activations before the last layer, `[example, feature]`; of a linear model, the inputs themselves.
    ///
    /// # Errors
    ///
    /// [`Denied`] as for [`Predict::predict`].
    pub fn features(&self, inputs: &Inputs) -> Result<Inputs, Denied> {
        let values = self.in_chunks(inputs, |chunk, _| {
            host::values(self.network.features(chunk, &self.shape, &mut Tape::silent()))
        })?;
        let layers = self.architecture.layers(&self.shape, self.classes).map_err(unavailable)?;
        let width = layers.last().map_or(1, |layer| layer.fan_in());
        let shape = Shape::new([width]).map_err(unavailable)?;
        Inputs::new(shape, values).map_err(unavailable)
    }

    /// Logits `[example, class]`, row-major.
    ///
    /// # Errors
    ///
    /// [`Denied`] as for [`Predict::predict`].
    pub fn logits(&self, inputs: &Inputs) -> Result<Vec<f32>, Denied> {
        self.in_chunks(inputs, |chunk, _| host::values(self.network.forward(chunk, &self.shape, &mut Tape::silent())))
    }

    /// Fraction of the examples whose label has the highest score; NaN of no examples.
    ///
    /// # Errors
    ///
    /// [`Denied`] as for [`Predict::predict`].
    pub fn accuracy(&self, examples: &Examples) -> Result<f64, Denied> {
        let predicted = self.predict(examples.inputs())?.labels();
        let correct = predicted.iter().zip(examples.labels()).filter(|(predicted, label)| predicted == label).count();
        Ok(correct as f64 / examples.len() as f64)
    }

    /// Runs `pass` on bounded chunks of valid inputs, with the position of each chunk's first example.
    fn in_chunks(&self, inputs: &Inputs, pass: impl Fn(Tensor<2>, usize) -> Vec<f32>) -> Result<Vec<f32>, Denied> {
        Denied::unless_valid(inputs, &self.shape)?;
        let (size, device) = (self.shape.size(), self.device.device());
        let rows = (CHUNK / size).max(1);
        let mut all = Vec::new();
        for (chunk, values) in inputs.values().chunks(rows * size).enumerate() {
            let tensor = host::tensor(values.to_vec(), [values.len() / size, size], &device);
            all.extend(pass(tensor, chunk * rows));
        }
        Ok(all)
    }
}

fn unavailable(error: impl std::fmt::Display) -> Denied {
    Denied::Unavailable { reason: error.to_string() }
}

impl Predict for Classifier {
    /// Softmax probabilities.
    fn predict(&self, inputs: &Inputs) -> Result<Outputs, Denied> {
        let scores = self.in_chunks(inputs, |chunk, _| {
            host::values(activation::softmax(self.network.forward(chunk, &self.shape, &mut Tape::silent()), 1))
        })?;
        Outputs::new(self.classes, scores, Disclosure::Scores).map_err(unavailable)
    }
}

impl LossGradient for Classifier {
    /// By one backward pass per chunk, through the layers but not into their weights.
    fn loss_gradient(&self, inputs: &Inputs, labels: &[usize]) -> Result<Inputs, Denied> {
        if labels.len() != inputs.len() {
            let reason = format!("{} labels for {} inputs", labels.len(), inputs.len());
            return Err(Denied::Unavailable { reason });
        }
        if let Some(label) = labels.iter().find(|label| **label >= self.classes) {
            let reason = format!("label {label} is not below the number of classes, {}", self.classes);
            return Err(Denied::Unavailable { reason });
        }
        let gradients = self.in_chunks(inputs, |chunk, first| {
            let [rows, _] = chunk.dims();
            let chunk = chunk.autodiff().require_grad();
            let logits = self.network.forward(chunk.clone(), &self.shape, &mut Tape::silent());
            let mut gradients = losses(logits, &labels[first..first + rows]).sum().backward();
            let gradient = chunk.grad_remove(&mut gradients);
            host::values(gradient.expect("invariant: the loss depends on the inputs"))
        })?;
        Inputs::new(self.shape.clone(), gradients).map_err(unavailable)
    }
}

/// Cross-entropy of each example, nats, `[example]`.
pub(crate) fn losses(logits: Tensor<2>, labels: &[usize]) -> Tensor<1> {
    let [examples, classes] = logits.dims();
    let mut chosen = vec![0.0; examples * classes];
    for (example, label) in labels.iter().enumerate() {
        chosen[example * classes + label] = -1.0;
    }
    let chosen = host::tensor(chosen, [examples, classes], &logits.device().inner());
    (activation::log_softmax(logits, 1) * chosen).sum_dim(1).squeeze_dim(1)
}

#[cfg(test)]
#[path = "classifier_tests.rs"]
mod tests;
