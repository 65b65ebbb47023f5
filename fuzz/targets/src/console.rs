//! What is said with a gate's console, and the channel that it is said over.

use knockgate_core::channel::{Channel, MAX_FRAME};
use knockgate_core::console::{Ask, Status, Tell};
use knockgate_core::handshake::{Initiator, Responder};
use knockgate_core::key::{GateId, Identity};
use knockgate_core::limits::{ANSWER_LEN, MAX_SAID, REQUEST_LEN};
use knockgate_core::time::UnixTime;

use crate::scene::{Numbers, START};
use crate::tape::Tape;

/// What a client asks and what the gate tells, as a message of a channel holds it.
pub fn console(data: &[u8]) {
    let (mut one, mut other) = (vec![0; data.len()], vec![0; data.len()]);
    if let Ok(ask) = Ask::decode(data) {
        let written = ask.encode(&mut one).expect("nothing is written longer than it was read");
        assert_eq!(Ask::decode(written), Ok(ask), "it is read as it was written");
    }
    if let Ok(tell) = Tell::decode(data) {
        let written = tell.encode(&mut other).expect("nothing is written longer than it was read");
        assert_eq!(Tell::decode(written), Ok(tell), "it is read as it was written");
    }
}

/// A conversation in which somebody stands in between. Only the other side's next message opens, and after anything else
/// nothing does.
pub fn channel(data: &[u8]) {
    let mut tape = Tape::new(data);
    let (mut client, mut gate) = conversation();
    let (mut before, mut is_over) = (Vec::new(), false);
    while !tape.is_over() {
        let said: Vec<u8> = std::iter::repeat_n(tape.byte(), tape.place(200)).collect();
        let genuine = sealed(&mut client, &said);
        let mut sent = match tape.place(4) {
            0 | 1 => genuine.clone(),
            2 => before.clone(),
            _ => tape.array::<24>().to_vec(),
        };
        if tape.one_in(4) {
            let place = tape.place(sent.len());
            sent.get_mut(place).into_iter().for_each(|byte| *byte ^= tape.byte());
        }
        let mut heard = [0; MAX_SAID];
        let opened = gate.open(&sent, &mut heard);
        let should = !is_over && sent == genuine;
        assert_eq!(opened, should.then_some(&said[..]).ok_or(knockgate_core::handshake::Failed));
        is_over = !should;
        assert_eq!(
            gate.seal(&said, &mut [0; MAX_FRAME]).is_err(),
            is_over,
            "who has heard nonsense says no more"
        );
        before = genuine;
    }
}

/// Without the length in front.
fn sealed(channel: &mut Channel, said: &[u8]) -> Vec<u8> {
    let mut frame = [0; MAX_FRAME];
    let frame = channel.seal(said, &mut frame).expect("there is room");
    let (length, sealed) = frame.split_first_chunk().expect("a length is in front");
    assert_eq!(Channel::sealed_len(*length), Some(sealed.len()));
    sealed.to_vec()
}

/// Both sides after a handshake, the same in every run.
fn conversation() -> (Channel, Channel) {
    let mut rng = Numbers(9);
    let [client, gate, his, gates] = [(); 4].map(|()| Identity::generate(&mut rng));
    let id = GateId([7; 16]);
    let started = Initiator::start(&client, his, gate.public(), id, &[0; REQUEST_LEN]);
    let (initiator, first) = started.expect("good keys");
    let (responder, ..) = Responder::read(&gate, &gates, id, &first).expect("written for it");
    let (second, gate) = responder.answer_and_go_on(&[0; ANSWER_LEN]).expect("good keys");
    let (_, client) = initiator.finish_and_go_on(&second).expect("written in answer to it");
    (client, gate)
}

/// Every ask and every tell.
pub(crate) fn said() -> Vec<Vec<u8>> {
    let asks = [
        Ask::Status,
        Ask::Log { after: 41 },
        Ask::Time { now: UnixTime::from_micros(START) },
        Ask::Update { length: 40_000 },
        Ask::Piece { at: 992, bytes: &[7; 40] },
        Ask::Finish,
    ];
    let status =
        Status { boot: 7, serial: 4, up: 9, grants: 2, flows: 300, heap: (90_000, 101_000), room: 458_752 };
    let tells = [
        Tell::Status(status),
        Tell::Record { number: 42, line: "{\"event\":\"grant\"}" },
        Tell::End { lost: 3 },
        Tell::Next { at: 992 },
        Tell::Done,
        Tell::Refused { why: "no room" },
    ];
    let mut said = [0; MAX_SAID];
    let asks = asks.map(|ask| ask.encode(&mut said).expect("there is room").to_vec());
    let tells = tells.map(|tell| tell.encode(&mut said).expect("there is room").to_vec());
    asks.into_iter().chain(tells).collect()
}

/// Scripts of a conversation: undisturbed, changed, repeated, made up.
pub(crate) fn conversations() -> Vec<Vec<u8>> {
    const GOOD: [u8; 4] = [5, 30, 0, 1];
    const CHANGED: [u8; 6] = [5, 30, 0, 0, 3, 0x80];
    const REPEATED: [u8; 4] = [5, 30, 2, 1];
    let made_up = [&[5, 30, 3][..], &[9; 24], &[1]].concat();
    vec![
        GOOD.repeat(5),
        [&GOOD[..], &CHANGED, &GOOD].concat(),
        [&GOOD[..], &REPEATED, &GOOD].concat(),
        [&GOOD[..], &made_up, &GOOD].concat(),
        // A message of no bytes.
        vec![0, 0, 0, 1, 0, 0, 0, 1],
    ]
}
