//! TCP connections of people who have not proved anything yet: how many, how long, and what they learn.
//!
//! They learn nothing: every connection is accepted, nothing is said, and it is closed after [`LINGER`] or when the other
//! side closes. The central port and the decoys use the same code, so an ordinary connection cannot tell one from the
//! other. Each listener makes room for itself.
//!
//! Descriptors are one budget for all, but it is shared by networks and addresses: whoever takes most gives way first. Only
//! somebody who can be reached in two hundred networks at once can make a client's connection short, and then one that is made
//! again gets the round trip that it needs, unless he connects faster than that too. Sources of connections cannot be forged.

use std::collections::{HashMap, VecDeque};
use std::future::Future;
use std::hash::Hash;
use std::net::IpAddr;
use std::time::Duration;

use knockgate_core::Network;
use knockgate_core::address::SourcePrefix;
use tokio::io::AsyncReadExt;
use tokio::net::TcpStream;
use tokio::task::AbortHandle;
use tokio::time::{Instant, timeout_at};

/// How long a silent connection is kept. A client needs one round trip of it.
pub(super) const LINGER: Duration = Duration::from_secs(10);
/// Connections of one listener. Each costs a descriptor and some kilobytes; a service's usual limit is 1024 descriptors.
const MOST: usize = 256;
/// Connections of one source: several clients behind one address, and no way to fill the listener from there.
const MOST_PER_SOURCE: usize = 32;
/// Bits of what one provider's customer may have all addresses of.
const NETWORK_V4: u8 = 24;
/// See [`NETWORK_V4`].
const NETWORK_V6: u8 = 48;

/// The connections of one listener, the oldest first.
#[derive(Default)]
pub(super) struct Connections {
    open: VecDeque<(SourcePrefix, AbortHandle)>,
}

impl Connections {
    /// Runs `talk` until it ends or has to make room.
    pub(super) fn spawn(&mut self, source: IpAddr, talk: impl Future<Output = ()> + Send + 'static) {
        self.open.retain(|(_, task)| !task.is_finished());
        let prefix = SourcePrefix::of(source);
        let same = self.open.iter().filter(|(other, _)| *other == prefix).count();
        if same >= MOST_PER_SOURCE {
            self.close(self.open.iter().position(|(other, _)| *other == prefix));
        } else if self.open.len() >= MOST {
            self.close(giving_way(self.open.iter().map(|(prefix, _)| *prefix)));
        }
        self.open.push_back((prefix, tokio::spawn(talk).abort_handle()));
    }

    fn close(&mut self, which: Option<usize>) {
        if let Some((_, task)) = which.and_then(|at| self.open.remove(at)) {
            task.abort();
        }
    }
}

/// Which of these connections makes room: the oldest of the source that has most, in the network that has most.
fn giving_way(open: impl Iterator<Item = SourcePrefix> + Clone) -> Option<usize> {
    let network = most_frequent(open.clone().map(network))?;
    let source = most_frequent(open.clone().filter(|source| self::network(*source) == network))?;
    open.into_iter().position(|other| other == source)
}

fn network(source: SourcePrefix) -> Network {
    let address = source.address();
    Network::of(address, if address.is_ipv4() { NETWORK_V4 } else { NETWORK_V6 })
}

/// Among those that are equally frequent, the one that came first.
fn most_frequent<T: Copy + Eq + Hash>(all: impl Iterator<Item = T> + Clone) -> Option<T> {
    let mut counts = HashMap::new();
    all.clone().for_each(|one| *counts.entry(one).or_insert(0_usize) += 1);
    let most = counts.values().copied().max()?;
    all.into_iter().find(|one| counts.get(one) == Some(&most))
}

/// When a connection that begins now is closed at the latest.
pub(super) fn deadline() -> Instant {
    Instant::now() + LINGER
}

/// Says nothing, hears nothing, and closes when the other side does or at `until`.
pub(super) async fn linger(mut stream: TcpStream, until: Instant) {
    let mut ignored = [0; 512];
    while let Ok(Ok(1..)) = timeout_at(until, stream.read(&mut ignored)).await {}
}

#[cfg(test)]
mod tests {
    use super::*;

    fn given_way(open: &[&str]) -> Option<usize> {
        let sources: Vec<_> = open.iter().map(|source| SourcePrefix::of(source.parse().unwrap())).collect();
        giving_way(sources.into_iter())
    }

    #[test]
    fn whoever_has_most_connections_makes_room() {
        #[rustfmt::skip]
        let cases: [(u8, &[&str], Option<usize>); 7] = [
            (1, &[], None),
            (2, &["192.0.2.1", "198.51.100.1", "203.0.113.1"], Some(0)),
            (3, &["192.0.2.1", "198.51.100.1", "203.0.113.1", "203.0.113.1"], Some(2)),
            (4, &["192.0.2.1", "203.0.113.1", "203.0.113.2"], Some(1)),
            (5, &["192.0.2.1", "203.0.113.1", "203.0.113.2", "203.0.113.2"], Some(2)),
            (6, &["192.0.2.1", "2001:db8:7:1::1", "2001:db8:7:2::1", "2001:db8:7:3::1"], Some(1)),
            (7, &["192.0.2.1", "2001:db8:7:1::1", "2001:db8:8:2::1", "2001:db8:9:3::1"], Some(0)),
        ];
        for (number, open, expected) in cases {
            assert_eq!(given_way(open), expected, "{number}");
        }
    }

    #[tokio::test]
    async fn a_crowd_of_one_network_leaves_a_client_of_another_its_connection() {
        let mut connections = Connections::default();
        connections.spawn("192.0.2.1".parse().unwrap(), std::future::pending());
        for host in 0..10 * MOST {
            let source = [203, 0, 113, u8::try_from(host % 256).unwrap()];
            connections.spawn(source.into(), std::future::pending());
        }
        assert_eq!(connections.open.len(), MOST);
        assert_eq!(connections.open[0].0, SourcePrefix::of("192.0.2.1".parse().unwrap()));
    }
}
