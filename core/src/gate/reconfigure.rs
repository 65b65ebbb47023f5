//! Another configuration for a gate that is at work.
//!
//! What a gate is stays what it was: its number and keys, its decoys, the counters that count as used. How it behaves is what the new
//! configuration says, from this call on:
//!
//! | what there is | becomes |
//! | --- | --- |
//! | a grant whose service is gone or has moved, or whose prefix or static sequence is not there any more | closed |
//! | one that would last longer than the service allows from now on | shortened |
//! | one whose service has some of its ports still | opened anew, at all of its ports |
//! | a number that is being knocked, where mode or order is another one | void: the client asks for the next |
//! | every other hold, and whatever waits for the disk, a policy or the host | stays, and is decided by the new rules |
//! | a knock of a static sequence that is gone | fails |
//! | lockouts, failures, used counters, the lease, tokens | stay |
//!
//! A question was admitted by the rules of its moment: a confirmation or code that is asked for since then, it need not bring.

use rand_core::CryptoRng;

use crate::action::Waiter;
use crate::grant::{Grant, Phase};
use crate::note::CloseReason;
use crate::refusal::Refusal;
use crate::roster::{ClientId, Roster};
use crate::time::{Instant, Now};

use super::statics::StaticKnock;
use super::{Config, Gate};

/// What has become of the ports of a service. The host knows; the gate does not.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ports {
    /// They are what they were.
    Same,
    /// It has some of them still, and others were added or have gone.
    Changed,
    /// It has none of them any more.
    Moved,
}

impl<R: Roster, G: CryptoRng, const E: usize, const H: usize, const N: usize, const L: usize, const S: usize>
    Gate<R, G, E, H, N, L, S>
{
    /// Behaves as `config` says from now on, see the [module](self). Its gate, identity, door keys, decoys and burnt counters are not
    /// looked at. `ports` says of every service what has become of its ports.
    ///
    /// The host guards what `config` names before it carries out what follows from this.
    pub fn reconfigure(&mut self, now: Now, config: Config<S>, ports: impl Fn(u16) -> Ports) {
        self.stirred = true;
        let now = now.instant;
        self.drop_statics(now, &config);
        if (config.mode, config.order) != (self.config.mode, self.config.order) {
            self.void_attempts(now);
        }
        let Config {
            mode,
            order,
            hold,
            strays,
            lockout,
            lockout_scope,
            max_age,
            services,
            statics,
            console,
            ..
        } = config;
        let own = &mut self.config;
        (own.mode, own.order, own.hold, own.strays) = (mode, order, hold, strays);
        (own.lockout, own.lockout_scope, own.max_age) = (lockout, lockout_scope, max_age);
        (own.services, own.statics, own.console) = (services, statics, console);
        let Self { config, grants, .. } = self;
        grants.iter_mut().for_each(|grant| grant.follow(now, config, &ports));
    }

    /// Those who knock a number would have to knock it otherwise than they were told.
    fn void_attempts(&mut self, now: Instant) {
        let active =
            |gate: &Self| gate.holds.iter().find(|hold| hold.phase.is_active()).map(|hold| hold.client);
        while let Some(client) = active(self) {
            self.end_attempt(now, client, Refusal::Unavailable);
        }
    }

    /// Knocks of static sequences are known by their places, which may be others.
    fn drop_statics(&mut self, now: Instant, config: &Config<S>) {
        let place = |gate: &Self, knock: &StaticKnock| {
            let service = gate.config.statics.get(knock.door)?.service;
            config.place_of(knock.client, service)
        };
        while let Some(id) = self.statics.find(|knock| place(self, knock).is_none()) {
            self.fail(now, Waiter::Static(id), Refusal::UnknownClient);
        }
        let Self { config: former, statics, .. } = self;
        for knock in statics.iter_mut() {
            let service = former.statics.get(knock.door).map(|door| door.service);
            if let Some(place) = service.and_then(|service| config.place_of(knock.client, service)) {
                knock.door = place;
            }
        }
    }
}

impl<const S: usize> Config<S> {
    /// Where the static sequence stands that opens `service` and that `client` stands for.
    fn place_of(&self, client: ClientId, service: u16) -> Option<usize> {
        self.statics.iter().position(|door| door.client() == client && door.service == service)
    }
}

impl Grant {
    /// Is, from now on, what the configuration allows.
    fn follow<const S: usize>(&mut self, now: Instant, config: &Config<S>, ports: &impl Fn(u16) -> Ports) {
        if self.is_ending() {
            return;
        }
        let allowed = config.service(self.service).filter(|_| self.is_allowed(config));
        let (Some(service), Ports::Same | Ports::Changed) = (allowed, ports(self.service)) else {
            return self.close(now, CloseReason::Revoked);
        };
        let longest = now.after(service.max_open);
        self.limit = self.limit.min(longest);
        if self.deadline > longest || ports(self.service) == Ports::Changed {
            self.phase = Phase::OpenDue;
        }
        self.deadline = self.deadline.min(longest);
        // Should the host fail to shorten it, the gate closes it then.
        let shorten = |until: Option<Instant>| until.map(|until| until.min(longest));
        (self.in_force, self.offered) = (shorten(self.in_force), shorten(self.offered));
    }

    fn is_allowed<const S: usize>(&self, config: &Config<S>) -> bool {
        let reaches = || config.service(self.service).and_then(|service| service.prefix(self.to.address()));
        let is_near = self.to.is_host() || reaches() == Some(self.to.bits());
        is_near && (!self.client.is_static() || config.place_of(self.client, self.service).is_some())
    }
}
