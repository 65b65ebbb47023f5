//! From a holder's probes to the policy, and from its decision to grants.

use rand_core::CryptoRng;

use crate::action::{Consultation, Decision, Effect, GrantId, HoldId, Outcome, Ticket, Verdict};
use crate::address::SourcePrefix;
use crate::attempt::Step;
use crate::grant;
use crate::hold::{Hold, Phase};
use crate::limits::POLICY_DEADLINE;
use crate::message::Mode;
use crate::note::{CloseReason, KnockEnd, Locked, Note};
use crate::refusal::Refusal;
use crate::roster::{Client, Roster};
use crate::time::{Instant, Now};

use super::{Gate, LockoutScope, Probe, ProbeKind};

/// The record of an attempt that has ended.
pub(super) fn ended(hold: &Hold, end: KnockEnd) -> Note {
    Note::KnockEnded {
        client: hold.client,
        source: hold.source,
        book: hold.book,
        number: hold.number,
        service: hold.service,
        end,
        seen: hold.attempt.seen().clone(),
    }
}

/// What one open effect came to.
enum Opening {
    Due,
    Impossible(Refusal),
}

impl<R: Roster, G: CryptoRng, const E: usize, const H: usize, const N: usize, const L: usize>
    Gate<R, G, E, H, N, L>
{
    /// Takes a probe of a watched port. Whoever holds no number is ignored, and cannot tell.
    pub fn handle_probe(&mut self, now: Now, probe: Probe) {
        let source = probe.source.to_canonical();
        if !self.is_knock(probe) {
            return;
        }
        let Some(hold) = self.holds.held_at(now.instant, source) else { return };
        if self.lockouts.left(now.instant, source, hold.client).is_some() {
            return;
        }
        self.stirred = true;
        match hold.attempt.probe(probe.port) {
            Step::Advanced | Step::Repeated => {}
            Step::Complete => {
                hold.phase = Phase::ConsultDue;
                hold.until = now.instant.after(POLICY_DEADLINE);
                let note = ended(hold, KnockEnd::Complete);
                self.stop_watching(source);
                self.note(note);
            }
            step @ (Step::Ahead | Step::Wrong) => self.stray(now.instant, probe, step),
        }
    }

    /// Only a watched port, touched in the way that this gate wants, is a knock.
    fn is_knock(&self, probe: Probe) -> bool {
        let kind = match self.config.mode {
            Mode::Connect => ProbeKind::Connected,
            Mode::Closed => ProbeKind::Attempted,
        };
        probe.kind == kind && self.config.decoys.contains(probe.port)
    }

    /// A holder has touched a port that was not due.
    fn stray(&mut self, now: Instant, probe: Probe, step: Step) {
        let source = probe.source.to_canonical();
        let Some(hold) = self.holds.held_at(now, source) else { return };
        let client = hold.client;
        match (self.config.mode, step) {
            // A whole connection cannot be forged: it was he.
            (Mode::Connect, _) => {
                self.end_attempt(now, client, Refusal::WrongPort);
                self.lock_out_knocker(now, source, client);
            }
            // The network reorders, and a client sends the sequence again for what was lost.
            (Mode::Closed, Step::Ahead) => {}
            // Anybody can forge this one, so it neither ends the attempt at once nor locks anybody out.
            (Mode::Closed, _) => {
                hold.strays = hold.strays.saturating_add(1);
                if hold.strays > self.config.strays {
                    self.end_attempt(now, client, Refusal::TooManyStrays);
                }
            }
        }
    }

    fn lock_out_knocker(&mut self, now: Instant, source: core::net::IpAddr, client: crate::roster::ClientId) {
        let lasts = self.config.lockout;
        match self.config.lockout_scope {
            LockoutScope::Everybody => self.lock_out(now, Locked::Everybody, lasts),
            LockoutScope::Source => {
                self.lock_out(now, Locked::Source(SourcePrefix::of(source)), lasts);
                self.lock_out(now, Locked::Client(client), lasts);
            }
        }
    }

    pub(super) fn poll_consult(&mut self, now: Instant) -> Option<crate::Action> {
        loop {
            let hold = self.holds.iter_mut().find(|hold| hold.phase == Phase::ConsultDue)?;
            let (id, client) = (hold.id, hold.client);
            hold.phase = Phase::Consulting;
            if let Some(consultation) = self.consultation(id) {
                return Some(crate::Action::Consult(consultation));
            }
            // The client or the service was removed while he knocked.
            self.settle(now, id, Phase::Failed(Refusal::NotAllowed));
            self.count_failure(client);
        }
    }

    fn consultation(&mut self, id: HoldId) -> Option<Consultation> {
        let hold = self.holds.by_id(id)?;
        let (key, source, service, asked, number) =
            (hold.key, hold.source, hold.service, hold.seconds, hold.number);
        let client = self.roster.client(&key)?;
        let seconds = self.config.service(service)?.seconds(asked);
        let book = self.roster.book(client.book);
        let left = book.map_or(0, |book| book.shape().count().saturating_sub(self.roster.cursor(book.id())));
        Some(Consultation {
            ticket: Ticket(id),
            client: client.id,
            name: client.name.clone(),
            source,
            service,
            seconds,
            failures: self.failures_of(client.id),
            grants: u32::try_from(self.open_grants().filter(|grant| grant.client == client.id).count())
                .unwrap_or(u32::MAX),
            book_left: left,
            number,
        })
    }

    /// Takes the policy's decision. One that comes too late changes nothing.
    pub fn handle_decision(&mut self, now: Now, ticket: Ticket, decision: Decision) {
        self.stirred = true;
        let Ticket(id) = ticket;
        let due = |hold: &&mut Hold| hold.phase == Phase::Consulting && hold.until > now.instant;
        let Some(hold) = self.holds.by_id(id).filter(due) else { return };
        let key = hold.key;
        let refusal = match decision.verdict {
            Verdict::Deny => Some(Refusal::Denied),
            Verdict::Failed => Some(Refusal::PolicyFailed),
            Verdict::Commit => None,
        };
        let client = self.roster.client(&key).cloned();
        match (refusal, client) {
            (Some(refusal), _) => self.fail(now.instant, id, refusal),
            (None, None) => self.fail(now.instant, id, Refusal::UnknownClient),
            (None, Some(client)) => self.carry_out(now.instant, id, &client, &decision.effects),
        }
    }

    fn carry_out(&mut self, now: Instant, id: HoldId, client: &Client, effects: &[Effect]) {
        let (mut waiting, mut refusal) = (0, Refusal::Denied);
        for effect in effects {
            match *effect {
                Effect::Open { service, seconds } => match self.open(now, id, client, service, seconds) {
                    Opening::Due => waiting += 1,
                    Opening::Impossible(why) => refusal = why,
                },
                Effect::Extend { grant, seconds } => self.extend(now, client, grant, seconds),
                Effect::Revoke { grant } => self.revoke_own(now, client, grant),
                Effect::Lockout { seconds } => self.lock_out_by_policy(now, id, client, seconds),
            }
        }
        match waiting {
            0 => self.fail(now, id, refusal),
            waiting => self.settle_later(now, id, waiting),
        }
    }

    fn open(&mut self, now: Instant, id: HoldId, client: &Client, service: u16, seconds: u32) -> Opening {
        let Some(limits) = self.config.service(service).filter(|_| client.may_use(service)) else {
            return Opening::Impossible(Refusal::NotAllowed);
        };
        let seconds = limits.seconds(seconds);
        let Some(source) = self.holds.by_id(id).map(|hold| hold.source) else {
            return Opening::Impossible(Refusal::Unavailable);
        };
        let deadline = now.after(core::time::Duration::from_secs(u64::from(seconds)));
        match self.grants.open(client.id, source, service, deadline, id) {
            Ok(()) => Opening::Due,
            Err(grant::Full) => Opening::Impossible(Refusal::Unavailable),
        }
    }

    fn extend(&mut self, now: Instant, client: &Client, grant: GrantId, seconds: u32) {
        let Some(grant) = self.grants.by_id(grant).filter(|grant| grant.client == client.id) else { return };
        let Some(limits) = self.config.services.iter().find(|service| service.id == grant.service) else {
            return;
        };
        if grant.phase == grant::Phase::Open {
            grant.deadline = now.after(core::time::Duration::from_secs(u64::from(limits.seconds(seconds))));
            grant.phase = grant::Phase::OpenDue;
        }
    }

    fn revoke_own(&mut self, now: Instant, client: &Client, grant: GrantId) {
        if let Some(grant) = self.grants.by_id(grant).filter(|grant| grant.client == client.id) {
            grant.close(now, CloseReason::Revoked);
        }
    }

    fn lock_out_by_policy(&mut self, now: Instant, id: HoldId, client: &Client, seconds: u32) {
        let lasts = core::time::Duration::from_secs(u64::from(seconds));
        if let Some(source) = self.holds.by_id(id).map(|hold| hold.source) {
            self.lock_out(now, Locked::Source(SourcePrefix::of(source)), lasts);
        }
        self.lock_out(now, Locked::Client(client.id), lasts);
    }

    /// Takes note of what became of [`Action::Open`](crate::Action::Open).
    pub fn handle_opened(&mut self, now: Now, id: GrantId, outcome: Outcome) {
        self.stirred = true;
        let Some(grant) = self.grants.by_id(id) else { return };
        let waiting = match (grant.phase, outcome) {
            (grant::Phase::Opening, Outcome::Done) => {
                grant.phase = grant::Phase::Open;
                grant.in_force = Some(grant.deadline);
                let &mut grant::Grant { client, source, service, deadline, hold, .. } = grant;
                let lasts = deadline.left(now.instant);
                self.note(Note::GrantOpened { grant: id, client, source, service, lasts });
                hold
            }
            (grant::Phase::Opening, Outcome::Failed) => self.opening_failed(now.instant, id),
            // It was taken back while the host was opening it: the closing follows.
            (_, _) => grant.hold.take(),
        };
        if let Some(hold) = waiting {
            self.count_opening(now.instant, hold, outcome);
        }
    }

    /// A refreshment that failed leaves the grant as it was; anything else is closed, since nobody knows what is in force.
    fn opening_failed(&mut self, now: Instant, id: GrantId) -> Option<HoldId> {
        let grant = self.grants.by_id(id)?;
        match grant.in_force {
            Some(deadline) => {
                grant.deadline = deadline;
                grant.phase = grant::Phase::Open;
            }
            None => grant.close(now, CloseReason::Failed),
        }
        grant.hold.take()
    }

    fn count_opening(&mut self, now: Instant, id: HoldId, outcome: Outcome) {
        let Some(hold) = self.holds.by_id(id) else { return };
        let Phase::Opening { waiting, opened } = hold.phase else { return };
        let opened = if outcome == Outcome::Done { opened + 1 } else { opened };
        let client = hold.client;
        match (waiting.saturating_sub(1), opened) {
            (0, 0) => self.fail(now, id, Refusal::Unavailable),
            (0, _) => {
                self.settle(now, id, Phase::Granted);
                self.forgive_failures(client);
            }
            (waiting, opened) => hold.phase = Phase::Opening { waiting, opened },
        }
    }

    fn settle_later(&mut self, now: Instant, id: HoldId, waiting: u8) {
        let Some(hold) = self.holds.by_id(id) else { return };
        hold.phase = Phase::Opening { waiting, opened: 0 };
        hold.until = now.after(POLICY_DEADLINE);
    }

    /// A complete knock has come to nothing.
    pub(super) fn fail(&mut self, now: Instant, id: HoldId, refusal: Refusal) {
        let Some(client) = self.holds.by_id(id).map(|hold| hold.client) else { return };
        self.refuse(refusal);
        self.count_failure(client);
        self.settle(now, id, Phase::Failed(refusal));
    }

    fn settle(&mut self, now: Instant, id: HoldId, phase: Phase) {
        if let Some(hold) = self.holds.by_id(id) {
            hold.end(now, phase);
        }
    }
}
