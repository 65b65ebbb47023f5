//! What the gate's thread says about itself when it is asked.

use std::collections::BTreeMap;
use std::time::SystemTime;

use knockgate_core::message::Mode;
use knockgate_core::{Grant, Refusal, UnixTime};

use crate::config::{PacketMode, Service};
use crate::control::{Counts, Guarded, Hearing, LeaseState, Status};
use crate::state::RosterView;

use super::driver::Driver;

impl Driver {
    /// How the gate is, but for its books.
    pub(super) fn status(&mut self) -> Status {
        let health = self.audit.health();
        let up = SystemTime::now().duration_since(self.since).unwrap_or_default();
        let reasons = Refusal::ALL.into_iter().map(|reason| (reason, self.gate.refusals().of(reason)));
        let refusals: BTreeMap<_, _> = reasons
            .filter(|(_, times)| *times > 0)
            .map(|(reason, times)| (reason.word().to_owned(), times))
            .collect();
        Status {
            agent: env!("CARGO_PKG_VERSION").to_owned(),
            pid: std::process::id(),
            since: humantime::format_rfc3339_seconds(self.since).to_string(),
            up_seconds: up.as_secs(),
            guarded: self.config.services.iter().map(|service| self.guarded(service)).collect(),
            hearing: self.hearing(),
            counts: Counts {
                clients: self.gate.roster().clients().len(),
                grants: self.gate.open_grants().count(),
                holds: self.gate.holds(),
                lockouts: self.lockouts().len(),
            },
            knocks: self.figures.knocks,
            refusals,
            strangers: self.noise.strangers(),
            lease: self.lease_state(),
            audit_lost: health.lost,
            audit_failing: !health.is_writable,
            guard_trouble: self.upkeep.trouble().map(str::to_owned),
            policies: self.figures.policies(),
            engine: self.config.policy.engine_in_use().to_owned(),
            modules: self.court.modules(),
            books: Vec::new(),
        }
    }

    /// For what takes longer with a big roster.
    pub(super) fn roster_view(&self) -> RosterView {
        self.gate.roster().view()
    }

    fn guarded(&self, service: &Service) -> Guarded {
        let is_for = |grant: &&Grant| grant.service() == service.id;
        Guarded {
            service: service.name.to_string(),
            protocol: service.protocol.word().to_owned(),
            ports: service.ports.clone(),
            grants: self.gate.open_grants().filter(is_for).count(),
            policies: self.court.names_for(service.id),
        }
    }

    fn hearing(&self) -> Hearing {
        let packets = match self.config.packet.mode {
            PacketMode::Watch => "watch",
            PacketMode::Socket => "socket",
            PacketMode::Off => "off",
        };
        let sequences = match self.config.sequence.mode {
            Mode::Connect => "connect",
            Mode::Closed => "closed",
        };
        Hearing {
            packets: packets.to_owned(),
            by: self.heard_by.clone(),
            central_port: self.config.central.map(|central| central.port),
            sequences: sequences.to_owned(),
            static_sequences: self.config.statics.sequences.len(),
        }
    }

    fn lease_state(&self) -> LeaseState {
        let until = self.gate.lease().map(|lease| UnixTime::from_micros(lease.until));
        LeaseState {
            wanted: !self.config.packet.lease.is_zero(),
            until: until.and_then(crate::admin::moment::rfc3339),
        }
    }
}
