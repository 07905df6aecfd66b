//! The set an evasion attack may search: a ball around the input, cut by the box `[0, 1]`.

use rand::RngExt;
use rand_chacha::ChaCha12Rng;
use underpin_core::{Norm, Radius};

use crate::random::normal;

/// A ball of perturbations.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Ball {
    pub(crate) norm: Norm,
    pub(crate) radius: f64,
}

impl Ball {
    pub(crate) fn new(norm: Norm, radius: Radius) -> Self {
        Self { norm, radius: radius.value() }
    }

    /// Size of the difference, in 64 bits.
    pub(crate) fn distance(self, origin: &[f32], row: &[f32]) -> f64 {
        let differences = origin.iter().zip(row).map(|(a, b)| (f64::from(*b) - f64::from(*a)).abs());
        match self.norm {
            Norm::Linf => differences.fold(0.0, f64::max),
            Norm::L2 => differences.map(|d| d * d).sum::<f64>().sqrt(),
        }
    }

    /// Moves `row` to a point of the ball and of `[0, 1]`, the nearest but for rounding; `origin` lies in `[0, 1]`.
    ///
    /// NaN becomes the origin's value. Afterwards [`Ball::distance`] is at most the radius, exactly.
    pub(crate) fn project(self, origin: &[f32], row: &mut [f32]) {
        for (value, centre) in row.iter_mut().zip(origin) {
            *value = if value.is_nan() { *centre } else { value.clamp(0.0, 1.0) };
        }
        match self.norm {
            Norm::Linf => {
                for (value, centre) in row.iter_mut().zip(origin) {
                    *value = value.clamp(self.lowest(*centre), self.highest(*centre));
                }
            }
            Norm::L2 => self.shrink(origin, row),
        }
    }

    fn lowest(self, centre: f32) -> f32 {
        let bound = (f64::from(centre) - self.radius).max(0.0);
        #[allow(clippy::cast_possible_truncation, reason = "rounded inwards below")]
        let mut value = bound as f32;
        while f64::from(value) < bound || f64::from(centre) - f64::from(value) > self.radius {
            value = value.next_up();
        }
        value
    }

    fn highest(self, centre: f32) -> f32 {
        let bound = (f64::from(centre) + self.radius).min(1.0);
        #[allow(clippy::cast_possible_truncation, reason = "rounded inwards below")]
        let mut value = bound as f32;
        while f64::from(value) > bound || f64::from(value) - f64::from(centre) > self.radius {
            value = value.next_down();
        }
        value
    }

    fn shrink(self, origin: &[f32], row: &mut [f32]) {
        let distance = self.distance(origin, row);
        if distance <= self.radius {
            return;
        }
        let wanted: Vec<f64> = row.iter().zip(origin).map(|(value, centre)| f64::from(*value - *centre)).collect();
        let mut scale = self.radius / distance;
        for _ in 0..64 {
            for ((value, centre), delta) in row.iter_mut().zip(origin).zip(&wanted) {
                *value = add(*centre, scale * delta);
            }
            if self.distance(origin, row) <= self.radius {
                return;
            }
            scale *= 1.0 - 1e-6;
        }
        // The radius is below the resolution of 32 bits.
        row.copy_from_slice(origin);
    }

    /// A random point of the ball: uniform for L∞, uniform in direction and volume for L2; then cut by the box.
    pub(crate) fn random(self, origin: &[f32], rng: &mut ChaCha12Rng) -> Vec<f32> {
        let mut row: Vec<f32> = match self.norm {
            Norm::Linf => {
                origin.iter().map(|centre| add(*centre, self.radius * (2.0 * rng.random::<f64>() - 1.0))).collect()
            }
            Norm::L2 => {
                let direction: Vec<f64> = origin.iter().map(|_| normal(rng)).collect();
                let length = direction.iter().map(|d| d * d).sum::<f64>().sqrt().max(f64::MIN_POSITIVE);
                let scale = self.radius * rng.random::<f64>().powf(1.0 / origin.len() as f64) / length;
                origin.iter().zip(&direction).map(|(centre, d)| add(*centre, scale * d)).collect()
            }
        };
        self.project(origin, &mut row);
        row
    }

    /// One step of steepest ascent: the sign for L∞, the normalised gradient for L2. NaN counts as 0.
    pub(crate) fn ascend(self, origin: &[f32], row: &mut [f32], gradient: &[f32], step: f64) {
        let known = |g: &f32| if g.is_nan() { 0.0 } else { f64::from(*g) };
        match self.norm {
            Norm::Linf => {
                for (value, g) in row.iter_mut().zip(gradient) {
                    let g = known(g);
                    if g != 0.0 {
                        *value = add(*value, step * g.signum());
                    }
                }
            }
            Norm::L2 => {
                let length = gradient.iter().map(|g| known(g).powi(2)).sum::<f64>().sqrt();
                if length > 0.0 && length.is_finite() {
                    for (value, g) in row.iter_mut().zip(gradient) {
                        *value = add(*value, step * known(g) / length);
                    }
                }
            }
        }
        self.project(origin, row);
    }
}

#[allow(clippy::cast_possible_truncation, reason = "features are 32 bits wide")]
fn add(value: f32, delta: f64) -> f32 {
    (f64::from(value) + delta) as f32
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::random::stream;
    use underpin_core::Seed;

    proptest! {
        /// Guarantee of the whole module: whatever is projected lies in the ball and in the box, and stays there.
        #[test]
        fn projection_keeps_ball_and_box(
            origin in prop::collection::vec(0.0_f32..=1.0, 1..20),
            noise in prop::collection::vec(prop_oneof![-1e9_f32..1e9, -0.5_f32..0.5, Just(f32::NAN), Just(f32::INFINITY)], 20),
            radius in prop_oneof![Just(0.0), Just(1e-12), 0.0_f64..0.5, 0.0_f64..20.0],
            norm in prop_oneof![Just(Norm::Linf), Just(Norm::L2)],
        ) {
            let ball = Ball { norm, radius };
            let mut row: Vec<f32> = origin.iter().zip(&noise).map(|(a, b)| a + b).collect();
            ball.project(&origin, &mut row);
            prop_assert!(ball.distance(&origin, &row) <= radius);
            prop_assert!(row.iter().all(|value| (0.0..=1.0).contains(value)));
            let again = { let mut again = row.clone(); ball.project(&origin, &mut again); again };
            prop_assert_eq!(again, row);
        }
    }

    #[test]
    fn a_point_outside_lands_on_the_edge() {
        let ball = Ball { norm: Norm::L2, radius: 0.5 };
        let mut row = [0.8, 0.9];
        ball.project(&[0.2, 0.1], &mut row);
        // Direction (0.6, 0.8), length 1: the nearest point is (0.2 + 0.3, 0.1 + 0.4).
        assert!((row[0] - 0.5).abs() < 1e-5 && (row[1] - 0.5).abs() < 1e-5, "{row:?}");
    }

    #[test]
    fn random_points_fill_the_ball() {
        let mut rng = stream(Seed(3));
        for norm in [Norm::Linf, Norm::L2] {
            let ball = Ball { norm, radius: 0.1 };
            let far = (0..100).map(|_| ball.distance(&[0.5; 8], &ball.random(&[0.5; 8], &mut rng)));
            let farthest = far.fold(0.0, f64::max);
            assert!(farthest > 0.095 && farthest <= 0.1, "{farthest}");
        }
    }
}
