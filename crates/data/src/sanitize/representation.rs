//! Representations: the vectors that backdoor detectors look at.

use underpin_core::Inputs;

use crate::Error;

/// A representation of rows as vectors, which backdoor detectors look at.
///
/// Implemented for every function of the right type.
///
/// # Examples
///
/// The mean of a row's features, as one might take the activations of a layer; a function does as well.
///
/// ```
/// use underpin_core::{Inputs, Shape};
/// use underpin_data::{ActivationClustering, Representation};
///
/// struct Mean;
///
/// impl Representation for Mean {
///     fn represent(&self, inputs: &Inputs) -> Inputs {
///         let means = inputs.rows().map(|row| row.iter().sum::<f32>() / row.len() as f32).collect();
///         Inputs::new(Shape::new([1]).expect("one value"), means).expect("one value per row")
///     }
/// }
///
/// let rows = Inputs::new(Shape::new([2])?, vec![0.0, 1.0, 0.2, 0.4])?;
/// assert_eq!(Mean.represent(&rows).values(), [0.5, 0.3]);
///
/// let detector = ActivationClustering { representation: &Mean, neighbours: 10, reclassified: 0.7 };
/// let centred = |inputs: &Inputs| inputs.clone();
/// let other = ActivationClustering { representation: &centred, ..detector };
/// # let _ = other;
/// # Ok::<(), underpin_core::Error>(())
/// ```
pub trait Representation {
    /// As many rows as `inputs`, all of one shape: such as a model's activations before its last layer.
    fn represent(&self, inputs: &Inputs) -> Inputs;
}

/// The identity representation: the features themselves.
#[derive(Clone, Copy, Debug)]
pub struct Features;

impl Representation for Features {
    fn represent(&self, inputs: &Inputs) -> Inputs {
        inputs.clone()
    }
}

impl<F: Fn(&Inputs) -> Inputs> Representation for F {
    fn represent(&self, inputs: &Inputs) -> Inputs {
        self(inputs)
    }
}

/// What `representation` makes of `inputs`: as many rows, all finite.
pub(super) fn represent(representation: &dyn Representation, inputs: &Inputs) -> Result<Inputs, Error> {
    let vectors = representation.represent(inputs);
    let (expected, found) = (inputs.len(), vectors.len());
    if expected != found {
        return Err(Error::Representation { expected, found });
    }
    match vectors.rows().position(|row| row.iter().any(|value| !value.is_finite())) {
        Some(row) => Err(Error::NotFinite { row }),
        None => Ok(vectors),
    }
}
