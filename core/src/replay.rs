//! Admits each counter of a client at most once.
//!
//! Counters strictly increase, so an older or equal one is a replay, whatever its packet looks like. Clocks need not agree:
//! a counter is compared with the same client's own last one only. One that is far ahead of the gate's clock is admitted,
//! too, but kept apart: a client whose clock was once at the end of time is not shut out until then.
//!
//! That what was used survives a crash is the host's work, in one of two ways. Either it is durable before anything follows
//! from it, see [`Action::Remember`](crate::Action::Remember); or the counter lies in a [`Lease`], and after an unclean stop
//! *every* counter in that lease counts as used, whoever has used it. Rule: `docs/protocol.md`, section 6.1, with the proof.

use heapless::Vec;
use serde::{Deserialize, Serialize};

use crate::key::PublicKey;
use crate::limits::{COUNTER_JUMP, MAX_AHEAD, MAX_BURNT};
use crate::message::{Request, RequestError};
use crate::refusal::Refusal;
use crate::roster::{Client, Roster};
use crate::time::UnixTime;

/// Counters from `first` to `last`, both included.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Span {
    /// The lowest.
    pub first: u64,
    /// The highest.
    pub last: u64,
}

impl Span {
    fn contains(self, counter: u64) -> bool {
        (self.first..=self.last).contains(&counter)
    }

    fn with(self, other: Self) -> Self {
        Self { first: self.first.min(other.first), last: self.last.max(other.last) }
    }
}

/// What a client has used up.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Used {
    /// Every counter up to this one.
    pub last: u64,
    /// Counters that were far ahead of the gate's clock when they came. Always above `last`.
    pub ahead: Option<Span>,
    /// Every code of the second factor up to that of this time step.
    pub code_step: u64,
}

impl Used {
    /// Of a client that has never knocked.
    pub const NOTHING: Self = Self { last: 0, ahead: None, code_step: 0 };
    /// Of a client that shall never be admitted.
    pub const EVERYTHING: Self = Self { last: u64::MAX, ahead: None, code_step: u64::MAX };

    /// What is used up once `counter` is, too; `None` if it was before. Counters above `horizon` are far ahead.
    fn admit(self, counter: u64, horizon: Option<u64>) -> Option<Self> {
        if counter <= self.last || self.ahead.is_some_and(|ahead| ahead.contains(counter)) {
            return None;
        }
        let own = Span { first: counter, last: counter };
        match (horizon.is_some_and(|horizon| counter > horizon), self.ahead) {
            (true, Some(ahead)) if counter < ahead.last => None,
            (true, ahead) => Some(Self { ahead: Some(ahead.map_or(own, |ahead| ahead.with(own))), ..self }),
            (false, ahead) => {
                Some(Self { last: counter, ahead: ahead.filter(|ahead| ahead.last > counter), ..self })
            }
        }
    }

    /// What is used up if both are: what is stored never goes down.
    pub fn merged(self, other: Self) -> Self {
        let last = self.last.max(other.last);
        let ahead = match (self.ahead, other.ahead) {
            (Some(one), Some(two)) => Some(one.with(two)),
            (one, two) => one.or(two),
        };
        Self {
            last,
            ahead: ahead.filter(|ahead| ahead.last > last),
            code_step: self.code_step.max(other.code_step),
        }
    }
}

/// Counters above `after` and up to `until`: those that may be admitted from memory alone while this is durable.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Lease {
    /// The last counter before it.
    pub after: u64,
    /// Its last counter.
    pub until: u64,
}

impl Lease {
    /// Whether `counter` is in it.
    pub fn contains(self, counter: u64) -> bool {
        self.after < counter && counter <= self.until
    }

    /// What is in both.
    pub fn and(self, other: Self) -> Self {
        Self { after: self.after.max(other.after), until: self.until.min(other.until) }
    }
}

/// The leases of unclean stops: everything in them counts as used.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Burnt(Vec<Lease, MAX_BURNT>);

impl Burnt {
    /// Adds one. Where there is no room the two that end first become one, with what lies between them: more is refused
    /// then, never less.
    pub fn add(&mut self, lease: Lease) {
        if self.0.is_full() {
            self.0.sort_unstable_by_key(|lease| lease.until);
            let first = self.0.remove(0);
            if let Some(second) = self.0.first_mut() {
                *second = Lease { after: first.after.min(second.after), until: second.until };
            }
        }
        // There is room now.
        let _ = self.0.push(lease);
    }

    /// Each of them.
    pub fn iter(&self) -> impl Iterator<Item = Lease> {
        self.0.iter().copied()
    }

    fn contains(&self, counter: u64) -> bool {
        self.iter().any(|lease| lease.contains(counter))
    }
}

/// A request that was certainly written by the owner of `key` for this gate. Only the handshake makes one.
pub(crate) struct Authentic<P> {
    pub(crate) key: PublicKey,
    pub(crate) counter: u64,
    pub(crate) payload: P,
}

/// An authentic request that was never seen before. Only [`admit`] makes one.
pub(crate) struct Fresh<P> {
    pub(crate) client: Client,
    pub(crate) counter: u64,
    pub(crate) payload: P,
    _admitted: (),
}

/// Burns the counter of an authentic request.
pub(crate) fn admit<P>(
    request: Authentic<P>,
    roster: &mut impl Roster,
    burnt: &Burnt,
    unix: Option<UnixTime>,
) -> Result<Fresh<P>, Refusal> {
    let Authentic { key, counter, payload } = request;
    let client = roster.client(&key).ok_or(Refusal::UnknownClient)?.clone();
    let horizon = unix.map(|unix| unix.after(MAX_AHEAD).as_micros());
    let used = roster.used(client.id).admit(counter, horizon).filter(|_| !burnt.contains(counter));
    roster.set_used(client.id, used.ok_or(Refusal::Replayed)?);
    Ok(Fresh { client, counter, payload, _admitted: () })
}

/// The counter for the next request of a client that last used `last`, at `unix_micros` by its own clock.
///
/// Microseconds of Unix time, or the last value plus one where that clock went back; `None` once counters are used up.
pub fn next_counter(last: u64, unix_micros: u64) -> Option<u64> {
    last.checked_add(1).map(|successor| successor.max(unix_micros))
}

/// As [`next_counter`], for a question that was met with silence before: beyond every lease that an unclean stop of the gate
/// may have burnt.
pub fn counter_after_silence(last: u64, unix_micros: u64) -> Option<u64> {
    let jump = u64::try_from(COUNTER_JUMP.as_micros()).ok()?;
    next_counter(last, unix_micros)?.checked_add(jump)
}

/// The counter of a request, read before anything else is believed.
pub(crate) fn counter_of(request: &Result<Request, RequestError>) -> Option<u64> {
    match request {
        Ok(request) => Some(request.counter),
        Err(RequestError::UnknownKind { counter }) => Some(*counter),
        Err(RequestError::Malformed) => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_counter_follows_the_clock_and_never_goes_back() {
        #[rustfmt::skip]
        let cases = [
            (1, 0, 1_000, Some(1_000)),
            (2, 1_000, 2_000, Some(2_000)),
            (3, 2_000, 1_000, Some(2_001)),
            (4, 2_000, 2_000, Some(2_001)),
            (5, u64::MAX, 1_000, None),
        ];
        for (case, last, clock, next) in cases {
            assert_eq!(next_counter(last, clock), next, "case {case}");
        }
    }

    #[test]
    fn after_silence_a_counter_leaves_every_lease_behind() {
        let lease = Lease { after: 1_000, until: 1_000 + 120_000_000 };
        let counter = counter_after_silence(5_000, 6_000).unwrap();
        assert!(!lease.contains(counter) && counter > lease.until);
        assert_eq!(counter_after_silence(u64::MAX - 5, 0), None);
    }

    #[test]
    fn counters_of_the_far_future_are_used_once_and_burn_only_themselves() {
        // Counters above 100 are far ahead.
        #[rustfmt::skip]
        let cases: [(u32, &[u64], u64, bool); 10] = [
            (1,  &[], 1, true),
            (2,  &[5], 5, false),
            (3,  &[5], 4, false),
            (4,  &[900], 900, false),
            (5,  &[900], 5, true),
            (6,  &[900, 5], 6, true),
            (7,  &[900, 5], 899, false), // far ahead as well, and before the last of those
            (8,  &[900, 5], 901, true),
            (9,  &[5, 900, 950], 920, false),
            (10, &[900, 50, 60], 60, false),
        ];
        for (case, before, counter, admitted) in cases {
            let used = before.iter().fold(Used::NOTHING, |used, &c| used.admit(c, Some(100)).unwrap());
            assert_eq!(used.admit(counter, Some(100)).is_some(), admitted, "case {case}");
        }
    }

    #[test]
    fn the_far_future_stays_used_once_it_has_come() {
        let used = Used::NOTHING.admit(900, Some(100)).unwrap().admit(950, Some(100)).unwrap();
        for counter in [900, 920, 950] {
            assert_eq!(used.admit(counter, Some(2_000)), None, "{counter}");
        }
        let after = used.admit(951, Some(2_000)).unwrap();
        assert_eq!(after, Used { last: 951, ..Used::NOTHING });
    }

    #[test]
    fn what_is_merged_is_used_by_either() {
        let one = Used { last: 10, ahead: Some(Span { first: 40, last: 50 }), code_step: 3 };
        let two = Used { last: 12, ahead: Some(Span { first: 45, last: 60 }), code_step: 2 };
        let merged = Used { last: 12, ahead: Some(Span { first: 40, last: 60 }), code_step: 3 };
        assert_eq!((one.merged(two), two.merged(one)), (merged, merged));
        assert_eq!(one.merged(Used::EVERYTHING), Used::EVERYTHING);
    }

    #[test]
    fn burnt_leases_that_find_no_room_are_merged_and_stay_burnt() {
        let mut burnt = Burnt::default();
        let leases = (0..40).map(|at| Lease { after: at * 100, until: at * 100 + 10 });
        leases.clone().for_each(|lease| burnt.add(lease));
        assert!(burnt.iter().count() <= MAX_BURNT);
        for lease in leases {
            assert!(burnt.contains(lease.until) && burnt.contains(lease.after + 1), "{lease:?}");
        }
        assert!(!burnt.contains(39 * 100 + 11));
    }
}
