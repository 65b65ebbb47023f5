//! One message against a gate that has clients: any bytes, any bytes inside the envelope, and any payload that a client has
//! really written. So the fuzzer comes past the cryptography, and it is seen that nobody else does.

use std::sync::OnceLock;

use knockgate_core::envelope::{Inner, Message};
use knockgate_core::handshake::Initiator;
use knockgate_core::limits::{INNER_LEN, MESSAGE_LEN, REQUEST_LEN};
use knockgate_core::message::{Answer, Kind, Request, RequestError, Verdict};
use knockgate_core::replay::Used;
use knockgate_core::{
    Action, Cause, ClientId, Decision, Effect, GrantId, Now, Origin, Outcome, Peer, Refusal, Roster, Way,
};

use crate::scene::{CAROL, CLIENTS, Door, SOURCES, START, Sender, SmallGate, at, scene};
use crate::tape::Tape;

const PEER: Peer = Peer(77);

/// A datagram. Only one that is byte for byte what a client has sealed is answered.
pub fn message_raw(data: &[u8]) {
    let mut tape = Tape::new(data);
    let message = match tape.flag() {
        true => edited(tape.one_of([0, 1, 2, 3]), |genuine| genuine.message, tape),
        false => tape.array::<MESSAGE_LEN>(),
    };
    let is_genuine = genuine().iter().any(|genuine| genuine.message == message);
    deliver(message, is_genuine.then_some(()).ok_or(&[Refusal::Unsealed]));
}

/// What is inside an envelope of somebody who has a door key. Only what a client has written is answered.
pub fn message_sealed(data: &[u8]) {
    let mut tape = Tape::new(data);
    let inner = match tape.flag() {
        true => edited(tape.one_of([0, 1, 2, 3]), |genuine| genuine.inner, tape),
        false => tape.array::<INNER_LEN>(),
    };
    let is_genuine = genuine().iter().any(|genuine| genuine.inner == inner);
    let message = scene().sealed(Door::Before, &inner);
    deliver(message, is_genuine.then_some(()).ok_or(&[Refusal::Unauthentic, Refusal::UnknownClient]));
}

/// What a client has written, or a stranger who has a door key and the gate's public key.
pub fn message_authentic(data: &[u8]) {
    let mut tape = Tape::new(data);
    let (sender, source) = (tape.one_of(Sender::ALL), tape.one_of(SOURCES));
    let way = tape.one_of([Way::Datagram, Way::Connection]);
    let (kind, has_clock) = (tape.byte(), tape.byte() % 8 != 7);
    // Half an hour before the end of what ends, or as long after it.
    let now = at(u64::from(kind & 1) * 5_400_000_000);
    let now = if has_clock { now } else { Now { unix: None, ..now } };
    let verdict = if kind & 2 == 0 { knockgate_core::Verdict::Commit } else { knockgate_core::Verdict::Deny };
    let payload = tape.array();
    let (initiator, message) = scene().ask(sender, Door::Before, &payload);
    let mut gate = scene().gate(Default::default(), [Used::NOTHING; 3], [0; 2]);
    let origin = Origin { peer: PEER, source, way };

    let expected = expected(sender, now, &payload);
    let before = State::of(&gate);
    let result = gate.handle_message(now, origin, &message);
    if let Err(refusal) = result {
        assert_eq!(Some(refusal), expected.err(), "a refusal has its reason");
        return assert_untouched(&mut gate, now, refusal, &before);
    }
    let (client, counter) = expected.expect("only what an enrolled client has written is admitted");
    assert!(covers(gate.roster().used(client), counter), "an admitted counter is used up");
    let request = Request::decode(&payload).ok();
    let seen = carry_out(&mut gate, now, verdict);
    let answer =
        scene().answer(&initiator, Door::Before, &seen.answer).expect("the client can read its answer");
    check_answer(&answer, request.as_ref(), &seen, origin);
    assert_eq!(gate.handle_message(now, origin, &message), Err(Refusal::Replayed), "once and never again");
    assert!(gate.poll_action(now).is_none());
}

/// What a client has written and sealed, from the outside to the inside.
struct Genuine {
    message: Message,
    inner: Inner,
    initiator: Initiator,
}

fn genuine() -> &'static [Genuine; 4] {
    static GENUINE: OnceLock<[Genuine; 4]> = OnceLock::new();
    GENUINE.get_or_init(|| {
        [
            (Sender::Alice, Kind::Open),
            (Sender::Bob, Kind::NextNumber),
            (Sender::Carol, Kind::Status),
            (Sender::FormerBob, Kind::Close),
        ]
        .map(|(sender, kind)| {
            let request = Request { service: 1, ..Request::new(kind, START) };
            let (initiator, message) = scene().ask(sender, Door::Before, &request.encode());
            let inner = scene().opened(Door::Before, &message).expect("it was sealed under this key");
            Genuine { message, inner, initiator }
        })
    })
}

/// Something genuine after some changes, each a place and what is flipped there. None at all leave it as it was.
fn edited<const N: usize>(which: usize, part: fn(&Genuine) -> [u8; N], mut tape: Tape<'_>) -> [u8; N] {
    let mut bytes = genuine().get(which).map_or([0; N], part);
    while !tape.is_over() {
        let (place, flipped) = (tape.place(N), tape.byte());
        bytes[place] ^= flipped;
    }
    bytes
}

/// Gives a message to a new gate: answered if it is genuine, and else met with silence for one of these reasons.
fn deliver(message: Message, expected: Result<(), &[Refusal]>) {
    let now = at(0);
    let mut gate = scene().gate(Default::default(), [Used::NOTHING; 3], [0; 2]);
    let before = State::of(&gate);
    let origin = Origin { peer: PEER, source: SOURCES[0], way: Way::Datagram };
    match (gate.handle_message(now, origin, &message), expected) {
        (Err(refusal), Err(allowed)) => {
            assert!(allowed.contains(&refusal), "{refusal:?}");
            assert_untouched(&mut gate, now, refusal, &before);
        }
        (Ok(()), Ok(())) => {
            let seen = carry_out(&mut gate, now, knockgate_core::Verdict::Commit);
            let mut answers = genuine()
                .iter()
                .filter_map(|genuine| scene().answer(&genuine.initiator, Door::Before, &seen.answer));
            assert!(answers.next().is_some() && answers.next().is_none(), "answered to whoever has asked");
        }
        (result, expected) => panic!("{result:?} where {expected:?} was expected"),
    }
}

/// Who has sent what counter, or why it is met with silence.
fn expected(sender: Sender, now: Now, payload: &[u8; REQUEST_LEN]) -> Result<(ClientId, u64), Refusal> {
    let client = sender.client(now).ok_or(Refusal::UnknownClient)?;
    let counter = match Request::decode(payload) {
        Ok(request) => request.counter,
        Err(RequestError::UnknownKind { counter }) => counter,
        Err(RequestError::Malformed) => return Err(Refusal::Malformed),
    };
    if counter == 0 { Err(Refusal::Replayed) } else { Ok((client, counter)) }
}

fn covers(used: Used, counter: u64) -> bool {
    counter <= used.last || used.ahead.is_some_and(|ahead| (ahead.first..=ahead.last).contains(&counter))
}

/// What must not change when a message is refused.
#[derive(Debug, PartialEq)]
struct State {
    used: [Used; 3],
    cursors: [u32; 2],
    open: Vec<GrantId>,
}

impl State {
    fn of(gate: &SmallGate) -> Self {
        let roster = gate.roster();
        let cursors = [0, 1].map(|at: usize| roster.cursor(scene().books[at].id()));
        let open = gate.open_grants().map(|grant| grant.id()).collect();
        Self { used: CLIENTS.map(|client| roster.used(client)), cursors, open }
    }
}

fn assert_untouched(gate: &mut SmallGate, now: Now, refusal: Refusal, before: &State) {
    assert_eq!(State::of(gate), *before, "a refused message changes nothing");
    assert_eq!(gate.refusals().of(refusal), 1, "it is counted");
    assert!(gate.poll_action(now).is_none(), "nothing follows from it");
    assert!(gate.poll_note().is_none() && gate.poll_timeout().is_none());
}

/// What a prompt host has been asked to do.
struct Seen {
    answer: Message,
    consulted: Option<(ClientId, Cause)>,
    opened: usize,
    offered: bool,
}

/// Does whatever the gate asks for; there must be an answer in the end.
fn carry_out(gate: &mut SmallGate, now: Now, verdict: knockgate_core::Verdict) -> Seen {
    let (mut answer, mut consulted, mut opened, mut offered) = (None, None, 0, false);
    while let Some(action) = gate.poll_action(now) {
        match action {
            Action::Remember { exchange, .. } => gate.handle_stored(now, exchange, Outcome::Done),
            Action::Watch { hold, .. } => {
                offered = true;
                gate.handle_watched(now, hold, Outcome::Done);
            }
            Action::Unwatch { .. } => panic!("nobody has finished a sequence"),
            Action::Consult(asked) => {
                assert!(consulted.replace((asked.client, asked.cause)).is_none(), "asked once");
                let (service, seconds) = (asked.service, asked.seconds);
                let effect = match asked.prefix {
                    None => Effect::Open { service, seconds },
                    Some(bits) => Effect::OpenPrefix { service, bits, seconds },
                };
                let effects = [effect].into_iter().collect();
                gate.handle_decision(now, asked.ticket, Decision { verdict, effects });
            }
            Action::Open { grant, to, lasts, .. } => {
                assert!(
                    consulted.is_some() && verdict == knockgate_core::Verdict::Commit,
                    "not without a decision"
                );
                assert!(SOURCES.iter().any(|source| to.contains(*source)));
                assert!(!lasts.is_zero(), "nothing is opened for no time");
                opened += 1;
                gate.handle_opened(now, grant, Outcome::Done);
            }
            Action::Converse { .. } => panic!("nobody has knocked for the console"),
            Action::Close { .. } => panic!("nothing is open that could be closed"),
            Action::Answer { peer, message } => {
                assert_eq!(peer, PEER);
                assert!(answer.replace(message).is_none(), "answered once");
            }
        }
    }
    Seen { answer: answer.expect("every admitted request is answered"), consulted, opened, offered }
}

fn check_answer(answer: &Answer, request: Option<&Request>, seen: &Seen, origin: Origin) {
    assert_eq!(answer.seen, Some(origin.source.to_canonical()));
    assert_eq!(answer.open.len(), seen.opened, "it tells what is open");
    assert!(answer.door_key.as_ref().is_some_and(|key| key.is(scene().door_key(Door::InForce))));
    assert_eq!(answer.verdict == Verdict::Granted, seen.opened > 0);
    assert_eq!(answer.verdict == Verdict::Offered, seen.offered);
    let Some(request) = request else {
        assert_eq!(answer.refusal(), Some(Refusal::Unsupported));
        return;
    };
    if request.source.is_some_and(|claimed| claimed != origin.source.to_canonical()) {
        assert_eq!(answer.refusal(), Some(Refusal::WrongSource));
    }
    match request.kind {
        Kind::Open => {}
        Kind::Status | Kind::NextNumber | Kind::Renew | Kind::Close | Kind::Console => {
            assert_eq!((seen.opened, seen.consulted), (0, None), "only a knock opens");
        }
    }
    if let Some((client, cause)) = seen.consulted {
        assert_eq!(cause, Cause::Packet);
        assert!(client != CAROL || answer.time < START + 3_600_000_000, "not after her enrolment has ended");
    }
    if let Verdict::Confirm(_) = answer.verdict {
        assert_eq!((request.kind, origin.way), (Kind::Open, Way::Datagram));
    }
}
