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
