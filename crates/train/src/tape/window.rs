//! Where each value goes under a window that slides along up to three axes.

use std::ops::Range;

use super::sizes::{Order, Sizes};
use super::unfold::Geometry;

/// How a window slides over `[channel, depth, row, column]`; axes that a layer lacks have size 1.
///
/// The wide side is what the window slides over: a convolution's input, a transposed convolution's output. The narrow
/// side has one value per filter and position.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Window {
    /// Channels of the wide side.
    pub(crate) channels: usize,
    /// Sizes of the wide side.
    pub(crate) size: [usize; 3],
    /// Channels of the narrow side.
    pub(crate) filters: usize,
    pub(crate) groups: usize,
    pub(crate) kernel: [usize; 3],
    pub(crate) stride: [usize; 3],
    /// Zeros before the wide side.
    pub(crate) before: [usize; 3],
    pub(crate) dilation: [usize; 3],
    /// Sizes of the narrow side.
    pub(crate) output: [usize; 3],
}

impl Window {
    /// A window in the plane as one in space.
    pub(crate) fn of_plane(plane: &Geometry) -> Self {
        let Geometry { channels, size, filters, kernel, stride, before, dilation, groups, output } = *plane;
        let [size, kernel, stride, dilation, output] =
            [size, kernel, stride, dilation, output].map(|sizes| lifted(sizes, 1));
        Self { channels, size, filters, groups, kernel, stride, before: lifted(before, 0), dilation, output }
    }

    /// Sizes of a gradient's factors: the narrow side and the unfolded wide side.
    pub(crate) fn sizes(&self, bias: usize) -> Sizes {
        let (left, right) = (self.group(), self.weights());
        Sizes { groups: self.groups, positions: self.positions(), left, right, bias, order: Order::PositionsLast }
    }

    /// Values of one example's wide side.
    pub(crate) fn wide(&self) -> usize {
        self.channels * self.plane()
    }

    /// Values of one example's narrow side.
    pub(crate) fn narrow(&self) -> usize {
        self.filters * self.positions()
    }

    /// Values of one channel of the wide side.
    pub(crate) fn plane(&self) -> usize {
        self.size.iter().product()
    }

    pub(crate) fn positions(&self) -> usize {
        self.output.iter().product()
    }

    /// Weights of one filter.
    pub(crate) fn weights(&self) -> usize {
        self.channels / self.groups * self.kernel.iter().product::<usize>()
    }

    /// Filters of one group.
    pub(crate) fn group(&self) -> usize {
        self.filters / self.groups
    }

    /// One group's windows, `[weight, position]`, from one example's wide side.
    pub(crate) fn unfold(&self, group: usize, wide: &[f32], unfolded: &mut [f32]) {
        unfolded.fill(0.0);
        self.rows(group, |at, from, column| {
            let (inside, first) = self.inside(column);
            let source = wide[from + first..].iter().step_by(self.stride[2]);
            unfolded[at..][inside].iter_mut().zip(source).for_each(|(target, value)| *target = *value);
        });
    }

    /// Adds one group's windows, `[weight, position]`, to one example's wide side.
    pub(crate) fn fold(&self, group: usize, unfolded: &[f32], wide: &mut [f32]) {
        self.rows(group, |at, to, column| {
            let (inside, first) = self.inside(column);
            let target = wide[to + first..].iter_mut().step_by(self.stride[2]);
            target.zip(&unfolded[at..][inside]).for_each(|(target, value)| *target += *value);
        });
    }

    /// Visits every row of positions whose source lies inside: its place in the unfolded side, where its source row
    /// starts in the wide side, and the column of the kernel.
    fn rows(&self, group: usize, mut visit: impl FnMut(usize, usize, usize)) {
        let channels = self.channels / self.groups;
        let [deep, high, wide] = self.output;
        let mut at = 0;
        for channel in group * channels..(group + 1) * channels {
            for [depth, row, column] in places(self.kernel) {
                for [z, y, _] in places([deep, high, 1]) {
                    if let (Some(z), Some(y), true) =
                        (self.source(0, z, depth), self.source(1, y, row), !self.inside(column).0.is_empty())
                    {
                        visit(at, ((channel * self.size[0] + z) * self.size[1] + y) * self.size[2], column);
                    }
                    at += wide;
                }
            }
        }
    }

    /// The place of the wide side under one of the narrow side, unless it lies in the padding.
    fn source(&self, axis: usize, narrow: usize, kernel: usize) -> Option<usize> {
        let at = narrow * self.stride[axis] + kernel * self.dilation[axis];
        at.checked_sub(self.before[axis]).filter(|at| *at < self.size[axis])
    }

    /// The columns of the narrow side whose source lies inside, and the first one's source.
    fn inside(&self, column: usize) -> (Range<usize>, usize) {
        let (stride, offset) = (self.stride[2], column * self.dilation[2]);
        let first = self.before[2].saturating_sub(offset).div_ceil(stride);
        let end = (self.size[2] + self.before[2]).saturating_sub(offset).div_ceil(stride).min(self.output[2]);
        if first < end { (first..end, first * stride + offset - self.before[2]) } else { (0..0, 0) }
    }
}

/// All places of a grid, row-major.
fn places([deep, high, wide]: [usize; 3]) -> impl Iterator<Item = [usize; 3]> {
    (0..deep).flat_map(move |z| (0..high).flat_map(move |y| (0..wide).map(move |x| [z, y, x])))
}

/// The sizes of fewer axes as those of three: axes that are missing come first.
pub(crate) fn lifted<const N: usize>(sizes: [usize; N], missing: usize) -> [usize; 3] {
    let mut lifted = [missing; 3];
    lifted[3 - N..].copy_from_slice(&sizes);
    lifted
}
