//! A knock: by packet, or a sequence from the question for a number to the gate's last word.

use std::thread;
use std::time::{Duration, Instant};

use knockgate_core::Refusal;
use knockgate_core::book::Sequence;
use knockgate_core::message::{Kind, Mode, Offer, Request, Verdict};

use crate::exchange::{Answered, Route};
use crate::ledger::{Ledger, LedgerFault};
use crate::opening::{self, BUSY_WAIT, Opening, SHORTEST_WAIT, Wish, refused, retry, wait};
use crate::outcome::{Doubt, Failure};
use crate::print::knocks;
use crate::sequence::{self, Blocked, Stopped};
use crate::session::Session;
use crate::settings::Via;

/// How often a sequence is sent in closed mode. The gate ignores what it has seen already, and probes get lost.
const PASSES: u32 = 3;
/// How long the gate may be undecided before the sequence is sent again.
const RESEND: Duration = Duration::from_millis(300);
/// The longest pause between two questions whether the gate has decided, whatever it proposes.
const LONGEST_WAIT: Duration = Duration::from_secs(1);
/// Time for the gate to decide after the hold is over: its policy's deadline, and a few answers.
const DECISION: Duration = Duration::from_secs(5);
/// Questions in a row that may stay without an answer after the knock, because a connection can fail for once.
const SILENCES: u32 = 3;

/// How it is told that a sequence opened a service.
const BY_SEQUENCE: &str = "sequence";

const STATUS: Request = Request::new(Kind::Status, 0);

/// A sequence that may be knocked until `deadline`.
struct Held {
    offer: Offer,
    ports: Sequence,
    route: Route,
    deadline: Instant,
}

/// Knocks as the client was told to, and returns what the gate has opened. A gate that takes no packet knocks is knocked at
/// with a sequence, unless somebody wants a packet.
pub(crate) fn knock(session: &mut Session<'_>, wish: &mut Wish) -> Result<Vec<Opening>, Failure> {
    knock_with(session, wish, opening::open)
}

/// The same for one address only: the first that answers.
pub(crate) fn knock_once(session: &mut Session<'_>, wish: &mut Wish) -> Result<Vec<Opening>, Failure> {
    knock_with(session, wish, opening::open_once)
}

fn knock_with<'a>(
    session: &mut Session<'a>,
    wish: &mut Wish,
    open: impl FnOnce(&mut Session<'a>, &mut Wish) -> Result<Vec<Opening>, Failure>,
) -> Result<Vec<Opening>, Failure> {
    let result = match session.via {
        Via::Packet | Via::Tcp => return open(session, wish),
        Via::Sequence => None,
        Via::Auto => Some(open(session, wish)),
    };
    match result {
        None | Some(Err(Failure::Refused { refusal: Refusal::Unsupported, .. })) => {
            knock_sequence(session, wish).map(|opening| vec![opening])
        }
        Some(result) => result,
    }
}

fn knock_sequence(session: &mut Session<'_>, wish: &mut Wish) -> Result<Opening, Failure> {
    let answered = obtain_offer(session, wish)?;
    let held = take_number(session, &answered)?;
    // From here on the number is used up, and giving up early would waste it.
    session.deadline = session.deadline.max(held.deadline + DECISION);

    session.voice.step(format!(
        "knocking number {} at {}",
        held.offer.number,
        session.facts.gate_and_address()
    ));
    match held.knock(&mut session.ledger) {
        Ok(()) => {}
        Err(Stopped::Blocked(blocked)) => return Err(explain(session, &held, blocked)),
        Err(Stopped::Withheld(fault)) => return Err(Failure::Ledger(fault)),
    }
    let answered = await_verdict(session, &held)?;
    let granted = answered.answer.open.iter().find(|open| open.service == wish.service);
    let granted = granted.ok_or(Failure::Unconfirmed(Doubt::NotOpen))?;
    session.facts.via = Some(BY_SEQUENCE);
    Ok(Opening::new(granted, (&answered, BY_SEQUENCE), &session.kept.profile))
}

/// Warns once a book is nearly used up, where one is needed: a packet uses up nothing of it.
pub(crate) fn warn_if_low<T>(session: &Session<'_>, result: &Result<T, Failure>) {
    let sequences = session.via == Via::Sequence || session.kept.profile.packet_ports.is_none();
    if !sequences || matches!(result, Err(Failure::Exhausted)) {
        return;
    }
    let Some(left) = session.facts.book_left.filter(|&left| session.kept.profile.book.shape().is_low(left))
    else {
        return;
    };
    session.voice.warning(&format!(
        "the knock book of profile \"{}\" has {} left; ask the administrator of {} for a new profile",
        session.facts.profile,
        knocks(left),
        session.facts.host
    ));
}

/// Asks for a number until the gate has one, as long as the client's patience lasts.
fn obtain_offer(session: &mut Session<'_>, wish: &mut Wish) -> Result<Answered, Failure> {
    let &mut Wish { service, seconds, reach, .. } = wish;
    let mut draft = Request { service, seconds, reach, ..Request::new(Kind::NextNumber, 0) };
    loop {
        draft.code = wish.codes.take(session.facts, session.voice)?.or(draft.code);
        let answered = session.ask(&draft)?;
        let answer = &answered.answer;
        let code = match answer.verdict {
            Verdict::Offered => return Ok(answered),
            Verdict::Refused(code) => code,
            // The gate is still deciding about the knock before this one.
            Verdict::Pending => {
                wait(session, retry(answer).unwrap_or(BUSY_WAIT))?;
                continue;
            }
            Verdict::Nothing | Verdict::Granted => return Err(Failure::Unexpected),
            Verdict::Confirm(_) | Verdict::Closed => return Err(Failure::Unexpected),
        };
        match Refusal::from_code(code) {
            Some(Refusal::Busy | Refusal::Overloaded) => {
                let retry = retry(answer).unwrap_or(BUSY_WAIT);
                wait(session, retry)?;
            }
            Some(Refusal::CodeWanted) if draft.code.is_none() && wish.codes.want() => {}
            Some(_) | None => return Err(refused(code, answer)),
        }
    }
}

/// Checks the offered number and notes that it is used. It need not be on disk before the last port of it is due.
fn take_number(session: &mut Session<'_>, answered: &Answered) -> Result<Held, Failure> {
    let offer = answered.answer.offer.ok_or(Failure::Unexpected)?;
    let book = &session.kept.profile.book;
    session.facts.number = Some(offer.number);
    session.facts.book = Some(offer.book.to_string());
    let foreign = || Failure::ForeignBook { offered: offer.book.to_string(), own: book.id().to_string() };
    if offer.book != book.id() {
        return Err(foreign());
    }
    let ports = book.sequence(offer.number, &book.decoys()).ok_or_else(foreign)?;
    let used = session.ledger.use_number(offer.book, offer.number).map_err(Failure::Ledger)?;
    used.map_err(|used| Failure::UsedNumber { number: offer.number, highest: used.highest })?;
    let deadline = answered.at + Duration::from_millis(offer.hold_ms.into());
    Ok(Held { offer, ports, route: answered.route, deadline })
}

impl Held {
    fn knock(&self, ledger: &mut Ledger) -> Result<(), Stopped<LedgerFault>> {
        let on_disk = || ledger.settle();
        match self.offer.mode {
            Mode::Connect => sequence::connect_all(&self.ports, self.route, self.deadline, on_disk),
            Mode::Closed => {
                let gap = Duration::from_millis(self.offer.gap_ms.into());
                sequence::probe_all(&self.ports, self.route, gap, on_disk)
            }
        }
    }

    /// How often the sequence may be sent; a full connection needs no repetition.
    fn passes(&self) -> u32 {
        match self.offer.mode {
            Mode::Connect => 1,
            Mode::Closed => PASSES,
        }
    }
}

/// The gate may know better than the network why a port could not be knocked.
fn explain(session: &mut Session<'_>, held: &Held, blocked: Blocked) -> Failure {
    let ports = held.ports.len();
    let answer = session.ask(&STATUS).map(|answered| answered.answer);
    match answer {
        Ok(answer) => match answer.verdict {
            Verdict::Refused(code) => refused(code, &answer),
            Verdict::Nothing
            | Verdict::Offered
            | Verdict::Granted
            | Verdict::Pending
            | Verdict::Confirm(_)
            | Verdict::Closed => Failure::Unconfirmed(Doubt::Blocked { blocked, ports }),
        },
        Err(_) => Failure::Unconfirmed(Doubt::Blocked { blocked, ports }),
    }
}

/// Asks what became of the knock until the gate has decided.
fn await_verdict(session: &mut Session<'_>, held: &Held) -> Result<Answered, Failure> {
    let (mut passes, mut sent, mut silences) = (1, Instant::now(), 0);
    session.voice.step(format!("waiting for the word of {}", session.facts.gate_and_address()));
    while !session.is_late() {
        let answered = match session.ask(&STATUS) {
            Ok(answered) => answered,
            Err(Failure::Unreachable(_)) if silences + 1 < SILENCES => {
                silences += 1;
                continue;
            }
            Err(Failure::Unreachable(_)) => return Err(Failure::Unconfirmed(Doubt::Silent)),
            Err(failure) => return Err(failure),
        };
        silences = 0;
        match answered.answer.verdict {
            Verdict::Granted => return Ok(answered),
            Verdict::Refused(code) => return Err(refused(code, &answered.answer)),
            Verdict::Nothing => return Err(Failure::Unconfirmed(Doubt::Forgotten)),
            Verdict::Confirm(_) | Verdict::Closed => return Err(Failure::Unexpected),
            Verdict::Pending | Verdict::Offered => {}
        }
        if passes < held.passes() && sent.elapsed() >= RESEND && Instant::now() < held.deadline {
            // A lost probe of this pass is caught by the next one.
            let _ = held.knock(&mut session.ledger);
            (passes, sent) = (passes + 1, Instant::now());
        } else {
            let wait = retry(&answered.answer).unwrap_or(SHORTEST_WAIT);
            thread::sleep(wait.clamp(SHORTEST_WAIT, LONGEST_WAIT));
        }
    }
    Err(Failure::Unconfirmed(Doubt::Undecided))
}
