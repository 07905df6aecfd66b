//! Median and median absolute deviation (MAD): robust place and scale.

/// Median and median absolute deviation.
pub(super) struct MedianMad {
    median: f64,
    deviation: f64,
}

impl MedianMad {
    /// Of at least one place.
    pub(super) fn of(mut places: Vec<f64>) -> Self {
        let median = median(&mut places);
        for place in &mut places {
            *place = (*place - median).abs();
        }
        Self { median, deviation: self::median(&mut places) }
    }

    /// Distance from the median in deviations; infinite where there is no deviation.
    pub(super) fn distance(&self, place: f64) -> f64 {
        let away = (place - self.median).abs();
        if away == 0.0 { 0.0 } else { away / self.deviation }
    }
}

fn median(values: &mut [f64]) -> f64 {
    let middle = values.len() / 2;
    *values.select_nth_unstable_by(middle, f64::total_cmp).1
}
