//! Traffic recorder: histograms of inputs and answers, no rows.

use std::io;
use std::path::Path;
use std::sync::{Mutex, PoisonError};

use underpin_core::{Denied, Inputs, Outputs, Predict, Sketch};
use underpin_privacy::durable::read_bounded;

use crate::{Error, file};

/// Most bytes of a sketch: its size grows with features and classes, not with queries.
const SKETCH_LIMIT: u64 = 256 << 20;

/// Keeps a [`Sketch`] of the inputs it passes on and of the answers that come back; no raw row.
///
/// Put it around the perturbation, so that it sees the answers that clients see. Requests that are denied leave no
/// trace.
///
/// # Limits
///
/// The counts are exact: they are not differentially private, and the file is as confidential as the traffic.
#[derive(Debug)]
pub struct Recorder<P> {
    inner: P,
    sketch: Mutex<Sketch>,
}

impl<P> Recorder<P> {
    /// Records around `inner`, going on from `sketch`: a new one, or one read back by [`read_sketch`].
    pub fn new(inner: P, sketch: Sketch) -> Self {
        Self { inner, sketch: Mutex::new(sketch) }
    }

    /// The sketch as it stands.
    pub fn sketch(&self) -> Sketch {
        self.lock().clone()
    }

    /// Writes the sketch as JSON, for its owner alone; whoever reads sees the old file or the new, never a part.
    ///
    /// # Errors
    ///
    /// [`Error::File`] when it cannot be written; the old file then stands.
    pub fn save(&self, path: &Path) -> Result<(), Error> {
        let json = serde_json::to_vec(&self.sketch()).map_err(not_a_sketch(path))?;
        file::replace(path, &json)
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Sketch> {
        // OK to go on after a panic elsewhere: at worst one request is counted in part.
        self.sketch.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<P: Predict> Predict for Recorder<P> {
    fn predict(&self, inputs: &Inputs) -> Result<Outputs, Denied> {
        let outputs = self.inner.predict(inputs)?;
        let mut sketch = self.lock();
        let before = sketch.count;
        sketch.observe(inputs, &outputs);
        if sketch.count - before != inputs.len() as u64 {
            tracing::warn!(features = sketch.features.len(), classes = sketch.answers.len(), "traffic fits no sketch");
        }
        Ok(outputs)
    }
}

/// Reads what [`Recorder::save`] wrote; `None` when there is no such file.
///
/// # Errors
///
/// [`Error::File`] when it cannot be read, [`Error::Format`] when it is no sketch.
pub fn read_sketch(path: &Path) -> Result<Option<Sketch>, Error> {
    let bytes = match read_bounded(path, SKETCH_LIMIT) {
        Ok(bytes) => bytes,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(Error::file(path)(error)),
    };
    serde_json::from_slice(&bytes).map(Some).map_err(not_a_sketch(path))
}

fn not_a_sketch(path: &Path) -> impl Fn(serde_json::Error) -> Error {
    move |source| Error::Format { path: path.to_owned(), what: "a sketch", source }
}
