//! Dates of the insurance data. The schema type `ISO8601Date` (Schema_VSD.xsd) is `YYYYMMDD` with day, or day and
//! month, allowed to be `00`: a person born abroad whose birthday nobody knows. No calendar library takes that, so the
//! three parts are kept apart.

use std::fmt;

use serde::{Serialize, Serializer};
use time::{Date, Month};

/// A date of which the day, the month or everything may be unknown. `Debug` prints no value, `Display` does.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub enum PartialDate {
    /// `00000000`: nothing is known.
    Unknown,
    /// Only the year is known.
    Year(u16),
    /// Year and month (1 to 12) are known.
    YearMonth(u16, u8),
    /// A day of the Gregorian calendar.
    Day(Date),
}

impl PartialDate {
    /// Reads eight digits `YYYYMMDD`; `None` if the text is anything else or names a day that no calendar has.
    pub fn parse(text: &str) -> Option<PartialDate> {
        if text.len() != 8 || !text.bytes().all(|byte| byte.is_ascii_digit()) {
            return None;
        }
        let year: u16 = text.get(..4)?.parse().ok()?;
        let month: u8 = text.get(4..6)?.parse().ok()?;
        let day: u8 = text.get(6..)?.parse().ok()?;
        match (year, month, day) {
            (0, 0, 0) => Some(PartialDate::Unknown),
            (0, _, _) => None,
            (_, 0, 0) => Some(PartialDate::Year(year)),
            (_, 1..=12, 0) => Some(PartialDate::YearMonth(year, month)),
            _ => {
                let month = Month::try_from(month).ok()?;
                Date::from_calendar_date(i32::from(year), month, day).ok().map(PartialDate::Day)
            }
        }
    }

    /// The calendar day, if all of it is known.
    pub fn day(self) -> Option<Date> {
        match self {
            PartialDate::Day(date) => Some(date),
            _ => None,
        }
    }

    /// The FHIR `date` form: `1978-07-12`, `1978-07`, `1978`; `None` when nothing is known.
    pub fn to_iso(self) -> Option<String> {
        match self {
            PartialDate::Unknown => None,
            PartialDate::Year(year) => Some(format!("{year:04}")),
            PartialDate::YearMonth(year, month) => Some(format!("{year:04}-{month:02}")),
            PartialDate::Day(date) => {
                Some(format!("{:04}-{:02}-{:02}", date.year(), u8::from(date.month()), date.day()))
            }
        }
    }
}

impl fmt::Display for PartialDate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.to_iso().as_deref().unwrap_or("unknown"))
    }
}

impl fmt::Debug for PartialDate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("PartialDate(..)")
    }
}

/// The FHIR form as a string, `null` when nothing is known.
impl Serialize for PartialDate {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.to_iso().serialize(serializer)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn unknown_day_month_and_year_stay_unknown() {
        let iso = |text| PartialDate::parse(text).and_then(PartialDate::to_iso);
        assert_eq!(iso("19780712").as_deref(), Some("1978-07-12"));
        assert_eq!(iso("19780700").as_deref(), Some("1978-07"));
        assert_eq!(iso("19720000").as_deref(), Some("1972"));
        assert_eq!(PartialDate::parse("00000000"), Some(PartialDate::Unknown));
        assert_eq!(iso("00000000"), None);
    }

    #[test]
    fn leap_days_exist_only_in_leap_years() {
        assert!(PartialDate::parse("20240229").is_some());
        assert!(PartialDate::parse("20230229").is_none());
    }

    #[test]
    fn anything_that_is_no_date_is_refused() {
        for text in
            ["", "1978", "1978-07-12", "19781301", "19780732", "19780012", "00000712", "1978071a", "1978071٣"]
        {
            assert_eq!(PartialDate::parse(text), None, "{text}");
        }
    }

    #[test]
    fn debug_shows_no_date() {
        let date = PartialDate::parse("19780712").unwrap();
        assert_eq!(format!("{date:?}"), "PartialDate(..)");
    }
}
