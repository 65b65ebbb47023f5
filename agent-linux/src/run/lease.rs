//! Renews the lease under which counters are admitted without waiting for the disk. Rule and proof: `docs/protocol.md`, section 6.1.

use std::time::Duration;

use knockgate_core::replay::Lease;
use knockgate_core::{Instant, Now, UnixTime};

/// When the lease is to be renewed.
pub(super) struct Renewal {
    /// How far a lease reaches beyond the time at which it must have been renewed; zero if there shall be none.
    margin: Duration,
    due: Instant,
    /// The one that is being stored.
    pending: Option<Lease>,
}

impl Renewal {
    pub(super) fn new(margin: Duration) -> Self {
        Self { margin, due: Instant::default(), pending: None }
    }

    /// The lease that shall be stored now, if one shall.
    pub(super) fn due(&mut self, now: Now) -> Option<Lease> {
        if self.margin.is_zero() || self.pending.is_some() || now.instant < self.due {
            return None;
        }
        self.due = now.instant.after(self.margin / 2);
        // Without a calendar nobody knows which counters will come.
        self.pending = Some(around(now.unix?, self.margin));
        self.pending
    }

    /// Another margin from now on, at the next look.
    pub(super) fn change(&mut self, margin: Duration) {
        if self.margin != margin {
            (self.margin, self.due) = (margin, Instant::default());
        }
    }

    /// Whether there shall be one at all.
    pub(super) fn is_wanted(&self) -> bool {
        !self.margin.is_zero()
    }

    /// It is durable.
    pub(super) fn stored(&mut self) {
        self.pending = None;
    }

    /// It was not stored: the next look tries again.
    pub(super) fn failed(&mut self) {
        (self.pending, self.due) = (None, Instant::default());
    }
}

/// Clients whose clocks are a little behind are in it, and those that will knock until it is renewed.
fn around(now: UnixTime, margin: Duration) -> Lease {
    let micros = |duration: Duration| u64::try_from(duration.as_micros()).unwrap_or(u64::MAX);
    let now = now.as_micros();
    Lease {
        after: now.saturating_sub(micros(margin / 2)),
        until: now.saturating_add(micros(margin + margin / 2)),
    }
}

#[cfg(test)]
mod tests {
    use knockgate_core::limits::MAX_LEASE;

    use super::*;

    fn at(seconds: u64) -> Now {
        let unix = Some(UnixTime::from_micros((1_700_000_000 + seconds) * 1_000_000));
        Now { instant: Instant::from_micros(seconds * 1_000_000), unix }
    }

    #[test]
    fn a_lease_is_renewed_long_before_it_ends_and_never_two_at_once() {
        let mut renewal = Renewal::new(Duration::from_secs(60));
        let first = renewal.due(at(1)).expect("the first one is due at once");
        assert_eq!(renewal.due(at(40)), None, "the first one is still being stored");
        renewal.stored();
        assert_eq!(renewal.due(at(30)), None);
        let second = renewal.due(at(31)).expect("half a margin later");
        let common = first.and(second);
        let present = at(31).unix.expect("a calendar").as_micros();
        assert!(common.contains(present) && common.contains(present + 59_000_000), "{common:?}");
    }

    #[test]
    fn one_that_could_not_be_stored_is_tried_again_at_once() {
        let mut renewal = Renewal::new(Duration::from_secs(60));
        assert!(renewal.due(at(1)).is_some());
        renewal.failed();
        assert!(renewal.due(at(2)).is_some());
    }

    #[test]
    fn a_clients_jump_leaves_every_lease_behind() {
        let lease = around(at(0).unix.expect("a calendar"), crate::config::LONGEST_LEASE);
        assert!(u128::from(lease.until - lease.after) <= MAX_LEASE.as_micros());
    }

    #[test]
    fn without_a_margin_or_a_calendar_there_is_none() {
        assert_eq!(Renewal::new(Duration::ZERO).due(at(1)), None);
        let mut renewal = Renewal::new(Duration::from_secs(60));
        assert_eq!(renewal.due(Now { unix: None, ..at(1) }), None);
        assert!(renewal.due(at(40)).is_some());
    }
}
