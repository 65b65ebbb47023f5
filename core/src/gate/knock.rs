//! From a holder's probes to the policy, and from its decision to grants.

use core::net::IpAddr;

use rand_core::CryptoRng;

use crate::action::{Census, Consultation, Decision, Effect, GrantId, HoldId, Outcome, Ticket, Verdict};
use crate::address::SourcePrefix;
use crate::attempt::Step;
use crate::grant;
use crate::hold::{Hold, Phase};
use crate::limits::POLICY_DEADLINE;
use crate::message::Mode;
use crate::note::{CloseReason, KnockEnd, Locked, Note};
use crate::refusal::Refusal;
use crate::roster::{Client, ClientId, Roster};
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

    fn lock_out_knocker(&mut self, now: Instant, source: IpAddr, client: ClientId) {
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
            let id = hold.id;
            hold.phase = Phase::Consulting;
            if let Some(consultation) = self.consultation(id) {
                return Some(crate::Action::Consult(consultation));
            }
            // The client or the service was removed while he knocked.
            self.fail(now, id, Refusal::NotAllowed);
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
            failures: self.failures_of(Locked::Client(client.id)),
            source_failures: self.failures_of(Locked::Source(SourcePrefix::of(source))),
            grants: self.census(client.id, source, service),
            book_left: left,
            number,
        })
    }

    fn census(&self, client: ClientId, source: IpAddr, service: u16) -> Census {
        let count = |counts: &dyn Fn(&grant::Grant) -> bool| {
            u32::try_from(self.open_grants().filter(|grant| counts(grant)).count()).unwrap_or(u32::MAX)
        };
        Census {
            client: count(&|grant| grant.client == client),
            source: count(&|grant| grant.source == source),
            service: count(&|grant| grant.service == service),
            all: count(&|_| true),
            oldest: self.open_grants().filter(|grant| grant.client == client).map(|grant| grant.id).min(),
        }
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
        let mut refusal = Refusal::Denied;
        for effect in effects {
            match *effect {
                Effect::Open { service, seconds } => {
                    if let Err(why) = self.open(now, id, client, service, seconds) {
                        refusal = why;
                    }
                }
                Effect::Extend { grant, seconds } => self.extend(now, id, client, grant, seconds),
                Effect::Revoke { grant } => self.revoke_own(now, client, grant),
                Effect::Lockout { seconds } => self.lock_out_by_policy(now, id, client, seconds),
            }
        }
        // One grant may be opened by two effects, or be opened and taken back.
        let due = |grant: &&grant::Grant| grant.hold == Some(id) && grant.phase == grant::Phase::OpenDue;
        match self.grants.iter().filter(due).count() {
            0 => self.fail(now, id, refusal),
            waiting => self.settle_later(now, id, u8::try_from(waiting).unwrap_or(u8::MAX)),
        }
    }

    fn open(
        &mut self,
        now: Instant,
        id: HoldId,
        client: &Client,
        service: u16,
        seconds: u32,
    ) -> Result<(), Refusal> {
        let allowed = self.config.service(service).filter(|_| client.may_use(service));
        let seconds = allowed.ok_or(Refusal::NotAllowed)?.seconds(seconds);
        let source = self.holds.by_id(id).ok_or(Refusal::Unavailable)?.source;
        let deadline = now.after(core::time::Duration::from_secs(u64::from(seconds)));
        let opened = self.grants.open(client.id, source, service, deadline, id);
        opened.map_err(|grant::Full| Refusal::Unavailable)
    }

    fn extend(&mut self, now: Instant, id: HoldId, client: &Client, grant: GrantId, seconds: u32) {
        let Some(grant) = self.grants.by_id(grant).filter(|grant| grant.client == client.id) else { return };
        let Some(limits) = self.config.service(grant.service).filter(|_| client.may_use(grant.service))
        else {
            return;
        };
        if !grant.is_ending() {
            grant.deadline = now.after(core::time::Duration::from_secs(u64::from(limits.seconds(seconds))));
            grant.phase = grant::Phase::OpenDue;
            grant.hold = Some(id);
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
        let Some(deadline) = grant.offered.take() else { return };
        match outcome {
            Outcome::Done => {
                grant.opened(deadline);
                let &mut grant::Grant { client, source, service, .. } = grant;
                let lasts = deadline.left(now.instant);
                self.note(Note::GrantOpened { grant: id, client, source, service, lasts });
            }
            Outcome::Failed => grant.opening_failed(now.instant),
        }
        self.report_opening(now.instant, id, outcome);
    }

    /// Tells whoever waits for a grant what became of it, unless it is to be opened once more.
    fn report_opening(&mut self, now: Instant, id: GrantId, outcome: Outcome) {
        let Some(grant) = self.grants.by_id(id) else { return };
        let outcome = match grant.phase {
            grant::Phase::OpenDue | grant::Phase::Opening => return,
            grant::Phase::Open => outcome,
            grant::Phase::CloseDue(..) | grant::Phase::Closing(_) => Outcome::Failed,
        };
        if let Some(hold) = grant.hold.take() {
            self.count_opening(now, hold, outcome);
        }
    }

    fn count_opening(&mut self, now: Instant, id: HoldId, outcome: Outcome) {
        let Some(hold) = self.holds.by_id(id) else { return };
        let Phase::Opening { waiting, opened } = hold.phase else { return };
        let opened = if outcome == Outcome::Done { opened + 1 } else { opened };
        let (client, source) = (hold.client, hold.source);
        match (waiting.saturating_sub(1), opened) {
            (0, 0) => self.fail(now, id, Refusal::Unavailable),
            (0, _) => {
                self.settle(now, id, Phase::Granted);
                self.forgive_failures(client, source);
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
        let Some((client, source)) = self.holds.by_id(id).map(|hold| (hold.client, hold.source)) else {
            return;
        };
        self.refuse(refusal);
        self.count_failure(client, source);
        self.settle(now, id, Phase::Failed(refusal));
    }

    fn settle(&mut self, now: Instant, id: HoldId, phase: Phase) {
        if let Some(hold) = self.holds.by_id(id) {
            hold.end(now, phase);
        }
    }
}
