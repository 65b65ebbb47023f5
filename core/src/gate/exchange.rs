//! From sealed bytes to a fresh request, and from its result to sealed bytes: the life of a question.

use core::net::IpAddr;

use rand_core::CryptoRng;

use crate::action::{Action, ExchangeId, HoldId, Origin, Outcome, Peer, Record};
use crate::book::BookId;
use crate::envelope::{self, Direction, Inner, Message, Unsealed};
use crate::grant::Grant;
use crate::handshake::{Opened, Responder};
use crate::key::{DoorKey, Identity, PublicKey};
use crate::limits::{MAX_ANSWER_GRANTS, POLICY_DEADLINE};
use crate::message::{Answer, Offer, OpenService, Request, RequestError, Verdict};
use crate::note::Note;
use crate::refusal::Refusal;
use crate::replay::{self, Authentic, Fresh};
use crate::roster::{Client, ClientId, Roster};
use crate::time::{Instant, Now, millis};

use super::Gate;
use super::decide::Openings;
use super::packet::{Ask, Unwanted};

/// A question whose answer is still in the making.
pub(super) struct Exchange {
    pub(super) id: ExchangeId,
    pub(super) peer: Peer,
    pub(super) client: ClientId,
    pub(super) key: PublicKey,
    pub(super) source: IpAddr,
    /// What was asked for; 0 for nothing in particular.
    pub(super) service: u16,
    /// The door key that the question was sealed under; the answer is sealed under the same.
    door_key: DoorKey,
    responder: Responder,
    pub(super) step: Step,
    pub(super) until: Instant,
}

/// What the answer waits for.
#[derive(Clone, Copy)]
pub(super) enum Step {
    /// The host shall store this.
    RememberDue(Record, Then),
    /// The host is storing.
    Remembering(Then),
    /// The host shall show the decoys, or is at it.
    Watching(HoldId),
    /// The policy shall be asked.
    ConsultDue(Ask),
    /// The policy is thinking.
    Consulting(Ask),
    /// The policy has agreed; openings are under way.
    Opening(Openings),
    /// Nothing: it can be sent.
    AnswerDue(Reply),
    /// The client is to be welcomed to the console.
    WelcomeDue,
}

/// What follows once it is durable that the request was used.
#[derive(Clone, Copy)]
pub(super) enum Then {
    /// A number of a book is used up, and the decoys are shown to its holder.
    Watch { hold: HoldId, book: BookId, next: u32 },
    /// The policy is asked.
    Consult(Ask),
    /// Grants are closed.
    Close(Unwanted),
    /// The client is welcomed to the console.
    Converse,
    /// The answer is sent: the question was turned away, and would be a good one again if its counter were forgotten.
    Answer(Reply),
    /// The answer is sent at once: nothing was changed, so told a second time after a crash, it tells nobody but the client
    /// anything.
    Tell(Reply),
}

impl Step {
    /// The hold that the answer is about, as long as there is no answer.
    fn waits_for(&self) -> Option<HoldId> {
        match *self {
            Self::RememberDue(_, Then::Watch { hold, .. })
            | Self::Remembering(Then::Watch { hold, .. })
            | Self::Watching(hold) => Some(hold),
            Self::RememberDue(..) | Self::Remembering(_) => None,
            Self::ConsultDue(_) | Self::Consulting(_) | Self::Opening(_) => None,
            Self::AnswerDue(_) | Self::WelcomeDue => None,
        }
    }

    /// What to tell somebody who has waited for too long; `None` if nothing.
    pub(super) fn failure(&self) -> Option<Refusal> {
        match self {
            Self::ConsultDue(_) | Self::Consulting(_) => Some(Refusal::PolicyFailed),
            Self::Opening(_) => Some(Refusal::Unavailable),
            Self::RememberDue(..) | Self::Remembering(_) | Self::Watching(_) => None,
            Self::AnswerDue(_) | Self::WelcomeDue => None,
        }
    }
}

/// The part of an answer that is particular to its question.
#[derive(Clone, Copy)]
pub(super) struct Reply {
    pub(super) verdict: Verdict,
    pub(super) retry_ms: u32,
    pub(super) offer: Option<Offer>,
}

impl Reply {
    pub(super) fn of(verdict: Verdict) -> Self {
        Self { verdict, retry_ms: 0, offer: None }
    }

    pub(super) fn refused(refusal: Refusal) -> Self {
        Self::of(Verdict::Refused(refusal.code()))
    }

    pub(super) fn retry(self, after: core::time::Duration) -> Self {
        Self { retry_ms: millis(after), ..self }
    }
}

/// Who has sent a fresh request.
pub(super) struct Asker<'a> {
    pub(super) origin: Origin,
    pub(super) client: &'a Client,
    pub(super) key: PublicKey,
}

/// Why a message is met with silence.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Silence {
    /// The reason.
    pub refusal: Refusal,
    /// Who has written it, if an enrolled client has; perhaps not he has sent it.
    pub client: Option<ClientId>,
}

/// A request as the handshake delivers it, with the way to answer it.
pub(super) struct Asked {
    pub(super) request: Result<Request, RequestError>,
    pub(super) responder: Responder,
}

impl<R: Roster, G: CryptoRng, const E: usize, const H: usize, const N: usize, const L: usize, const S: usize>
    Gate<R, G, E, H, N, L, S>
{
    /// Takes a message.
    ///
    /// # Errors
    /// The reason, for the host's counters and its debug log, if the message is to be met with silence. Whoever sent it
    /// must not be able to tell.
    pub fn handle_message(&mut self, now: Now, origin: Origin, message: &Message) -> Result<(), Refusal> {
        let Some(unsealed) = self.doorkeeper.unseal(message) else {
            return Err(self.refuse(Refusal::Unsealed));
        };
        self.handle_unsealed(now, origin, unsealed).map(drop).map_err(|silence| silence.refusal)
    }

    /// Takes a message that the host has had opened by the gate's [`Doorkeeper`](envelope::Doorkeeper). Says who has sent it.
    ///
    /// # Errors
    /// As [`Gate::handle_message`].
    pub fn handle_unsealed(
        &mut self,
        now: Now,
        origin: Origin,
        message: Unsealed,
    ) -> Result<ClientId, Silence> {
        let origin = Origin { source: origin.source.to_canonical(), ..origin };
        self.receive(now, origin, message).inspect_err(|silence| self.refusals.count(silence.refusal))
    }

    fn receive(&mut self, now: Now, origin: Origin, message: Unsealed) -> Result<ClientId, Silence> {
        let Unsealed { inner, door_key } = message;
        let authentic =
            self.authenticate(now, &inner).map_err(|refusal| Silence { refusal, client: None })?;
        let key = authentic.key;
        let (exchanges, roster) = (&self.exchanges, &mut self.roster);
        // Without room for the answer the counter is not burnt, so the client can send the same question again.
        let fresh = match exchanges.is_full() {
            true => Err(Refusal::Overloaded),
            false => replay::admit(authentic, roster, &self.config.burnt, now.unix),
        };
        let fresh = fresh.map_err(|refusal| {
            let client = self.roster.client(&key).map(|client| client.id);
            Silence { refusal, client }
        })?;
        let Fresh { client, payload: Asked { request, responder }, counter, .. } = fresh;

        let before = self.roster.used(client.id).code_step;
        let asker = Asker { origin, client: &client, key };
        let service = request.as_ref().map_or(0, |request| request.service);
        let served = match request {
            Ok(request) => self.serve(now, &asker, &request),
            Err(_) => Err(Reply::refused(Refusal::Unsupported)),
        };
        let then = served.unwrap_or_else(|reply| {
            self.note_refusal(client.id, origin.source, service, &reply);
            Then::Answer(reply)
        });
        // A lease covers counters, not codes.
        let covered = self.lease.is_some_and(|lease| lease.contains(counter))
            && before == self.roster.used(client.id).code_step;
        let step = self.after_storing(now.instant, client.id, then, covered);
        if let Step::RememberDue(..) = step {
            self.settle_older(client.id);
        }
        self.next_exchange = self.next_exchange.wrapping_add(1);
        let exchange = Exchange {
            id: ExchangeId(self.next_exchange),
            peer: origin.peer,
            client: client.id,
            key,
            source: origin.source,
            service,
            door_key,
            responder,
            step,
            until: now.instant.after(POLICY_DEADLINE * 4),
        };
        // The responder keeps the ephemeral key for its answer, so the next message needs another one.
        self.ephemeral = None;
        self.stirred = true;
        let silence = Silence { refusal: Refusal::Overloaded, client: Some(client.id) };
        self.exchanges.push(exchange).map(|()| client.id).map_err(|_| silence)
    }

    /// What is to be done first: to store what was used, unless it need not be.
    fn after_storing(&mut self, now: Instant, client: ClientId, then: Then, covered: bool) -> Step {
        let used = self.roster.used(client);
        match then {
            Then::Tell(reply) => Step::AnswerDue(reply),
            // The position in a book is no counter: no lease covers it.
            Then::Watch { book, next, .. } => {
                Step::RememberDue(Record::Offer { client, used, book, next }, then)
            }
            Then::Consult(_) | Then::Close(_) | Then::Converse | Then::Answer(_) if covered => {
                self.stored(now, then)
            }
            Then::Consult(_) | Then::Close(_) | Then::Converse | Then::Answer(_) => {
                Step::RememberDue(Record::Counter { client, used }, then)
            }
        }
    }

    /// What follows now that it is durable.
    fn stored(&mut self, now: Instant, then: Then) -> Step {
        match then {
            Then::Watch { hold, .. } => {
                self.start_watching(now, hold);
                Step::Watching(hold)
            }
            Then::Consult(ask) => Step::ConsultDue(ask),
            Then::Close(unwanted) => Step::AnswerDue(self.close_unwanted(now, unwanted)),
            Then::Converse => Step::WelcomeDue,
            Then::Answer(reply) | Then::Tell(reply) => Step::AnswerDue(reply),
        }
    }

    fn authenticate(&mut self, now: Now, inner: &Inner) -> Result<Authentic<Asked>, Refusal> {
        let ephemeral = self.ephemeral.get_or_insert_with(|| Identity::generate(&mut self.rng));
        let known = |key: &PublicKey| self.roster.shared(key);
        let (responder, opened) =
            Responder::read_knowing(&self.config.identity, ephemeral, self.config.gate, inner, known)
                .map_err(|_| Refusal::Unauthentic)?;
        let Opened { client: key, request, made } = opened;
        // A stranger with a door key may have any key pair; only the roster makes him a client.
        if !self.roster.client(&key).is_some_and(|client| client.has_key(&key, now.unix)) {
            return Err(Refusal::UnknownClient);
        }
        if let Some(shared) = made {
            self.roster.keep_shared(&key, shared);
        }
        let request = Request::decode(&request);
        let counter = replay::counter_of(&request).ok_or(Refusal::Malformed)?;
        Ok(Authentic { key, counter, payload: Asked { request, responder } })
    }

    pub(super) fn note_refusal(&mut self, client: ClientId, source: IpAddr, service: u16, reply: &Reply) {
        let Verdict::Refused(code) = reply.verdict else { return };
        let Some(refusal) = Refusal::from_code(code) else { return };
        self.refuse(refusal);
        self.note(Note::Refused { client, source, service: in_particular(service), refusal });
    }

    /// Takes note of what became of [`Action::Remember`].
    pub fn handle_stored(&mut self, now: Now, id: ExchangeId, outcome: Outcome) {
        self.stirred = true;
        let Some(exchange) = self.exchanges.iter_mut().find(|exchange| exchange.id == id) else { return };
        let Step::Remembering(then) = exchange.step else { return };
        let (client, source, service) = (exchange.client, exchange.source, exchange.service);
        let step = match (outcome, then) {
            (Outcome::Done, then) => self.stored(now.instant, then),
            (Outcome::Failed, Then::Watch { .. }) => {
                return self.end_attempt(now.instant, client, Refusal::Unavailable);
            }
            (Outcome::Failed, Then::Consult(_) | Then::Close(_) | Then::Converse) => {
                let reply = Reply::refused(Refusal::Unavailable);
                self.note_refusal(client, source, service, &reply);
                Step::AnswerDue(reply)
            }
            // A refusal that could not be stored is a refusal all the same.
            (Outcome::Failed, Then::Answer(reply) | Then::Tell(reply)) => Step::AnswerDue(reply),
        };
        if let Some(exchange) = self.exchanges.iter_mut().find(|exchange| exchange.id == id) {
            exchange.step = step;
        }
    }

    /// Answers the question that waits for `hold`, if it still does.
    pub(super) fn reply(&mut self, hold: HoldId, reply: Reply) {
        if let Some(waiting) =
            self.exchanges.iter_mut().find(|exchange| exchange.step.waits_for() == Some(hold))
        {
            waiting.step = Step::AnswerDue(reply);
        }
    }

    /// A newer question of the same client that is being stored has a higher counter, which covers the older ones: those
    /// that were turned away need not wait for the disk themselves, so one client cannot fill the table while it is slow.
    fn settle_older(&mut self, client: ClientId) {
        for older in self.exchanges.iter_mut().filter(|exchange| exchange.client == client) {
            if let Step::RememberDue(_, Then::Answer(reply)) | Step::Remembering(Then::Answer(reply)) =
                older.step
            {
                older.step = Step::AnswerDue(reply);
            }
        }
    }

    pub(super) fn poll_remember(&mut self) -> Option<Action> {
        self.exchanges.iter_mut().find_map(|exchange| {
            let Step::RememberDue(record, then) = exchange.step else { return None };
            exchange.step = Step::Remembering(then);
            Some(Action::Remember { exchange: exchange.id, record })
        })
    }

    pub(super) fn poll_answer(&mut self, now: Now) -> Option<Action> {
        loop {
            let is_due = |exchange: &Exchange| matches!(exchange.step, Step::AnswerDue(_) | Step::WelcomeDue);
            let at = self.exchanges.iter().position(is_due)?;
            let exchange = self.exchanges.swap_remove(at);
            let action = match exchange.step {
                Step::AnswerDue(reply) => self.answer(now, exchange, reply),
                Step::WelcomeDue => self.converse(now, exchange),
                Step::RememberDue(..) | Step::Remembering(_) | Step::Watching(_) => None,
                Step::ConsultDue(_) | Step::Consulting(_) | Step::Opening(_) => None,
            };
            // Only a key that should never have been enrolled makes this fail; its owner gets silence.
            if action.is_some() {
                return action;
            }
        }
    }

    fn answer(&mut self, now: Now, exchange: Exchange, reply: Reply) -> Option<Action> {
        let answer = self.answer_to(now, &exchange, reply).encode();
        let inner = exchange.responder.answer(&answer).ok()?;
        let message = self.seal_answer(&exchange.door_key, &inner)?;
        Some(Action::Answer { peer: exchange.peer, message })
    }

    fn converse(&mut self, now: Now, exchange: Exchange) -> Option<Action> {
        let reply = match self.welcome(now.instant, exchange.client, exchange.source) {
            Ok(reply) => reply,
            Err(reply) => return self.answer(now, exchange, reply),
        };
        let answer = self.answer_to(now, &exchange, reply).encode();
        let (inner, channel) = exchange.responder.answer_and_go_on(&answer).ok()?;
        let message = self.seal_answer(&exchange.door_key, &inner)?;
        let Exchange { peer, client, source, .. } = exchange;
        Some(Action::Converse { peer, message, client, source, channel })
    }

    fn answer_to(&self, now: Now, exchange: &Exchange, reply: Reply) -> Answer {
        let Reply { verdict, retry_ms, offer } = reply;
        Answer {
            verdict,
            retry_ms,
            time: now.unix.map_or(0, |unix| unix.as_micros()),
            book_left: self.book_left(&exchange.key),
            offer,
            open: self.open_to(now.instant, exchange.client, exchange.source),
            seen: Some(exchange.source),
            door_key: self.doorkeeper.current().filter(|key| !key.is(&exchange.door_key)).cloned(),
        }
    }

    fn seal_answer(&mut self, door_key: &DoorKey, inner: &Inner) -> Option<Message> {
        envelope::seal(door_key, self.config.gate, Direction::Answer, inner, &mut self.rng)
    }

    fn book_left(&self, key: &PublicKey) -> u32 {
        let book = self.roster.client(key).and_then(|client| self.roster.book(client.book));
        book.map_or(0, |book| book.shape().count().saturating_sub(self.roster.cursor(book.id())))
    }

    fn open_to(
        &self,
        now: Instant,
        client: ClientId,
        source: IpAddr,
    ) -> heapless::Vec<OpenService, MAX_ANSWER_GRANTS> {
        let mut open = heapless::Vec::<OpenService, MAX_ANSWER_GRANTS>::new();
        let his =
            |grant: &&Grant| grant.client == client && grant.to.contains(source) && grant.deadline() > now;
        for grant in self.open_grants().filter(his) {
            let left_ms = millis(grant.deadline().left(now));
            let at = open.iter().position(|other| other.left_ms < left_ms).unwrap_or(open.len());
            if open.is_full() && at < open.len() {
                open.pop();
            }
            // A grant that ends before all that fit is not listed.
            let _ = open.insert(at, OpenService { service: grant.service, left_ms, grant: grant.id.0 });
        }
        open
    }
}

/// A request names no service where whatever is open is meant, or nothing is to be opened at all.
pub(super) fn in_particular(service: u16) -> Option<u16> {
    (service != 0).then_some(service)
}
