//! The δ at which ε is stated where nobody names one.

use underpin_core::Delta;

/// The largest power of ten that is at most `1 / (10 rows)`, and at most 1e-4: well below `1 / rows`.
///
/// At δ = 1/n a mechanism that publishes one row of n as it is counts as (0, δ)-private (Dwork and Roth 2014, section 2.3).
///
/// # Examples
///
/// ```
/// use underpin_privacy::recommended_delta;
///
/// assert_eq!(recommended_delta(1_000).value(), 1e-4);
/// assert_eq!(recommended_delta(1_001).value(), 1e-5);
/// ```
#[allow(clippy::missing_panics_doc, reason = "a power of ten from 1e-21 to 1e-4 is a number and a delta")]
pub fn recommended_delta(rows: usize) -> Delta {
    // Whole numbers: a logarithm would round a power of ten either way.
    let (mut inverse, mut digits) = (10_000_u128, 4_u32);
    while inverse < rows as u128 * 10 {
        inverse *= 10;
        digits += 1;
    }
    // As it is written: the power, rounded once.
    let delta = format!("1e-{digits}").parse().ok().and_then(|delta| Delta::new(delta).ok());
    delta.expect("invariant: a power of ten from 1e-21 to 1e-4")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_at_most_a_tenth_of_one_over_the_rows() {
        for power in 0..19 {
            let whole = 10_usize.pow(power);
            for rows in [whole.saturating_sub(1), whole, whole + 1, 3 * whole] {
                let delta = recommended_delta(rows).value();
                assert!(delta * rows as f64 <= 0.1 * (1.0 + 1e-15) && delta <= 1e-4, "{rows}: {delta}");
                assert!(delta * rows as f64 > 0.0099 || delta >= 1e-4, "{rows}: {delta} is smaller than need be");
            }
        }
        assert_eq!(recommended_delta(usize::MAX).value(), 1e-21);
    }
}
