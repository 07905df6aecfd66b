//! Two sides of one number.

/// Two proven bounds on one number: it lies in `[lower, upper]`, rounding errors included.
#[derive(Clone, Copy, Debug, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct Bounds {
    /// Never above the number.
    pub lower: f64,
    /// Never below the number.
    pub upper: f64,
}

impl Bounds {
    /// How far the bounds are apart, relative to the upper one: 0 where they meet, 1 where the lower one says nothing or
    /// the upper one is infinite.
    ///
    /// # Examples
    ///
    /// ```
    /// use underpin_privacy::Bounds;
    ///
    /// assert_eq!(Bounds { lower: 1.5, upper: 2.0 }.gap(), 0.25);
    /// assert_eq!(Bounds { lower: 0.0, upper: 0.0 }.gap(), 0.0);
    /// assert_eq!(Bounds { lower: 1.5, upper: f64::INFINITY }.gap(), 1.0);
    /// ```
    pub fn gap(&self) -> f64 {
        if self.upper <= self.lower {
            return 0.0;
        }
        if self.upper.is_finite() { (self.upper - self.lower) / self.upper } else { 1.0 }
    }
}
