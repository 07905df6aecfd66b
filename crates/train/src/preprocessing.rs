//! What is made of each example before training, by a fixed rule.

use rayon::prelude::*;
use serde::{Deserialize, Serialize};
use underpin_core::{Denied, Inputs};

use crate::{Error, Scattering};

/// Added to a group's variance, so that a constant group becomes zeros.
const SLACK: f32 = 1e-5;

/// What is made of each example before training, by a rule that no data has a say in.
///
/// # Guarantees
///
/// 1. The result for one example is made from that example alone, so in private training it costs nothing
///    (`each_example_is_prepared_alone`).
///
/// # Examples
///
/// ```
/// use underpin_core::{Inputs, Shape};
/// use underpin_train::Preprocessing;
///
/// let images = Inputs::new(Shape::new([1, 28, 28])?, vec![0.5; 28 * 28])?;
/// let features = Preprocessing::Scattering { groups: 27 }.of(&images)?;
/// assert_eq!(features.shape().axes(), [81, 7, 7]);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Preprocessing {
    /// Nothing.
    None,
    /// Mean 0 and variance 1 (or 0, of a constant example) over all values of the example.
    Normalised,
    /// [`Scattering`], then group normalisation: in each of `groups` runs of equally many channels, mean 0 and variance
    /// 1 (or 0, of a constant run) within the example (Wu and He, ECCV 2018, equation 1, without scale and shift; for
    /// scattering, Tramèr and Boneh, ICLR 2021, section 2.3).
    Scattering {
        /// Number of groups; divides the number of channels.
        groups: usize,
    },
}

impl Preprocessing {
    /// Prepares each example.
    ///
    /// # Errors
    ///
    /// [`Error::Inputs`] for values that are not finite, but for [`Preprocessing::None`]. With scattering,
    /// [`Error::NotAnImage`]; [`Error::OutOfRange`] when `groups` does not divide the 81 channels of each of the image's.
    pub fn of(self, inputs: &Inputs) -> Result<Inputs, Error> {
        let (shape, mut values, groups) = match self {
            Self::None => return Ok(inputs.clone()),
            Self::Normalised => (inputs.shape().clone(), inputs.values().to_vec(), 1),
            Self::Scattering { groups } => {
                let features = Scattering::new(inputs.shape())?.transform(inputs)?;
                let channels = features.shape().axes()[0];
                if groups == 0 || !channels.is_multiple_of(groups) {
                    let allowed = "a divisor of the number of channels, 81 for each of the image's";
                    return Err(Error::out_of_range("groups", groups as f64, allowed));
                }
                (features.shape().clone(), features.into_values(), groups)
            }
        };
        values.par_chunks_exact_mut(shape.size() / groups).for_each(normalise);
        let prepared = Inputs::new(shape.clone(), values)?;
        Denied::unless_valid(&prepared, &shape)?;
        Ok(prepared)
    }
}

/// Mean 0 and variance 1.
fn normalise(group: &mut [f32]) {
    let size = group.len() as f32;
    let mean = group.iter().sum::<f32>() / size;
    let variance = group.iter().map(|value| (value - mean).powi(2)).sum::<f32>() / size;
    let scale = 1.0 / (variance + SLACK).sqrt();
    for value in group {
        *value = (*value - mean) * scale;
    }
}

#[cfg(test)]
mod tests {
    use underpin_core::Shape;

    use super::*;

    fn images(values: impl Fn(usize) -> f32) -> Inputs {
        Inputs::new(Shape::new([1, 8, 9]).unwrap(), (0..3 * 72).map(values).collect()).unwrap()
    }

    #[test]
    fn each_example_is_prepared_alone() {
        let inputs = images(|at| (at * 37 % 101) as f32 / 100.0);
        for preprocessing in [Preprocessing::Normalised, Preprocessing::Scattering { groups: 27 }] {
            let together = preprocessing.of(&inputs).unwrap();
            for example in 0..3 {
                let alone = preprocessing.of(&inputs.select(&[example])).unwrap();
                assert_eq!(alone.values(), together.row(example));
            }
        }
        assert_eq!(Preprocessing::None.of(&inputs).unwrap(), inputs);
    }

    #[test]
    fn groups_have_mean_0_and_variance_1() {
        let prepared = Preprocessing::Scattering { groups: 27 }.of(&images(|at| (at * 37 % 101) as f32)).unwrap();
        assert_eq!(prepared.shape().axes(), [81, 2, 3]);
        for group in prepared.values().chunks_exact(3 * 6) {
            let mean = group.iter().sum::<f32>() / 18.0;
            let variance = group.iter().map(|value| value * value).sum::<f32>() / 18.0;
            assert!(mean.abs() < 1e-5 && (variance - 1.0).abs() < 1e-2, "{mean} {variance}");
        }
        let constant = Preprocessing::Scattering { groups: 81 }.of(&images(|_| 0.25)).unwrap();
        assert!(constant.values().iter().all(|value| value.abs() < 1e-3));
    }

    #[test]
    fn a_normalised_image_has_mean_0_and_variance_1() {
        let inputs = images(|at| (at * 37 % 101) as f32);
        let prepared = Preprocessing::Normalised.of(&inputs).unwrap();
        assert_eq!(prepared.shape(), inputs.shape());
        for (row, prepared) in inputs.rows().zip(prepared.rows()) {
            let mean = row.iter().sum::<f32>() / 72.0;
            let variance = row.iter().map(|value| (value - mean).powi(2)).sum::<f32>() / 72.0;
            for (value, found) in row.iter().zip(prepared) {
                assert!((found - (value - mean) / variance.sqrt()).abs() < 1e-4, "{found}");
            }
        }
        assert!(Preprocessing::Normalised.of(&images(|_| 0.25)).unwrap().values().iter().all(|value| *value == 0.0));
        let spoilt = Preprocessing::Normalised.of(&images(|at| if at == 80 { f32::NAN } else { 0.5 }));
        assert!(matches!(spoilt, Err(Error::Inputs(_))));
    }

    #[test]
    fn groups_must_divide_the_channels() {
        for groups in [0, 2, 162] {
            let error = Preprocessing::Scattering { groups }.of(&images(|_| 0.5)).unwrap_err();
            assert!(matches!(error, Error::OutOfRange(ref out) if out.name == "groups"), "{error}");
        }
    }
}
