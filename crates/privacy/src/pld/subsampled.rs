//! ε of repeated subsampled Gaussians, from both sides.

use super::{Cells, Composed, Side};
use crate::Bounds;

/// Bounds on ε at `delta` of `steps` subsampled Gaussians, add-or-remove-one, no further apart than `gap` of the upper
/// one where that can be had; none where the composition is out of reach.
pub(crate) fn epsilon(rate: f64, sigma: f64, steps: u64, delta: f64, gap: f64) -> Option<Bounds> {
    let deviation = Cells::deviation(rate, sigma);
    let mut fineness = (8.0 * gap * 0.5).sqrt();
    let mut best: Option<Bounds> = None;
    for _ in 0..5 {
        let cells = Cells {
            rate,
            sigma,
            width: deviation * fineness,
            tail: 1e-4 * delta / steps as f64,
            spread: 0.3 * fineness,
        };
        let Some(found) = at(&cells, steps, delta) else { break };
        let found = best.map_or(found, |best| Bounds {
            lower: best.lower.max(found.lower),
            upper: best.upper.min(found.upper),
        });
        best = Some(found);
        let reached = (found.upper - found.lower) / found.upper;
        if reached <= gap || !reached.is_finite() {
            break;
        }
        fineness *= (0.6 * gap / reached).sqrt().clamp(0.25, 0.8);
    }
    best
}

fn at(cells: &Cells, steps: u64, delta: f64) -> Option<Bounds> {
    let upper = cells.upper();
    let remove = Composed::new(&[(&upper.remove, steps)], Side::Upper, delta)?.epsilon(delta);
    let add = Composed::new(&[(&upper.add, steps)], Side::Upper, delta)?.epsilon(delta);
    let lower = Composed::new(&[(&cells.lower(), steps)], Side::Lower, delta)?.epsilon(delta);
    Some(Bounds { lower, upper: remove.max(add) })
}

#[cfg(test)]
mod tests {
    #[test]
    #[ignore = "prints"]
    fn show() {
        let mut reader = csv::Reader::from_path("/work/shared/vectors/subsampled_gaussian.csv").unwrap();
        for row in reader.records() {
            let row = row.unwrap();
            let f = |i: usize| row[i].parse::<f64>().unwrap_or(f64::NAN);
            let _ = super::epsilon(f(0), f(1), f(2) as u64, f(3), 0.01);
            let start = std::time::Instant::now();
            let found = super::epsilon(f(0), f(1), f(2) as u64, f(3), 0.01);
            let ms = start.elapsed().as_secs_f64() * 1e3;
            let b = found.unwrap_or(crate::Bounds { lower: -1.0, upper: -1.0 });
            println!("{:8.6} {:3} {:6} pld {:.5}..{:.5} prv {:.5}..{:.5} ours {:.6}..{:.6} gap {:.4}% {:.3} ms", f(0), f(1), f(2), f(6), f(5), f(7), f(9), b.lower, b.upper, (b.upper-b.lower)/b.upper*100.0, ms);
        }
    }
}
