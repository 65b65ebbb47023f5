//! Who is ignored, and until when.
//!
//! Only what cannot be forged locks anybody out: a full connection to a wrong port, made by a holder, or the word of a
//! policy about an authenticated client. So the table holds nobody but clients and their addresses, and no stranger can
//! fill it. Rule: `docs/protocol.md`, section 6.6.

use core::net::IpAddr;
use core::time::Duration;

use heapless::Vec;

use crate::address::SourcePrefix;
use crate::limits::MAX_LOCKOUT;
use crate::note::Locked;
use crate::roster::ClientId;
use crate::time::Instant;

/// At most `N` lockouts. When it is full, the one that would end first makes room.
pub struct Lockouts<const N: usize> {
    entries: Vec<(Locked, Instant), N>,
}

impl<const N: usize> Lockouts<N> {
    pub(crate) const fn new() -> Self {
        Self { entries: Vec::new() }
    }

    /// Locks `who` out for `lasts`, or for longer if it already is.
    pub(crate) fn add(&mut self, now: Instant, who: Locked, lasts: Duration) {
        let until = now.after(lasts.min(MAX_LOCKOUT));
        if let Some((_, known)) = self.entries.iter_mut().find(|(known, _)| *known == who) {
            *known = until.max(*known);
            return;
        }
        if self.entries.is_full() {
            let first =
                self.entries.iter().enumerate().min_by_key(|(_, (_, until))| *until).map(|(at, _)| at);
            first.map(|at| self.entries.swap_remove(at));
        }
        // There is room now, unless the table has no places at all.
        let _ = self.entries.push((who, until));
    }

    /// Ends the lockout of `who`. Returns whether there was one.
    pub(crate) fn remove(&mut self, who: Locked) -> bool {
        let before = self.entries.len();
        self.entries.retain(|(known, _)| *known != who);
        self.entries.len() < before
    }

    /// How long a client at `source` is still locked out; `None` if it is not.
    pub(crate) fn left(&self, now: Instant, source: IpAddr, client: ClientId) -> Option<Duration> {
        let prefix = SourcePrefix::of(source);
        self.entries
            .iter()
            .filter(|(who, until)| *until > now && concerns(*who, prefix, client))
            .map(|(_, until)| until.left(now))
            .max()
    }

    /// Removes what has ended.
    pub(crate) fn expire(&mut self, now: Instant) {
        self.entries.retain(|(_, until)| *until > now);
    }

    /// When the next one ends.
    pub(crate) fn next(&self) -> Option<Instant> {
        self.entries.iter().map(|(_, until)| *until).min()
    }

    /// Everybody who is locked out, and until when.
    pub fn iter(&self) -> impl Iterator<Item = (Locked, Instant)> {
        self.entries.iter().copied()
    }
}

fn concerns(who: Locked, prefix: SourcePrefix, client: ClientId) -> bool {
    match who {
        Locked::Source(locked) => locked == prefix,
        Locked::Client(locked) => locked == client,
        Locked::Everybody => true,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ALICE: ClientId = ClientId(1);
    const BOB: ClientId = ClientId(2);

    fn at(seconds: u64) -> Instant {
        Instant::from_micros(seconds * 1_000_000)
    }

    fn address(last: u8) -> IpAddr {
        IpAddr::from([192, 0, 2, last])
    }

    #[test]
    fn a_lockout_concerns_its_client_or_its_source_and_ends() {
        let mut lockouts = Lockouts::<4>::new();
        lockouts.add(at(0), Locked::Client(ALICE), Duration::from_secs(60));
        lockouts.add(at(0), Locked::Source(SourcePrefix::of(address(1))), Duration::from_secs(30));

        #[rustfmt::skip]
        let cases = [
            (1, 10, address(1), ALICE, Some(50)),
            (2, 10, address(2), ALICE, Some(50)),
            (3, 10, address(1), BOB, Some(20)),
            (4, 10, address(2), BOB, None),
            (5, 30, address(1), BOB, None),
            (6, 60, address(1), ALICE, None),
        ];
        for (case, now, source, client, left) in cases {
            assert_eq!(lockouts.left(at(now), source, client), left.map(Duration::from_secs), "case {case}");
        }
    }

    #[test]
    fn a_second_lockout_never_shortens_the_first() {
        let mut lockouts = Lockouts::<4>::new();
        lockouts.add(at(0), Locked::Everybody, Duration::from_secs(60));
        lockouts.add(at(1), Locked::Everybody, Duration::from_secs(5));
        assert_eq!(lockouts.left(at(1), address(1), BOB), Some(Duration::from_secs(59)));
        assert_eq!(lockouts.iter().count(), 1);
    }

    #[test]
    fn a_full_table_gives_up_the_one_that_would_end_first() {
        let mut lockouts = Lockouts::<2>::new();
        lockouts.add(at(0), Locked::Client(ClientId(1)), Duration::from_secs(20));
        lockouts.add(at(0), Locked::Client(ClientId(2)), Duration::from_secs(10));
        lockouts.add(at(0), Locked::Client(ClientId(3)), Duration::from_secs(30));
        let locked = [1, 2, 3].map(|id| lockouts.left(at(0), address(1), ClientId(id)).is_some());
        assert_eq!(locked, [true, false, true]);
    }
}
