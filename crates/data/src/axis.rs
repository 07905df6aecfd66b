//! Linear algebra for spectral signatures: whitening, and the direction of greatest variance.

use faer::linalg::matmul::matmul;
use faer::{Accum, Mat, MatRef, Par, Side};
use underpin_core::Inputs;

use crate::Error;

/// Makes clean rows of any class vary alike in all directions, so that what varies little in them stands out elsewhere.
///
/// `L⁻¹ x` with `L Lᵀ = (1 - a) S + a (tr S / d) I`: `S` is the covariance of the rows about their classes' means, and
/// `a = d / (d + n)` shrinks what `n` rows say of `d` features.
pub(crate) struct Whitening {
    lower: Mat<f64>,
}

impl Whitening {
    /// Fits to the rows at `rows`.
    pub(crate) fn fit(vectors: &Inputs, labels: &[usize], classes: usize, rows: &[usize]) -> Result<Self, Error> {
        let size = vectors.shape().size();
        let mut means = vec![(0.0_f64, vec![0.0_f64; size]); classes];
        for at in rows {
            let (count, sum) = &mut means[labels[*at]];
            *count += 1.0;
            sum.iter_mut().zip(vectors.row(*at)).for_each(|(sum, value)| *sum += f64::from(*value));
        }
        let centred = Mat::from_fn(rows.len(), size, |row, column| {
            let (count, sum) = &means[labels[rows[row]]];
            f64::from(vectors.row(rows[row])[column]) - sum[column] / count
        });
        let mut covariance = Mat::<f64>::zeros(size, size);
        let scale = 1.0 / rows.len().max(1) as f64;
        matmul(covariance.as_mut(), Accum::Replace, centred.transpose(), centred.as_ref(), scale, Par::Seq);
        let mean_variance = (0..size).map(|at| covariance[(at, at)]).sum::<f64>() / size as f64;
        let shrinkage = size as f64 / (size + rows.len()) as f64;
        // Where nothing varies, any scale will do.
        let ridge = if mean_variance > 0.0 { shrinkage * mean_variance } else { 1.0 };
        let shrunk = Mat::from_fn(size, size, |row, column| {
            (1.0 - shrinkage) * covariance[(row, column)] + if row == column { ridge } else { 0.0 }
        });
        let factor = shrunk.llt(Side::Lower).map_err(|_| Error::Covariance)?;
        Ok(Self { lower: factor.L().to_owned() })
    }

    /// The rows whitened, one per column.
    pub(crate) fn apply(&self, vectors: &Inputs) -> Mat<f64> {
        let size = vectors.shape().size();
        let mut columns = Mat::from_fn(size, vectors.len(), |row, column| f64::from(vectors.row(column)[row]));
        self.lower.solve_lower_triangular_in_place(columns.as_mut());
        columns
    }
}

/// The direction of greatest variance through the mean of some columns.
pub(crate) struct Axis {
    mean: Vec<f64>,
    direction: Vec<f64>,
}

impl Axis {
    /// Power iteration on the centred columns. Starts from the one farthest from the mean, so not orthogonal to all.
    pub(crate) fn fit(columns: MatRef<'_, f64>, members: &[usize]) -> Self {
        let size = columns.nrows();
        let column = |at: usize| columns.col(at).iter().copied();
        let mut mean = vec![0.0; size];
        for at in members {
            mean.iter_mut().zip(column(*at)).for_each(|(mean, value)| *mean += value / members.len() as f64);
        }
        let centre = |at: &usize| column(*at).zip(&mean).map(|(value, mean)| value - mean).collect::<Vec<f64>>();
        let centred: Vec<Vec<f64>> = members.iter().map(centre).collect();
        let farthest = centred.iter().max_by(|a, b| dot(a, a).total_cmp(&dot(b, b)));
        let mut direction = farthest.cloned().unwrap_or_else(|| vec![0.0; size]);
        for _ in 0..50 {
            if !normalise(&mut direction) {
                break;
            }
            let mut next = vec![0.0; size];
            for row in &centred {
                let weight = dot(row, &direction);
                next.iter_mut().zip(row).for_each(|(next, value)| *next += weight * value);
            }
            direction = next;
        }
        normalise(&mut direction);
        Self { mean, direction }
    }

    /// Where a column lies along the direction.
    pub(crate) fn place(&self, columns: MatRef<'_, f64>, at: usize) -> f64 {
        let column = columns.col(at).iter().zip(&self.mean).zip(&self.direction);
        column.map(|((value, mean), axis)| (value - mean) * axis).sum()
    }
}

/// Scales to length 1; false if there is no direction.
fn normalise(direction: &mut [f64]) -> bool {
    let length = dot(direction, direction).sqrt();
    let usable = length > 0.0 && length.is_finite();
    if usable {
        for value in direction {
            *value /= length;
        }
    }
    usable
}

fn dot(a: &[f64], b: &[f64]) -> f64 {
    a.iter().zip(b).map(|(a, b)| a * b).sum()
}

/// Median and median absolute deviation.
pub(crate) struct MedianMad {
    median: f64,
    deviation: f64,
}

impl MedianMad {
    /// Of at least one place.
    pub(crate) fn of(mut places: Vec<f64>) -> Self {
        let median = median(&mut places);
        for place in &mut places {
            *place = (*place - median).abs();
        }
        Self { median, deviation: self::median(&mut places) }
    }

    /// Distance from the median in deviations; infinite where there is no deviation.
    pub(crate) fn distance(&self, place: f64) -> f64 {
        let away = (place - self.median).abs();
        if away == 0.0 { 0.0 } else { away / self.deviation }
    }
}

fn median(values: &mut [f64]) -> f64 {
    let middle = values.len() / 2;
    *values.select_nth_unstable_by(middle, f64::total_cmp).1
}
