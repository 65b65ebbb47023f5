//! From a complete knock to the policy, and from its decision to grants. Sequence knocks wait in their hold, packet knocks in
//! their exchange; what is decided and opened is the same for both.

use core::net::IpAddr;
use core::time::Duration;

use rand_core::CryptoRng;

use crate::action::{
    Action, Cause, Consultation, Decision, Effect, GrantId, HoldId, Outcome, Subject, Ticket, Verdict, Waiter,
};
use crate::address::{Network, SourcePrefix};
use crate::grant::{self, Grant, Opening};
use crate::hold::{Hold, Phase};
use crate::limits::POLICY_DEADLINE;
use crate::message::Reach;
use crate::note::{CloseReason, Locked, Note};
use crate::refusal::Refusal;
use crate::roster::{ClientId, Roster};
use crate::time::{Instant, Now};

use super::exchange::{Reply, Step, in_particular};
use super::knocker::{Credential, Knocker};
use super::packet::Ask;
use super::{Gate, Recording, statics};

/// A knock about which the policy has decided.
#[derive(Clone, Copy)]
struct Decided<'a> {
    waiter: Waiter,
    client: &'a Knocker,
    source: IpAddr,
    /// Whether the source cannot be forged.
    proven: bool,
}

impl<R: Roster, G: CryptoRng, const E: usize, const H: usize, const N: usize, const L: usize, const S: usize>
    Gate<R, G, E, H, N, L, S>
{
    pub(super) fn poll_consult(&mut self, now: Now) -> Option<Action> {
        self.poll_consult_hold(now)
            .or_else(|| self.poll_consult_exchange(now))
            .or_else(|| self.poll_consult_static(now))
    }

    fn poll_consult_hold(&mut self, now: Now) -> Option<Action> {
        loop {
            let hold = self.holds.iter_mut().find(|hold| hold.phase == Phase::ConsultDue)?;
            hold.phase = Phase::Consulting;
            let id = hold.id;
            if let Some(consultation) = self.consult_about_hold(now, id) {
                return Some(Action::Consult(consultation));
            }
            // The client or the service was removed while he knocked.
            self.fail(now.instant, Waiter::Hold(id), Refusal::NotAllowed);
        }
    }

    fn poll_consult_exchange(&mut self, now: Now) -> Option<Action> {
        loop {
            let due = |step: &Step| match *step {
                Step::ConsultDue(ask) => Some(ask),
                _ => None,
            };
            let (at, ask) =
                self.exchanges.iter().enumerate().find_map(|(at, e)| Some((at, due(&e.step)?)))?;
            let exchange = self.exchanges.get_mut(at)?;
            exchange.step = Step::Consulting(ask);
            exchange.until = now.instant.after(POLICY_DEADLINE);
            let (id, key, source) = (exchange.id, exchange.key, exchange.source);
            let waiter = Waiter::Exchange(id);
            let about = About {
                waiter,
                cause: ask.cause,
                source,
                service: ask.service,
                asked: ask.seconds,
                number: None,
                second_factor: ask.second_factor,
                reach: ask.reach,
                grant: ask.grant,
            };
            if self.has_lapsed(now.instant, ask.grant) {
                self.fail(now.instant, waiter, Refusal::NoGrant);
                continue;
            }
            let client = self.knocker(Credential::Key(key));
            if let Some(consultation) = client.and_then(|client| self.consultation(now, &client, &about)) {
                return Some(Action::Consult(consultation));
            }
            self.fail(now.instant, waiter, Refusal::NotAllowed);
        }
    }

    /// Whether the grant that shall be kept has ended meanwhile. To open it anew is no renewal: that may want a confirmation.
    fn has_lapsed(&self, now: Instant, kept: Option<GrantId>) -> bool {
        kept.is_some_and(|id| !self.grants.iter().any(|grant| grant.id == id && grant.is_in_force(now)))
    }

    fn consult_about_hold(&mut self, now: Now, id: HoldId) -> Option<Consultation> {
        let hold = self.holds.by_id(id)?;
        let about = About {
            waiter: Waiter::Hold(id),
            cause: Cause::Sequence,
            source: hold.source,
            service: hold.service,
            asked: hold.seconds,
            number: Some(hold.number),
            second_factor: hold.second_factor,
            reach: hold.reach,
            grant: None,
        };
        let key = hold.key;
        let client = self.knocker(Credential::Key(key))?;
        self.consultation(now, &client, &about)
    }

    pub(super) fn consultation(&self, now: Now, client: &Knocker, about: &About) -> Option<Consultation> {
        let &About { waiter, cause, source, service, asked, number, second_factor, reach, grant } = about;
        let limits = self.config.service(service)?;
        let book = client.book().and_then(|book| self.roster.book(book));
        let left = book.map_or(0, |book| book.shape().count().saturating_sub(self.roster.cursor(book.id())));
        let kept = grant.and_then(|id| self.open_grants().find(|grant| grant.id == id));
        Some(Consultation {
            ticket: Ticket(waiter),
            cause,
            client: client.id(),
            name: client.name().clone(),
            source,
            service,
            seconds: limits.seconds(asked),
            standing: self.standing(Subject {
                client: Some(client.id()),
                source: Some(source),
                service: Some(service),
            }),
            book_left: left,
            number,
            second_factor,
            prefix: limits.prefix(source).filter(|_| reach == Reach::Prefix),
            grant: kept.map(|grant| (grant.id, grant.deadline().left(now.instant))),
        })
    }

    /// Takes the policy's decision. One that comes too late changes nothing, nor does one about a client that has been removed:
    /// then the outcome is [`Outcome::Failed`], and what the policy wanted beyond the gate shall not happen either.
    pub fn handle_decision(&mut self, now: Now, ticket: Ticket, decision: Decision) -> Outcome {
        self.stirred = true;
        let Ticket(waiter) = ticket;
        let Some(asker) = self.undecided(now.instant, waiter) else { return Outcome::Failed };
        let refusal = match decision.verdict {
            Verdict::Deny => Some(self.why_denied(&asker)),
            Verdict::Failed => Some(Refusal::PolicyFailed),
            Verdict::Commit => Some(Refusal::NoGrant).filter(|_| self.has_lapsed(now.instant, asker.kept)),
        };
        let client = self.knocker(asker.credential);
        match (refusal, client) {
            (Some(refusal), _) => self.fail(now.instant, waiter, refusal),
            (None, None) => self.fail(now.instant, waiter, Refusal::UnknownClient),
            (None, Some(client)) => {
                let Undecided { source, proven, .. } = asker;
                self.carry_out(now, Decided { waiter, client: &client, source, proven }, &decision.effects);
                return Outcome::Done;
            }
        }
        Outcome::Failed
    }

    /// Who waits for this decision, if he still does.
    fn undecided(&mut self, now: Instant, waiter: Waiter) -> Option<Undecided> {
        match waiter {
            Waiter::Hold(id) => {
                let due = |hold: &&mut Hold| hold.phase == Phase::Consulting && hold.until > now;
                let hold = self.holds.by_id(id).filter(due)?;
                let (source, second_factor) = (hold.source, hold.second_factor);
                let credential = Credential::Key(hold.key);
                Some(Undecided { credential, source, proven: true, second_factor, kept: None })
            }
            Waiter::Exchange(id) => {
                let exchange = self.exchanges.iter().find(|exchange| exchange.id == id)?;
                let Step::Consulting(ask) = exchange.step else { return None };
                let Ask { proven, second_factor, grant, .. } = ask;
                (exchange.until > now).then_some(Undecided {
                    credential: Credential::Key(exchange.key),
                    source: exchange.source,
                    proven,
                    second_factor,
                    kept: grant,
                })
            }
            Waiter::Static(id) => {
                let due = |knock: &&mut statics::StaticKnock| {
                    knock.step == statics::Step::Consulting && knock.until > now
                };
                let knock = self.statics.by_id(id).filter(due)?;
                let (credential, source) = (Credential::Sequence(knock.door), knock.source);
                Some(Undecided { credential, source, proven: false, second_factor: false, kept: None })
            }
        }
    }

    /// A client that could have shown a second factor and has not is told that it might help.
    fn why_denied(&self, asker: &Undecided) -> Refusal {
        let client = self.knocker(asker.credential).filter(|_| !asker.second_factor);
        let has_one = client.is_some_and(|client| self.roster.totp(client.id()).is_some());
        if has_one { Refusal::CodeWanted } else { Refusal::Denied }
    }

    fn carry_out(&mut self, now: Now, decided: Decided<'_>, effects: &[Effect]) {
        let mut refusal = Refusal::Denied;
        for effect in effects {
            let opened = match *effect {
                Effect::Open { service, seconds } => self.open(now, decided, service, None, seconds),
                Effect::OpenPrefix { service, bits, seconds } => {
                    self.open(now, decided, service, Some(bits), seconds)
                }
                Effect::Extend { grant, seconds } => {
                    self.extend(now, decided, grant, seconds);
                    Ok(())
                }
                Effect::Revoke { grant } => {
                    self.revoke_own(now.instant, decided.client.id(), grant);
                    Ok(())
                }
                Effect::Lockout { seconds } => {
                    self.lock_out_by_policy(now.instant, decided, seconds);
                    Ok(())
                }
            };
            if let Err(why) = opened {
                refusal = why;
            }
        }
        // One grant may be opened by two effects, or be opened and taken back.
        let waiter = Some(decided.waiter);
        let due = |grant: &&Grant| grant.waiters.contains(&waiter) && grant.phase == grant::Phase::OpenDue;
        match self.grants.iter().filter(due).count() {
            0 => self.fail(now.instant, decided.waiter, refusal),
            waiting => {
                let waiting = u8::try_from(waiting).unwrap_or(u8::MAX);
                self.await_openings(now.instant, decided.waiter, waiting);
            }
        }
    }

    /// Opens a service to the knocker, or to his prefix of that many bits.
    fn open(
        &mut self,
        now: Now,
        decided: Decided<'_>,
        service: u16,
        bits: Option<u8>,
        seconds: u32,
    ) -> Result<(), Refusal> {
        let Decided { waiter, client, source, .. } = decided;
        if self.recording == Recording::Wanting {
            return Err(Refusal::Unrecorded);
        }
        let limits =
            self.config.service(service).filter(|_| client.may_use(service)).ok_or(Refusal::NotAllowed)?;
        let to = match bits {
            None => Network::host(source),
            // The kernel keeps one length of prefix for every service, and more than the policy said is never opened.
            Some(bits) => {
                let prefix = limits.prefix(source).filter(|&kept| kept == bits);
                Network::of(source, prefix.ok_or(Refusal::NotAllowed)?)
            }
        };
        let enrolled = client.enrolled_for(now);
        let lasts = Duration::from_secs(u64::from(limits.seconds(seconds))).min(enrolled);
        let (deadline, limit) = (now.instant.after(lasts), now.instant.after(limits.max_open.min(enrolled)));
        let waiter = Some(waiter);
        let opening = Opening { client: client.id(), to, service, deadline, limit, waiter };
        if client.id().is_static() && self.static_grants_are_full() && !self.grants.has(&opening) {
            return Err(Refusal::Unavailable);
        }
        self.grants.open(opening).map(drop).map_err(|grant::Full| Refusal::Unavailable)
    }

    fn extend(&mut self, now: Now, decided: Decided<'_>, grant: GrantId, seconds: u32) {
        let client = decided.client;
        let Some(grant) = self.grants.by_id(grant).filter(|grant| grant.client == client.id()) else {
            return;
        };
        let Some(limits) = self.config.service(grant.service).filter(|_| client.may_use(grant.service))
        else {
            return;
        };
        if !grant.is_ending() {
            let lasts = Duration::from_secs(u64::from(limits.seconds(seconds)));
            grant.deadline = now.instant.after(lasts.min(client.enrolled_for(now)));
            grant.phase = grant::Phase::OpenDue;
            grant.await_by(decided.waiter);
            grant.notable = true;
        }
    }

    pub(super) fn revoke_own(&mut self, now: Instant, client: ClientId, grant: GrantId) {
        if let Some(grant) = self.grants.by_id(grant).filter(|grant| grant.client == client) {
            grant.close(now, CloseReason::Revoked);
        }
    }

    /// An address is locked out only if it was certainly the knocker's.
    fn lock_out_by_policy(&mut self, now: Instant, decided: Decided<'_>, seconds: u32) {
        let lasts = Duration::from_secs(u64::from(seconds));
        if decided.proven {
            self.lock_out(now, Locked::Source(SourcePrefix::of(decided.source)), lasts);
        }
        self.lock_out(now, Locked::Client(decided.client.id()), lasts);
    }

    /// Takes note of what became of [`Action::Open`](crate::Action::Open).
    pub fn handle_opened(&mut self, now: Now, id: GrantId, outcome: Outcome) {
        self.stirred = true;
        let Some(grant) = self.grants.by_id(id) else { return };
        let Some(deadline) = grant.offered.take() else { return };
        match outcome {
            Outcome::Done => {
                let is_new = grant.in_force.is_none();
                grant.opened(deadline);
                let &mut Grant { client, to, service, .. } = grant;
                let lasts = deadline.left(now.instant);
                if core::mem::take(&mut grant.notable) || is_new {
                    self.note(Note::GrantOpened { grant: id, client, to, service, lasts });
                }
            }
            Outcome::Failed => grant.opening_failed(now.instant),
        }
        self.report_opening(now.instant, id, outcome);
    }

    /// Tells those who wait for a grant what became of it, unless it is to be opened once more.
    fn report_opening(&mut self, now: Instant, id: GrantId, outcome: Outcome) {
        let Some(grant) = self.grants.by_id(id) else { return };
        let outcome = match grant.phase {
            grant::Phase::OpenDue | grant::Phase::Opening => return,
            grant::Phase::Open => outcome,
            grant::Phase::CloseDue(..) | grant::Phase::Closing(_) => Outcome::Failed,
        };
        for waiter in core::mem::take(&mut grant.waiters).into_iter().flatten() {
            self.count_opening(now, waiter, outcome);
        }
    }

    fn count_opening(&mut self, now: Instant, waiter: Waiter, outcome: Outcome) {
        let Some((client, source, counts)) = self.openings(waiter) else { return };
        counts.waiting = counts.waiting.saturating_sub(1);
        counts.opened = counts.opened.saturating_add(u8::from(outcome == Outcome::Done));
        match *counts {
            Openings { waiting: 0, opened: 0 } => self.fail(now, waiter, Refusal::Unavailable),
            Openings { waiting: 0, .. } => {
                self.settle(now, waiter, Phase::Granted);
                self.forgive_failures(client, source);
            }
            Openings { .. } => {}
        }
    }

    fn openings(&mut self, waiter: Waiter) -> Option<(ClientId, IpAddr, &mut Openings)> {
        match waiter {
            Waiter::Hold(id) => {
                let hold = self.holds.by_id(id)?;
                let Phase::Opening(counts) = &mut hold.phase else { return None };
                Some((hold.client, hold.source, counts))
            }
            Waiter::Exchange(id) => {
                let exchange = self.exchanges.iter_mut().find(|exchange| exchange.id == id)?;
                let Step::Opening(counts) = &mut exchange.step else { return None };
                Some((exchange.client, exchange.source, counts))
            }
            Waiter::Static(id) => {
                let knock = self.statics.by_id(id)?;
                let statics::Step::Opening(counts) = &mut knock.step else { return None };
                Some((knock.client, knock.source, counts))
            }
        }
    }

    fn await_openings(&mut self, now: Instant, waiter: Waiter, waiting: u8) {
        let (counts, until) = (Openings { waiting, opened: 0 }, now.after(POLICY_DEADLINE));
        match waiter {
            Waiter::Hold(id) => {
                if let Some(hold) = self.holds.by_id(id) {
                    (hold.phase, hold.until) = (Phase::Opening(counts), until);
                }
            }
            Waiter::Exchange(id) => {
                if let Some(exchange) = self.exchanges.iter_mut().find(|exchange| exchange.id == id) {
                    (exchange.step, exchange.until) = (Step::Opening(counts), until);
                }
            }
            Waiter::Static(id) => {
                if let Some(knock) = self.statics.by_id(id) {
                    (knock.step, knock.until) = (statics::Step::Opening(counts), until);
                }
            }
        }
    }

    /// A complete knock has come to nothing.
    pub(super) fn fail(&mut self, now: Instant, waiter: Waiter, refusal: Refusal) {
        let Some((client, source, service)) = self.whose(waiter) else { return };
        self.refuse(refusal);
        self.count_failure(client, source);
        self.note(match waiter {
            Waiter::Exchange(_) => Note::Refused { client, source, service: in_particular(service), refusal },
            Waiter::Hold(_) | Waiter::Static(_) => Note::SequenceRefused { client, source, service, refusal },
        });
        self.settle(now, waiter, Phase::Failed(refusal));
    }

    /// Who waits, where, and for which service.
    fn whose(&mut self, waiter: Waiter) -> Option<(ClientId, IpAddr, u16)> {
        match waiter {
            Waiter::Hold(id) => self.holds.by_id(id).map(|hold| (hold.client, hold.source, hold.service)),
            Waiter::Exchange(id) => {
                let exchange = self.exchanges.iter().find(|exchange| exchange.id == id)?;
                Some((exchange.client, exchange.source, exchange.service))
            }
            Waiter::Static(id) => {
                self.statics.by_id(id).map(|knock| (knock.client, knock.source, knock.service))
            }
        }
    }

    /// A hold keeps its result for a question of status; an exchange answers its own; nobody hears of a static sequence.
    fn settle(&mut self, now: Instant, waiter: Waiter, phase: Phase) {
        match waiter {
            Waiter::Hold(id) => {
                if let Some(hold) = self.holds.by_id(id) {
                    hold.end(now, phase);
                }
            }
            Waiter::Exchange(id) => {
                let reply = match phase {
                    Phase::Failed(refusal) => Reply::refused(refusal),
                    _ => Reply::of(crate::message::Verdict::Granted),
                };
                if let Some(exchange) = self.exchanges.iter_mut().find(|exchange| exchange.id == id) {
                    exchange.step = Step::AnswerDue(reply);
                }
            }
            Waiter::Static(id) => self.statics.remove(id),
        }
    }
}

/// What a consultation is about, wherever it waits.
pub(super) struct About {
    pub(super) waiter: Waiter,
    pub(super) cause: Cause,
    pub(super) source: IpAddr,
    pub(super) service: u16,
    pub(super) asked: u32,
    pub(super) number: Option<u32>,
    pub(super) second_factor: bool,
    pub(super) reach: Reach,
    pub(super) grant: Option<GrantId>,
}

/// A knock that waits for the policy.
struct Undecided {
    credential: Credential,
    source: IpAddr,
    proven: bool,
    second_factor: bool,
    /// The grant that shall be kept.
    kept: Option<GrantId>,
}

/// Openings that a knock waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Openings {
    /// Those without an outcome.
    pub(crate) waiting: u8,
    /// Those that succeeded.
    pub(crate) opened: u8,
}
