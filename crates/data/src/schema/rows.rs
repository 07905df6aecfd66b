//! Typed rows: examples in `[0, 1]` with identifiers and digests.

use rayon::prelude::*;
use underpin_core::{Digest, Examples};

use crate::Error;

/// Examples in `[0, 1]`, each with the identifier of its raw row and a digest.
#[derive(Clone, Debug, PartialEq)]
pub struct Rows {
    examples: Examples,
    ids: Vec<u64>,
    digests: Vec<Digest>,
}

impl Rows {
    /// Names examples by the identifiers of their rows.
    ///
    /// # Errors
    ///
    /// [`Error::Core`] unless there is one identifier per example.
    pub fn new(examples: Examples, ids: Vec<u64>) -> Result<Self, Error> {
        if ids.len() != examples.len() {
            let (expected, found) = (examples.len(), ids.len());
            return Err(underpin_core::Error::Length { name: "row identifiers", expected, found }.into());
        }
        let digests = digests(&examples);
        Ok(Self { examples, ids, digests })
    }

    /// The examples.
    pub fn examples(&self) -> &Examples {
        &self.examples
    }

    /// The examples themselves.
    pub fn into_examples(self) -> Examples {
        self.examples
    }

    /// Identifiers of the raw rows.
    pub fn ids(&self) -> &[u64] {
        &self.ids
    }

    /// SHA-256 of each row's shape, label and values.
    pub fn digests(&self) -> &[Digest] {
        &self.digests
    }

    /// Number of rows.
    pub fn len(&self) -> usize {
        self.ids.len()
    }

    /// Whether there is no row.
    pub fn is_empty(&self) -> bool {
        self.ids.is_empty()
    }

    /// The rows at `positions`, in that order.
    ///
    /// # Panics
    ///
    /// When a position is not below [`Rows::len`].
    #[must_use]
    pub fn select(&self, positions: &[usize]) -> Self {
        Self {
            examples: self.examples.select(positions),
            ids: positions.iter().map(|at| self.ids[*at]).collect(),
            digests: positions.iter().map(|at| self.digests[*at]).collect(),
        }
    }

    pub(crate) fn rehash(&self) -> Vec<Digest> {
        digests(&self.examples)
    }
}

/// Digests over `"underpin row v1" 0`, the number of axes, the axes, the label (all `u64`, little endian) and the
/// values (`f32`, little endian).
fn digests(examples: &Examples) -> Vec<Digest> {
    let shape = examples.inputs().shape();
    let mut head = b"underpin row v1\0".to_vec();
    head.extend((shape.axes().len() as u64).to_le_bytes());
    shape.axes().iter().for_each(|axis| head.extend((*axis as u64).to_le_bytes()));
    let digest = |(row, label): (&[f32], &usize)| {
        let mut bytes = head.clone();
        bytes.extend((*label as u64).to_le_bytes());
        bytes.extend(row.iter().flat_map(|value| value.to_le_bytes()));
        Digest::of(&bytes)
    };
    let rows = examples.inputs().values().par_chunks_exact(shape.size());
    rows.zip(examples.labels()).map(digest).collect()
}
