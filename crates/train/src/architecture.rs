//! Which network, for which inputs.

use serde::{Deserialize, Serialize};
use underpin_core::Shape;

use crate::convolution::within;
use crate::{Convolution, Error, Regime};

/// The most parameters a network may have; keeps a hostile model file from claiming more memory than it fills.
const MOST: usize = 1 << 28;

/// The least height and width that [`Architecture::Cnn`] takes.
const LEAST: usize = 4;

/// The most convolutions in a row.
const DEEPEST: usize = 16;

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
    /// Convolutions of one's own, then fully connected hidden layers.
    Convolutional {
        /// From 1 to 16 of them, each on what the one before gives.
        convolutions: Vec<Convolution>,
        /// Width of each hidden layer after them.
        hidden: Vec<usize>,
    },
}

/// One layer's sizes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Layer {
    Convolution { from: usize, to: Convolution },
    Norm { channels: usize, groups: usize },
    Linear { inputs: usize, outputs: usize },
}

impl Layer {
    /// Shape of its weight; of a norm, of its scale.
    pub(crate) fn weight(self) -> Vec<usize> {
        match self {
            Self::Convolution { from, to } => vec![to.channels, from, to.kernel, to.kernel],
            Self::Norm { channels, .. } => vec![channels],
            Self::Linear { inputs, outputs } => vec![inputs, outputs],
        }
    }

    /// Inputs of one output.
    pub(crate) const fn fan_in(self) -> usize {
        match self {
            Self::Convolution { from, to } => from * to.kernel * to.kernel,
            Self::Norm { .. } => 1,
            Self::Linear { inputs, .. } => inputs,
        }
    }

    /// Length of its bias.
    pub(crate) const fn bias(self) -> usize {
        match self {
            Self::Convolution { to, .. } => to.channels,
            Self::Norm { channels, .. } => channels,
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
    pub fn recommended(shape: &Shape, rows: usize, regime: Regime) -> Self {
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
    /// [`Error::OutOfRange`] for a width of 0 or fewer than 2 classes, [`Error::NotAnImage`],
    /// [`Error::TooManyParameters`].
    pub(crate) fn layers(&self, shape: &Shape, classes: usize) -> Result<Vec<Layer>, Error> {
        if classes < 2 {
            return Err(Error::out_of_range("classes", classes as f64, "[2, inf)"));
        }
        let (mut layers, mut inputs, hidden) = match self {
            Self::Linear => (Vec::new(), shape.size(), [].as_slice()),
            Self::Mlp { hidden } => (Vec::new(), shape.size(), hidden.as_slice()),
            Self::Cnn { channels: [first, second], hidden } => {
                let [_, height, width] = image(shape, LEAST)?;
                let stride = if height.min(width) < 16 { 1 } else { 2 };
                let both = [Convolution::plain(*first, stride), Convolution::plain(*second, 2)];
                let (layers, features) = stacked(&both, shape)?;
                (layers, features, std::slice::from_ref(hidden))
            }
            Self::Convolutional { convolutions, hidden } => {
                let (layers, features) = stacked(convolutions, shape)?;
                (layers, features, hidden.as_slice())
            }
        };
        for outputs in hidden.iter().chain([&classes]) {
            within("width", *outputs, "[1, inf)", *outputs > 0)?;
            layers.push(Layer::Linear { inputs, outputs: *outputs });
            inputs = *outputs;
        }
        let mut sizes = layers.iter().map(|layer| {
            let weight = layer.weight().into_iter().try_fold(1_usize, usize::checked_mul);
            weight.and_then(|weight| weight.checked_add(layer.bias()))
        });
        match sizes.try_fold(0_usize, |total, size| total.checked_add(size?)) {
            Some(total) if total <= MOST => Ok(layers),
            _ => Err(Error::TooManyParameters { allowed: MOST }),
        }
    }
}

fn image(shape: &Shape, least: usize) -> Result<[usize; 3], Error> {
    let image = shape.image().filter(|[_, height, width]| *height.min(width) >= least);
    image.ok_or_else(|| Error::NotAnImage { shape: shape.axes().to_vec(), least })
}

/// The layers of convolutions in a row, and how many features the last one gives.
fn stacked(convolutions: &[Convolution], shape: &Shape) -> Result<(Vec<Layer>, usize), Error> {
    let count = convolutions.len();
    within("number of convolutions", count, "[1, 16]", (1..=DEEPEST).contains(&count))?;
    let [mut from, height, width] = image(shape, 1)?;
    let (mut layers, mut size) = (Vec::new(), [height, width]);
    for to in convolutions {
        size = to.output(size)?;
        layers.push(Layer::Convolution { from, to: *to });
        if let Some(groups) = to.groups {
            layers.push(Layer::Norm { channels: to.channels, groups });
        }
        from = to.channels;
    }
    let features = size.into_iter().try_fold(from, usize::checked_mul);
    Ok((layers, features.ok_or(Error::TooManyParameters { allowed: MOST })?))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Pool;

    fn shape(axes: &[usize]) -> Shape {
        Shape::new(axes).unwrap()
    }

    /// Papernot et al. 2021, table 1: 26,010 parameters.
    fn tempered(groups: Option<usize>) -> Architecture {
        let pool = Some(Pool { size: 2, stride: 1 });
        let first = Convolution { channels: 16, kernel: 8, stride: 2, padding: 2, groups, pool };
        let second = Convolution { channels: 32, kernel: 4, stride: 2, padding: 0, groups, pool };
        Architecture::Convolutional { convolutions: vec![first, second], hidden: vec![32] }
    }

    #[test]
    fn layers_fit_one_another() {
        let cnn = Architecture::Cnn { channels: [8, 16], hidden: 32 };
        let layers = cnn.layers(&shape(&[1, 8, 8]), 10).unwrap();
        assert_eq!(layers[0], Layer::Convolution { from: 1, to: Convolution::plain(8, 1) });
        assert_eq!(layers[2], Layer::Linear { inputs: 16 * 4 * 4, outputs: 32 });
        let layers = cnn.layers(&shape(&[3, 28, 27]), 10).unwrap();
        assert_eq!(layers[0], Layer::Convolution { from: 3, to: Convolution::plain(8, 2) });
        assert_eq!(layers[2], Layer::Linear { inputs: 16 * 7 * 7, outputs: 32 });
        let mlp = Architecture::Mlp { hidden: vec![5] }.layers(&shape(&[3]), 2).unwrap();
        assert_eq!(mlp, [Layer::Linear { inputs: 3, outputs: 5 }, Layer::Linear { inputs: 5, outputs: 2 }]);
    }

    #[test]
    fn the_published_network_has_the_published_size() {
        let parameters = |architecture: &Architecture| {
            let layers = architecture.layers(&shape(&[1, 28, 28]), 10).unwrap();
            layers.iter().map(|layer| layer.weight().iter().product::<usize>() + layer.bias()).sum::<usize>()
        };
        assert_eq!(parameters(&tempered(None)), 26_010);
        // A scale and an offset for each of 16 + 32 channels.
        assert_eq!(parameters(&tempered(Some(4))), 26_010 + 96);
        let layers = tempered(Some(4)).layers(&shape(&[1, 28, 28]), 10).unwrap();
        assert_eq!(layers[1], Layer::Norm { channels: 16, groups: 4 });
        assert_eq!(layers[4], Layer::Linear { inputs: 32 * 4 * 4, outputs: 32 });
    }

    #[test]
    fn what_was_written_is_read_again() {
        let read = |text: &str| serde_json::from_str::<Architecture>(text);
        for groups in [None, Some(8)] {
            let text = serde_json::to_string(&tempered(groups)).unwrap();
            assert_eq!(read(&text).unwrap(), tempered(groups));
            assert!(read(&text.replace("kernel", "kernels")).is_err());
        }
    }

    #[test]
    fn what_cannot_be_built_is_refused() {
        let cnn = Architecture::Cnn { channels: [8, 16], hidden: 32 };
        for axes in [[64].as_slice(), &[1, 3, 8], &[1, 1, 8, 8]] {
            assert!(matches!(cnn.layers(&shape(axes), 10), Err(Error::NotAnImage { .. })), "{axes:?}");
        }
        assert!(matches!(Architecture::Linear.layers(&shape(&[4]), 1), Err(Error::OutOfRange(_))));
        let wide = |hidden| Architecture::Mlp { hidden }.layers(&shape(&[4]), 2);
        assert!(matches!(wide(vec![0]), Err(Error::OutOfRange(_))));
        for hidden in [vec![usize::MAX], vec![1 << 20, 1 << 20]] {
            assert!(matches!(wide(hidden), Err(Error::TooManyParameters { .. })));
        }
        for count in [0, 17] {
            let convolutions = vec![Convolution::plain(1, 1); count];
            let deep = Architecture::Convolutional { convolutions, hidden: vec![] };
            assert!(matches!(deep.layers(&shape(&[1, 8, 8]), 10), Err(Error::OutOfRange(_))), "{count}");
        }
        assert!(matches!(tempered(None).layers(&shape(&[784]), 10), Err(Error::NotAnImage { .. })));
        assert!(
            matches!(tempered(None).layers(&shape(&[1, 9, 9]), 10), Err(Error::OutOfRange(ref out)) if out.name == "kernel")
        );
        let vast = Architecture::Cnn { channels: [1, usize::MAX], hidden: 1 };
        assert!(matches!(vast.layers(&shape(&[1, 8, 8]), 2), Err(Error::TooManyParameters { .. })));
    }
}
