//! One convolution of a network of one's own, and what follows it.

use serde::{Deserialize, Serialize};

use crate::Error;

/// The largest side of a kernel.
const WIDEST: usize = 64;

/// A convolution with a square kernel, then group norm, `tanh` and max pooling.
///
/// # Examples
///
/// The first layer of Papernot et al. (AAAI 2021) on images of 28×28: from 28×28 to 13×13, pooled to 12×12.
///
/// ```
/// use underpin_train::{Convolution, Pool};
///
/// let pool = Some(Pool { size: 2, stride: 1 });
/// let first = Convolution { channels: 16, kernel: 8, stride: 2, padding: 2, groups: None, pool };
/// # assert_eq!(first.channels, 16);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Convolution {
    /// Channels that it gives, 1 at least.
    pub channels: usize,
    /// Side of the kernel, from 1 to 64.
    pub kernel: usize,
    /// Pixels from one place of the kernel to the next, from 1 to `kernel`.
    pub stride: usize,
    /// Zeros around the image on each side, below `kernel`.
    pub padding: usize,
    /// Groups of channels that are normalised together in each example, with a scale and an offset that train (Wu and
    /// He, ECCV 2018); a divisor of `channels`. Absent: no norm.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub groups: Option<usize>,
    /// Max pooling; absent: none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pool: Option<Pool>,
}

/// Max pooling over squares.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Pool {
    /// Side of the square, 1 at least.
    pub size: usize,
    /// Pixels from one square to the next, from 1 to `size`.
    pub stride: usize,
}

impl Convolution {
    /// A 3×3 convolution with padding 1 and nothing beside.
    pub(crate) const fn plain(channels: usize, stride: usize) -> Self {
        Self { channels, kernel: 3, stride, padding: 1, groups: None, pool: None }
    }

    /// Height and width of what it gives, from those of what it takes.
    ///
    /// # Errors
    ///
    /// [`Error::OutOfRange`] for what is out of range, or larger than the image.
    pub(crate) fn output(&self, size: [usize; 2]) -> Result<[usize; 2], Error> {
        let Self { channels, kernel, stride, padding, groups, pool } = *self;
        within("channels", channels, "[1, inf)", channels > 0)?;
        within("kernel", kernel, "[1, 64]", (1..=WIDEST).contains(&kernel))?;
        within("stride", stride, "[1, kernel]", (1..=kernel).contains(&stride))?;
        within("padding", padding, "[0, kernel)", padding < kernel)?;
        if let Some(groups) = groups {
            let divides = groups > 0 && channels.is_multiple_of(groups);
            within("groups", groups, "the divisors of channels", divides)?;
        }
        // OK because an image has at most 2^31 values, and the padding is below 64.
        let padded = size.map(|side| side + 2 * padding);
        within("kernel", kernel, "[1, side of the padded image]", padded.iter().all(|side| *side >= kernel))?;
        let maps = padded.map(|side| (side - kernel) / stride + 1);
        let Some(Pool { size, stride }) = pool else { return Ok(maps) };
        let fits = size > 0 && maps.iter().all(|side| *side >= size);
        within("pool.size", size, "[1, side of what the convolution gives]", fits)?;
        within("pool.stride", stride, "[1, pool.size]", (1..=size).contains(&stride))?;
        Ok(maps.map(|side| (side - size) / stride + 1))
    }
}

pub(crate) fn within(name: &'static str, value: usize, allowed: &'static str, holds: bool) -> Result<(), Error> {
    if holds { Ok(()) } else { Err(Error::out_of_range(name, value as f64, allowed)) }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SOUND: Convolution = Convolution {
        channels: 16,
        kernel: 8,
        stride: 2,
        padding: 2,
        groups: Some(4),
        pool: Some(Pool { size: 2, stride: 1 }),
    };

    /// By hand: (28 + 4 - 8) / 2 + 1 = 13, pooled to 12; (27 + 4 - 8) / 2 + 1 = 12, to 11.
    #[test]
    fn sizes_are_those_worked_out_by_hand() {
        assert_eq!(SOUND.output([28, 27]).unwrap(), [12, 11]);
        let halved = Convolution { pool: Some(Pool { size: 3, stride: 3 }), ..SOUND };
        assert_eq!(halved.output([28, 28]).unwrap(), [4, 4]);
        assert_eq!(Convolution { pool: None, ..SOUND }.output([28, 28]).unwrap(), [13, 13]);
        for (stride, expected) in [(1, [9, 4]), (2, [5, 2])] {
            assert_eq!(Convolution::plain(3, stride).output([9, 4]).unwrap(), expected);
        }
    }

    #[test]
    fn what_is_out_of_range_is_named() {
        let pool = |size, stride| Convolution { pool: Some(Pool { size, stride }), ..SOUND };
        for (convolution, name) in [
            (Convolution { channels: 0, ..SOUND }, "channels"),
            (Convolution { kernel: 0, ..SOUND }, "kernel"),
            (Convolution { kernel: 65, ..SOUND }, "kernel"),
            (Convolution { kernel: 33, ..SOUND }, "kernel"),
            (Convolution { stride: 0, ..SOUND }, "stride"),
            (Convolution { stride: 9, ..SOUND }, "stride"),
            (Convolution { padding: 8, ..SOUND }, "padding"),
            (Convolution { groups: Some(0), ..SOUND }, "groups"),
            (Convolution { groups: Some(5), ..SOUND }, "groups"),
            (pool(0, 1), "pool.size"),
            (pool(14, 1), "pool.size"),
            (pool(2, 0), "pool.stride"),
            (pool(2, 3), "pool.stride"),
        ] {
            let refused = convolution.output([28, 28]).unwrap_err();
            assert!(matches!(refused, Error::OutOfRange(ref out) if out.name == name), "{convolution:?}: {refused}");
        }
    }
}
