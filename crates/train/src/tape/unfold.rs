//! Where each value of an image goes under a sliding window.
//!
//! The padded image is first split into phases, one for each place within a stride, so that what one weight slides over
//! is contiguous. An unfolded row is then one copy, from the window's first position to its last. It runs over the ends
//! of the rows: `kernel - 1` positions (in strides) between two rows of the output belong to none, and are skipped in
//! the output and 0 in its gradient. That costs some multiplications and saves the many short copies.

use std::ops::Range;

use super::lanes::add;

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
        self.channels * self.plane()
    }

    /// Values of one channel of the input.
    fn plane(&self) -> usize {
        self.size[0] * self.size[1]
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

    /// Filters of one group.
    pub(crate) fn group_filters(&self) -> usize {
        self.filters / self.groups
    }

    /// Positions from one row of the output to the next, when unfolded.
    pub(crate) fn pitch(&self) -> usize {
        self.phase(1)
    }

    /// Columns of one group's unfolded input: the positions of the output, and those between its rows.
    pub(crate) fn columns(&self) -> usize {
        (self.output[0] - 1) * self.pitch() + self.output[1]
    }

    /// Values of one group's unfolded input.
    pub(crate) fn unfolded(&self) -> usize {
        self.window() * self.columns()
    }

    /// Height (axis 0) or width (axis 1) of a phase.
    fn phase(&self, axis: usize) -> usize {
        self.output[axis] + (self.kernel[axis] - 1) * self.dilation[axis] / self.stride[axis]
    }

    /// Values of the phases of one group's input.
    pub(crate) fn phases(&self) -> usize {
        self.channels / self.groups * self.stride[0] * self.stride[1] * self.phase(0) * self.phase(1)
    }

    /// Where in the phases each row of the unfolded input starts.
    fn starts(self) -> impl Iterator<Item = usize> {
        let Self { stride, dilation, kernel, .. } = self;
        let [height, width] = [self.phase(0), self.phase(1)];
        (0..self.channels / self.groups).flat_map(move |channel| {
            (0..kernel[0]).flat_map(move |down| {
                let down = down * dilation[0];
                (0..kernel[1]).map(move |right| {
                    let right = right * dilation[1];
                    let phase = (channel * stride[0] + down % stride[0]) * stride[1] + right % stride[1];
                    (phase * height + down / stride[0]) * width + right / stride[1]
                })
            })
        })
    }

    /// What of the phases lies in the image.
    fn runs(self) -> impl Iterator<Item = Run> {
        let Self { stride, size, before, .. } = self;
        let [height, width] = [self.phase(0), self.phase(1)];
        let columns = self.inside(1);
        (0..self.channels / self.groups).flat_map(move |channel| {
            let columns = columns.clone();
            (0..size[0]).flat_map(move |row| {
                let padded = row + before[0];
                let reached = padded / stride[0] < height;
                let phase = (channel * stride[0] + padded % stride[0]) * stride[1];
                let columns = columns.clone().into_iter().filter(move |_| reached);
                columns.map(move |(right, inside)| Run {
                    image: (channel * size[0] + row) * size[1] + inside.start * stride[1] + right - before[1],
                    phase: ((phase + right) * height + padded / stride[0]) * width + inside.start,
                    length: inside.len(),
                })
            })
        })
    }

    /// For each place within a stride, the part of a phase that lies in the image, unless none does.
    fn inside(&self, axis: usize) -> Vec<(usize, Range<usize>)> {
        let (stride, end) = (self.stride[axis], self.size[axis] + self.before[axis]);
        let part = |place: usize| {
            let first = self.before[axis].saturating_sub(place).div_ceil(stride);
            (place, first..end.saturating_sub(place).div_ceil(stride).min(self.phase(axis)))
        };
        (0..stride).map(part).filter(|(_, inside)| !inside.is_empty()).collect()
    }
}

/// Consecutive values of a phase, and the first one's place in the image.
#[derive(Clone, Copy, Debug)]
struct Run {
    image: usize,
    phase: usize,
    length: usize,
}

/// Where everything goes, and the phases of one group of one example; for one thread.
#[derive(Debug)]
pub(crate) struct Unfolder {
    geometry: Geometry,
    starts: Vec<usize>,
    runs: Vec<Run>,
    /// What of it lies in the padding is 0 and stays so.
    phases: Vec<f32>,
    sums: Vec<f32>,
}

impl Unfolder {
    pub(crate) fn of(geometry: Geometry) -> Self {
        let (starts, runs) = (geometry.starts().collect(), geometry.runs().collect());
        Self { geometry, starts, runs, phases: vec![0.0; geometry.phases()], sums: Vec::new() }
    }

    /// One group's unfolded input, `[window, column]`, from one example `[channel, row, column]`.
    pub(crate) fn unfold(&mut self, group: usize, input: &[f32], unfolded: &mut [f32]) {
        let Self { geometry, starts, runs, phases, .. } = self;
        let own = geometry.channels / geometry.groups * geometry.plane();
        let (input, stride) = (&input[group * own..][..own], geometry.stride[1]);
        for Run { image, phase, length } in runs {
            let target = &mut phases[*phase..][..*length];
            match stride {
                1 => target.copy_from_slice(&input[*image..][..*length]),
                2 => target.iter_mut().zip(input[*image..].chunks(2)).for_each(|(to, pair)| *to = pair[0]),
                _ => target.iter_mut().zip(input[*image..].iter().step_by(stride)).for_each(|(to, value)| *to = *value),
            }
        }
        for (start, row) in starts.iter().zip(unfolded.chunks_exact_mut(geometry.columns())) {
            row.copy_from_slice(&phases[*start..][..row.len()]);
        }
    }

    /// One group's part of the gradient at one example's input, from its unfolded gradient, `[window, column]`.
    ///
    /// What no window reaches is left as it is.
    pub(crate) fn fold(&mut self, group: usize, unfolded: &[f32], input: &mut [f32]) {
        let Self { geometry, starts, runs, phases, sums } = self;
        sums.clear();
        sums.resize(phases.len(), 0.0);
        for (start, row) in starts.iter().zip(unfolded.chunks_exact(geometry.columns())) {
            add(&mut sums[*start..], row);
        }
        let own = geometry.channels / geometry.groups * geometry.plane();
        let (input, stride) = (&mut input[group * own..][..own], geometry.stride[1]);
        for Run { image, phase, length } in runs {
            let source = &sums[*phase..][..*length];
            match stride {
                1 => input[*image..][..*length].copy_from_slice(source),
                _ => input[*image..].iter_mut().step_by(stride).zip(source).for_each(|(to, value)| *to = *value),
            }
        }
    }
}
