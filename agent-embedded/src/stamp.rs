//! Moments as people and audit logs write them: RFC 3339, in UTC, with microseconds.

use core::fmt;

use knockgate_core::UnixTime;

const SECOND: u64 = 1_000_000;
const DAY: u64 = 86_400;

/// A moment, to be written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Stamp(pub(crate) UnixTime);

impl fmt::Display for Stamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let micros = self.0.as_micros();
        let (seconds, micros) = (micros / SECOND, micros % SECOND);
        let (year, month, day) = date(seconds / DAY);
        let (hour, minute, second) = (seconds / 3600 % 24, seconds / 60 % 60, seconds % 60);
        write!(f, "{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}.{micros:06}Z")
    }
}

/// Year, month and day of the Gregorian calendar, so many days after 1 January 1970.
///
/// Years are counted from 1 March, so that the leap day is the last one; a cycle of the calendar has 400 of them and 146 097 days.
/// Source: H. Hinnant, "chrono-Compatible Low-Level Date Algorithms", `civil_from_days`.
fn date(days: u64) -> (u64, u64, u64) {
    // From 1 March of the year 0.
    let days = days.saturating_add(719_468);
    let (cycle, in_cycle) = (days / 146_097, days % 146_097);
    let of_cycle = (in_cycle - in_cycle / 1460 + in_cycle / 36_524 - in_cycle / 146_096) / 365;
    let in_year = in_cycle - (365 * of_cycle + of_cycle / 4 - of_cycle / 100);
    let from_march = (5 * in_year + 2) / 153;
    let day = in_year - (153 * from_march + 2) / 5 + 1;
    let month = if from_march < 10 { from_march + 3 } else { from_march - 9 };
    (cycle * 400 + of_cycle + u64::from(month <= 2), month, day)
}

#[cfg(test)]
mod tests {
    use std::string::ToString;

    use super::*;

    #[test]
    fn moments_are_written_as_other_calendars_write_them() {
        let cases = [
            (0, "1970-01-01T00:00:00.000000Z"),
            (951_782_400_000_000, "2000-02-29T00:00:00.000000Z"),
            (951_868_799_999_999, "2000-02-29T23:59:59.999999Z"),
            (951_868_800_000_000, "2000-03-01T00:00:00.000000Z"),
            (1_767_225_599_000_001, "2025-12-31T23:59:59.000001Z"),
            (1_782_000_000_000_000, "2026-06-21T00:00:00.000000Z"),
            (4_107_542_400_000_000, "2100-03-01T00:00:00.000000Z"),
            (u64::MAX, "586524-01-19T08:01:49.551615Z"),
        ];
        for (number, (micros, expected)) in cases.into_iter().enumerate() {
            assert_eq!(Stamp(UnixTime::from_micros(micros)).to_string(), expected, "case {number}");
        }
    }

    #[test]
    fn every_day_has_a_later_date_than_the_one_before() {
        for days in 0..200_000 {
            let (before, after) = (date(days), date(days + 1));
            assert!(before < after && (1..=12).contains(&after.1) && (1..=31).contains(&after.2), "{days}");
        }
    }
}
