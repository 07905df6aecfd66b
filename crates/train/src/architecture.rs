//! Which network, for which inputs.

use serde::{Deserialize, Serialize};
use underpin_core::Shape;

use crate::{Error, Regime};

/// The most parameters a network may have; keeps a hostile model file from claiming more memory than it fills.
const MOST: usize = 1 << 28;

/// The least height and width that a convolutional network takes.
const LEAST: usize = 4;

/// A small network for classification. Hidden layers end in `tanh`; the last layer gives logits.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Architecture {
    /// Multinomial logistic regression.
    Linear,
    /// Fully connected layers.
    Mlp {
        /// Width of each hidden layer.
        hidden: Vec<usize>,
    },
    /// Two 3×3 convolutions with padding 1, then one fully connected hidden layer.
    ///
    /// The first convolution has stride 1 on images below 16×16 and 2 on others; the second has stride 2.
    Cnn {
        /// Channels after each convolution.
        channels: [usize; 2],
        /// Width of the hidden layer.
        hidden: usize,
    },
}

/// One layer's sizes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Layer {
    Convolution { channels: [usize; 2], stride: usize },
    Linear { inputs: usize, outputs: usize },
}

impl Layer {
    /// Shape of its weight, and inputs of one output.
    pub(crate) fn weight(self) -> (Vec<usize>, usize) {
        match self {
            Self::Convolution { channels: [from, to], .. } => (vec![to, from, 3, 3], from * 9),
            Self::Linear { inputs, outputs } => (vec![inputs, outputs], inputs),
        }
    }

    /// Length of its bias.
    pub(crate) fn bias(self) -> usize {
        match self {
            Self::Convolution { channels: [_, to], .. } => to,
            Self::Linear { outputs, .. } => outputs,
        }
    }
}

impl Architecture {
    /// A small network for `rows` rows of `shape`.
    ///
    /// In private training noise grows with the number of parameters: below 4,000 rows a linear model was as accurate
    /// as, and harder to attack than, networks with hidden layers. Otherwise a multilayer perceptron with one hidden
    /// layer, or, for images of at least 16×16 with 4,000 rows or more, a convolutional network.
    pub fn fitting(shape: &Shape, rows: usize, regime: Regime) -> Self {
        let large = shape.image().is_some_and(|[_, height, width]| height.min(width) >= 16);
        match regime {
            Regime::Private if rows < 4_000 => Self::Linear,
            _ if large && rows >= 4_000 => Self::Cnn { channels: [16, 32], hidden: 32 },
            _ => Self::Mlp { hidden: vec![64] },
        }
    }

    /// Layers from input to logits.
    ///
    /// # Errors
    ///
    /// [`Error::Setting`] for a width of 0 or fewer than 2 classes, [`Error::NotAnImage`],
    /// [`Error::TooManyParameters`].
    pub(crate) fn layers(&self, shape: &Shape, classes: usize) -> Result<Vec<Layer>, Error> {
        if classes < 2 {
            return Err(Error::Setting { name: "classes", value: classes as f64, allowed: "[2, inf)" });
        }
        let (mut layers, mut inputs, hidden) = match self {
            Self::Linear => (Vec::new(), shape.size(), [].as_slice()),
            Self::Mlp { hidden } => (Vec::new(), shape.size(), hidden.as_slice()),
            Self::Cnn { channels, hidden } => {
                let (layers, features) = convolutions(*channels, shape)?;
                (layers, features, std::slice::from_ref(hidden))
            }
        };
        for outputs in hidden.iter().chain([&classes]) {
            layers.push(Layer::Linear { inputs, outputs: *outputs });
            inputs = *outputs;
        }
        let mut sizes = layers.iter().map(|layer| {
            let weight = layer.weight().0.into_iter().try_fold(1_usize, usize::checked_mul);
            weight.and_then(|weight| weight.checked_add(layer.bias()))
        });
        match sizes.try_fold(0_usize, |total, size| total.checked_add(size?)) {
            _ if layers.iter().any(|layer| layer.bias() == 0) => {
                Err(Error::Setting { name: "width", value: 0.0, allowed: "[1, inf)" })
            }
            Some(total) if total <= MOST => Ok(layers),
            _ => Err(Error::TooManyParameters { allowed: MOST }),
        }
    }
}

fn convolutions([first, second]: [usize; 2], shape: &Shape) -> Result<(Vec<Layer>, usize), Error> {
    let refused = || Error::NotAnImage { shape: shape.axes().to_vec(), least: LEAST };
    let [channels, height, width] = shape.image().ok_or_else(refused)?;
    if height.min(width) < LEAST {
        return Err(refused());
    }
    let stride = if height.min(width) < 16 { 1 } else { 2 };
    let after = |size: usize| size.div_ceil(stride).div_ceil(2);
    let features =
        second.checked_mul(after(height) * after(width)).ok_or(Error::TooManyParameters { allowed: MOST })?;
    let layers = vec![
        Layer::Convolution { channels: [channels, first], stride },
        Layer::Convolution { channels: [first, second], stride: 2 },
    ];
    Ok((layers, features))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shape(axes: &[usize]) -> Shape {
        Shape::new(axes).unwrap()
    }

    #[test]
    fn layers_fit_one_another() {
        let cnn = Architecture::Cnn { channels: [8, 16], hidden: 32 };
        let layers = cnn.layers(&shape(&[1, 8, 8]), 10).unwrap();
        assert_eq!(layers[0], Layer::Convolution { channels: [1, 8], stride: 1 });
        assert_eq!(layers[2], Layer::Linear { inputs: 16 * 4 * 4, outputs: 32 });
        let layers = cnn.layers(&shape(&[3, 28, 27]), 10).unwrap();
        assert_eq!(layers[2], Layer::Linear { inputs: 16 * 7 * 7, outputs: 32 });
        let mlp = Architecture::Mlp { hidden: vec![5] }.layers(&shape(&[3]), 2).unwrap();
        assert_eq!(mlp, [Layer::Linear { inputs: 3, outputs: 5 }, Layer::Linear { inputs: 5, outputs: 2 }]);
    }

    #[test]
    fn what_cannot_be_built_is_refused() {
        let cnn = Architecture::Cnn { channels: [8, 16], hidden: 32 };
        for axes in [[64].as_slice(), &[1, 3, 8], &[1, 1, 8, 8]] {
            assert!(matches!(cnn.layers(&shape(axes), 10), Err(Error::NotAnImage { .. })), "{axes:?}");
        }
        assert!(matches!(Architecture::Linear.layers(&shape(&[4]), 1), Err(Error::Setting { .. })));
        let wide = |hidden| Architecture::Mlp { hidden }.layers(&shape(&[4]), 2);
        assert!(matches!(wide(vec![0]), Err(Error::Setting { .. })));
        for hidden in [vec![usize::MAX], vec![1 << 20, 1 << 20]] {
            assert!(matches!(wide(hidden), Err(Error::TooManyParameters { .. })));
        }
        let vast = Architecture::Cnn { channels: [1, usize::MAX], hidden: 1 };
        assert!(matches!(vast.layers(&shape(&[1, 8, 8]), 2), Err(Error::TooManyParameters { .. })));
    }
}
