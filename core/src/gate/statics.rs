//! Knocks of static sequences: nobody in particular, who has shown that he knows the ports.
//!
//! Who he is cannot be known, and his address may be forged. So nobody is locked out for what comes of such a knock, no
//! failure is counted against an address, nothing is answered, and all static sequences together have half of the table of grants at
//! most. Rule: `docs/protocol.md`, section 6.11.

use core::net::IpAddr;

use heapless::Vec;
use rand_core::CryptoRng;

use crate::action::{Action, Cause, StaticKnockId, Waiter};
use crate::limits::{POLICY_DEADLINE, TIMEOUTS_PER_CALL};
use crate::message::Reach;
use crate::note::Note;
use crate::refusal::Refusal;
use crate::roster::{ClientId, Name, Roster};
use crate::time::{Instant, Now};

use super::decide::{About, Openings};
use super::knocker::Credential;
use super::{Config, Gate, Recording};

/// What a static sequence opens.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StaticDoor {
    /// What people call the sequence. Also stands for whoever knocks it: see [`ClientId::of_static`].
    pub name: Name,
    /// The service that it opens.
    pub service: u16,
    /// For how long; none for the service's usual time.
    pub seconds: Option<u32>,
}

impl StaticDoor {
    /// Whoever knocks it.
    pub fn client(&self) -> ClientId {
        ClientId::of_static(&self.name)
    }
}

impl<const S: usize> Config<S> {
    /// The static sequence that stands behind a client's number.
    pub fn static_door(&self, client: ClientId) -> Option<&StaticDoor> {
        self.statics.iter().find(|door| door.client() == client)
    }
}

/// A knock whose sequence was complete.
pub(super) struct StaticKnock {
    pub(super) id: StaticKnockId,
    pub(super) door: usize,
    pub(super) client: ClientId,
    pub(super) source: IpAddr,
    pub(super) service: u16,
    pub(super) step: Step,
    pub(super) until: Instant,
}

/// What it waits for.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Step {
    /// The policy shall be asked.
    ConsultDue,
    /// The policy is thinking.
    Consulting,
    /// The policy has agreed; openings are under way.
    Opening(Openings),
}

impl Step {
    /// Why it has failed if it has waited for too long.
    fn failure(self) -> Refusal {
        match self {
            Self::ConsultDue | Self::Consulting => Refusal::PolicyFailed,
            Self::Opening(_) => Refusal::Unavailable,
        }
    }
}

/// Those that are not settled yet, at most `S`.
pub(super) struct StaticKnocks<const S: usize> {
    entries: Vec<StaticKnock, S>,
    next_id: u32,
}

impl<const S: usize> StaticKnocks<S> {
    pub(super) const fn new() -> Self {
        Self { entries: Vec::new(), next_id: 0 }
    }

    pub(super) fn by_id(&mut self, id: StaticKnockId) -> Option<&mut StaticKnock> {
        self.entries.iter_mut().find(|knock| knock.id == id)
    }

    pub(super) fn find(&self, is_meant: impl Fn(&StaticKnock) -> bool) -> Option<StaticKnockId> {
        self.entries.iter().find(|knock| is_meant(knock)).map(|knock| knock.id)
    }

    pub(super) fn iter_mut(&mut self) -> impl Iterator<Item = &mut StaticKnock> {
        self.entries.iter_mut()
    }

    pub(super) fn remove(&mut self, id: StaticKnockId) {
        self.entries.retain(|knock| knock.id != id);
    }

    pub(super) fn next(&self) -> Option<Instant> {
        self.entries.iter().map(|knock| knock.until).min()
    }
}

impl<R: Roster, G: CryptoRng, const E: usize, const H: usize, const N: usize, const L: usize, const S: usize>
    Gate<R, G, E, H, N, L, S>
{
    /// Somebody at `source` has completed the static sequence at that place of [`Config::statics`].
    ///
    /// He is told nothing. What is refused before the policy is asked is counted and not noted: whoever has seen the sequence can
    /// repeat it as often as he likes. Of what it is asked about there is one note more at most, see [`Note::SequenceRefused`].
    pub fn handle_static(&mut self, now: Now, door: usize, source: IpAddr) {
        let source = source.to_canonical();
        if let Err(refusal) = self.admit_static(now.instant, door, source) {
            self.refuse(refusal);
        }
    }

    fn admit_static(&mut self, now: Instant, door: usize, source: IpAddr) -> Result<(), Refusal> {
        let StaticDoor { service, .. } = *self.config.statics.get(door).ok_or(Refusal::NotAllowed)?;
        let client = self.config.statics.get(door).map(StaticDoor::client).ok_or(Refusal::NotAllowed)?;
        // There is nobody to ask for more.
        let is_enough = |wanted: &&super::Service| !wanted.confirm && !wanted.second_factor;
        self.config.service(service).filter(is_enough).ok_or(Refusal::NotAllowed)?;
        if self.recording == Recording::Wanting {
            return Err(Refusal::Unrecorded);
        }
        if self.lockouts.left(now, source, client).is_some() {
            return Err(Refusal::LockedOut);
        }
        if self.statics.entries.iter().any(|knock| knock.door == door && knock.source == source) {
            return Ok(());
        }
        self.statics.next_id = self.statics.next_id.wrapping_add(1);
        let id = StaticKnockId(self.statics.next_id);
        let until = now.after(POLICY_DEADLINE);
        let knock = StaticKnock { id, door, client, source, service, step: Step::ConsultDue, until };
        self.statics.entries.push(knock).map_err(|_| Refusal::Overloaded)?;
        self.stirred = true;
        self.note(Note::StaticKnock { client, source, service });
        Ok(())
    }

    pub(super) fn poll_consult_static(&mut self, now: Now) -> Option<Action> {
        loop {
            let due = |knock: &&mut StaticKnock| knock.step == Step::ConsultDue;
            let knock = self.statics.entries.iter_mut().find(due)?;
            (knock.step, knock.until) = (Step::Consulting, now.instant.after(POLICY_DEADLINE));
            let (waiter, source, credential) =
                (Waiter::Static(knock.id), knock.source, Credential::Sequence(knock.door));
            let door = self.config.statics.get(knock.door);
            let about = door.map(|door| About {
                waiter,
                cause: Cause::Sequence,
                source,
                service: door.service,
                asked: door.seconds.unwrap_or(0),
                number: None,
                second_factor: false,
                reach: Reach::Address,
                grant: None,
            });
            let consultation = about
                .zip(self.knocker(credential))
                .and_then(|(about, knocker)| self.consultation(now, &knocker, &about));
            match consultation {
                Some(consultation) => return Some(Action::Consult(consultation)),
                None => self.fail(now.instant, waiter, Refusal::NotAllowed),
            }
        }
    }

    /// Whether there is no room for another grant of a static sequence. Half of the table is kept for those who can prove who
    /// they are: whoever has seen a sequence can knock it from any number of forged addresses.
    pub(super) fn static_grants_are_full(&self) -> bool {
        self.grants.iter().filter(|grant| grant.client.is_static()).count() >= N / 2
    }

    /// Ends what has waited for too long, no more of it than there is room for notes.
    pub(super) fn expire_statics(&mut self, now: Instant) {
        for _ in 0..TIMEOUTS_PER_CALL {
            let Some(knock) = self.statics.entries.iter().find(|knock| knock.until <= now) else { return };
            let (id, refusal) = (knock.id, knock.step.failure());
            self.fail(now, Waiter::Static(id), refusal);
        }
    }

    /// Ends what waits in the name of a sequence that is taken away.
    pub(super) fn forget_statics(&mut self, now: Instant, client: ClientId) {
        while let Some(knock) = self.statics.entries.iter().find(|knock| knock.client == client) {
            let id = knock.id;
            self.fail(now, Waiter::Static(id), Refusal::UnknownClient);
        }
    }
}
