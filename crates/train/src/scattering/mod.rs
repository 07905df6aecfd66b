//! Wavelet scattering: features of an image that need no training.

mod bank;
#[cfg(test)]
mod tests;

use std::sync::Arc;

use rayon::prelude::*;
use rustfft::num_complex::Complex;
use rustfft::{Fft, FftPlanner};
use underpin_core::{Denied, Inputs, Shape};

use self::bank::{ANGLES, Bank, SCALES};
use crate::Error;

/// Pixels from one output to the next.
const STEP: usize = 1 << SCALES;
/// Outputs of one channel: the average, one of each wavelet, one of each pair of a finer and a coarser wavelet.
const PATHS: usize = 1 + SCALES * ANGLES + ANGLES * ANGLES;
/// The least height and width.
const LEAST: usize = 8;
/// Images between two progress events.
const CHUNK: usize = 2048;

/// The wavelet scattering transform of order 2, with 2 scales and 8 angles: 81 numbers for every channel of the image
/// and every fourth pixel of every fourth row.
///
/// A convolution with a Morlet wavelet, the modulus, again for coarser wavelets, and a Gaussian average over about
/// four pixels: what is left hardly changes when the image is moved a little. Nothing in it comes from data, so in
/// private training it costs nothing.
///
/// Shapes: images `[channel, row, column]` to `[81 * channel, ceil(row / 4), ceil(column / 4)]`. For each channel: the
/// average; the wavelets by scale, then angle; the pairs by the first wavelet's angle, then the second's.
///
/// # Guarantees
///
/// 1. The outputs of one image are made from that image alone, with bit-identical results whatever the other images
///    and the number of threads (`each_image_stands_alone`).
/// 2. Without energy gained: the outputs' L2 norm is at most that of the image as it is continued beyond its edges
///    (at most 3 times the image's own), and their difference at most that of two images, up to a relative `1e-4` for
///    rounding (`no_energy_is_gained`).
///
/// # Edge cases
///
/// No image gives no output. NaN and infinity are refused. A constant image gives itself in the averages and zeros
/// elsewhere.
///
/// # Source
///
/// Bruna and Mallat, PAMI 2013, equation 9; filters, order of the outputs and continuation by reflection as in
/// Kymatio (Andreux et al., JMLR 2020) with J = 2 and L = 8. Deviation: the wavelets are scaled so that guarantee 2
/// holds.
///
/// # Examples
///
/// ```
/// use underpin_core::{Inputs, Shape};
/// use underpin_train::Scattering;
///
/// let images = Inputs::new(Shape::new([1, 28, 28])?, vec![0.5; 2 * 28 * 28])?;
/// let features = Scattering::new(images.shape())?.transform(&images)?;
/// assert_eq!(features.shape().axes(), [81, 7, 7]);
/// assert!((features.row(1)[24] - 0.5).abs() < 1e-5 && features.row(1)[60].abs() < 1e-5);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct Scattering {
    /// Channels, height and width of an image.
    image: [usize; 3],
    /// Height and width of the outputs.
    output: [usize; 2],
    /// The transfer functions of the wavelets, divided by the number of pixels; `[column, row]` of the frequency.
    wavelets: Vec<Vec<f32>>,
    /// The grid of the continued image, and the one with every other row and column.
    full: Grid,
    half: Grid,
}

impl std::fmt::Debug for Scattering {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Scattering").field("image", &self.image).field("output", &self.output).finish_non_exhaustive()
    }
}

impl Scattering {
    /// The transform of images of this shape.
    ///
    /// # Errors
    ///
    /// [`Error::NotAnImage`] unless it is `[channel, row, column]` with at least 8 rows and columns;
    /// [`Error::TooManyParameters`] when its outputs cannot be counted.
    pub fn new(shape: &Shape) -> Result<Self, Error> {
        let image = shape.image().filter(|[_, height, width]| *height.min(width) >= LEAST);
        let image = image.ok_or_else(|| Error::NotAnImage { shape: shape.axes().to_vec(), least: LEAST })?;
        let output = [image[1], image[2]].map(|side| side.div_ceil(STEP));
        let values = [PATHS, output[0], output[1]].into_iter().try_fold(image[0], usize::checked_mul);
        values.ok_or(Error::TooManyParameters { allowed: usize::MAX })?;
        let full = output.map(|side| (side + 2) * STEP);
        let bank = Bank::new(full);
        let pixels = (full[0] * full[1]) as f64;
        let turned = |wavelet: Vec<f64>| -> Vec<f32> {
            (0..wavelet.len()).map(|at| single(wavelet[at % full[0] * full[1] + at / full[0]] / pixels)).collect()
        };
        let halves = full.map(|side| side / 2);
        let low = [0, 1].map(|axis| bank::low_pass(halves[axis], bank::WIDTH_OF_LOW / 2.0));
        Ok(Self {
            image,
            output,
            full: Grid::new(full, output, STEP, &bank.low),
            half: Grid::new(halves, output, STEP / 2, &low),
            wavelets: bank.wavelets.into_iter().map(turned).collect(),
        })
    }

    /// Shape of one image's outputs.
    ///
    /// # Errors
    ///
    /// None for a transform that could be made.
    pub fn shape(&self) -> Result<Shape, Error> {
        Ok(Shape::new([PATHS * self.image[0], self.output[0], self.output[1]])?)
    }

    /// The outputs of each image.
    ///
    /// # Errors
    ///
    /// [`Error::Inputs`] for images of another shape, or values that are not finite.
    pub fn transform(&self, images: &Inputs) -> Result<Inputs, Error> {
        let [channels, height, width] = self.image;
        Denied::unless_valid(images, &Shape::new([channels, height, width])?)?;
        let (plane, paths) = (height * width, PATHS * self.output[0] * self.output[1]);
        let planes = images.len() * channels;
        let mut outputs = vec![0.0; planes * paths];
        let parts = outputs.chunks_mut(CHUNK * paths).zip(images.values().chunks(CHUNK * plane));
        for (part, (outputs, images)) in parts.enumerate() {
            let work = outputs.par_chunks_exact_mut(paths).zip(images.par_chunks_exact(plane));
            work.for_each_init(|| Scratch::new(self), |scratch, (output, image)| self.plane(image, output, scratch));
            let (step, of) = ((part * CHUNK + outputs.len() / paths) as u64, planes as u64);
            tracing::info!(target: "progress", task = "scattering", step, of);
        }
        Ok(Inputs::new(self.shape()?, outputs)?)
    }

    /// One channel of one image.
    fn plane(&self, image: &[f32], output: &mut [f32], scratch: &mut Scratch) {
        let outputs = self.output[0] * self.output[1];
        let mut paths = output.chunks_exact_mut(outputs);
        let mut next = || paths.next().expect("invariant: as many paths as outputs");
        let Scratch { modulus, image: spectrum, inner, waves, turned, fft, averages } = scratch;
        self.continued(image, modulus);
        self.full.average(modulus, next(), averages);
        self.full.spectrum(modulus, turned, spectrum, fft);
        // The finer scale: at full size, each kept for the second order.
        let (fine, coarse) = self.wavelets.split_at(ANGLES);
        for (wavelet, inner) in fine.iter().zip(inner.iter_mut()) {
            waves.clear();
            waves.extend(spectrum.iter().zip(wavelet).map(|(value, filter)| value * filter));
            self.full.modulus(waves, turned, modulus, fft);
            self.full.average(modulus, next(), averages);
            self.full.spectrum(modulus, turned, inner, fft);
        }
        // The coarser scale: every other row and column is enough.
        let mut coarser = |spectrum: &[Complex<f32>], wavelet: &[f32], output: &mut [f32]| {
            self.folded(spectrum, wavelet, waves);
            self.half.modulus(waves, turned, modulus, fft);
            self.half.average(modulus, output, averages);
        };
        for wavelet in coarse {
            coarser(spectrum, wavelet, next());
        }
        for inner in inner.iter() {
            for wavelet in coarse {
                coarser(inner, wavelet, next());
            }
        }
    }

    /// The image continued by reflection at its outermost pixels: `STEP` rows above, columns to the left.
    fn continued(&self, image: &[f32], target: &mut Vec<f32>) {
        let [_, height, width] = self.image;
        let source = |at: usize, side: usize| match at.abs_diff(STEP) {
            at if at < side => at,
            at => 2 * (side - 1) - at,
        };
        target.clear();
        for row in 0..self.full.size[0] {
            let row = &image[source(row, height) * width..][..width];
            target.extend((0..self.full.size[1]).map(|column| row[source(column, width)]));
        }
    }

    /// The product of spectrum and wavelet, as it is seen on every other row and column: aliases added up.
    fn folded(&self, spectrum: &[Complex<f32>], wavelet: &[f32], target: &mut Vec<Complex<f32>>) {
        let [rows, columns] = self.half.size;
        target.clear();
        for column in 0..columns {
            let at = |alias: usize| {
                let from = (column + alias * columns) * 2 * rows;
                spectrum[from..from + 2 * rows].split_at(rows)
            };
            let filter = |alias: usize| wavelet[(column + alias * columns) * 2 * rows..][..2 * rows].split_at(rows);
            let ((a, b), (c, d)) = (at(0), at(1));
            let ((e, f), (g, h)) = (filter(0), filter(1));
            target.extend((0..rows).map(|row| a[row] * e[row] + b[row] * f[row] + c[row] * g[row] + d[row] * h[row]));
        }
    }
}

/// A periodic grid: Fourier transforms on it, and averages at every `step`-th point.
struct Grid {
    /// Rows and columns.
    size: [usize; 2],
    output: [usize; 2],
    /// By axis: transforms of `size[axis]` points.
    forward: [Arc<dyn Fft<f32>>; 2],
    inverse: [Arc<dyn Fft<f32>>; 2],
    /// By axis: the low-pass around each output, `[output, point]`.
    low: [Vec<f32>; 2],
}

impl Grid {
    /// Outputs lie `step` points apart, the first one `step` points from the edge.
    fn new(size: [usize; 2], output: [usize; 2], step: usize, low: &[Vec<f64>; 2]) -> Self {
        let mut planner = FftPlanner::new();
        let around = |axis: usize| -> Vec<f32> {
            let (side, low) = (size[axis], &low[axis]);
            let centres = (1..=output[axis]).map(|output| output * step);
            centres.flat_map(|centre| (0..side).map(move |at| single(low[(at + side - centre) % side]))).collect()
        };
        Self {
            size,
            output,
            forward: size.map(|side| planner.plan_fft_forward(side)),
            inverse: size.map(|side| planner.plan_fft_inverse(side)),
            low: [around(0), around(1)],
        }
    }

    /// `[row, column]` to `[column, row]` of the frequency.
    fn spectrum(
        &self,
        values: &[f32],
        turned: &mut Vec<Complex<f32>>,
        spectrum: &mut Vec<Complex<f32>>,
        fft: &mut [Complex<f32>],
    ) {
        let [rows, columns] = self.size;
        turned.clear();
        turned.extend(values.iter().map(|value| Complex::new(*value, 0.0)));
        self.forward[1].process_with_scratch(turned, fft);
        transpose(turned, [rows, columns], spectrum);
        self.forward[0].process_with_scratch(spectrum, fft);
    }

    /// The modulus, `[row, column]`, of what has this spectrum (`[column, row]`, changed on the way).
    fn modulus(
        &self,
        spectrum: &mut [Complex<f32>],
        turned: &mut Vec<Complex<f32>>,
        modulus: &mut Vec<f32>,
        fft: &mut [Complex<f32>],
    ) {
        let [rows, columns] = self.size;
        self.inverse[0].process_with_scratch(spectrum, fft);
        transpose(spectrum, [columns, rows], turned);
        self.inverse[1].process_with_scratch(turned, fft);
        modulus.clear();
        modulus.extend(turned.iter().map(|value| (value.re * value.re + value.im * value.im).sqrt()));
    }

    /// The low-passed values at the outputs.
    fn average(&self, values: &[f32], output: &mut [f32], rows: &mut Vec<f32>) {
        let [height, width] = self.size;
        for (output, weights) in output.chunks_exact_mut(self.output[1]).zip(self.low[0].chunks_exact(height)) {
            rows.clear();
            rows.resize(width, 0.0);
            for (weight, values) in weights.iter().zip(values.chunks_exact(width)) {
                rows.iter_mut().zip(values).for_each(|(sum, value)| *sum += weight * value);
            }
            for (output, weights) in output.iter_mut().zip(self.low[1].chunks_exact(width)) {
                *output = weights.iter().zip(&*rows).map(|(weight, value)| weight * value).sum();
            }
        }
    }
}

/// What one thread computes in.
struct Scratch {
    modulus: Vec<f32>,
    image: Vec<Complex<f32>>,
    inner: Vec<Vec<Complex<f32>>>,
    waves: Vec<Complex<f32>>,
    turned: Vec<Complex<f32>>,
    fft: Vec<Complex<f32>>,
    averages: Vec<f32>,
}

impl Scratch {
    fn new(transform: &Scattering) -> Self {
        let grids = [&transform.full, &transform.half];
        let lengths = grids.iter().flat_map(|grid| grid.forward.iter().chain(&grid.inverse));
        let longest = lengths.map(|fft| fft.get_inplace_scratch_len()).max().unwrap_or(0);
        Self {
            modulus: Vec::new(),
            image: Vec::new(),
            inner: vec![Vec::new(); ANGLES],
            waves: Vec::new(),
            turned: Vec::new(),
            fft: vec![Complex::default(); longest],
            averages: Vec::new(),
        }
    }
}

fn transpose(values: &[Complex<f32>], [rows, columns]: [usize; 2], target: &mut Vec<Complex<f32>>) {
    target.clear();
    target.extend((0..columns).flat_map(|column| (0..rows).map(move |row| values[row * columns + column])));
}

#[allow(clippy::cast_possible_truncation, reason = "filters are applied in single precision")]
fn single(value: f64) -> f32 {
    value as f32
}
