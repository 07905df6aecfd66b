//! Defences: the traits of sanitizers and trainers, and the evidence that each returns with its result.

use crate::evidence::Record;
use crate::examples::Examples;
use crate::seed::Seed;

/// A value and the evidence of how it came about; never one alone.
#[derive(Clone, Debug, PartialEq)]
pub struct Audited<T> {
    /// The value.
    pub value: T,
    /// How it came about.
    pub record: Record,
}

/// A sanitizer: rejects rows that should not be trained on.
///
/// Sanitizers are idempotent on what they kept, and never invent or change a row.
///
/// # Examples
///
/// ```
/// use std::convert::Infallible;
///
/// use underpin_core::{Audited, Record, Sanitizer};
///
/// /// Rejects numbers that are not finite.
/// struct Finite;
///
/// impl Sanitizer<Vec<f64>> for Finite {
///     type Error = Infallible;
///
///     fn sanitize(&self, mut rows: Vec<f64>) -> Result<Audited<Vec<f64>>, Infallible> {
///         let before = rows.len();
///         rows.retain(|row| row.is_finite());
///         let mut record = Record::default();
///         record.set("collection.finite.dropped", before - rows.len());
///         Ok(Audited { value: rows, record })
///     }
/// }
///
/// let audited = Finite.sanitize(vec![1.0, f64::NAN])?;
/// assert_eq!(audited.value, [1.0]);
/// assert_eq!(audited.record.parameters["collection.finite.dropped"], 1_u64.into());
/// # Ok::<(), Infallible>(())
/// ```
pub trait Sanitizer<Rows> {
    /// Why rows could not be judged at all.
    type Error: std::error::Error + Send + Sync + 'static;

    /// Judges `rows`.
    ///
    /// # Errors
    ///
    /// When the rows cannot be judged; a bad row is no error, it is dropped with its reason.
    fn sanitize(&self, rows: Rows) -> Result<Audited<Rows>, Self::Error>;
}

/// A trainer: fits a model to examples.
///
/// # Examples
///
/// ```
/// use underpin_core::{Audited, Denied, Disclosure, Error, Examples, Inputs, Outputs, Predict, Record, Seed, Shape, Trainer};
///
/// /// Predicts the fraction of each class among the training rows, whatever the input.
/// struct Prior(Vec<f32>);
///
/// impl Predict for Prior {
///     fn predict(&self, inputs: &Inputs) -> Result<Outputs, Denied> {
///         let scores = inputs.rows().flat_map(|_| self.0.iter().copied()).collect();
///         Outputs::new(self.0.len(), scores, Disclosure::Scores)
///             .map_err(|error| Denied::Unavailable { reason: error.to_string() })
///     }
/// }
///
/// struct CountClasses;
///
/// impl Trainer for CountClasses {
///     type Model = Prior;
///     type Error = Error;
///
///     fn train(&self, data: &Examples, _seed: Seed) -> Result<Audited<Prior>, Error> {
///         let rows = data.len() as f32;
///         let model = Prior(data.counts().into_iter().map(|count| count as f32 / rows).collect());
///         let mut record = Record::default();
///         record.set("training.rows", data.len());
///         Ok(Audited { value: model, record })
///     }
/// }
///
/// let inputs = Inputs::new(Shape::new([1])?, vec![0.1, 0.5, 0.6, 0.9])?;
/// let data = Examples::new(inputs, vec![0, 1, 1, 1], 2)?;
/// let trained = CountClasses.train(&data, Seed(1))?;
/// assert_eq!(trained.value.0, [0.25, 0.75]);
/// # Ok::<(), Error>(())
/// ```
pub trait Trainer {
    /// What is fitted.
    type Model;

    /// Why nothing could be fitted.
    type Error: std::error::Error + Send + Sync + 'static;

    /// Fits a model to `data`; the same seed gives the same model, noise that protects privacy excepted.
    ///
    /// # Errors
    ///
    /// When the data or the settings do not allow training.
    fn train(&self, data: &Examples, seed: Seed) -> Result<Audited<Self::Model>, Self::Error>;
}

impl<T: Trainer + ?Sized> Trainer for &T {
    type Model = T::Model;
    type Error = T::Error;

    fn train(&self, data: &Examples, seed: Seed) -> Result<Audited<Self::Model>, Self::Error> {
        (**self).train(data, seed)
    }
}
