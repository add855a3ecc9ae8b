//! The calendar day in Germany: prescriptions are dated by it.

use time::{Date, Duration, Month, OffsetDateTime, Weekday};

/// The day in Germany at this instant: UTC+1, in summer UTC+2. Summer time runs from the last Sunday of March to the
/// last Sunday of October, each at 01:00 UTC (Directive 2000/84/EC).
pub fn german_day(at: OffsetDateTime) -> Date {
    let at = at.to_offset(time::UtcOffset::UTC);
    let change =
        |month| last_sunday(at.year(), month).map(|day| day.midnight().assume_utc() + Duration::HOUR);
    let is_summer = match (change(Month::March), change(Month::October)) {
        (Some(begin), Some(end)) => (begin..end).contains(&at),
        _ => false,
    };
    (at + if is_summer { Duration::hours(2) } else { Duration::HOUR }).date()
}

/// Both months have 31 days.
fn last_sunday(year: i32, month: Month) -> Option<Date> {
    let last = Date::from_calendar_date(year, month, 31).ok()?;
    Some(if last.weekday() == Weekday::Sunday { last } else { last.prev_occurrence(Weekday::Sunday) })
}

#[cfg(test)]
mod tests {
    use time::macros::{date, datetime};

    use super::*;

    #[test]
    fn the_clock_changes_on_the_last_sundays() {
        assert_eq!(german_day(datetime!(2026-03-28 22:59 UTC)), date!(2026 - 03 - 28));
        assert_eq!(german_day(datetime!(2026-03-28 23:00 UTC)), date!(2026 - 03 - 29));
        assert_eq!(german_day(datetime!(2026-03-29 22:00 UTC)), date!(2026 - 03 - 30));
        assert_eq!(german_day(datetime!(2026-10-24 22:00 UTC)), date!(2026 - 10 - 25));
        assert_eq!(german_day(datetime!(2026-10-25 22:59 UTC)), date!(2026 - 10 - 25));
        assert_eq!(german_day(datetime!(2026-10-25 23:00 UTC)), date!(2026 - 10 - 26));
        assert_eq!(german_day(datetime!(2026-12-31 23:00 UTC)), date!(2027 - 01 - 01));
    }
}
