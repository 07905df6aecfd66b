//! Several random versions of each image.

use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha12Rng;
use serde::{Deserialize, Serialize};
use underpin_core::{Examples, Inputs, Seed};

use crate::Error;

/// Augmentation multiplicity: each example enters a step in several versions, whose gradients are averaged before they
/// are clipped, so that more versions cost no privacy (De et al. 2022, section 3.3).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Augmentation {
    /// Versions of each example, K in the paper; 1 at least.
    pub copies: usize,
    /// The most pixels by which an image is moved along either axis; below its height and width. What comes in from
    /// outside is the image reflected at its edge.
    pub shift: usize,
    /// Whether half of the versions are mirrored.
    pub mirror: Mirror,
}

/// Whether images are mirrored.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Mirror {
    /// Never.
    Never,
    /// Left to right, with probability one half.
    Sideways,
}

impl Augmentation {
    pub(crate) fn check(&self, inputs: &Inputs) -> Result<(), Error> {
        let refuse = |name, value: usize, allowed| Err(Error::out_of_range(name, value as f64, allowed));
        if self.copies == 0 {
            return refuse("augmentation copies", 0, "[1, inf)");
        }
        let [_, height, width] = inputs
            .shape()
            .image()
            .ok_or_else(|| Error::NotAnImage { shape: inputs.shape().axes().to_vec(), least: self.shift + 1 })?;
        if self.shift >= height.min(width) {
            return refuse("augmentation shift", self.shift, "[0, height and width)");
        }
        Ok(())
    }

    /// `copies` versions of each example, one after the other; those of row `rows[i]` depend on the seed, the row and the
    /// example alone.
    pub(crate) fn versions(&self, examples: &Examples, rows: &[usize], seed: Seed) -> Result<Examples, Error> {
        let inputs = examples.inputs();
        let shape = inputs.shape();
        let [channels, height, width] = shape.image().unwrap_or([1, 1, shape.size()]);
        let mut values = Vec::with_capacity(inputs.values().len() * self.copies);
        for (row, image) in rows.iter().zip(inputs.values().chunks_exact(shape.size())) {
            let mut rng = ChaCha12Rng::seed_from_u64(seed.nth(*row as u64).0);
            for _ in 0..self.copies {
                let [down, right] = [0, 1].map(|_| rng.random_range(0..=2 * self.shift));
                let mirrored = self.mirror == Mirror::Sideways && rng.random::<bool>();
                for channel in 0..channels {
                    let plane = &image[channel * height * width..][..height * width];
                    for y in 0..height {
                        let from = reflected(y + down, self.shift, height) * width;
                        values.extend((0..width).map(|x| {
                            let x = if mirrored { width - 1 - x } else { x };
                            plane[from + reflected(x + right, self.shift, width)]
                        }));
                    }
                }
            }
        }
        let labels = examples.labels().iter().flat_map(|label| std::iter::repeat_n(*label, self.copies)).collect();
        Ok(Examples::new(Inputs::new(shape.clone(), values)?, labels, examples.classes())?)
    }
}

/// Where `at - shift` falls in `0..size` when the image is reflected at its edges.
fn reflected(at: usize, shift: usize, size: usize) -> usize {
    match at.checked_sub(shift) {
        None => shift - at - 1,
        Some(at) if at < size => at,
        Some(at) => 2 * size - 1 - at,
    }
}

#[cfg(test)]
mod tests {
    use underpin_core::Shape;

    use super::*;

    fn examples(axes: &[usize], count: usize) -> Examples {
        let shape = Shape::new(axes).unwrap();
        let values = (0..count * shape.size()).map(|value| value as f32).collect();
        Examples::new(Inputs::new(shape, values).unwrap(), (0..count).map(|row| row % 2).collect(), 2).unwrap()
    }

    #[test]
    fn edges_reflect() {
        assert_eq!((0..8).map(|at| reflected(at, 2, 4)).collect::<Vec<_>>(), [1, 0, 0, 1, 2, 3, 3, 2]);
    }

    #[test]
    fn versions_depend_on_their_own_row_alone() {
        let all = examples(&[2, 4, 3], 3);
        let augmentation = Augmentation { copies: 4, shift: 2, mirror: Mirror::Sideways };
        let versions = |rows: &[usize], seed| augmentation.versions(&all.select(rows), rows, Seed(seed)).unwrap();
        let (two, one) = (versions(&[0, 2], 1), versions(&[2], 1));
        assert_eq!(two.len(), 8);
        assert_eq!(two.inputs().values()[4 * 24..], *one.inputs().values());
        assert_eq!(two.labels(), [0; 8]);
        assert_ne!(one, versions(&[2], 2));
        assert!(one.inputs().values().chunks(24).any(|version| version != &all.inputs().values()[48..]));
        let same = Augmentation { copies: 1, shift: 0, mirror: Mirror::Never };
        assert_eq!(same.versions(&all, &[0, 1, 2], Seed(1)).unwrap(), all);
    }

    #[test]
    fn what_cannot_be_moved_is_refused() {
        let augmentation = Augmentation { copies: 1, shift: 3, mirror: Mirror::Never };
        assert!(matches!(augmentation.check(examples(&[7], 1).inputs()), Err(Error::NotAnImage { .. })));
        assert!(matches!(augmentation.check(examples(&[1, 9, 3], 1).inputs()), Err(Error::OutOfRange(_))));
        let none = Augmentation { copies: 0, ..augmentation };
        assert!(matches!(none.check(examples(&[1, 9, 9], 1).inputs()), Err(Error::OutOfRange(_))));
        assert!(augmentation.check(examples(&[1, 9, 4], 1).inputs()).is_ok());
    }
}
