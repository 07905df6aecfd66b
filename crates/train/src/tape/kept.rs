//! What the tape keeps of its layers until the backward pass is over.

use burn::tensor::Tensor;

use super::conv::{Passed, Pooled};
use super::conv_gradients::ConvolutionGradients;
use super::correlate::{Direction, Windows};
use super::cost::{NormMethod, cheaper};
use super::factors::Factored;
use super::gradient::{Additive, ExampleGradients};
use super::host::Values;
use super::op::Slot;
use super::parameters::Parameters;
use super::recording::Layer;
use super::tied::{Piece, Tied};
use super::unfold::Geometry;
use super::uses::Uses;
use super::window::Window;
use crate::Error;

/// One layer that was recorded, or all uses of one weight.
pub(crate) struct Entry {
    /// Position on the tape, from 1, and kind.
    pub(crate) layer: (usize, &'static str),
    /// First axis of its input.
    pub(crate) examples: usize,
    /// Positions of its parameters among those of the model that train.
    pub(crate) parameters: Vec<usize>,
    pub(crate) kept: Kept,
}

impl std::fmt::Debug for Entry {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Entry")
            .field("layer", &self.layer)
            .field("parameters", &self.parameters)
            .finish_non_exhaustive()
    }
}

/// What there is of a layer besides its parameters.
pub(crate) enum Kept {
    Uses(Uses),
    Convolution(Box<Convolved>),
    Other(Collect),
}

/// Takes what the backward pass left; none if the layer's output did not reach the loss.
pub(crate) type Collect = Box<dyn FnOnce() -> Result<Option<Box<dyn Additive>>, Error> + Send>;

/// A two-dimensional convolution: its own kernels, or those of any windows.
pub(crate) struct Convolved {
    pub(crate) geometry: Geometry,
    /// Values of the bias; 0 without one that trains.
    pub(crate) bias: usize,
    pub(crate) input: Tensor<4>,
    /// The gradient at the output, or at what was pooled of it.
    pub(crate) slot: Slot<4>,
    pub(crate) pooled: Option<Pooled>,
}

impl Convolved {
    /// With the gradient at the output itself.
    fn windows(self, examples: usize) -> Option<Windows> {
        let window = Window::of_plane(&self.geometry);
        let (input, mut gradient) = (Values::of(self.input), Values::of(self.slot.take()?));
        if self.pooled.is_some() {
            let passed = Passed { gradient: gradient.as_slice(), pooled: self.pooled.as_ref() };
            gradient = passed.outputs(&self.geometry, examples);
        }
        Some(Windows { window, direction: Direction::Convolution, bias: self.bias, input, gradient })
    }

    fn alone(self, method: Option<NormMethod>, examples: usize) -> Option<Box<dyn ExampleGradients>> {
        // One at a time: none is kept.
        match method.unwrap_or_else(|| cheaper(Window::of_plane(&self.geometry).sizes(self.bias), 1)) {
            NormMethod::Ghost => {
                Some(Box::new(Factored::new(self.windows(examples)?, Some(NormMethod::Ghost), examples)))
            }
            NormMethod::Instantiated => {
                let Self { geometry, bias, input, slot, pooled } = self;
                let (input, gradient) = (Values::of(input), Values::of(slot.take()?));
                Some(Box::new(ConvolutionGradients::new(geometry, bias, input, gradient, pooled)))
            }
        }
    }
}

impl Entry {
    /// The gradients of a layer that shares no parameter.
    fn alone(self, method: Option<NormMethod>) -> Result<Option<Box<dyn ExampleGradients>>, Error> {
        match self.kept {
            Kept::Uses(uses) => Ok(uses.alone(method, self.examples)),
            Kept::Convolution(convolved) => Ok(convolved.alone(method, self.examples)),
            Kept::Other(collect) => Ok(collect()?.map(|gradients| gradients as Box<dyn ExampleGradients>)),
        }
    }

    /// The gradients of a layer that shares a parameter.
    fn tied(self) -> Result<Option<Box<dyn Additive>>, Error> {
        let ghost = Some(NormMethod::Ghost);
        match self.kept {
            Kept::Uses(uses) => Ok(uses.tied(self.examples)),
            Kept::Convolution(convolved) => {
                let windows = convolved.windows(self.examples);
                Ok(windows.map(|windows| Box::new(Factored::new(windows, ghost, self.examples)) as Box<dyn Additive>))
            }
            Kept::Other(collect) => collect(),
        }
    }
}

/// The gradients of all layers; those that share a parameter are put together.
///
/// # Errors
///
/// What collecting one of them refuses.
pub(crate) fn collect(
    entries: Vec<Entry>,
    parameters: &Parameters,
    method: Option<NormMethod>,
) -> Result<Vec<Layer>, Error> {
    let mut groups: Vec<Vec<Entry>> = Vec::new();
    for entry in entries {
        let shared = |other: &Entry| other.parameters.iter().any(|parameter| entry.parameters.contains(parameter));
        let (mut joined, rest): (Vec<_>, Vec<_>) = groups.into_iter().partition(|group| group.iter().any(shared));
        groups = rest;
        let mut group: Vec<Entry> = joined.drain(..).flatten().collect();
        group.push(entry);
        groups.push(group);
    }
    let mut layers = Vec::new();
    for mut group in groups {
        let layer = match group.pop() {
            Some(only) if group.is_empty() => {
                let parameters = only.parameters.clone();
                only.alone(method)?.map(|gradients| Layer { parameters, gradients })
            }
            last => tied(group.into_iter().chain(last), parameters)?,
        };
        layers.extend(layer);
    }
    Ok(layers)
}

/// Layers that fraction parameters as one; none if no output reached the loss.
fn tied(group: impl Iterator<Item = Entry>, parameters: &Parameters) -> Result<Option<Layer>, Error> {
    let mut members = Vec::new();
    let mut all: Vec<usize> = Vec::new();
    for entry in group {
        let own = entry.parameters.clone();
        if let Some(gradients) = entry.tied()? {
            all.extend(own.iter().filter(|parameter| !all.contains(parameter)).copied().collect::<Vec<_>>());
            members.push((own, gradients));
        }
    }
    let size = |of: &[usize]| of.iter().map(|parameter| parameters.size(*parameter)).sum::<usize>();
    let place = |parameter: usize| all.iter().position(|other| *other == parameter).map_or(0, |at| size(&all[..at]));
    let mut tied = Tied::new(size(&all));
    let any = !members.is_empty();
    for (own, gradients) in members {
        let piece = |(at, parameter): (usize, &usize)| Piece {
            own: size(&own[..at]),
            all: place(*parameter),
            size: parameters.size(*parameter),
        };
        tied.push(gradients, own.iter().enumerate().map(piece).collect());
    }
    Ok(any.then(|| Layer { parameters: all, gradients: Box::new(tied) }))
}
