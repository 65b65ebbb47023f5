//! What can be seen of the gate, next to what the reference says.

use std::collections::BTreeMap;

use knockgate_core::Peer;
use knockgate_core::note::Locked;

use crate::reference::grants::Door;
use crate::reference::{At, Lock, Said};

use super::World;

impl World {
    pub(super) fn compare(&mut self) {
        let expected: BTreeMap<u64, Said> =
            self.reference.answers.drain(..).map(|(peer, said)| (peer.0, said)).collect();
        let answered: Vec<u64> = self.answers.keys().copied().collect();
        assert_eq!(answered, expected.keys().copied().collect::<Vec<_>>(), "who is answered: {expected:?}");
        for (peer, message) in std::mem::take(&mut self.answers) {
            self.read(Peer(peer), &message, expected[&peer]);
        }
        assert_eq!(self.reference.undone, [], "what opened nothing is noted");
        assert_eq!(self.open(), self.reference.grants.open(), "what is open");
        assert_eq!(self.locks(), self.reference.locks, "who is locked out");
        assert_eq!(size_of_val(&*self.gate), self.memory);
        let now = self.reference.now;
        for (door, until) in &self.kernel {
            let known = self.reference.grants.all.values().any(|grant| grant.door == *door);
            assert!(known || *until <= now, "{door:?} is open and the gate has forgotten it");
        }
    }

    pub(super) fn open(&self) -> BTreeMap<u32, (u32, Door, At)> {
        let open = self.gate.open_grants().map(|grant| {
            assert!(grant.to().is_host());
            let door = (grant.to().address(), grant.service());
            (grant.id().0, (grant.client().0, door, grant.deadline().as_micros() / 1_000))
        });
        open.collect()
    }

    pub(super) fn locks(&self) -> BTreeMap<Lock, At> {
        self.gate.lockouts().iter().map(|(who, until)| (lock(who), until.as_micros() / 1_000)).collect()
    }
}

/// Who is meant, as the reference says it.
pub(super) fn lock(who: Locked) -> Lock {
    match who {
        Locked::Source(prefix) => Lock::Source(prefix.address()),
        Locked::Client(client) => Lock::Client(client.0),
        Locked::Everybody => Lock::Everybody,
    }
}
