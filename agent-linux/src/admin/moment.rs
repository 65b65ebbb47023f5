//! Moments and spans of time as administrators write and read them, in local time.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use jiff::civil::Date;
use jiff::tz::TimeZone;
use jiff::{Timestamp, ToSpan};
use knockgate_core::UnixTime;

/// Longest span that is accepted: longer is for ever.
const LONGEST: Duration = Duration::from_secs(100 * 366 * 86_400);

/// The calendar; `None` before 1970, which is a calendar that was never set.
pub(crate) fn now() -> Option<UnixTime> {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).ok()?;
    u64::try_from(since.as_micros()).ok().map(UnixTime::from_micros)
}

/// A span of time: `30d`, `12h`.
pub(crate) fn span(text: &str) -> Result<Duration, String> {
    let span = humantime::parse_duration(text).map_err(|error| format!("{error}; write 30d, 12h or 90m"))?;
    if span.is_zero() || span > LONGEST {
        return Err("it must be longer than nothing and shorter than a hundred years".into());
    }
    Ok(span)
}

/// A moment: the end of a day, or a time with its zone.
pub(crate) fn moment(text: &str) -> Result<UnixTime, String> {
    const USAGE: &str = "write a day such as 2027-01-31, or a time such as 2027-01-31T18:00:00+01:00";
    let timestamp = match text.parse::<Date>() {
        Ok(day) if text.len() == "2027-01-31".len() => end_of(day, TimeZone::system()),
        Ok(_) | Err(_) => text.parse::<Timestamp>().ok(),
    };
    let timestamp = timestamp.ok_or(USAGE)?;
    let micros = u64::try_from(timestamp.as_microsecond()).map_err(|_| "that was before 1970".to_owned())?;
    Ok(UnixTime::from_micros(micros))
}

/// A moment that something begins at: a span before now, the beginning of a day, or a time with its zone.
pub(crate) fn since(text: &str) -> Result<UnixTime, String> {
    if let Ok(span) = span(text) {
        let now = now().ok_or("this host's calendar is before 1970; set its clock, or write a day")?;
        let span = u64::try_from(span.as_micros()).unwrap_or(u64::MAX);
        return Ok(UnixTime::from_micros(now.as_micros().saturating_sub(span)));
    }
    let begin = text.parse::<Date>().ok().filter(|_| text.len() == "2027-01-31".len());
    let begin = begin.and_then(|day| day.to_zoned(TimeZone::system()).ok()).map(|day| day.timestamp());
    let begin = begin.and_then(|begin| u64::try_from(begin.as_microsecond()).ok());
    match begin {
        Some(micros) => Ok(UnixTime::from_micros(micros)),
        None => moment(text).map_err(|error| format!("{error}, or a span such as 7d")),
    }
}

/// A moment, or a span from now on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum When {
    At(UnixTime),
    In(Duration),
}

impl When {
    /// The moment that is meant.
    pub(crate) fn from(self, now: UnixTime) -> UnixTime {
        match self {
            Self::At(moment) => moment,
            Self::In(span) => now.after(span),
        }
    }
}

impl std::str::FromStr for When {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match (moment(text), span(text)) {
            (Ok(moment), _) => Ok(Self::At(moment)),
            (Err(_), Ok(span)) => Ok(Self::In(span)),
            (Err(_), Err(_)) => Err("write a day such as 2027-01-31, or a span such as 30d".into()),
        }
    }
}

/// A moment for people, in local time.
pub(crate) fn shown(time: UnixTime) -> String {
    let timestamp = i64::try_from(time.as_micros()).ok().and_then(|us| Timestamp::from_microsecond(us).ok());
    timestamp.map_or("the end of time".into(), |timestamp| {
        timestamp.to_zoned(TimeZone::system()).strftime("%Y-%m-%d %H:%M %Z").to_string()
    })
}

/// A moment for programs.
pub(crate) fn rfc3339(time: UnixTime) -> Option<String> {
    let timestamp = i64::try_from(time.as_micros()).ok().and_then(|us| Timestamp::from_microsecond(us).ok());
    timestamp.map(|timestamp| timestamp.to_string())
}

/// The day itself is included.
fn end_of(day: Date, zone: TimeZone) -> Option<Timestamp> {
    let next = day.checked_add(1.day()).ok()?;
    Some(next.to_zoned(zone).ok()?.timestamp())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_day_ends_when_the_next_one_begins() {
        let end = end_of("2027-01-31".parse().unwrap(), TimeZone::UTC);
        assert_eq!(end.map(|end| end.to_string()).as_deref(), Some("2027-02-01T00:00:00Z"));
    }

    #[test]
    fn a_moment_is_a_day_or_a_time_with_its_zone() {
        #[rustfmt::skip]
        let cases = [
            (1, "2027-01-31T18:00:00Z", true), (2, "2027-01-31T18:00:00+01:00", true), (3, "2027-01-31", true), (4, "2027-13-31", false),
            (5, "2027-01-31T18:00:00", false), (6, "tomorrow", false), (7, "", false), (8, "1950-01-01", false), (9, "31.1.2027", false),
        ];
        for (case, text, good) in cases {
            assert_eq!(moment(text).is_ok(), good, "case {case}: {text}");
        }
        assert_eq!(moment("1970-01-02T00:00:00Z"), Ok(UnixTime::from_micros(86_400_000_000)));
    }

    #[test]
    fn since_a_day_is_since_its_beginning() {
        let (begin, end) = (since("2027-01-31").unwrap(), moment("2027-01-31").unwrap());
        assert_eq!(end.as_micros() - begin.as_micros(), 86_400_000_000);
        assert!(since("7d").unwrap() < since("1h").unwrap());
        assert!(since("yesterday").is_err());
    }

    #[test]
    fn when_is_a_moment_or_a_span() {
        let day = Duration::from_secs(86_400);
        assert_eq!("30d".parse(), Ok(When::In(30 * day)));
        assert!(matches!("2027-01-31".parse(), Ok(When::At(_))));
        for bad in ["", "0s", "soon", "-1d", "200years"] {
            assert!(bad.parse::<When>().is_err(), "{bad}");
        }
    }
}
