//! Points in time, for people.

/// A point in time, seconds since 1970 UTC, to the minute.
pub(crate) fn moment(seconds: u64) -> String {
    let minutes = seconds / 60 % 1440;
    format!("{} {:02}:{:02} UTC", day(seconds), minutes / 60, minutes % 60)
}

/// A day in UTC, by Hinnant's `civil_from_days`.
pub(crate) fn day(seconds: u64) -> String {
    let days = seconds / 86_400 + 719_468;
    let (era, of_era) = (days / 146_097, days % 146_097);
    let year = (of_era - of_era / 1460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year + year / 4 - year / 100);
    let shifted = (5 * of_year + 2) / 153;
    let (month, shift) = if shifted < 10 { (shifted + 3, 0) } else { (shifted - 9, 1) };
    format!("{:04}-{month:02}-{:02}", era * 400 + year + shift, of_year - (153 * shifted + 2) / 5 + 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn days_follow_the_calendar() {
        for (seconds, text) in [
            (0, "1970-01-01 00:00 UTC"),
            (951_782_399, "2000-02-28 23:59 UTC"),
            (951_782_400, "2000-02-29 00:00 UTC"),
            (4_107_542_400, "2100-03-01 00:00 UTC"),
            (1_795_454_191, "2026-11-23 17:16 UTC"),
        ] {
            assert_eq!(moment(seconds), text);
        }
    }
}
