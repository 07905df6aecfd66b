//! Where each value of an image goes under a sliding window.

use std::ops::Range;

/// Sizes of a two-dimensional convolution on one example.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Geometry {
    /// Channels of the input.
    pub(crate) channels: usize,
    /// Height and width of the input.
    pub(crate) size: [usize; 2],
    /// Channels of the output.
    pub(crate) filters: usize,
    pub(crate) kernel: [usize; 2],
    pub(crate) stride: [usize; 2],
    /// Rows above and columns left of the input that hold zeros.
    pub(crate) before: [usize; 2],
    pub(crate) dilation: [usize; 2],
    pub(crate) groups: usize,
    /// Height and width of the output.
    pub(crate) output: [usize; 2],
}

impl Geometry {
    /// Values of one example's input.
    pub(crate) fn inputs(&self) -> usize {
        self.channels * self.size[0] * self.size[1]
    }

    /// Positions of the output.
    pub(crate) fn positions(&self) -> usize {
        self.output[0] * self.output[1]
    }

    /// Values of one example's output.
    pub(crate) fn outputs(&self) -> usize {
        self.filters * self.positions()
    }

    /// Rows of one group's unfolded input, which are the weights of one filter.
    pub(crate) fn window(&self) -> usize {
        self.channels / self.groups * self.kernel[0] * self.kernel[1]
    }

    /// Number of weights.
    pub(crate) fn weights(&self) -> usize {
        self.filters * self.window()
    }

    /// Values of one group's unfolded input.
    pub(crate) fn unfolded(&self) -> usize {
        self.window() * self.positions()
    }

    /// Filters of one group.
    pub(crate) fn group_filters(&self) -> usize {
        self.filters / self.groups
    }

    /// One group's unfolded input, `[window, position]`, from one example `[channel, row, column]`.
    pub(crate) fn unfold(&self, group: usize, input: &[f32], unfolded: &mut [f32]) {
        self.rows(group, |plane, down, right, window| {
            let target = &mut unfolded[window * self.positions()..][..self.positions()];
            let plane = &input[plane * self.size[0] * self.size[1]..][..self.size[0] * self.size[1]];
            for (row, target) in target.chunks_exact_mut(self.output[1]).enumerate() {
                match self.source(0, row, down) {
                    Some(from) => self.gather(&plane[from * self.size[1]..][..self.size[1]], right, target),
                    None => target.fill(0.0),
                }
            }
        });
    }

    /// Adds one group's unfolded gradient, `[window, position]`, to the gradient at one example's input.
    pub(crate) fn fold(&self, group: usize, unfolded: &[f32], input: &mut [f32]) {
        self.rows(group, |plane, down, right, window| {
            let source = &unfolded[window * self.positions()..][..self.positions()];
            let plane = &mut input[plane * self.size[0] * self.size[1]..][..self.size[0] * self.size[1]];
            for (row, source) in source.chunks_exact(self.output[1]).enumerate() {
                if let Some(to) = self.source(0, row, down) {
                    self.scatter(source, right, &mut plane[to * self.size[1]..][..self.size[1]]);
                }
            }
        });
    }

    /// Calls `visit(plane, down, right, window)` for every row of one group's unfolded input.
    fn rows(&self, group: usize, mut visit: impl FnMut(usize, usize, usize, usize)) {
        let channels = self.channels / self.groups;
        let mut window = 0;
        for channel in 0..channels {
            for down in 0..self.kernel[0] {
                for right in 0..self.kernel[1] {
                    visit(group * channels + channel, down, right, window);
                    window += 1;
                }
            }
        }
    }

    /// The input row (axis 0) or column (axis 1) under an output's, unless it lies in the padding.
    fn source(&self, axis: usize, output: usize, kernel: usize) -> Option<usize> {
        let at = output * self.stride[axis] + kernel * self.dilation[axis];
        at.checked_sub(self.before[axis]).filter(|at| *at < self.size[axis])
    }

    /// The output columns whose source lies in the input, and the first one's source.
    fn inside(&self, right: usize) -> (Range<usize>, usize) {
        let [stride, offset] = [self.stride[1], right * self.dilation[1]];
        let first = self.before[1].saturating_sub(offset).div_ceil(stride);
        let end = (self.size[1] + self.before[1]).saturating_sub(offset).div_ceil(stride).min(self.output[1]);
        if first < end { (first..end, first * stride + offset - self.before[1]) } else { (0..0, 0) }
    }

    fn gather(&self, source: &[f32], right: usize, target: &mut [f32]) {
        let (inside, from) = self.inside(right);
        target[..inside.start].fill(0.0);
        target[inside.end..].fill(0.0);
        let target = &mut target[inside];
        if self.stride[1] == 1 {
            target.copy_from_slice(&source[from..][..target.len()]);
        } else {
            let taken = source[from..].iter().step_by(self.stride[1]);
            target.iter_mut().zip(taken).for_each(|(target, value)| *target = *value);
        }
    }

    fn scatter(&self, source: &[f32], right: usize, target: &mut [f32]) {
        let (inside, to) = self.inside(right);
        let source = &source[inside];
        if self.stride[1] == 1 {
            target[to..][..source.len()].iter_mut().zip(source).for_each(|(target, value)| *target += *value);
        } else {
            let taken = target[to..].iter_mut().step_by(self.stride[1]);
            taken.zip(source).for_each(|(target, value)| *target += *value);
        }
    }
}
