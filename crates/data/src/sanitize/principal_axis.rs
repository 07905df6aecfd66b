//! The first principal axis: the direction of greatest variance of some columns.

use faer::MatRef;

/// The direction of greatest variance through the mean of some columns.
pub(super) struct PrincipalAxis {
    mean: Vec<f64>,
    direction: Vec<f64>,
}

impl PrincipalAxis {
    /// Power iteration on the centred columns. Starts from the one farthest from the mean, so not orthogonal to all.
    pub(super) fn fit(columns: MatRef<'_, f64>, members: &[usize]) -> Self {
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
    pub(super) fn place(&self, columns: MatRef<'_, f64>, at: usize) -> f64 {
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
