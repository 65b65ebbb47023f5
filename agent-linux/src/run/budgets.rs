//! What sources may cost before they have proved who they are: each way to the gate has budgets of its own.
//!
//! Anybody can forge the source of a datagram, and so use up what is left there in somebody else's name. What comes over a connection
//! comes from where it says, so nobody can use up those budgets for others. Rule: `docs/protocol.md`, section 6.12.

use std::net::IpAddr;

use knockgate_core::Way;
use knockgate_core::budget::{Bucket, Budget};
use knockgate_core::time::Instant;
use rand_core::Rng as _;

use crate::state::system_rng;

/// Buckets for datagrams, each for eight source prefixes: half a mebibyte, for 32 768 prefixes.
const OF_DATAGRAMS: usize = 4096;
/// Buckets for connections: for 2048 prefixes. Many more than can be connected at the same time.
const OF_CONNECTIONS: usize = 256;

pub(super) struct Budgets {
    datagrams: Budget<Vec<Bucket>>,
    connections: Budget<Vec<Bucket>>,
}

impl Budgets {
    /// A full budget for every source.
    pub(super) fn full() -> Self {
        Self { datagrams: full(OF_DATAGRAMS), connections: full(OF_CONNECTIONS) }
    }

    /// Takes one from what `source` has left on this way; `false` if there is nothing.
    pub(super) fn take(&mut self, now: Instant, source: IpAddr, way: Way) -> bool {
        match way {
            Way::Datagram => self.datagrams.take(now, source),
            Way::Connection => self.connections.take(now, source),
        }
    }
}

/// A full budget for every source, of so many buckets.
pub(super) fn full(buckets: usize) -> Budget<Vec<Bucket>> {
    let mut key = [0; 16];
    system_rng().fill_bytes(&mut key);
    Budget::new(vec![Bucket::default(); buckets], key)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn forged_datagrams_use_up_nothing_of_what_connections_have_left() {
        let (mut budgets, now) = (Budgets::full(), Instant::from_micros(0));
        let victim = IpAddr::from([192, 0, 2, 1]);
        while budgets.take(now, victim, Way::Datagram) {}

        assert!(budgets.take(now, victim, Way::Connection));
        while budgets.take(now, victim, Way::Connection) {}
        assert!(!budgets.take(now, victim, Way::Datagram));
        assert!(budgets.take(now, IpAddr::from([192, 0, 2, 2]), Way::Connection));
    }
}
