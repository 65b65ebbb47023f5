//! What has happened since the start, counted, for whoever asks how the gate is. Counted once the gate has acted.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use knockgate_core::note::{KnockEnd, Note};

use crate::audit::Opinion;
use crate::control::{Knocks, PolicyFigures};

/// Decisions of which the median is taken.
const LAST: usize = 255;

/// All of it.
#[derive(Default)]
pub(super) struct Figures {
    pub(super) knocks: Knocks,
    policies: BTreeMap<Arc<str>, Timing>,
}

/// How one policy decides.
#[derive(Default)]
struct Timing {
    decisions: u64,
    failures: u64,
    worst_us: u32,
    /// The last ones, in no order.
    last_us: Vec<u32>,
}

impl Figures {
    pub(super) fn note(&mut self, note: &Note) {
        let Knocks {
            packets,
            numbers,
            sequences,
            failed_sequences,
            static_sequences,
            opened,
            closed,
            lockouts,
        } = &mut self.knocks;
        let counter = match note {
            Note::Packet { .. } => packets,
            Note::Offered { .. } => numbers,
            Note::KnockEnded { end: KnockEnd::Complete, .. } => sequences,
            Note::KnockEnded { end: KnockEnd::Failed(_), .. } => failed_sequences,
            Note::StaticKnock { .. } => static_sequences,
            Note::GrantOpened { .. } => opened,
            Note::GrantClosed { .. } => closed,
            Note::LockedOut { .. } => lockouts,
            Note::Refused { .. } | Note::SequenceRefused { .. } | Note::Console { .. } => return,
        };
        *counter = counter.saturating_add(1);
    }

    pub(super) fn decided(&mut self, opinions: &[Opinion]) {
        for opinion in opinions {
            let timing = match self.policies.get_mut(&opinion.policy) {
                Some(timing) => timing,
                None => self.policies.entry(Arc::clone(&opinion.policy)).or_default(),
            };
            timing.count(opinion.took, opinion.said.failure.is_some());
        }
    }

    /// Of every policy that has decided something.
    pub(super) fn policies(&self) -> Vec<PolicyFigures> {
        self.policies.iter().map(|(policy, timing)| timing.told(policy)).collect()
    }
}

impl Timing {
    fn count(&mut self, took: Duration, has_failed: bool) {
        let micros = u32::try_from(took.as_micros()).unwrap_or(u32::MAX);
        let place = usize::try_from(self.decisions).unwrap_or(0) % LAST;
        match self.last_us.get_mut(place) {
            Some(oldest) => *oldest = micros,
            None => self.last_us.push(micros),
        }
        self.decisions = self.decisions.saturating_add(1);
        self.failures = self.failures.saturating_add(u64::from(has_failed));
        self.worst_us = self.worst_us.max(micros);
    }

    fn told(&self, policy: &str) -> PolicyFigures {
        let mut sorted = self.last_us.clone();
        sorted.sort_unstable();
        PolicyFigures {
            policy: policy.to_owned(),
            decisions: self.decisions,
            failures: self.failures,
            median_us: sorted.get(sorted.len() / 2).copied().map(u64::from),
            worst_us: (self.decisions > 0).then(|| u64::from(self.worst_us)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_median_is_that_of_the_last_decisions_and_the_worst_that_of_all() {
        let mut timing = Timing::default();
        assert_eq!((timing.told("p").median_us, timing.told("p").worst_us), (None, None));
        timing.count(Duration::from_secs(1), true);
        (0..LAST).for_each(|_| timing.count(Duration::from_micros(7), false));
        let told = timing.told("p");
        assert_eq!((told.median_us, told.worst_us), (Some(7), Some(1_000_000)));
        assert_eq!((told.decisions, told.failures), (256, 1));
        assert_eq!(timing.last_us.len(), LAST);
    }
}
