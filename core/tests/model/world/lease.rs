//! The host's lease: renewed now and then, burnt by a crash, given back by a stop.

use knockgate_core::replay::{Lease, Used};
use knockgate_core::{ClientId, Roster};

use crate::event::Work;

use super::World;

/// Half a minute and a minute and a half, in microseconds.
const BEFORE: u64 = 30_000_000;
const AFTER: u64 = 90_000_000;

impl World {
    /// The host begins to renew its lease: until the new one is durable only what both cover is admitted from memory.
    pub(super) fn lease(&mut self) {
        if self.leasing.is_some() {
            return;
        }
        let unix = self.reference.unix();
        let lease = Lease { after: unix - BEFORE, until: unix + AFTER };
        self.gate.set_lease(self.gate.lease().map(|old| old.and(lease)));
        self.leasing = Some((lease, self.used()));
    }

    pub(super) fn leased(&mut self, work: Work) {
        let Some(leasing) = self.leasing.take() else { return };
        let lease = leasing.0;
        if work != Work::Failed {
            self.lease_is_durable(leasing);
        }
        if work == Work::Done {
            self.gate.set_lease(Some(lease));
        }
    }

    pub(super) fn lease_is_durable(&mut self, (lease, used): (Lease, Vec<(u32, Used)>)) {
        self.laws.lease = Some(lease);
        for (client, used) in used {
            self.laws.used_up(ClientId(client), used);
        }
    }

    /// The agent is stopped: it stores all that was used, and gives its lease back.
    pub(super) fn stop(&mut self) {
        for (client, used) in self.used() {
            self.laws.used_up(ClientId(client), used);
        }
        (self.laws.lease, self.leasing) = (None, None);
        self.laws.stopped();
        self.restart();
    }

    fn used(&self) -> Vec<(u32, Used)> {
        let roster = self.gate.roster();
        let enrolled = [1, 2, 3].into_iter().filter(|client| !self.reference.gone.contains(client));
        enrolled.map(|client| (client, roster.used(ClientId(client)))).collect()
    }
}
