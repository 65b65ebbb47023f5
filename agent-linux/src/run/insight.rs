//! What the gate's thread says about itself when it is asked.

use std::time::SystemTime;

use knockgate_core::Grant;

use crate::config::Service;
use crate::control::{Counts, Guarded, Status};

use super::driver::Driver;

impl Driver {
    /// How the gate is.
    pub(super) fn status(&self) -> Status {
        let up = SystemTime::now().duration_since(self.since).unwrap_or_default();
        Status {
            version: env!("CARGO_PKG_VERSION").to_owned(),
            pid: std::process::id(),
            since: humantime::format_rfc3339_seconds(self.since).to_string(),
            up_seconds: up.as_secs(),
            guarded: self.config.services.iter().map(|service| self.guarded(service)).collect(),
            counts: Counts {
                clients: self.gate.roster().clients().len(),
                grants: self.gate.open_grants().count(),
                holds: self.gate.holds(),
                lockouts: self.gate.lockouts().iter().count(),
            },
        }
    }

    fn guarded(&self, service: &Service) -> Guarded {
        let is_for = |grant: &&Grant| grant.service() == service.id;
        Guarded {
            service: service.name.to_string(),
            protocol: service.protocol.word().to_owned(),
            ports: service.ports.clone(),
            grants: self.gate.open_grants().filter(is_for).count(),
        }
    }
}
