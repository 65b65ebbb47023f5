//! When a stanza ends.

use jiff::civil::Date;
use jiff::{Timestamp, ToSpan};

use crate::admin::moment;

/// The end of an enrolment in fwknop's words.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Expiry {
    /// `ACCESS_EXPIRE`: from the beginning of this day on it is over.
    Day(Date),
    /// `ACCESS_EXPIRE_EPOCH`
    Moment(Timestamp),
}

impl Expiry {
    /// `MM/DD/YYYY`
    pub(super) fn day(text: &str) -> Result<Self, String> {
        let wrong = || format!("{text:?} is no date; write MM/DD/YYYY");
        let parts: Vec<&str> = text.split('/').map(str::trim).collect();
        let [month, day, year] = parts.as_slice() else { return Err(wrong()) };
        let (month, day, year) = (month.parse(), day.parse(), year.parse());
        let (Ok(month), Ok(day), Ok(year)) = (month, day, year) else { return Err(wrong()) };
        Date::new(year, month, day).map(Self::Day).map_err(|_| wrong())
    }

    /// Seconds since 1970.
    pub(super) fn epoch(text: &str) -> Result<Self, String> {
        let moment = text.parse().ok().and_then(|seconds| Timestamp::from_second(seconds).ok());
        moment
            .map(Self::Moment)
            .ok_or_else(|| format!("{text:?} is no number of seconds since 1970; write one"))
    }

    /// As `client add --expires` takes it.
    ///
    /// # Errors
    /// If it is over.
    pub(super) fn when(&self) -> Result<String, String> {
        let text = match self {
            // There it is the last day on which the client gets in.
            Self::Day(day) => day.checked_sub(1.day()).unwrap_or(*day).to_string(),
            Self::Moment(moment) => moment.to_string(),
        };
        let is_over = match (moment::moment(&text), moment::now()) {
            (Ok(end), Some(now)) => end <= now,
            (Err(_), _) => true,
            (Ok(_), None) => false,
        };
        if is_over {
            return Err(format!("this stanza has ended ({text}), so no client is proposed; leave it out"));
        }
        Ok(text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stanza_ends_at_the_beginning_of_its_day() {
        assert_eq!(Expiry::day("03/01/2999").unwrap().when().unwrap(), "2999-02-28");
        assert_eq!(Expiry::epoch("32503680000").unwrap().when().unwrap(), "3000-01-01T00:00:00Z");
        assert!(Expiry::day("01/02/2003").unwrap().when().unwrap_err().contains("2003-01-01"));
    }

    #[test]
    fn what_is_no_date_is_refused() {
        for text in ["2999-03-01", "13/01/2999", "02/30/2999", "a/b/c", "1/2", ""] {
            assert!(Expiry::day(text).unwrap_err().ends_with("write MM/DD/YYYY"), "{text}");
        }
        assert!(Expiry::epoch("soon").is_err());
    }
}
