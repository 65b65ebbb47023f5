//! What a fresh request may do: a hold on the next number, or an answer about the last one.

use core::net::IpAddr;

use rand_core::CryptoRng;

use crate::action::{HoldId, Origin, Outcome};
use crate::attempt::Attempt;
use crate::hold::{Hold, NoPlace, Phase};
use crate::limits::{PENDING_RETRY, PROBE_GAP};
use crate::message::{Kind, Offer, Request, Verdict};
use crate::note::Note;
use crate::refusal::Refusal;
use crate::roster::{Client, ClientId, Roster};
use crate::time::{Instant, Now, UnixTime, millis};

use super::Gate;
use super::exchange::{Asker, Reply, Then};
use super::packet::Factor;

impl<R: Roster, G: CryptoRng, const E: usize, const H: usize, const N: usize, const L: usize, const S: usize>
    Gate<R, G, E, H, N, L, S>
{
    /// Serves a fresh request: what follows once it is durable that it was used. `Err` answers one that was turned away.
    pub(super) fn serve(&mut self, now: Now, asker: &Asker<'_>, request: &Request) -> Result<Then, Reply> {
        let Asker { origin, client, .. } = asker;
        if request.source.is_some_and(|claimed| claimed != origin.source) {
            return Err(Reply::refused(Refusal::WrongSource));
        }
        if client.has_expired(now.unix) {
            return Err(Reply::refused(Refusal::Expired));
        }
        if self.is_stale(now, request) {
            return Err(Reply::refused(Refusal::Stale));
        }
        match request.kind {
            Kind::Status => Ok(Then::Tell(self.status(now.instant, origin.source, client.id))),
            Kind::NextNumber => self.next_number(now, asker, request),
            Kind::Open => self.open_request(now, asker, request),
            Kind::Renew => self.renew_request(now, asker, request),
            Kind::Close => self.close_request(asker, request),
            Kind::Console => self.console_request(now.instant, asker, request),
        }
    }

    /// Whether a request is older than this gate accepts. A counter is the time at which it was written, or later.
    fn is_stale(&self, now: Now, request: &Request) -> bool {
        let (Some(most), Some(unix)) = (self.config.max_age, now.unix) else { return false };
        UnixTime::from_micros(request.counter).after(most) < unix
    }

    fn status(&mut self, now: Instant, source: IpAddr, client: ClientId) -> Reply {
        let locked = self.lockouts.left(now, source, client);
        let phase = self.holds.of_client(client).filter(|hold| hold.until > now).map(|hold| hold.phase);
        match (phase, locked) {
            (Some(Phase::Granted), _) => Reply::of(Verdict::Granted),
            (Some(Phase::Failed(refusal)), left) => Reply::refused(refusal).retry(left.unwrap_or_default()),
            (Some(phase), _) if phase.is_active() || phase.is_deciding() => {
                Reply::of(Verdict::Pending).retry(PENDING_RETRY)
            }
            (_, Some(left)) => Reply::refused(Refusal::LockedOut).retry(left),
            (_, None) => Reply::of(Verdict::Nothing),
        }
    }

    fn next_number(&mut self, now: Now, asker: &Asker<'_>, request: &Request) -> Result<Then, Reply> {
        let &Asker { origin: Origin { source, .. }, client, key } = asker;
        self.admit_knock(now.instant, asker, request.service)?;
        self.admit_holder(now.instant, source, client)?;
        let book = self.roster.book(client.book).ok_or(Reply::refused(Refusal::Unavailable))?;
        let (id, number) = (book.id(), self.roster.cursor(client.book));
        let sequence =
            book.sequence(number, &self.config.decoys).ok_or(Reply::refused(Refusal::Exhausted))?;

        let second_factor = self.check_factor(now, asker, request)? == Factor::Shown;
        self.end_attempt(now.instant, client.id, Refusal::Superseded);
        self.holds
            .make_room(now.instant, client.id)
            .map_err(|NoPlace(wait)| Reply::refused(Refusal::Busy).retry(wait))?;
        // From here on the number is used up, whatever becomes of it.
        let next = number.saturating_add(1);
        self.roster.set_cursor(id, next);
        let hold = self.holds.next_id();
        self.holds.add(Hold {
            id: hold,
            client: client.id,
            key,
            source,
            book: id,
            number,
            attempt: Attempt::new(sequence, self.config.order),
            strays: 0,
            service: request.service,
            seconds: request.seconds,
            reach: request.reach,
            second_factor,
            phase: Phase::Storing,
            until: now.instant.after(self.config.hold),
        });
        Ok(Then::Watch { hold, book: id, next })
    }

    /// Whether a client that may knock may also hold a number now.
    fn admit_holder(&mut self, now: Instant, source: IpAddr, client: &Client) -> Result<(), Reply> {
        if self.holds.of_client(client.id).is_some_and(|hold| hold.phase.is_deciding() && hold.until > now) {
            return Err(Reply::of(Verdict::Pending).retry(PENDING_RETRY));
        }
        if let Some(wait) = self.holds.blocked(now, client.id, client.book, source) {
            return Err(Reply::refused(Refusal::Busy).retry(wait));
        }
        Ok(())
    }

    /// The number of a hold is stored as used: the decoys may be shown.
    pub(super) fn start_watching(&mut self, now: Instant, id: HoldId) {
        let storing = |hold: &&mut Hold| hold.phase == Phase::Storing && hold.until > now;
        if let Some(hold) = self.holds.by_id(id).filter(storing) {
            hold.phase = Phase::WatchDue;
        }
    }

    /// Takes note of what became of [`Action::Watch`](crate::Action::Watch).
    pub fn handle_watched(&mut self, now: Now, id: HoldId, outcome: Outcome) {
        self.stirred = true;
        // Somebody else may have been given the book or the address once the time is over.
        let watching = |hold: &&mut Hold| hold.phase == Phase::Watching && hold.until > now.instant;
        let Some(hold) = self.holds.by_id(id).filter(watching) else { return };
        let client = hold.client;
        match outcome {
            Outcome::Done => {
                hold.phase = Phase::Held;
                hold.until = now.instant.after(self.config.hold);
                let (source, book, number) = (hold.source, hold.book, hold.number);
                let left = self
                    .roster
                    .book(book)
                    .map_or(0, |book| book.shape().count().saturating_sub(number.saturating_add(1)));
                self.note(Note::Offered { client, source, book, number, left });
                let offer = Some(self.offer(book, number));
                self.reply(id, Reply { offer, ..Reply::of(Verdict::Offered) });
            }
            Outcome::Failed => self.end_attempt(now.instant, client, Refusal::Unavailable),
        }
    }

    fn offer(&self, book: crate::book::BookId, number: u32) -> Offer {
        Offer {
            book,
            number,
            hold_ms: millis(self.config.hold),
            mode: self.config.mode,
            order: self.config.order,
            gap_ms: u16::try_from(PROBE_GAP.as_millis()).unwrap_or(u16::MAX),
        }
    }
}
