//! What a committed decision does, effect by effect.

use std::net::IpAddr;

use knockgate_core::{ClientId, Effect, Refusal};

use super::failures::subnet;
use super::{Knock, Lock, Reference, State, is_there, seconds};

impl Reference {
    /// Somebody at the gate orders it, and no knock waits for it. Whether there is such a service.
    pub(crate) fn order(&mut self, source: IpAddr, service: u16, asked: u32) -> bool {
        let is_there = is_there(self.rules, service);
        if is_there {
            let deadline = self.now + 1_000 * seconds(self.rules, service, asked);
            self.grants.grant(ClientId::CONSOLE.0, (source, service), deadline, None);
        }
        is_there
    }

    pub(crate) fn unlock(&mut self, who: Lock) {
        self.locks.remove(&who);
        self.failures.remove(&who);
    }

    /// The policy commits to `effects` for a knock.
    pub(crate) fn commit(&mut self, knock: usize, effects: &[Effect]) {
        let &Knock { client, source, proven, .. } = &self.knocks[knock];
        if self.has_lapsed(knock) {
            return self.fail(knock, Refusal::NoGrant);
        }
        let mut why = Refusal::Denied;
        for effect in effects {
            match *effect {
                Effect::Open { service, seconds: asked } if self.may_open(knock, service) => {
                    let deadline = self.now + 1_000 * seconds(self.rules, service, asked);
                    self.grants.grant(client, (source, service), deadline, Some(knock));
                }
                Effect::Open { .. } => why = Refusal::NotAllowed,
                Effect::Extend { grant, seconds: asked } => {
                    let service = self.grants.all.get(&grant.0).map(|grant| grant.door.1);
                    let Some(service) = service.filter(|service| self.may_open(knock, *service)) else {
                        continue;
                    };
                    let deadline = self.now + 1_000 * seconds(self.rules, service, asked);
                    self.grants.extend(client, grant.0, deadline, knock);
                }
                Effect::Revoke { grant } => {
                    let his = self.grants.all.get(&grant.0).is_some_and(|grant| grant.client == client);
                    if his {
                        self.grants.revoke(self.now, grant.0);
                    }
                }
                // Anybody can knock it.
                Effect::Lockout { .. } if self.knocks[knock].is_static() => {}
                Effect::Lockout { seconds } => {
                    let lasts = 1_000 * u64::from(seconds);
                    if proven {
                        self.lock(Lock::Source(subnet(source)), lasts);
                    }
                    self.lock(Lock::Client(client), lasts);
                }
                Effect::OpenPrefix { .. } => unreachable!("the model's services open to single addresses"),
            }
        }
        match self.grants.awaited(knock) {
            0 => self.fail(knock, why),
            waiting => {
                self.knocks[knock].state = State::Opening { waiting, opened: 0 };
                self.knocks[knock].until = self.now + 1_000;
            }
        }
    }

    fn may_open(&self, knock: usize, service: u16) -> bool {
        self.knocks[knock].may_open(service) && is_there(self.rules, service)
    }
}
