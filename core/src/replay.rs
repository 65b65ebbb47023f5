//! Admits each counter of a client at most once.
//!
//! Counters strictly increase, so an older or equal one is a replay, whatever its packet looks like. Both clocks may be
//! wrong: a counter is compared with the client's own last one only. That the last one survives a crash is the host's
//! work, see [`Action::Remember`](crate::Action::Remember). Rule: `docs/protocol.md`, section 6.1.

use crate::key::PublicKey;
use crate::message::Request;
use crate::refusal::Refusal;
use crate::roster::{Client, Roster};

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
pub(crate) fn admit<P>(request: Authentic<P>, roster: &mut impl Roster) -> Result<Fresh<P>, Refusal> {
    let Authentic { key, counter, payload } = request;
    let client = roster.client(&key).ok_or(Refusal::UnknownClient)?.clone();
    if counter <= roster.counter(client.id) {
        return Err(Refusal::Replayed);
    }
    roster.set_counter(client.id, counter);
    Ok(Fresh { client, counter, payload, _admitted: () })
}

/// The counter for the next request of a client that last used `last`, at `unix_micros` by its own clock.
///
/// Microseconds of Unix time, or the last value plus one where that clock went back; `None` once counters are used up.
pub fn next_counter(last: u64, unix_micros: u64) -> Option<u64> {
    last.checked_add(1).map(|successor| successor.max(unix_micros))
}

/// The counter of a request, read before anything else is believed.
pub(crate) fn counter_of(request: &Result<Request, crate::message::RequestError>) -> Option<u64> {
    match request {
        Ok(request) => Some(request.counter),
        Err(crate::message::RequestError::UnknownKind { counter }) => Some(*counter),
        Err(crate::message::RequestError::Malformed) => None,
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
}
