//! What strangers did, as the log says it: how much of what.

use std::fmt;

use serde::Serialize;

/// How much of what.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct Noise {
    /// Messages that were not sealed under a door key.
    pub unsealed: u64,
    /// Sealed messages and static sequences beyond what one source may cost, or, of these sequences, all of them.
    pub over_budget: u64,
    /// Messages under a door key that were met with silence: of nobody on the roster, or seen before.
    pub unanswered: u64,
    /// Probes of watched ports by sources that held no number.
    pub probes: u64,
    /// Connections to the central port that said nothing whole.
    pub incomplete: u64,
    /// Packets for addresses that are not this host's.
    pub foreign: u64,
    /// Packets that were no knock, in spite of their size.
    pub unreadable: u64,
    /// Packets that the kernel dropped because too many waited.
    pub lost: u64,
}

/// A prefix that much of it came from, as far as addresses can be believed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct NoiseFrom {
    /// An IPv4 /24 or an IPv6 /48.
    pub prefix: String,
    /// At least so many.
    pub packets: u64,
}

impl Noise {
    /// Whether there was none.
    pub fn is_silence(&self) -> bool {
        *self == Self::default()
    }

    /// Both together.
    #[must_use]
    pub fn plus(self, other: Self) -> Self {
        Self {
            unsealed: self.unsealed.saturating_add(other.unsealed),
            over_budget: self.over_budget.saturating_add(other.over_budget),
            unanswered: self.unanswered.saturating_add(other.unanswered),
            probes: self.probes.saturating_add(other.probes),
            incomplete: self.incomplete.saturating_add(other.incomplete),
            foreign: self.foreign.saturating_add(other.foreign),
            unreadable: self.unreadable.saturating_add(other.unreadable),
            lost: self.lost.saturating_add(other.lost),
        }
    }

    /// How much in all.
    pub fn all(&self) -> u64 {
        self.counts().into_iter().fold(0, |all, (count, _)| all.saturating_add(count))
    }

    /// Each count by its word in the log.
    pub fn words(&self) -> [(&'static str, u64); 8] {
        [
            ("unsealed", self.unsealed),
            ("over-budget", self.over_budget),
            ("unanswered", self.unanswered),
            ("probes", self.probes),
            ("incomplete", self.incomplete),
            ("foreign", self.foreign),
            ("unreadable", self.unreadable),
            ("lost", self.lost),
        ]
    }

    fn counts(&self) -> [(u64, &'static str); 8] {
        [
            (self.unsealed, "not sealed for this gate"),
            (self.over_budget, "over budget"),
            (self.unanswered, "met with silence"),
            (self.probes, "probes by nobody who held a number"),
            (self.incomplete, "connections without a message"),
            (self.foreign, "for other hosts"),
            (self.unreadable, "unreadable"),
            (self.lost, "lost by the kernel"),
        ]
    }
}

/// As the log says it: what there was none of is left out.
impl fmt::Display for Noise {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let there = self.counts().into_iter().filter(|(count, _)| *count > 0);
        for (at, (count, what)) in there.enumerate() {
            let comma = if at > 0 { ", " } else { "" };
            write!(f, "{comma}{count} {what}")?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_line_names_what_there_was() {
        let noise = Noise { unsealed: 7, lost: 2, ..Noise::default() };
        assert_eq!(noise.to_string(), "7 not sealed for this gate, 2 lost by the kernel");
    }
}
