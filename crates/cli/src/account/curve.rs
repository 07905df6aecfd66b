//! ε over the steps, as a drawing.

use underpin::report::bounds_svg;
use underpin_privacy::Bounds;

const POINTS: u64 = 32;

/// Some 32 numbers of steps from 1 to `last`, the last one included, closer together at the start, where the curve is
/// steepest.
pub(super) fn steps(last: u64) -> Vec<u64> {
    let at = |point: u64| {
        #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "between 1 and last")]
        let steps = (last as f64 * (point as f64 / POINTS as f64).powi(2)).round() as u64;
        steps.clamp(1.min(last), last)
    };
    let mut found: Vec<u64> = (1..=POINTS).map(at).collect();
    found.dedup();
    found
}

/// A stand-alone drawing of the bounds; those that are not finite are left out.
pub(super) fn draw(points: &[(u64, Bounds)], delta: f64, about: &str) -> String {
    let points: Vec<_> = points.iter().map(|(steps, bounds)| (*steps as f64, bounds.lower, bounds.upper)).collect();
    bounds_svg("Privacy spent over the steps", about, ["steps", &format!("ε at δ = {delta:e}")], &points)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn steps_rise_to_the_last() {
        for last in [1, 2, 33, 10_000, 1 << 40] {
            let found = steps(last);
            assert!(found.windows(2).all(|pair| pair[0] < pair[1]) && found.last() == Some(&last), "{last}");
            assert!(found[0] >= 1 && found.len() <= 32);
        }
        assert_eq!(steps(0), [0]);
    }

    #[test]
    fn drawings_show_every_point_and_survive_none() {
        let bounds = |at: f64| Bounds { lower: 0.9 * at, upper: at };
        let drawing = draw(&[(1, bounds(0.5)), (10, bounds(2.0)), (20, bounds(f64::INFINITY))], 1e-5, "about");
        assert!(
            drawing.contains("<polygon") && drawing.contains(">10</text>") && !drawing.contains("inf"),
            "{drawing}"
        );
        let upper = draw(&[(1, Bounds { lower: 0.0, upper: 0.5 })], 1e-5, "about");
        assert!(!upper.contains("<polygon"));
        for empty in [&[][..], &[(0, Bounds { lower: 0.0, upper: 0.0 })]] {
            assert!(!draw(empty, 1e-5, "about").contains("NaN"));
        }
    }
}
