//! Inputs, labels and outputs of predictors, as vectors of numbers without a tensor library.

use serde::{Deserialize, Serialize};

use crate::Error;

/// Shape of one example, outermost axis first: `[30]` for a table, `[1, 28, 28]` for a grey image.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(try_from = "Vec<usize>", into = "Vec<usize>")]
pub struct Shape(Vec<usize>);

impl Shape {
    /// Checks the axes.
    ///
    /// # Errors
    ///
    /// [`Error::OutOfRange`] without an axis, with an axis of length 0, or above 2³¹ values.
    pub fn new(axes: impl Into<Vec<usize>>) -> Result<Self, Error> {
        let axes = axes.into();
        let size = axes.iter().try_fold(1_usize, |size, axis| size.checked_mul(*axis));
        match size {
            Some(size) if !axes.is_empty() && (1..=1 << 31).contains(&size) => Ok(Self(axes)),
            _ => Err(Error::out_of_range(
                "values per example",
                axes.iter().map(|axis| *axis as f64).product::<f64>(),
                "[1, 2^31]",
            )),
        }
    }

    /// Lengths of the axes.
    pub fn axes(&self) -> &[usize] {
        &self.0
    }

    /// Number of values in one example.
    pub fn size(&self) -> usize {
        self.0.iter().product()
    }

    /// Channels, height and width, if the example is an image.
    pub fn image(&self) -> Option<[usize; 3]> {
        <[usize; 3]>::try_from(self.0.as_slice()).ok()
    }
}

impl TryFrom<Vec<usize>> for Shape {
    type Error = Error;

    fn try_from(axes: Vec<usize>) -> Result<Self, Error> {
        Self::new(axes)
    }
}

impl From<Shape> for Vec<usize> {
    fn from(shape: Shape) -> Self {
        shape.0
    }
}

/// Inputs of a predictor, `[example, ...shape]`, row-major.
///
/// Features are expected in `[0, 1]`: collection scales them by the ranges of its contract.
#[derive(Clone, Debug, PartialEq)]
pub struct Inputs {
    shape: Shape,
    values: Vec<f32>,
}

impl Inputs {
    /// Checks that the values fill whole examples.
    ///
    /// # Errors
    ///
    /// [`Error::Length`] when they do not.
    pub fn new(shape: Shape, values: Vec<f32>) -> Result<Self, Error> {
        let size = shape.size();
        if values.len().is_multiple_of(size) {
            Ok(Self { shape, values })
        } else {
            let expected = values.len().div_ceil(size) * size;
            Err(Error::Length { name: "inputs", expected, found: values.len() })
        }
    }

    /// Shape of one example.
    pub fn shape(&self) -> &Shape {
        &self.shape
    }

    /// All values, row-major.
    pub fn values(&self) -> &[f32] {
        &self.values
    }

    /// All values, row-major, to be changed in place.
    pub fn values_mut(&mut self) -> &mut [f32] {
        &mut self.values
    }

    /// The values themselves.
    pub fn into_values(self) -> Vec<f32> {
        self.values
    }

    /// Number of examples.
    pub fn len(&self) -> usize {
        self.values.len() / self.shape.size()
    }

    /// Whether there is no example.
    pub fn is_empty(&self) -> bool {
        self.values.is_empty()
    }

    /// One example's values.
    ///
    /// # Panics
    ///
    /// When `example` is not below [`Inputs::len`].
    pub fn row(&self, example: usize) -> &[f32] {
        let size = self.shape.size();
        &self.values[example * size..][..size]
    }

    /// Examples one by one.
    pub fn rows(&self) -> std::slice::ChunksExact<'_, f32> {
        self.values.chunks_exact(self.shape.size())
    }

    /// The examples at `indices`, in that order; repeats are allowed.
    ///
    /// # Panics
    ///
    /// When an index is not below [`Inputs::len`].
    #[must_use]
    pub fn select(&self, indices: &[usize]) -> Self {
        let values = indices.iter().flat_map(|index| self.row(*index)).copied().collect();
        Self { shape: self.shape.clone(), values }
    }
}

/// Inputs with the class of each.
#[derive(Clone, Debug, PartialEq)]
pub struct Examples {
    inputs: Inputs,
    labels: Vec<usize>,
    classes: usize,
}

impl Examples {
    /// Checks that there is one label per input and that each names a class.
    ///
    /// # Errors
    ///
    /// [`Error::Length`] or [`Error::Label`] when not.
    pub fn new(inputs: Inputs, labels: Vec<usize>, classes: usize) -> Result<Self, Error> {
        if labels.len() != inputs.len() {
            return Err(Error::Length { name: "labels", expected: inputs.len(), found: labels.len() });
        }
        match labels.iter().position(|label| *label >= classes) {
            Some(example) => Err(Error::Label { example, label: labels[example], classes }),
            None => Ok(Self { inputs, labels, classes }),
        }
    }

    /// The inputs, `[example, ...shape]`.
    pub fn inputs(&self) -> &Inputs {
        &self.inputs
    }

    /// The class of each input.
    pub fn labels(&self) -> &[usize] {
        &self.labels
    }

    /// Number of classes; labels lie below it.
    pub fn classes(&self) -> usize {
        self.classes
    }

    /// Number of examples.
    pub fn len(&self) -> usize {
        self.labels.len()
    }

    /// Whether there is no example.
    pub fn is_empty(&self) -> bool {
        self.labels.is_empty()
    }

    /// The examples at `indices`, in that order; repeats are allowed.
    ///
    /// # Panics
    ///
    /// When an index is not below [`Examples::len`].
    #[must_use]
    pub fn select(&self, indices: &[usize]) -> Self {
        Self {
            inputs: self.inputs.select(indices),
            labels: indices.iter().map(|index| self.labels[*index]).collect(),
            classes: self.classes,
        }
    }

    /// The same inputs with other labels.
    ///
    /// # Errors
    ///
    /// As [`Examples::new`].
    pub fn with_labels(&self, labels: Vec<usize>) -> Result<Self, Error> {
        Self::new(self.inputs.clone(), labels, self.classes)
    }

    /// The same labels with other inputs.
    ///
    /// # Errors
    ///
    /// As [`Examples::new`].
    pub fn with_inputs(&self, inputs: Inputs) -> Result<Self, Error> {
        Self::new(inputs, self.labels.clone(), self.classes)
    }

    /// Number of examples of each class.
    pub fn counts(&self) -> Vec<usize> {
        let mut counts = vec![0; self.classes];
        self.labels.iter().for_each(|label| counts[*label] += 1);
        counts
    }
}

/// How much of the scores an answer discloses.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum Disclosure {
    /// A score for every class.
    Scores,
    /// Scores of the `k` best classes; the others are 0.
    TopK(usize),
    /// The best class alone: its score is 1, the others are 0.
    Label,
}

/// Answers of a predictor: scores `[example, class]`, row-major, higher is likelier, in `[0, 1]`.
#[derive(Clone, Debug, PartialEq)]
pub struct Outputs {
    classes: usize,
    scores: Vec<f32>,
    disclosure: Disclosure,
}

impl Outputs {
    /// Checks that the scores fill whole examples.
    ///
    /// # Errors
    ///
    /// [`Error::Length`] when they do not, or without a class.
    pub fn new(classes: usize, scores: Vec<f32>, disclosure: Disclosure) -> Result<Self, Error> {
        if classes > 0 && scores.len().is_multiple_of(classes) {
            Ok(Self { classes, scores, disclosure })
        } else {
            Err(Error::Length { name: "scores", expected: classes, found: scores.len() })
        }
    }

    /// Number of classes.
    pub fn classes(&self) -> usize {
        self.classes
    }

    /// All scores, row-major.
    pub fn scores(&self) -> &[f32] {
        &self.scores
    }

    /// What the answer discloses.
    pub fn disclosure(&self) -> Disclosure {
        self.disclosure
    }

    /// Number of examples answered.
    pub fn len(&self) -> usize {
        self.scores.len() / self.classes
    }

    /// Whether nothing was answered.
    pub fn is_empty(&self) -> bool {
        self.scores.is_empty()
    }

    /// One example's scores.
    ///
    /// # Panics
    ///
    /// When `example` is not below [`Outputs::len`].
    pub fn row(&self, example: usize) -> &[f32] {
        &self.scores[example * self.classes..][..self.classes]
    }

    /// Scores, example by example.
    pub fn rows(&self) -> std::slice::ChunksExact<'_, f32> {
        self.scores.chunks_exact(self.classes)
    }

    /// The likeliest class of each example; the first of equals; NaN never wins over a number.
    pub fn labels(&self) -> Vec<usize> {
        let best = |row: &[f32]| {
            (1..row.len()).fold(0, |best, class| {
                if row[class] > row[best] || (row[best].is_nan() && !row[class].is_nan()) { class } else { best }
            })
        };
        self.rows().map(best).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn inputs(n: usize) -> Inputs {
        Inputs::new(Shape::new([2]).unwrap(), (0..2 * n).map(|i| i as f32).collect()).unwrap()
    }

    #[test]
    fn parts_of_examples_are_refused() {
        let shape = Shape::new([3]).unwrap();
        assert!(Inputs::new(shape.clone(), vec![0.0; 4]).is_err());
        assert!(Inputs::new(shape, vec![]).unwrap().is_empty());
        assert!(Shape::new([]).is_err() && Shape::new([3, 0]).is_err() && Shape::new([usize::MAX, 2]).is_err());
    }

    #[test]
    fn labels_outside_the_classes_are_refused_by_place() {
        let error = Examples::new(inputs(2), vec![0, 3], 3).unwrap_err();
        assert_eq!(error, Error::Label { example: 1, label: 3, classes: 3 });
        assert!(Examples::new(inputs(2), vec![0], 3).is_err());
    }

    #[test]
    fn selection_keeps_inputs_and_labels_together() {
        let examples = Examples::new(inputs(3), vec![0, 1, 2], 3).unwrap().select(&[2, 0, 2]);
        assert_eq!(examples.labels(), [2, 0, 2]);
        assert_eq!(examples.inputs().values(), [4.0, 5.0, 0.0, 1.0, 4.0, 5.0]);
        assert_eq!(examples.counts(), [1, 0, 2]);
    }

    #[test]
    fn the_likeliest_class_is_never_nan() {
        let scores = vec![f32::NAN, 0.1, 0.9, 0.4, 0.4, 0.2, 0.2, f32::NAN, 0.1];
        let outputs = Outputs::new(3, scores, Disclosure::Scores).unwrap();
        assert_eq!(outputs.labels(), [2, 0, 0]);
        assert!(Outputs::new(0, vec![], Disclosure::Scores).is_err());
    }
}
