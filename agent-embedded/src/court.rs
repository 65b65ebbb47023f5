//! Asks the policies of the site, one after the other.
//!
//! A knock goes along the chain: whoever abstains passes it on, the first who does not decides, and if nobody does, it is denied.
//! Something that nobody waits for goes to every policy that wants to hear of it, and what they commit together comes back. A
//! policy runs between two frames; its fuel is its deadline. Rule: `docs/policies.md`.
//!
//! Day and minute are told in UTC: a gateway has no table of time zones.

use alloc::sync::Arc;
use alloc::vec::Vec;

use heapless::Vec as Bounded;
use knockgate_core::limits::MAX_GATEWAY_POLICIES;
use knockgate_core::{
    Consultation, Decision as GateDecision, Happening, Name, Now, Occasion, Standing, UnixTime, Verdict,
};
use knockgate_policy_host::gate::{self, Scene};
use knockgate_policy_host::{
    Answer, Capabilities, Cause, Decision, Event, HostKind, LocalTime, Policy, StateStore,
};

use crate::environment::Reaction;
use crate::names::ServiceNames;

/// The policies in the order in which they are asked.
pub struct Court {
    seats: Vec<Seat>,
    services: ServiceNames,
}

struct Seat {
    policy: Policy,
    state: Arc<dyn StateStore>,
}

/// There are as many policies as a gateway asks: [`MAX_GATEWAY_POLICIES`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Full;

/// What one policy has said.
pub struct Opinion<'a> {
    /// What the site calls it.
    pub policy: &'a str,
    /// The event as it was told of it.
    pub event: &'a Event,
    /// What it said.
    pub said: &'a Decision,
    /// Who was asked so far, this one last, each with its answer.
    pub chain: &'a [(&'a str, Answer)],
}

/// Keeps what policies say.
pub trait Minutes {
    /// Writes down an opinion.
    fn said(&mut self, now: Now, opinion: &Opinion<'_>);
}

type Asked<'a> = Bounded<(&'a str, Answer), MAX_GATEWAY_POLICIES>;

impl Court {
    /// A court without policies, which denies everything.
    #[must_use]
    pub fn new(services: ServiceNames) -> Self {
        Self { seats: Vec::new(), services }
    }

    /// Puts a policy at the end of the chain, with the numbers that it keeps.
    ///
    /// # Errors
    /// [`Full`].
    pub fn seat(&mut self, policy: Policy, state: Arc<dyn StateStore>) -> Result<(), Full> {
        if self.seats.len() >= MAX_GATEWAY_POLICIES {
            return Err(Full);
        }
        self.seats.push(Seat { policy, state });
        Ok(())
    }

    /// What the chain says about a knock.
    pub fn decide(&self, now: Now, question: &Consultation, minutes: &mut impl Minutes) -> GateDecision {
        self.judge(now, self.scene(now, Some(question.service)).knock(question), minutes)
    }

    /// What the chain says about an event that somebody waits for. By itself, so that what becomes of it has the stack when this is
    /// done.
    #[inline(never)]
    pub fn judge(&self, now: Now, mut event: Event, minutes: &mut impl Minutes) -> GateDecision {
        let cause = event.cause;
        let mut asked = Asked::new();
        for seat in &self.seats {
            let Some(said) = seat.ask(now, cause, &mut event, &mut asked, minutes) else { continue };
            match said.answer() {
                Answer::Abstain => {}
                answer @ (Answer::Commit | Answer::Deny | Answer::Failed) => {
                    return gate::decision(answer, &said.actions);
                }
            }
        }
        GateDecision::without_effects(Verdict::Deny)
    }

    /// Whether any policy wants to hear of such things.
    #[must_use]
    pub fn wants(&self, occasion: Occasion) -> bool {
        self.seats.iter().any(|seat| seat.policy.wants(gate::cause(occasion)))
    }

    /// What all policies together want of something that nobody waits for. `name` is the client's.
    pub fn react(
        &self,
        now: Now,
        happening: &Happening,
        standing: &Standing,
        name: Option<&Name>,
        minutes: &mut impl Minutes,
    ) -> Reaction {
        let mut event = self.scene(now, happening.about.service).happening(happening, name, standing);
        let cause = event.cause;
        let (mut asked, mut reaction) = (Asked::new(), Reaction::new());
        for seat in &self.seats {
            let Some(said) = seat.ask(now, cause, &mut event, &mut asked, minutes) else { continue };
            // Without a commit there are no actions, and there is room for all that the policies of a chain may want.
            for effect in gate::effects(&said.actions) {
                let _ = reaction.push(effect);
            }
        }
        reaction
    }

    fn scene(&self, now: Now, service: Option<u16>) -> Scene<'_> {
        let time = now.unix.map(seconds);
        Scene {
            host: HostKind::Gateway,
            time,
            local: time.map(|time| LocalTime::at(time, 0)),
            lacking: Capabilities::NONE,
            service: service.and_then(|id| self.services.get(id)).unwrap_or_default(),
        }
    }
}

impl Seat {
    /// What it says about the event; `None` if it does not want to be asked about such.
    fn ask<'a>(
        &'a self,
        now: Now,
        cause: Cause,
        event: &mut Event,
        asked: &mut Asked<'a>,
        minutes: &mut impl Minutes,
    ) -> Option<Decision> {
        event.cause = self.policy.asked_as(cause)?;
        let said = self.policy.decide(event, &self.state);
        let policy = self.policy.name();
        // A chain has as many places as a court has seats.
        let _ = asked.push((policy, said.answer()));
        minutes.said(now, &Opinion { policy, event, said: &said, chain: asked });
        Some(said)
    }
}

const fn seconds(time: UnixTime) -> u64 {
    time.as_micros() / 1_000_000
}
