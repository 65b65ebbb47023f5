//! How a knock ends that does not come through, whose failure that is, and who is locked out for it.

use std::net::IpAddr;

use knockgate_core::{Refusal, message::Verdict};

use super::{At, Knock, LOCKOUT, LONGEST_LOCKOUT, Lock, RESULT, Reference, State, refused};

impl Reference {
    /// Ends a knock that is not complete.
    pub(super) fn end(&mut self, at: usize, why: Refusal) {
        if !self.knocks[at].is_active() {
            return;
        }
        let Knock { client, source, .. } = self.knocks[at];
        if let Some((peer, _)) = self.knocks[at].question.take() {
            self.say(peer, client, source, refused(why), 0);
        }
        self.fail(at, why);
    }

    pub(super) fn fail(&mut self, at: usize, why: Refusal) {
        let Knock { client, source, service, .. } = self.knocks[at];
        if self.knocks[at].is_deciding() && !self.knocks[at].is_packet() {
            self.undone.push((client, source, service, why));
        }
        self.settle(at, State::Refused(why));
        for who in self.charged(at) {
            *self.failures.entry(who).or_insert(0) += 1;
        }
    }

    /// A sequence keeps its result for a while; a packet knock is answered.
    pub(super) fn settle(&mut self, at: usize, state: State) {
        let Knock { client, source, .. } = self.knocks[at];
        if !self.knocks[at].is_packet() {
            (self.knocks[at].state, self.knocks[at].until) = (state, self.now + RESULT);
            return;
        }
        self.knocks[at].state = State::Forgotten;
        let verdict = if let State::Refused(why) = state { refused(why) } else { Verdict::Granted };
        if let Some((peer, _)) = self.knocks[at].question.take() {
            self.say(peer, client, source, verdict, 0);
        }
    }

    pub(super) fn whose(&self, at: usize) -> [Lock; 2] {
        [Lock::Client(self.knocks[at].client), Lock::Source(subnet(self.knocks[at].source))]
    }

    /// Whose failure and whose success it is: the address of a static knock may be anybody's.
    pub(super) fn charged(&self, at: usize) -> Vec<Lock> {
        let whose = self.whose(at);
        let charged = if self.knocks[at].is_static() { &whose[..1] } else { &whose[..] };
        charged.to_vec()
    }

    pub(crate) fn failures_of(&self, at: usize) -> [u32; 2] {
        self.whose(at).map(|who| self.failures.get(&who).copied().unwrap_or(0))
    }

    pub(super) fn wrong_port(&mut self, at: usize) {
        let (client, source) = (self.knocks[at].client, self.knocks[at].source);
        self.end(at, Refusal::WrongPort);
        if self.rules.global {
            self.lock(Lock::Everybody, LOCKOUT);
        } else {
            self.lock(Lock::Source(subnet(source)), LOCKOUT);
            self.lock(Lock::Client(client), LOCKOUT);
        }
    }

    pub(super) fn lock(&mut self, who: Lock, lasts: At) {
        let until = self.now + lasts.min(LONGEST_LOCKOUT);
        let known = self.locks.entry(who).or_insert(until);
        *known = until.max(*known);
    }

    pub(crate) fn locked_for(&self, client: u32, source: IpAddr) -> Option<u64> {
        [Lock::Everybody, Lock::Client(client), Lock::Source(subnet(source))]
            .into_iter()
            .filter_map(|who| self.locks.get(&who))
            .filter_map(|until| until.checked_sub(self.now).filter(|left| *left > 0))
            .max()
    }
}

/// The first address of the IPv6 /64, or the IPv4 address.
pub(super) fn subnet(source: IpAddr) -> IpAddr {
    match source {
        IpAddr::V4(_) => source,
        IpAddr::V6(address) => {
            let mut octets = address.octets();
            octets[8..].fill(0);
            IpAddr::from(octets)
        }
    }
}
