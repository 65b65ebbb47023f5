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

impl Noise {
    /// Whether there was none.
    pub fn is_silence(&self) -> bool {
        *self == Self::default()
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
