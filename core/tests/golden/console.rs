//! What follows the handshake where a client speaks with the gate's console.

use knockgate_core::channel::Channel;
use knockgate_core::client::Keys;
use knockgate_core::console::{Ask, Status, Tell};
use knockgate_core::envelope::{self, Direction};
use knockgate_core::handshake::Responder;
use knockgate_core::key::DoorKey;
use knockgate_core::limits::{MAX_LINE, MAX_PIECE, MAX_SAID};
use knockgate_core::message::{Answer, Kind, OpenService, Request, Verdict};
use knockgate_core::time::UnixTime;

use crate::bytes::{Fields, Generator, address, counting_from, flat, hex, padded};

const REQUEST: &Fields =
    &[("06", "kind: console"), ("8080f9c0c1c48203", "counter: 1 700 000 000 000 000"), ("03", "service: 3")];

const WELCOME: &Fields = &[
    ("02", "verdict: granted"),
    ("00", "retry_ms: 0"),
    ("b9e0f9c0c1c48203", "time: 1 700 000 000 012 345"),
    ("be07", "book_left: 958"),
    ("00", "offer: none"),
    ("01", "open: one service"),
    ("03", "service: 3"),
    ("90c503", "left_ms: 58 000"),
    ("09", "grant: 9"),
    ("0100c0000207", "seen: 192.0.2.7"),
];

const ASK_STATUS: &Fields = &[("00", "status")];
const ASK_LOG: &Fields = &[("01", "log"), ("29", "after: 41")];
const TELL_STATUS: &Fields = &[
    ("00", "status"),
    ("07", "boot: 7"),
    ("04", "serial: 4"),
    ("80a305", "up: 86 400"),
    ("02", "grants: 2"),
    ("ac02", "flows: 300"),
    ("90bf05", "heap in use: 90 000"),
    ("889506", "the most of it: 101 000"),
    ("80801c", "room: 458 752"),
];

/// The client's first message, the gate's first one, the client's second one.
const FRAMES: [&Fields; 3] = [
    &[("0011", "length: 17"), ("d2", "ask: status, sealed"), ("4c3fb08a279a47330d617f417e2071ff", "its tag")],
    &[
        ("0022", "length: 34"),
        ("4602c4663ae26ab0a8d0ed6ceb75986e13fd", "tell: status, sealed"),
        ("0bb0aaf1bd1c4571346151544d1e9e9a", "its tag"),
    ],
    &[("0012", "length: 18"), ("89ca", "ask: log, sealed"), ("7a402f0c195b5e8f292711a7f9de90fa", "its tag")],
];

#[test]
fn an_ask_has_these_bytes_before_it_is_sealed() {
    #[rustfmt::skip]
    let cases: [(u8, Ask<'_>, &Fields); 8] = [
        (1, Ask::Status, ASK_STATUS),
        (2, Ask::Log { after: 41 }, ASK_LOG),
        (3, Ask::Log { after: u64::MAX }, &[("01", "log"), ("ffffffffffffffffff01", "after")]),
        (4, Ask::Time { now: UnixTime::from_micros(1_700_000_000_000_000) }, &[
            ("02", "time"), ("8080f9c0c1c48203", "now: 1 700 000 000 000 000"),
        ]),
        (5, Ask::Update { length: 40_000 }, &[("03", "update"), ("c0b802", "length: 40 000")]),
        (6, Ask::Piece { at: 992, bytes: &[1, 2, 3] }, &[
            ("04", "piece"), ("e007", "at: 992"), ("03", "three bytes"), ("010203", "bytes"),
        ]),
        (7, Ask::Piece { at: u32::MAX, bytes: &[] }, &[("04", "piece"), ("ffffffff0f", "at"), ("00", "no bytes")]),
        (8, Ask::Finish, &[("05", "finish")]),
    ];
    for (case, ask, fields) in cases {
        let mut said = [0; MAX_SAID];
        let said = ask.encode(&mut said).unwrap();
        assert_eq!(hex(said), flat(fields), "case {case}");
        assert_eq!(Ask::decode(said), Ok(ask), "case {case}");
    }
}

#[test]
fn a_tell_has_these_bytes_before_it_is_sealed() {
    let longest = Status {
        boot: u64::MAX,
        serial: u32::MAX,
        up: u64::MAX,
        grants: u16::MAX,
        flows: u16::MAX,
        heap: (u32::MAX, u32::MAX),
        room: u32::MAX,
    };
    #[rustfmt::skip]
    let cases: [(u8, Tell<'_>, &Fields); 7] = [
        (1, Tell::Status(status()), TELL_STATUS),
        (2, Tell::Status(longest), &[
            ("00", "status"), ("ffffffffffffffffff01", "boot"), ("ffffffff0f", "serial"), ("ffffffffffffffffff01", "up"),
            ("ffff03", "grants"), ("ffff03", "flows"), ("ffffffff0fffffffff0f", "heap"), ("ffffffff0f", "room"),
        ]),
        (3, Tell::Record { number: 42, line: "{}" }, &[
            ("01", "record"), ("2a", "number: 42"), ("02", "two bytes"), ("7b7d", "line: {}"),
        ]),
        (4, Tell::End { lost: 3 }, &[("02", "end"), ("03", "lost: 3")]),
        (5, Tell::Next { at: 992 }, &[("03", "next"), ("e007", "at: 992")]),
        (6, Tell::Done, &[("04", "done")]),
        (7, Tell::Refused { why: "no room" }, &[
            ("05", "refused"), ("07", "seven bytes"), ("6e6f20726f6f6d", "why: no room"),
        ]),
    ];
    for (case, tell, fields) in cases {
        let mut said = [0; MAX_SAID];
        let said = tell.encode(&mut said).unwrap();
        assert_eq!(hex(said), flat(fields), "case {case}");
        assert_eq!(Tell::decode(said), Ok(tell), "case {case}");
    }
}

#[test]
fn what_is_cut_off_or_goes_on_or_begins_otherwise_is_not_understood() {
    let mut said = [0; MAX_SAID];
    let piece = Ask::Piece { at: 992, bytes: &[1, 2, 3] }.encode(&mut said).unwrap().to_vec();
    let record = Tell::Record { number: 42, line: "{}" }.encode(&mut said).unwrap().to_vec();
    for len in 0..piece.len() {
        assert!(Ask::decode(&piece[..len]).is_err(), "{len} bytes");
    }
    for len in 0..record.len() {
        assert!(Tell::decode(&record[..len]).is_err(), "{len} bytes");
    }
    assert!(Ask::decode(&[&piece[..], &[0]].concat()).is_err());
    assert!(Tell::decode(&[&record[..], &[0]].concat()).is_err());
    assert!(Ask::decode(&[6]).is_err() && Tell::decode(&[6]).is_err(), "alternatives to come");
    assert!(Tell::decode(&[5, 1, 0xff]).is_err(), "no text");
}

#[test]
fn the_longest_piece_and_the_longest_line_fit_into_a_message() {
    let mut said = [0; MAX_SAID];
    assert!(Ask::Piece { at: u32::MAX, bytes: &[0; MAX_PIECE] }.encode(&mut said).is_ok());
    let line = "x".repeat(MAX_LINE);
    let longest = Tell::Record { number: u64::MAX, line: &line };
    assert_eq!(longest.encode(&mut said).map(<[u8]>::len), Ok(MAX_SAID));
    let line = "x".repeat(MAX_LINE + 1);
    assert!(Tell::Record { number: u64::MAX, line: &line }.encode(&mut said).is_err());
}

#[test]
fn a_conversation_has_these_bytes() {
    let (mut client, mut gate) = conversation();
    let (mut frame, mut said) = ([0; 64], [0; MAX_SAID]);
    assert_eq!(hex(client.seal(&[0x00], &mut frame).unwrap()), flat(FRAMES[0]));
    assert_eq!(gate.open(&frame[2..19], &mut said), Ok(&[0x00][..]));

    let status = Tell::Status(status()).encode(&mut said).unwrap().to_vec();
    assert_eq!(hex(gate.seal(&status, &mut frame).unwrap()), flat(FRAMES[1]));
    assert_eq!(client.open(&frame[2..36], &mut said), Ok(&status[..]));

    assert_eq!(hex(client.seal(&[0x01, 41], &mut frame).unwrap()), flat(FRAMES[2]));
}

/// What `docs/protocol.md` shows.
pub(crate) fn examples() -> Vec<(&'static str, String)> {
    vec![
        ("console request", flat(REQUEST)),
        ("welcome", flat(WELCOME)),
        ("client's first message", flat(FRAMES[0])),
        ("gate's first message", flat(FRAMES[1])),
        ("client's second message", flat(FRAMES[2])),
        ("status", flat(TELL_STATUS)),
    ]
}

fn status() -> Status {
    Status { boot: 7, serial: 4, up: 86_400, grants: 2, flows: 300, heap: (90_000, 101_000), room: 458_752 }
}

/// Both sides after the request and the welcome, with the keys of section 4.5.
fn conversation() -> (Channel, Channel) {
    let request = Request { service: 3, ..Request::new(Kind::Console, 1_700_000_000_000_000) };
    assert_eq!(hex(&request.encode()), padded(REQUEST, 64));
    let keys = Keys::of(&crate::profile()).ok().unwrap();
    let (question, message) = keys.ask(&request, &mut crate::client_generator()).ok().unwrap();

    let door_key = DoorKey::from_bytes(counting_from(0x00));
    let first = envelope::open(&door_key, crate::GATE, Direction::Request, &message).unwrap();
    let read = Responder::read(&crate::identity(0x20), &crate::identity(0x80), crate::GATE, &first);
    let (responder, ..) = read.ok().unwrap();
    let payload = welcome().encode();
    assert_eq!(hex(&payload), padded(WELCOME, 112));
    let (second, gate) = responder.answer_and_go_on(&payload).ok().unwrap();
    let mut nonce = Generator(counting_from::<24>(0x81).to_vec());
    let answer = envelope::seal(&door_key, crate::GATE, Direction::Answer, &second, &mut nonce).unwrap();
    let (answer, client) = question.answer_and_go_on(&answer).ok().unwrap();
    assert_eq!(answer.verdict, Verdict::Granted);
    (client, gate)
}

fn welcome() -> Answer {
    Answer {
        verdict: Verdict::Granted,
        retry_ms: 0,
        time: 1_700_000_000_012_345,
        book_left: 958,
        offer: None,
        open: [OpenService { service: 3, left_ms: 58_000, grant: 9 }].into_iter().collect(),
        seen: Some(address("192.0.2.7")),
        door_key: None,
    }
}
