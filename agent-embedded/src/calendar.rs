//! The calendar of a board that has none: told from afar, and good until the next start.
//!
//! Any client that may speak with the console may tell the time. What hangs on it is the end of enrolments, the codes of second
//! factors, the age of messages and office hours, so whoever could turn it back could use them again. Therefore time begins no
//! earlier than the site image was made, and once told it is turned back only by what a bad clock may have gained since. What
//! remains: after a start, and before anybody tells the time, every enrolment that ends counts as ended; and the first to tell
//! it may be wrong by the age of the image. A board with a calendar of its own believes nobody else.

use core::fmt;
use core::time::Duration;

use knockgate_core::{Instant, Now, UnixTime};

/// How much earlier than our own a told time may be and still be the same: clients' clocks differ, and what they say is on its way
/// for a while. A second factor's code forgives as much.
const TOLERANCE: Duration = Duration::from_secs(30);
/// A clock gains one part in so many at the most. Without a crystal, a microcontroller's is one part in a hundred off.
const DRIFT: u32 = 50;

/// The calendar.
#[derive(Clone, Copy, Debug)]
pub struct Calendar {
    earliest: UnixTime,
    told: Option<(Instant, UnixTime)>,
}

/// Why a told time was not taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CalendarError {
    /// The board has a calendar.
    OwnCalendar,
    /// It is earlier than the site image.
    BeforeImage,
    /// It is so much earlier than what was told before.
    Backwards(Duration),
}

impl fmt::Display for CalendarError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::OwnCalendar => {
                f.write_str("this board has a calendar of its own; if that is wrong, set it on the board")
            }
            Self::BeforeImage => f.write_str(
                "that is before the site image was made; correct the clock that said so, or the one of the machine that made the \
                 image",
            ),
            Self::Backwards(by) => write!(
                f,
                "that is {} s earlier than what was told before, and time is not turned back so far; restart the gateway and tell \
                 it again",
                by.as_secs()
            ),
        }
    }
}

impl core::error::Error for CalendarError {}

impl Calendar {
    /// One that nobody has told the time; it will not be before `earliest`.
    #[must_use]
    pub const fn new(earliest: UnixTime) -> Self {
        Self { earliest, told: None }
    }

    /// What the clocks say, with the time that was told if the board has none.
    #[must_use]
    pub fn complete(&self, now: Now) -> Now {
        let told = self.told.map(|(at, unix)| unix.after(now.instant.left(at)));
        Now { unix: now.unix.or(told), ..now }
    }

    /// Takes the time from somebody. `now` is [`complete`](Self::complete).
    ///
    /// # Errors
    /// It cannot be right, or would bring back what has passed.
    pub fn tell(&mut self, now: Now, unix: UnixTime) -> Result<(), CalendarError> {
        match (self.told, now.unix) {
            (None, Some(_)) => return Err(CalendarError::OwnCalendar),
            _ if unix < self.earliest => return Err(CalendarError::BeforeImage),
            (Some((at, _)), Some(current)) if unix < current => {
                let (by, gained) = (current.left(unix), now.instant.left(at) / DRIFT);
                match (by <= gained, by <= TOLERANCE) {
                    (true, _) => {}
                    (false, true) => return Ok(()),
                    (false, false) => return Err(CalendarError::Backwards(by)),
                }
            }
            (None | Some(_), _) => {}
        }
        self.told = Some((now.instant, unix));
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MADE: UnixTime = UnixTime::from_micros(1_782_000_000_000_000);

    fn at(seconds: u64) -> Now {
        Now { instant: Instant::from_micros(seconds * 1_000_000), unix: None }
    }

    fn later(seconds: u64) -> UnixTime {
        MADE.after(Duration::from_secs(seconds))
    }

    fn told(calendar: &mut Calendar, second: u64, unix: UnixTime) -> Result<(), CalendarError> {
        let now = calendar.complete(at(second));
        calendar.tell(now, unix)
    }

    #[test]
    fn time_goes_on_from_what_was_told() {
        let mut calendar = Calendar::new(MADE);
        assert_eq!(calendar.complete(at(5)).unix, None);
        told(&mut calendar, 10, later(100)).unwrap();
        assert_eq!(calendar.complete(at(10)).unix, Some(later(100)));
        assert_eq!(calendar.complete(at(70)).unix, Some(later(160)));
    }

    #[test]
    fn a_clock_that_runs_fast_is_corrected_by_what_it_may_have_gained_and_no_more() {
        let mut calendar = Calendar::new(MADE);
        told(&mut calendar, 0, later(0)).unwrap();
        let by = CalendarError::Backwards(Duration::from_secs(2001));
        assert_eq!(told(&mut calendar, 100_000, later(97_999)), Err(by));
        assert_eq!(told(&mut calendar, 100_000, later(98_000)), Ok(()));
        assert_eq!(calendar.complete(at(100_000)).unix, Some(later(98_000)));
        let by = CalendarError::Backwards(Duration::from_secs(1000));
        assert_eq!(told(&mut calendar, 100_000, later(97_000)), Err(by), "and then it is right");
    }

    #[test]
    fn time_is_not_turned_back_and_forgives_what_clocks_differ_by() {
        let mut calendar = Calendar::new(MADE);
        told(&mut calendar, 0, later(1000)).unwrap();
        assert_eq!(told(&mut calendar, 10, later(990)), Ok(()), "20 s are the same");
        assert_eq!(calendar.complete(at(10)).unix, Some(later(1010)), "and change nothing");
        let by = CalendarError::Backwards(Duration::from_secs(31));
        assert_eq!(told(&mut calendar, 10, later(979)), Err(by));
        assert_eq!(told(&mut calendar, 10, later(5000)), Ok(()));
        assert_eq!(calendar.complete(at(10)).unix, Some(later(5000)));
    }

    #[test]
    fn time_begins_with_the_image() {
        let mut calendar = Calendar::new(later(1));
        assert_eq!(told(&mut calendar, 0, MADE), Err(CalendarError::BeforeImage));
        assert_eq!(told(&mut calendar, 0, later(1)), Ok(()));
    }

    #[test]
    fn a_board_with_a_calendar_believes_nobody_else() {
        let mut calendar = Calendar::new(MADE);
        let now = Now { unix: Some(later(7)), ..at(1) };
        assert_eq!(calendar.complete(now), now);
        assert_eq!(calendar.tell(now, later(900)), Err(CalendarError::OwnCalendar));
        assert_eq!(calendar.complete(now), now);
    }

    #[test]
    fn every_reason_ends_with_what_to_do() {
        use std::string::ToString;
        let by = Duration::from_secs(31);
        for (error, remedy) in [
            (CalendarError::OwnCalendar, "set it on the board"),
            (CalendarError::BeforeImage, "the one of the machine that made the image"),
            (CalendarError::Backwards(by), "restart the gateway and tell it again"),
        ] {
            assert!(error.to_string().ends_with(remedy), "{error}");
        }
    }
}
