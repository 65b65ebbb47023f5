//! Static sequences: which ports are watched for them, and who has come how far.

use std::time::Duration;

use knockgate_core::book::Decoys;
use knockgate_core::gate::StaticDoor;
use knockgate_core::limits::MAX_STATIC_SEQUENCES;
use knockgate_core::message::Mode;
use knockgate_core::static_sequence::{Bucket, StaticWatch, Step, Transport};
use knockgate_core::time::Instant;
use rand_core::Rng;

use crate::capture::ProbeSeen;
use crate::config::{self, Config};
use crate::firewall::Protocol;
use crate::state::system_rng;

/// Buckets of eight attempts: 65 536 sources that are half-way through, in one MiB.
const BUCKETS: usize = 8_192;

/// Who has come how far.
pub(super) struct Statics(Option<StaticWatch<Vec<Bucket>>>);

impl Statics {
    /// Takes no memory where nothing is configured.
    pub(super) fn new(config: &config::Statics) -> Self {
        if config.sequences.is_empty() {
            return Self(None);
        }
        let mut key = [0; 16];
        system_rng().fill_bytes(&mut key);
        let sequences = config.sequences.iter().map(|one| one.sequence.clone()).collect();
        Self(Some(StaticWatch::new(sequences, vec![Bucket::default(); BUCKETS], key)))
    }

    /// To be told of every probe, that of a decoy as well. Says which sequence it completes, by its place in the configuration.
    /// Never allocates.
    pub(super) fn probe(&mut self, now: Instant, seen: &ProbeSeen) -> Option<usize> {
        let watch = self.0.as_mut()?;
        let transport = match seen.protocol {
            Protocol::Tcp if seen.syn => Transport::Tcp,
            Protocol::Tcp => return None,
            Protocol::Udp => Transport::Udp,
        };
        watch.handle_probe(now, seen.source, Step { transport, port: seen.port })
    }
}

/// The ports to watch: every step, and what gives a scan away. Decoys do; in closed mode they are watched anyway.
pub(super) fn watched(config: &Config, decoys: &Decoys) -> Vec<(Protocol, u16)> {
    let config::Statics { sequences, traps } = &config.statics;
    if sequences.is_empty() {
        return Vec::new();
    }
    let steps = sequences.iter().flat_map(|one| one.sequence.steps()).chain(traps);
    let decoys = match config.sequence.mode {
        Mode::Connect => decoys.ports(),
        Mode::Closed => &[],
    };
    let mut watched: Vec<_> = steps.map(|step| (protocol(step.transport), step.port)).collect();
    watched.extend(decoys.iter().map(|port| (Protocol::Tcp, *port)));
    watched.sort_unstable_by_key(|(protocol, port)| (protocol.number(), *port));
    watched.dedup();
    watched
}

fn protocol(transport: Transport) -> Protocol {
    match transport {
        Transport::Tcp => Protocol::Tcp,
        Transport::Udp => Protocol::Udp,
    }
}

/// What the sequences open, each at its place in the configuration.
pub(super) fn doors(config: &config::Statics) -> heapless::Vec<StaticDoor, MAX_STATIC_SEQUENCES> {
    let seconds = |open: Duration| u32::try_from(open.as_secs()).unwrap_or(u32::MAX);
    let door = |one: &config::StaticSequence| StaticDoor {
        name: one.name.clone(),
        service: one.service,
        seconds: one.open.map(seconds),
    };
    config.sequences.iter().map(door).collect()
}
