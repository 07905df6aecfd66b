//! Morlet wavelets and a Gaussian low-pass on a periodic grid.

use std::f64::consts::PI;

use rustfft::FftPlanner;
use rustfft::num_complex::Complex;

/// Scales of the wavelets, J: outputs are averages over some `2^J` pixels.
pub(super) const SCALES: usize = 2;
/// Directions of the wavelets, L.
pub(super) const ANGLES: usize = 8;
/// Standard deviation of the finest wavelet's envelope, in pixels; it doubles from scale to scale.
const WIDTH: f64 = 0.8;
/// Centre frequency of the finest wavelet, radians per pixel; it halves from scale to scale.
const CENTRE: f64 = 0.75 * PI;
/// Standard deviation of the low-pass, in pixels.
pub(crate) const WIDTH_OF_LOW: f64 = WIDTH * 2.0;
/// Ratio of the envelope's axes.
const SLANT: f64 = 4.0 / ANGLES as f64;
/// Copies of a filter, to either side of the grid, that are folded onto it.
const FOLDS: i32 = 2;

/// Filters for grids of one size.
#[derive(Debug)]
pub(crate) struct Bank {
    /// Transfer functions by scale, then angle; real, `[row, column]` of the frequency.
    pub(crate) wavelets: Vec<Vec<f64>>,
    /// The low-pass along rows and along columns, of unit sum; it is their product.
    pub(crate) low: [Vec<f64>; 2],
}

impl Bank {
    /// Wavelets and low-pass whose squared transfer functions add up to at most 1 at every frequency, both halves of
    /// the plane counted by half: all wavelets are scaled by the one greatest factor that allows it.
    pub(crate) fn new(size: [usize; 2]) -> Self {
        let low = size.map(|side| low_pass(side, WIDTH_OF_LOW));
        let transfer = [0, 1].map(|axis| spectrum(&low[axis], [1, size[axis]]));
        let mut wavelets = Vec::new();
        for scale in 0..SCALES {
            for angle in 0..ANGLES {
                wavelets.push(spectrum_of(&morlet(size, scale, PI * angle as f64 / ANGLES as f64), size));
            }
        }
        let mut room = f64::INFINITY;
        for row in 0..size[0] {
            for column in (0..size[1]).filter(|column| row + column > 0) {
                let mirrored = (size[0] - row) % size[0] * size[1] + (size[1] - column) % size[1];
                let here = row * size[1] + column;
                let energy = |wavelet: &Vec<f64>| f64::midpoint(wavelet[here].powi(2), wavelet[mirrored].powi(2));
                let passed: f64 = wavelets.iter().map(energy).sum();
                room = room.min((1.0 - (transfer[0][row] * transfer[1][column]).powi(2)) / passed);
            }
        }
        let scale = room.sqrt();
        wavelets.iter_mut().flatten().for_each(|value| *value *= scale);
        Self { wavelets, low }
    }
}

/// A Gaussian on a circle of `side` points, of unit sum.
pub(crate) fn low_pass(side: usize, width: f64) -> Vec<f64> {
    let at = |point: usize| -> f64 {
        let copies = (-FOLDS..=FOLDS).map(|fold| point as f64 + f64::from(fold) * side as f64);
        copies.map(|x| (-x * x / (2.0 * width * width)).exp()).sum()
    };
    let values: Vec<f64> = (0..side).map(at).collect();
    let sum: f64 = values.iter().sum();
    values.iter().map(|value| value / sum).collect()
}

/// The Morlet wavelet of a scale, turned by `angle`, folded onto the grid: a Gabor function less the multiple of its
/// envelope that makes its sum 0.
pub(crate) fn morlet(size: [usize; 2], scale: usize, angle: f64) -> Vec<Complex<f64>> {
    let doubling = f64::from(1 << scale);
    let (width, centre) = (WIDTH * doubling, CENTRE / doubling);
    let (sin, cos) = angle.sin_cos();
    let mut wave = vec![Complex::new(0.0, 0.0); size[0] * size[1]];
    let mut envelope = vec![0.0; size[0] * size[1]];
    for (position, (wave, envelope)) in wave.iter_mut().zip(&mut envelope).enumerate() {
        for (down, right) in (-FOLDS..=FOLDS).flat_map(|down| (-FOLDS..=FOLDS).map(move |right| (down, right))) {
            let x = (position / size[1]) as f64 + f64::from(down) * size[0] as f64;
            let y = (position % size[1]) as f64 + f64::from(right) * size[1] as f64;
            let (along, across) = (x * cos + y * sin, (y * cos - x * sin) * SLANT);
            let weight = (-(along * along + across * across) / (2.0 * width * width)).exp();
            *envelope += weight;
            *wave += Complex::from_polar(weight, centre * along);
        }
    }
    let fraction = wave.iter().sum::<Complex<f64>>() / envelope.iter().sum::<f64>();
    let norm = SLANT / (2.0 * PI * width * width);
    wave.iter().zip(envelope).map(|(wave, envelope)| (wave - fraction * envelope) * norm).collect()
}

fn spectrum(values: &[f64], size: [usize; 2]) -> Vec<f64> {
    spectrum_of(&values.iter().map(|value| Complex::new(*value, 0.0)).collect::<Vec<_>>(), size)
}

/// The discrete Fourier transform; its real part, as the filters are conjugate symmetric.
fn spectrum_of(values: &[Complex<f64>], [rows, columns]: [usize; 2]) -> Vec<f64> {
    let mut planner = FftPlanner::new();
    let mut values = values.to_vec();
    planner.plan_fft_forward(columns).process(&mut values);
    let mut turned: Vec<Complex<f64>> = (0..columns)
        .flat_map(|column| (0..rows).map(move |row| (row, column)))
        .map(|(row, column)| values[row * columns + column])
        .collect();
    planner.plan_fft_forward(rows).process(&mut turned);
    (0..rows * columns).map(|at| turned[at % columns * rows + at / columns].re).collect()
}
