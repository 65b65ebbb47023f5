//! The way over NFLOG: the guard reports what it drops, and the steps of static sequences, each kind to a group of its own.
//!
//! The groups are read in turns, packet by packet, so that a flood of one kind does not keep the others waiting.

use std::io;
use std::os::fd::{AsFd, BorrowedFd};

use super::nflog::{NflogError, ProbeLog};
use super::opener::Opener;
use super::packets::{PacketLog, PacketSeen};
use super::watch::{Counts, PACKET_GROUP, PROBE_GROUP, STATIC_GROUP, Seen, Taken, Wanted, WantedPackets};
use crate::firewall::Protocol;

/// Subscriptions to what is wanted.
pub(super) struct Reports {
    packets: Option<PacketLog>,
    probes: Option<ProbeLog>,
    statics: Option<ProbeLog>,
}

impl Reports {
    pub(super) fn open(opener: &dyn Opener, wanted: &Wanted) -> Result<Self, NflogError> {
        let group = |group| wanted.groups.of(group);
        let probes_of = |group| ProbeLog::bound_by(opener, group);
        let has_packets = wanted.packets != WantedPackets::None;
        let packets = has_packets.then(|| PacketLog::bound_by(opener, group(PACKET_GROUP)));
        let probes = (!wanted.probes.is_empty()).then(|| probes_of(group(PROBE_GROUP)));
        let statics = (!wanted.statics.is_empty()).then(|| probes_of(group(STATIC_GROUP)));
        Ok(Self { packets: packets.transpose()?, probes: probes.transpose()?, statics: statics.transpose()? })
    }

    pub(super) fn fds(&self) -> impl Iterator<Item = BorrowedFd<'_>> {
        let packets = self.packets.iter().map(AsFd::as_fd);
        packets.chain(self.probe_logs().map(AsFd::as_fd))
    }

    pub(super) fn read(&mut self, most: usize, each: &mut dyn FnMut(Seen<'_>)) -> io::Result<Taken> {
        let mut packets = self.packets.as_mut();
        let mut probes = [self.probes.as_mut(), self.statics.as_mut()];
        let mut taken = 0;
        while taken < most {
            let before = taken;
            if let Some(log) = packets.take()
                && let Some(PacketSeen { source, destination, message }) = log.try_recv()?
            {
                each(Seen::Message { source, destination, message: &message });
                packets = Some(log);
                taken += 1;
            }
            for place in &mut probes {
                if taken < most
                    && let Some(log) = place.take()
                    && let Some(seen) = log.try_recv()?
                {
                    if seen.syn || seen.protocol == Protocol::Udp {
                        each(Seen::Probe(seen));
                    }
                    *place = Some(log);
                    taken += 1;
                }
            }
            if taken == before {
                return Ok(Taken { packets: taken, more: false });
            }
        }
        Ok(Taken { packets: taken, more: true })
    }

    pub(super) fn counts(&self) -> Counts {
        let packets = self.packets.iter().map(|log| (log.lost(), log.unreadable()));
        let probes = self.probe_logs().map(|log| (log.lost(), log.unreadable()));
        packets.chain(probes).fold(Counts::default(), |sum, (lost, unreadable)| Counts {
            lost: sum.lost.saturating_add(lost),
            unreadable: sum.unreadable.saturating_add(unreadable),
            ..sum
        })
    }

    fn probe_logs(&self) -> impl Iterator<Item = &ProbeLog> {
        self.probes.iter().chain(&self.statics)
    }
}
