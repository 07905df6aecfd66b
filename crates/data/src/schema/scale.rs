//! Scales the numbers of a column to features in `[0, 1]`, and back.

/// The range of a numeric column: `min` becomes 0 and `max` 1; values within `low..=high` are clamped to it.
#[derive(Debug)]
pub(super) struct Scale {
    min: f64,
    max: f64,
    low: f64,
    high: f64,
}

impl Scale {
    /// A range, and `slack` widths beyond it within which a value is clamped.
    ///
    /// Where that ends is rounded to 15 digits, so that a message can state where exactly a row is rejected.
    pub(super) fn new(min: f64, max: f64, slack: f64) -> Self {
        let beyond = slack * (max - min);
        // Rounding never cuts into the range itself.
        let (low, high) = (rounded(min - beyond).min(min), rounded(max + beyond).max(max));
        let (low, high) = if slack > 0.0 { (low, high) } else { (min, max) };
        Self { min, max, low, high }
    }

    /// The feature of a finite number, and whether it was clamped; none when it lies too far outside the range.
    #[allow(clippy::cast_possible_truncation, reason = "scaled values lie in [0, 1]")]
    pub(super) fn feature(&self, number: f64) -> Option<(f32, bool)> {
        if number < self.low || number > self.high {
            return None;
        }
        let scaled = (number - self.min) / (self.max - self.min);
        // Adding 0 turns -0 into 0, so that equal rows have equal bits.
        Some((scaled.clamp(0.0, 1.0) as f32 + 0.0, !(0.0..=1.0).contains(&scaled)))
    }

    /// The number that a feature stands for.
    pub(super) fn number(&self, feature: f32) -> f64 {
        self.min + f64::from(feature) * (self.max - self.min)
    }

    /// Least and greatest number that are allowed.
    pub(super) fn ends(&self) -> (f64, f64) {
        (self.low, self.high)
    }

    /// The allowed range, in words.
    pub(super) fn allowed(&self) -> String {
        format!("{} to {}", self.low, self.high)
    }

    /// A number that is rejected: ten widths above the allowed range.
    pub(super) fn beyond(&self) -> f64 {
        self.high + 10.0 * (self.max - self.min)
    }
}

/// The number nearest to 15 significant digits of `value`; what is not finite stays as it is.
fn rounded(value: f64) -> f64 {
    format!("{value:.14e}").parse().unwrap_or(value)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_is_scaled_clamped_or_rejected() {
        let scale = Scale::new(-1.0, 3.0, 0.5);
        assert_eq!(scale.feature(-1.0), Some((0.0, false)));
        assert_eq!(scale.feature(1.0), Some((0.5, false)));
        assert_eq!(scale.feature(5.0), Some((1.0, true)));
        assert_eq!(scale.feature(5.1), None);
        assert_eq!(scale.feature(-3.1), None);
        assert_eq!(scale.allowed(), "-3 to 5");
        assert!((scale.number(0.5) - 1.0).abs() < 1e-12);
        assert_eq!(scale.feature(scale.beyond()), None);
        let strict = Scale::new(0.0, 1.0, 0.0);
        assert_eq!(strict.feature(1.0 + f64::EPSILON), None);
        let zero = strict.feature(-0.0).map(|(feature, _)| feature.to_bits());
        assert_eq!(zero, Some(0), "zero has one bit pattern");
    }
}
