//! What strangers have cost, for the console that is wired to the board: a sum from time to time, never a line for each of them.

use core::fmt;
use core::time::Duration;

use knockgate_core::{Instant, Refusal, Refusals};

/// Between two sums, however much has come.
const PAUSE: Duration = Duration::from_secs(60);

/// When the sum was told last, and what it was.
#[derive(Clone, Copy, Debug, Default)]
pub struct RefusalReport {
    due: Instant,
    told: u64,
}

/// What was refused since the start, as a line for people.
pub struct RefusalLine<'a>(&'a Refusals);

impl RefusalReport {
    /// The sum, if it has changed and was not told just now.
    pub fn due<'a>(&mut self, now: Instant, refusals: &'a Refusals) -> Option<RefusalLine<'a>> {
        let sum = Refusal::ALL.into_iter().fold(0_u64, |sum, why| sum.saturating_add(refusals.of(why)));
        if now < self.due || sum == self.told {
            return None;
        }
        *self = Self { due: now.after(PAUSE), told: sum };
        Some(RefusalLine(refusals))
    }
}

impl fmt::Display for RefusalLine<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("refused since the start:")?;
        let refused =
            Refusal::ALL.into_iter().map(|why| (why, self.0.of(why))).filter(|(_, count)| *count > 0);
        for (at, (why, count)) in refused.enumerate() {
            write!(f, "{} {} {count}", if at == 0 { "" } else { "," }, why.word())?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::string::ToString;

    use super::*;

    fn at(seconds: u64) -> Instant {
        Instant::from_micros(seconds * 1_000_000)
    }

    #[test]
    fn a_flood_costs_a_line_a_minute_and_silence_none() {
        let (mut report, mut refusals) = (RefusalReport::default(), Refusals::new());
        assert!(report.due(at(0), &refusals).is_none(), "nobody was refused");
        let mut lines = 0;
        for second in 0..600 {
            refusals.add(Refusal::Unsealed, 1000);
            lines += usize::from(report.due(at(second), &refusals).is_some());
        }
        assert_eq!(lines, 10);
        assert!(report.due(at(660), &refusals).is_some(), "what has come since the last sum");
        assert!(report.due(at(9999), &refusals).is_none(), "nothing has changed");
    }

    #[test]
    fn a_sum_names_each_reason_and_how_often_it_was_one() {
        let (mut report, mut refusals) = (RefusalReport::default(), Refusals::new());
        refusals.add(Refusal::Unsealed, 10_000);
        refusals.add(Refusal::Denied, 3);
        let line = report.due(at(1), &refusals).map(|line| line.to_string());
        assert_eq!(line.as_deref(), Some("refused since the start: unsealed 10000, denied 3"));
    }
}
