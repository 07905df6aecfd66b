use std::f64::consts::PI;

use proptest::prelude::*;

use super::*;

fn inputs(axes: [usize; 3], values: impl Fn(usize) -> f32, images: usize) -> Inputs {
    let shape = Shape::new(axes).unwrap();
    let size = shape.size() * images;
    Inputs::new(shape, (0..size).map(values).collect()).unwrap()
}

fn transform(images: &Inputs) -> Inputs {
    Scattering::new(images.shape()).unwrap().transform(images).unwrap()
}

fn norm(values: impl Iterator<Item = f64>) -> f64 {
    values.map(|value| value * value).sum::<f64>().sqrt()
}

/// Numbers that look random, in `[0, 1)`.
fn noise(at: usize, seed: u64) -> f32 {
    let mixed = (at as u64 ^ seed.wrapping_mul(0x9e37_79b9_7f4a_7c15)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    ((mixed ^ mixed >> 29).wrapping_mul(0x94d0_49bb_1331_11eb) >> 40) as f32 / 16_777_216.0
}

/// The image on the periodic grid, as `continued` has it.
fn grid(transform: &Scattering, image: &[f32]) -> Vec<f64> {
    let mut values = Vec::new();
    transform.continued(image, &mut values);
    values.into_iter().map(f64::from).collect()
}

/// Every point's sum over the grid of value times filter, in double precision.
fn convolved(values: &[Complex<f64>], filter: &[Complex<f64>], [rows, columns]: [usize; 2]) -> Vec<Complex<f64>> {
    let at = |row: usize, column: usize| {
        let terms = (0..rows * columns).map(|from| {
            let (down, right) = (row + rows - from / columns, column + columns - from % columns);
            values[from] * filter[down % rows * columns + right % columns]
        });
        terms.sum()
    };
    (0..rows * columns).map(|point| at(point / columns, point % columns)).collect()
}

/// The transform by its definition: convolution, modulus, convolution, modulus, average.
fn by_definition(transform: &Scattering, image: &[f32]) -> Vec<f64> {
    let size = transform.full.size;
    let complex = |values: Vec<f64>| -> Vec<Complex<f64>> { values.into_iter().map(Complex::from).collect() };
    // The filters' common factor is taken from the transform's own: the guarantee on energy checks it.
    let plain = bank::morlet(size, 0, 0.0);
    let response: Complex<f64> =
        plain.iter().enumerate().map(|(at, value)| value * turn(-0.75 * PI, at / size[1])).sum();
    let own: f64 = {
        let row = 3 * size[0] / 8;
        f64::from(transform.wavelets[0][row]) * (size[0] * size[1]) as f64
    };
    assert!((3 * size[0]).is_multiple_of(8), "the frequency 3/4 π must lie on the grid");
    let factor = own / response.re;
    let wavelet = |scale: usize, angle: usize| -> Vec<Complex<f64>> {
        bank::morlet(size, scale, PI * angle as f64 / 8.0).into_iter().map(|value| value * factor).collect()
    };
    let modulus = |values: &[Complex<f64>], filter: &[Complex<f64>]| -> Vec<Complex<f64>> {
        complex(convolved(values, filter, size).iter().map(|value| value.norm()).collect())
    };
    // Every second point of what a coarser wavelet gave, averaged there.
    let average = |values: &[Complex<f64>], every: usize| -> Vec<f64> {
        let low = size.map(|side| bank::low_pass(side / every, 1.6 / every as f64));
        let at = |[down, right]: [usize; 2]| -> f64 {
            let points = (0..size[0] / every).flat_map(|row| (0..size[1] / every).map(move |column| (row, column)));
            let terms = points.map(|(row, column)| {
                let weight = |axis: usize, to: usize, from: usize| {
                    let side = size[axis] / every;
                    low[axis][(to * 4 / every + side - from) % side]
                };
                weight(0, down, row) * weight(1, right, column) * values[row * every * size[1] + column * every].re
            });
            terms.sum()
        };
        let [rows, columns] = transform.output;
        (1..=rows).flat_map(|down| (1..=columns).map(move |right| [down, right])).map(at).collect()
    };
    let image = complex(grid(transform, image));
    let mut paths = average(&image, 1);
    let fine: Vec<_> = (0..8).map(|angle| modulus(&image, &wavelet(0, angle))).collect();
    paths.extend(fine.iter().flat_map(|values| average(values, 1)));
    (0..8).for_each(|angle| paths.extend(average(&modulus(&image, &wavelet(1, angle)), 2)));
    for values in &fine {
        (0..8).for_each(|angle| paths.extend(average(&modulus(values, &wavelet(1, angle)), 2)));
    }
    paths
}

fn turn(frequency: f64, at: usize) -> Complex<f64> {
    Complex::from_polar(1.0, frequency * at as f64)
}

#[test]
fn it_agrees_with_direct_convolution() {
    let images = inputs([1, 8, 8], |at| noise(at, 1), 2);
    let transform = Scattering::new(images.shape()).unwrap();
    let fast = transform.transform(&images).unwrap();
    for (image, fast) in images.rows().zip(fast.rows()) {
        let direct = by_definition(&transform, image);
        assert_eq!(direct.len(), fast.len());
        for (path, (direct, fast)) in direct.iter().zip(fast).enumerate() {
            assert!((direct - f64::from(*fast)).abs() < 2e-5, "{path}: {direct} {fast}");
        }
    }
}

#[test]
fn a_constant_is_its_own_average() {
    let features = transform(&inputs([2, 9, 12], |at| if at < 108 { 0.75 } else { -2.0 }, 1));
    assert_eq!(features.shape().axes(), [162, 3, 3]);
    for (path, values) in features.values().chunks_exact(9).enumerate() {
        let expected = match path {
            0 => 0.75,
            81 => -2.0,
            _ => 0.0,
        };
        assert!(values.iter().all(|value| (value - expected).abs() < 1e-5), "{path}: {values:?}");
    }
}

/// `cos(π/2 row)` stays itself when it is reflected at rows 0 and 8, and its period divides the grid's 20 rows. The
/// modulus behind a wavelet with responses `a` and `b` at the frequency and its negative alternates between `|a + b| / 2`
/// and `|a - b| / 2`.
#[test]
fn a_cosine_shows_the_wavelets_response() {
    let images = inputs([1, 9, 9], |at| single((PI / 2.0 * (at / 9) as f64).cos()), 1);
    let transform = Scattering::new(images.shape()).unwrap();
    let features = transform.transform(&images).unwrap();
    let (rows, pixels) = (transform.full.size[0], 400.0);
    for (path, wavelet) in transform.wavelets.iter().enumerate() {
        let [a, b] = [wavelet[rows / 4], wavelet[rows - rows / 4]].map(|response| response * pixels);
        let expected = if path < ANGLES { a.abs().max(b.abs()) / 2.0 } else { (a + b).abs() / 2.0 };
        let found = features.values()[(1 + path) * 9 + 4];
        assert!((found - expected).abs() < 1e-4, "{path}: {found} {expected}");
    }
    assert!(features.values()[4].abs() < 0.05, "the average of a cosine is nearly 0");
}

#[test]
fn a_shift_by_one_pixel_changes_little() {
    let blob = |at: usize, shift: f64| {
        let (row, column) = ((at / 28) as f64 - 13.0, (at % 28) as f64 - 14.0 - shift);
        single((-(row * row / 40.0 + (column - 0.3 * row).powi(2) / 3.0)).exp())
    };
    let (still, moved) = (inputs([1, 28, 28], |at| blob(at, 0.0), 1), inputs([1, 28, 28], |at| blob(at, 1.0), 1));
    let change = |a: &Inputs, b: &Inputs| {
        let difference = a.values().iter().zip(b.values()).map(|(a, b)| f64::from(a - b));
        norm(difference) / norm(a.values().iter().copied().map(f64::from))
    };
    let (pixels, features) = (change(&still, &moved), change(&transform(&still), &transform(&moved)));
    assert!(features < 0.7 * pixels, "{features} {pixels}");
}

#[test]
fn each_image_stands_alone() {
    let images = inputs([1, 11, 8], |at| noise(at, 3), 5);
    let together = transform(&images);
    for image in 0..5 {
        assert_eq!(transform(&images.select(&[image])).values(), together.row(image));
    }
    let pool = rayon::ThreadPoolBuilder::new().num_threads(1).build().unwrap();
    assert_eq!(pool.install(|| transform(&images)), together);
    assert!(transform(&images.select(&[])).is_empty());
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(32))]

    #[test]
    fn no_energy_is_gained(seed in any::<u64>(), height in 8_usize..20, width in 8_usize..20, sign in any::<bool>(), wave in 0_usize..64) {
        let wavy = |at: usize| {
            let (down, right) = ((wave % 8) as f64, (wave / 8) as f64);
            single((PI / 8.0 * (down * (at / width) as f64 + right * (at % width) as f64)).cos())
        };
        let value = |at: usize| if sign { noise(at, seed) - 0.5 } else { wavy(at) };
        let images = inputs([1, height, width], |at| if at < height * width { value(at) } else { noise(at, seed ^ 1) }, 2);
        let transform = Scattering::new(images.shape()).unwrap();
        let features = transform.transform(&images).unwrap();
        let continued: Vec<Vec<f64>> = images.rows().map(|image| grid(&transform, image)).collect();
        for (image, features) in continued.iter().zip(features.rows()) {
            let (out, into) = (norm(features.iter().copied().map(f64::from)), norm(image.iter().copied()));
            prop_assert!(out <= into * (1.0 + 1e-4), "{} {}", out, into);
        }
        let own = norm(images.row(0).iter().copied().map(f64::from));
        prop_assert!(norm(continued[0].iter().copied()) <= 3.0 * own);
        let apart = norm(continued[0].iter().zip(&continued[1]).map(|(a, b)| a - b));
        let changed = norm(features.row(0).iter().zip(features.row(1)).map(|(a, b)| f64::from(a - b)));
        prop_assert!(changed <= apart * (1.0 + 1e-4), "{} {}", changed, apart);
    }
}

#[test]
fn the_filters_fill_the_room_they_have() {
    for size in [[16, 16], [36, 36], [20, 32]] {
        let bank = Bank::new(size);
        let scale = bank.wavelets.iter().flatten().fold(0.0_f64, |most, value| most.max(value.abs()));
        assert!((0.5..=1.5).contains(&scale), "{scale}");
        assert!(bank.wavelets.iter().all(|wavelet| wavelet[0].abs() < 1e-12), "no wavelet passes the mean");
    }
}

#[test]
fn what_is_no_image_is_refused() {
    for axes in [vec![64], vec![1, 7, 28], vec![1, 28, 7], vec![1, 1, 28, 28]] {
        let error = Scattering::new(&Shape::new(axes).unwrap()).unwrap_err();
        assert!(matches!(error, Error::NotAnImage { least: 8, .. }), "{error}");
    }
    let transform = Scattering::new(&Shape::new([1, 8, 8]).unwrap()).unwrap();
    for images in [inputs([1, 8, 9], |_| 0.0, 1), inputs([1, 8, 8], |_| f32::NAN, 1)] {
        assert!(matches!(transform.transform(&images), Err(Error::Inputs(_))));
    }
}
