//! Queries of a predictor: answers are checked and counted, and end at a denial.

use underpin_core::{Denied, Disclosure, Examples, Inputs, Outputs, Predict};

use crate::Error;

/// Examples per request: small enough to fit memory and to use a quota to its end, large enough to batch.
const BATCH: usize = 256;

/// Answers for all of `inputs`, in requests of bounded size.
pub(crate) fn answers<T: Predict + ?Sized>(target: &T, inputs: &Inputs, classes: usize) -> Result<Outputs, Error> {
    let mut oracle = Oracle::new(target, classes);
    let outputs = oracle.ask(inputs)?;
    match oracle.denied {
        Some(denied) => Err(denied.into()),
        None => Ok(outputs),
    }
}

/// Whether each example is classified correctly. An answer with a NaN is wrong.
///
/// # Errors
///
/// [`Error::Denied`] when the predictor denies, [`Error::Classes`] when it answers another number of classes.
pub fn correct<T: Predict + ?Sized>(predictor: &T, examples: &Examples) -> Result<Vec<bool>, Error> {
    let outputs = answers(predictor, examples.inputs(), examples.classes())?;
    Ok(classified_correctly(&outputs, examples.labels()))
}

/// Whether each answer is the label. An answer with a NaN is wrong.
pub(crate) fn classified_correctly(outputs: &Outputs, labels: &[usize]) -> Vec<bool> {
    let predicted = outputs.labels().into_iter().zip(labels);
    outputs.rows().zip(predicted).map(|(row, (predicted, label))| predicted == *label && !has_nan(row)).collect()
}

fn has_nan(row: &[f32]) -> bool {
    row.iter().any(|score| score.is_nan())
}

/// The predictor as the adversary sees it: counts what was answered, and stops at a denial.
pub(crate) struct Oracle<'a, T: ?Sized> {
    target: &'a T,
    classes: usize,
    /// Examples answered.
    pub(crate) answered: u64,
    /// Why nothing more is answered.
    pub(crate) denied: Option<Denied>,
}

impl<'a, T: Predict + ?Sized> Oracle<'a, T> {
    pub(crate) fn new(target: &'a T, classes: usize) -> Self {
        Self { target, classes, answered: 0, denied: None }
    }

    /// Answers for a prefix of `inputs`: all of them unless the target denies.
    ///
    /// A spent quota that leaves room for fewer examples than a request holds is asked for just these.
    pub(crate) fn ask(&mut self, inputs: &Inputs) -> Result<Outputs, Error> {
        let mut scores = Vec::with_capacity(inputs.len() * self.classes);
        let mut disclosure = Disclosure::Scores;
        let mut at = 0;
        while at < inputs.len() && self.denied.is_none() {
            let end = inputs.len().min(at + BATCH);
            if let Some(outputs) = self.request(inputs, at, end)? {
                disclosure = outputs.disclosure();
                scores.extend_from_slice(outputs.scores());
                at += outputs.len();
            }
        }
        Ok(Outputs::new(self.classes, scores, disclosure)?)
    }

    fn request(&mut self, inputs: &Inputs, from: usize, to: usize) -> Result<Option<Outputs>, Error> {
        let indices: Vec<usize> = (from..to).collect();
        let outputs = match self.target.predict(&inputs.select(&indices)) {
            Ok(outputs) => outputs,
            Err(Denied::QuotaExhausted { used, limit, .. })
                if 0 < room(used, limit) && room(used, limit) < to - from =>
            {
                return self.request(inputs, from, from + room(used, limit));
            }
            Err(denied) => {
                tracing::info!(answered = self.answered, %denied, "the target denied");
                self.denied = Some(denied);
                return Ok(None);
            }
        };
        if outputs.classes() != self.classes {
            return Err(Error::Classes { expected: self.classes, found: outputs.classes() });
        }
        if outputs.len() != to - from {
            return Err(Error::Length { name: "answers", expected: to - from, found: outputs.len() });
        }
        self.answered += outputs.len() as u64;
        Ok(Some(outputs))
    }
}

fn room(used: u64, limit: u64) -> usize {
    usize::try_from(limit.saturating_sub(used)).unwrap_or(usize::MAX)
}

/// Errors on samples that an attack cannot start from: none, or features outside `[0, 1]` (NaN included).
pub(crate) fn check_samples(samples: &Examples) -> Result<(), Error> {
    if samples.is_empty() {
        return Err(Error::NoObservations { what: "samples" });
    }
    let inputs = samples.inputs();
    let size = inputs.shape().size();
    match inputs.values().iter().position(|value| !(0.0..=1.0).contains(value)) {
        Some(at) => Err(Error::Feature { example: at / size, position: at % size, value: inputs.values()[at] }),
        None => Ok(()),
    }
}
