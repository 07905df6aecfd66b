//! Whitening: the spread of rows about their classes' means is scaled to be alike in all directions.

use faer::linalg::matmul::matmul;
use faer::{Accum, Mat, Par, Side};
use underpin_core::Inputs;

use crate::Error;

/// Makes clean rows of any class vary alike in all directions, so that what varies little in them stands out elsewhere.
///
/// `L⁻¹ x` with `L Lᵀ = (1 - a) S + a (tr S / d) I`: `S` is the covariance of the rows about their classes' means, and
/// `a = d / (d + n)` shrinks the estimate of `d` features from `n` rows (shrinkage).
pub(super) struct Whitening {
    lower: Mat<f64>,
}

impl Whitening {
    /// Fits to the rows at `rows`.
    pub(super) fn fit(vectors: &Inputs, labels: &[usize], classes: usize, rows: &[usize]) -> Result<Self, Error> {
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
    pub(super) fn apply(&self, vectors: &Inputs) -> Mat<f64> {
        let size = vectors.shape().size();
        let mut columns = Mat::from_fn(size, vectors.len(), |row, column| f64::from(vectors.row(column)[row]));
        self.lower.solve_lower_triangular_in_place(columns.as_mut());
        columns
    }
}
