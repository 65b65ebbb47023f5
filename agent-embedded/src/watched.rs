//! To whom the decoys are visible, and until when.

use core::net::IpAddr;

use heapless::Vec;
use knockgate_core::{Instant, Outcome};

use crate::limits::HOLDS;

/// At most one entry for each hold of the core.
pub(crate) struct Watched(Vec<(IpAddr, Instant), HOLDS>);

impl Watched {
    pub(crate) const fn new() -> Self {
        Self(Vec::new())
    }

    /// Shows the decoys to `source` until `until`.
    pub(crate) fn show(&mut self, now: Instant, source: IpAddr, until: Instant) -> Outcome {
        self.0.retain(|(other, until)| *other != source && *until > now);
        self.0.push((source, until)).map_or(Outcome::Failed, |()| Outcome::Done)
    }

    pub(crate) fn hide(&mut self, source: IpAddr) {
        self.0.retain(|(other, _)| *other != source);
    }

    pub(crate) fn sees(&self, now: Instant, source: IpAddr) -> bool {
        self.0.iter().any(|(other, until)| *other == source && *until > now)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ALICE: IpAddr = IpAddr::V4(core::net::Ipv4Addr::new(192, 0, 2, 1));
    const BOB: IpAddr = IpAddr::V4(core::net::Ipv4Addr::new(192, 0, 2, 2));

    fn at(seconds: u64) -> Instant {
        Instant::from_micros(seconds * 1_000_000)
    }

    #[test]
    fn decoys_are_visible_to_the_holder_alone_until_the_end_of_his_time() {
        let mut watched = Watched::new();
        assert_eq!(watched.show(at(0), ALICE, at(10)), Outcome::Done);
        #[rustfmt::skip]
        let cases = [(1, 9, ALICE, true), (2, 10, ALICE, false), (3, 9, BOB, false)];
        for (case, now, source, sees) in cases {
            assert_eq!(watched.sees(at(now), source), sees, "case {case}");
        }
    }

    #[test]
    fn showing_again_takes_no_second_place_and_hiding_frees_it() {
        let mut watched = Watched::new();
        for _ in 0..2 * HOLDS {
            assert_eq!(watched.show(at(0), ALICE, at(10)), Outcome::Done);
        }
        watched.hide(ALICE);
        assert!(!watched.sees(at(1), ALICE));
    }

    #[test]
    fn entries_that_have_ended_make_room() {
        let mut watched = Watched::new();
        let source = |last: u8| IpAddr::from([192, 0, 2, last]);
        for last in (1..).take(HOLDS) {
            assert_eq!(watched.show(at(0), source(last), at(10)), Outcome::Done);
        }
        assert_eq!(watched.show(at(9), ALICE, at(10)), Outcome::Done, "he is there already");
        assert_eq!(watched.show(at(9), source(99), at(20)), Outcome::Failed);
        assert_eq!(watched.show(at(10), source(99), at(20)), Outcome::Done);
    }
}
