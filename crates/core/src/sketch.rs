//! Sketches: histograms of inputs and answers, to detect drift without keeping rows.

use serde::{Deserialize, Serialize};

use crate::{Error, Inputs, Outputs};

/// Number of bins of a feature's histogram over `[0, 1]`; two more count what lies below and above.
const BINS: usize = 16;

/// Histogram of one feature: below 0, the bins of `[0, 1]`, above 1.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(try_from = "Vec<u64>", into = "Vec<u64>")]
pub struct FeatureSketch(Vec<u64>);

impl TryFrom<Vec<u64>> for FeatureSketch {
    type Error = Error;

    /// Takes counts that were written: one for each bin, of a sum below 2^64.
    fn try_from(counts: Vec<u64>) -> Result<Self, Error> {
        if counts.len() != BINS + 2 {
            return Err(Error::Length { name: "histogram", expected: BINS + 2, found: counts.len() });
        }
        match counts.iter().try_fold(0_u64, |sum, count| sum.checked_add(*count)) {
            Some(_) => Ok(Self(counts)),
            None => Err(Error::out_of_range("sum of a histogram", f64::INFINITY, "[0, 2^64)")),
        }
    }
}

impl From<FeatureSketch> for Vec<u64> {
    fn from(sketch: FeatureSketch) -> Self {
        sketch.0
    }
}

impl FeatureSketch {
    /// The counts: below 0, the bins of `[0, 1]` from low to high, above 1 (NaN counts as above).
    pub fn counts(&self) -> &[u64] {
        &self.0
    }

    fn count(&mut self, value: f32) {
        let count = &mut self.0[bin(value)];
        *count = count.saturating_add(1);
    }
}

/// What a stream of inputs and answers looks like: histograms of features, answers and confidences; no raw row.
///
/// # Limits
///
/// Exact counts, without noise: they are not differentially private.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Sketch {
    /// Number of examples seen.
    pub count: u64,
    /// One histogram per feature.
    pub features: Vec<FeatureSketch>,
    /// Number of answers of each class.
    pub answers: Vec<u64>,
    /// Histogram of the best score over `[0, 1]`.
    pub confidence: FeatureSketch,
}

impl Sketch {
    /// A sketch of nothing yet.
    pub fn new(features: usize, classes: usize) -> Self {
        let empty = FeatureSketch(vec![0; BINS + 2]);
        Self { count: 0, features: vec![empty.clone(); features], answers: vec![0; classes], confidence: empty }
    }

    /// Counts inputs and their answers; what does not fit the sketch's features and classes is not counted.
    pub fn observe(&mut self, inputs: &Inputs, outputs: &Outputs) {
        if inputs.shape().size() != self.features.len()
            || outputs.classes() != self.answers.len()
            || inputs.len() != outputs.len()
        {
            return;
        }
        self.count = self.count.saturating_add(inputs.len() as u64);
        for row in inputs.rows() {
            for (feature, value) in self.features.iter_mut().zip(row) {
                feature.count(*value);
            }
        }
        for (row, label) in outputs.rows().zip(outputs.labels()) {
            self.answers[label] = self.answers[label].saturating_add(1);
            self.confidence.count(row[label]);
        }
    }
}

#[allow(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "the value lies in [0, 1], so the bin lies in [0, BINS]"
)]
fn bin(value: f32) -> usize {
    if value < 0.0 {
        0
    } else if value <= 1.0 {
        1 + ((value * BINS as f32) as usize).min(BINS - 1)
    } else {
        BINS + 1
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Disclosure, Shape};

    #[test]
    fn every_value_has_its_bin() {
        for (value, expected) in
            [(-0.1, 0), (0.0, 1), (0.999, BINS), (1.0, BINS), (1.1, BINS + 1), (f32::NAN, BINS + 1)]
        {
            assert_eq!(bin(value), expected, "{value}");
        }
    }

    #[test]
    fn counts_add_up() {
        let inputs = Inputs::new(Shape::new([2]).unwrap(), vec![0.0, 0.5, 1.0, 0.25]).unwrap();
        let outputs = Outputs::new(2, vec![0.9, 0.1, 0.2, 0.8], Disclosure::Scores).unwrap();
        let mut sketch = Sketch::new(2, 2);
        sketch.observe(&inputs, &outputs);
        sketch.observe(&inputs.select(&[0]), &outputs);
        assert_eq!(sketch.count, 2);
        assert_eq!(sketch.answers, [1, 1]);
        assert!(sketch.features.iter().all(|feature| feature.counts().iter().sum::<u64>() == 2));
    }

    #[test]
    fn a_hostile_sketch_is_refused_or_takes_more() {
        let written = serde_json::to_string(&Sketch::new(1, 2)).unwrap();
        let histogram = "[0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0]";
        assert!(written.contains(histogram));
        let full = histogram.replacen("0]", &format!("{}]", u64::MAX), 1);
        let overfull = full.replacen("[0", "[1", 1);
        let read = |text: &str| serde_json::from_str::<Sketch>(&written.replacen(histogram, text, 1));
        for wrong in ["[]", "[0]", overfull.as_str()] {
            assert!(read(wrong).is_err(), "{wrong}");
        }
        let mut sketch = Sketch { count: u64::MAX, answers: vec![u64::MAX; 2], ..read(&full).unwrap() };
        let inputs = Inputs::new(Shape::new([1]).unwrap(), vec![f32::NAN]).unwrap();
        let outputs = Outputs::new(2, vec![0.9, 0.1], Disclosure::Scores).unwrap();
        sketch.observe(&inputs, &outputs);
        assert_eq!(sketch.features[0].counts()[BINS + 1], u64::MAX);
    }
}
