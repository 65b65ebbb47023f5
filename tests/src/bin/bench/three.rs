//! Fixed sequences of three SYNs, and what a network or a stranger makes of them.

use std::time::Duration;

/// What everybody who has a fixed sequence is configured with.
pub(crate) const SEQUENCE: [u16; 3] = [7_000, 8_000, 9_000];
/// A second sequence of theirs, so that a port is watched which is none of the first.
pub(crate) const OTHER: [u16; 3] = [6_000, 5_000, 4_000];

/// When a sender repeats what was lost: sooner than TCP's first second, later than all that was sent before.
const RETRY: Duration = Duration::from_millis(50);

/// Between two SYNs of a client that leaves some time, as `knock` does where it is told that the way is long.
const STEP: Duration = Duration::from_millis(150);

/// What is sent for one knock.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Step {
    Syn(u16),
    Pause(Duration),
}

/// What becomes of a knock on its way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fault {
    InOrder,
    Duplicated,
    Reordered,
    OneLostAndRetried,
    ForeignProbeBetween,
    StrangerWalksThroughThePorts,
}

impl Fault {
    pub(crate) const ALL: [Self; 6] = [
        Self::InOrder,
        Self::Duplicated,
        Self::Reordered,
        Self::OneLostAndRetried,
        Self::ForeignProbeBetween,
        Self::StrangerWalksThroughThePorts,
    ];

    pub(crate) fn words(self) -> &'static str {
        match self {
            Self::InOrder => "in order",
            Self::Duplicated => "duplicated",
            Self::Reordered => "reordered",
            Self::OneLostAndRetried => "one lost and retried",
            Self::ForeignProbeBetween => "a foreign probe between",
            Self::StrangerWalksThroughThePorts => "a stranger walks through the ports",
        }
    }

    /// What arrives of a knock.
    pub(crate) fn steps(self) -> Vec<Step> {
        let [first, second, third] = SEQUENCE.map(Step::Syn);
        match self {
            Self::InOrder => vec![first, second, third],
            // Three SYNs without a pause would pass between two of the stranger's.
            Self::StrangerWalksThroughThePorts => {
                vec![first, Step::Pause(STEP), second, Step::Pause(STEP), third]
            }
            Self::Duplicated => vec![first, first, second, second, third, third],
            Self::Reordered => vec![second, first, third],
            // As with TCP, where the sender repeats the one SYN that is not answered.
            Self::OneLostAndRetried => vec![first, third, Step::Pause(RETRY), second],
            Self::ForeignProbeBetween => vec![first, Step::Syn(OTHER[0]), second, third],
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn whatever_happens_every_port_of_the_sequence_is_reached() {
        for fault in Fault::ALL {
            let steps = fault.steps();
            assert!(SEQUENCE.iter().all(|port| steps.contains(&Step::Syn(*port))), "{fault:?}");
        }
    }

    #[test]
    fn no_two_faults_have_the_same_name() {
        let names: BTreeSet<_> = Fault::ALL.iter().map(|fault| fault.words()).collect();
        assert_eq!(names.len(), Fault::ALL.len());
    }
}
