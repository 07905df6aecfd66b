//! What may follow a convolution while its output is still in cache: bias, ReLU, max pooling.

use burn::nn::PaddingConfig2d;
use burn::nn::pool::MaxPool2d;

use super::lanes::each3;
use super::unfold::Geometry;

/// Where no value of a window is above the floor: no gradient goes through.
const NONE: u32 = 255;

/// A window that slides over the output of a convolution and lies in it everywhere.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Pooling {
    kernel: [usize; 2],
    stride: [usize; 2],
    /// Height and width of what is pooled.
    output: [usize; 2],
    /// What lets no gradient through: values up to this one, and they become it.
    floor: f32,
}

/// Whether ReLU comes between convolution and pooling.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Rectifier {
    Relu,
    Absent,
}

impl Rectifier {
    fn floor(self) -> f32 {
        match self {
            Self::Relu => 0.0,
            Self::Absent => f32::NEG_INFINITY,
        }
    }
}

impl Pooling {
    /// The layer after a convolution; none if it pads, dilates, rounds up, does not fit, or has a vast window.
    pub(crate) fn of(layer: &MaxPool2d, rectifier: Rectifier, geometry: &Geometry) -> Option<Self> {
        let (kernel, stride, size) = (layer.kernel_size, layer.stride, geometry.output);
        let padded = !matches!(layer.padding, PaddingConfig2d::Valid | PaddingConfig2d::Explicit(0, 0, 0, 0));
        let plain = !padded && layer.dilation == [1, 1] && !layer.ceil_mode;
        let fits = (0..2).all(|axis| (1..=size[axis]).contains(&kernel[axis]) && stride[axis] > 0);
        if !plain || !fits || kernel[0].saturating_mul(kernel[1]) >= NONE as usize {
            return None;
        }
        let output = [0, 1].map(|axis| (size[axis] - kernel[axis]) / stride[axis] + 1);
        Some(Self { kernel, stride, output, floor: rectifier.floor() })
    }

    /// ReLU alone.
    pub(crate) fn relu(geometry: &Geometry) -> Self {
        Self { kernel: [1, 1], stride: [1, 1], output: geometry.output, floor: Rectifier::Relu.floor() }
    }

    /// Height and width of the pooled output.
    pub(crate) fn output(&self) -> [usize; 2] {
        self.output
    }

    /// Values of one pooled plane.
    pub(crate) fn plane(&self) -> usize {
        self.output[0] * self.output[1]
    }

    /// Values that say what was chosen in one plane whose rows are `pitch` apart.
    pub(crate) fn places(&self, pitch: usize) -> usize {
        (self.output[0] - 1) * self.stride[0] * pitch + (self.output[1] - 1) * self.stride[1] + 1
    }

    /// The largest of each window of one plane whose rows are `pitch` apart, plus `bias`; at least 0 with ReLU.
    ///
    /// For a window at each value of the plane, `chosen` says which of its values is the largest. NaN stays NaN.
    pub(crate) fn forward(
        &self,
        plane: &[f32],
        pitch: usize,
        bias: f32,
        room: &mut Room,
        pooled: &mut [f32],
        chosen: &mut [u8],
    ) {
        let Room { values, places } = room;
        values.clear();
        values.extend_from_slice(&plane[..chosen.len()]);
        places.clear();
        places.resize(chosen.len(), 0);
        for (place, offset) in self.window(pitch).skip(1) {
            each3(values, places, &plane[offset..], move |best, chosen, value| {
                let keep = value <= *best || best.is_nan();
                *chosen = if keep { *chosen } else { place };
                *best = if keep { *best } else { value };
            });
        }
        let floor = self.floor;
        each3(chosen, values, places, move |chosen, value, place| {
            let sum = *value + bias;
            let dead = sum <= floor;
            *chosen = narrowed(if dead { NONE } else { place });
            *value = if dead { floor } else { sum };
        });
        for (row, pooled) in pooled.chunks_exact_mut(self.output[1]).enumerate() {
            let values = &values[row * self.stride[0] * pitch..];
            match self.stride[1] {
                1 => pooled.copy_from_slice(&values[..pooled.len()]),
                stride => pooled.iter_mut().zip(values.iter().step_by(stride)).for_each(|(to, value)| *to = *value),
            }
        }
    }

    /// Adds the gradient at one pooled plane to that at the plane.
    pub(crate) fn backward(&self, gradient: &[f32], chosen: &[u8], pitch: usize, room: &mut Room, plane: &mut [f32]) {
        let Room { values, .. } = room;
        values.clear();
        values.resize(chosen.len(), 0.0);
        for (row, gradient) in gradient.chunks_exact(self.output[1]).enumerate() {
            let values = &mut values[row * self.stride[0] * pitch..];
            match self.stride[1] {
                1 => values[..gradient.len()].copy_from_slice(gradient),
                stride => values.iter_mut().step_by(stride).zip(gradient).for_each(|(to, value)| *to = *value),
            }
        }
        for (place, offset) in self.window(pitch) {
            let place = narrowed(place);
            each3(&mut plane[offset..], values, chosen, move |sum, value, chosen| {
                *sum += if chosen == place { *value } else { 0.0 };
            });
        }
    }

    /// The places of a window, and where they lie from its first.
    fn window(&self, pitch: usize) -> impl Iterator<Item = (u32, usize)> {
        let [height, width] = self.kernel;
        (0..).zip((0..height).flat_map(move |down| (0..width).map(move |right| down * pitch + right)))
    }
}

/// What one thread computes in.
#[derive(Debug, Default)]
pub(crate) struct Room {
    values: Vec<f32>,
    places: Vec<u32>,
}

/// The low byte; all places have but one.
#[allow(clippy::cast_possible_truncation, reason = "a window has fewer than 255 places")]
fn narrowed(place: u32) -> u8 {
    place as u8
}
