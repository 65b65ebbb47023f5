//! The payloads of the two Noise messages.

use std::net::IpAddr;

use knockgate_core::Refusal;
use knockgate_core::book::{BookId, Order};
use knockgate_core::key::DoorKey;
use knockgate_core::limits::{ANSWER_LEN, REQUEST_LEN};
use knockgate_core::message::{Answer, Kind, Mode, Offer, OpenService, Reach, Request, Token, Verdict};

use crate::tape::Tape;

/// A request's payload.
pub fn request(data: &[u8]) {
    if let Ok(request) = Request::decode(&Tape::new(data).array::<REQUEST_LEN>()) {
        assert_eq!(Request::decode(&request.encode()), Ok(request), "it is read as it was written");
        assert_eq!(request.source, request.source.map(|source| source.to_canonical()));
    }
    let written = any_request(&mut Tape::new(data));
    let canonical = Request { source: written.source.map(|source| source.to_canonical()), ..written };
    assert_eq!(Request::decode(&written.encode()), Ok(canonical), "whatever is in it has room");
}

/// An answer's payload.
pub fn answer(data: &[u8]) {
    if let Ok(answer) = Answer::decode(&Tape::new(data).array::<ANSWER_LEN>()) {
        let again = decoded(&answer);
        assert_eq!(again.open, answer.open, "what was read has room");
        assert_same(&again, &answer);
        assert!(
            answer
                .refusal()
                .is_none_or(|refusal: Refusal| answer.verdict == Verdict::Refused(refusal.code()))
        );
    }
    let written = any_answer(&mut Tape::new(data));
    let read = decoded(&written);
    assert!(written.open.starts_with(&read.open), "only grants are left out, the last ones first");
    assert_same(&read, &written);
    assert_eq!(read.encode(), written.encode(), "nothing is left of what had no room");
}

/// The answer as the client reads it.
fn decoded(answer: &Answer) -> Answer {
    Answer::decode(&answer.clone().encode()).expect("an answer of this version")
}

/// Everything but what is open.
fn assert_same(one: &Answer, two: &Answer) {
    assert_eq!((one.verdict, one.retry_ms, one.time), (two.verdict, two.retry_ms, two.time));
    assert_eq!((one.book_left, one.offer, one.seen), (two.book_left, two.offer, two.seen));
    match (&one.door_key, &two.door_key) {
        (Some(one), Some(two)) => assert!(one.is(two)),
        (one, two) => assert!(one.is_none() && two.is_none()),
    }
}

fn any_request(tape: &mut Tape<'_>) -> Request {
    Request {
        kind: tape.one_of([
            Kind::Status,
            Kind::NextNumber,
            Kind::Open,
            Kind::Renew,
            Kind::Close,
            Kind::Console,
        ]),
        counter: tape.u64(),
        service: tape.u16(),
        seconds: tape.u32(),
        source: tape.some(any_address),
        grant: tape.u32(),
        code: tape.some(Tape::u32),
        token: tape.some(|tape| Token(tape.array())),
        reach: tape.one_of([Reach::Address, Reach::Prefix]),
    }
}

fn any_answer(tape: &mut Tape<'_>) -> Answer {
    let verdict = match tape.place(7) {
        0 => Verdict::Nothing,
        1 => Verdict::Offered,
        2 => Verdict::Granted,
        3 => Verdict::Pending,
        4 => Verdict::Refused(tape.byte()),
        5 => Verdict::Confirm(Token(tape.array())),
        _ => Verdict::Closed,
    };
    let grants = tape.place(5);
    Answer {
        verdict,
        retry_ms: tape.u32(),
        time: tape.u64(),
        book_left: tape.u32(),
        offer: tape.some(any_offer),
        seen: tape.some(any_address),
        door_key: tape.some(|tape| DoorKey::from_bytes(tape.array())),
        open: (0..grants)
            .map(|_| OpenService { service: tape.u16(), left_ms: tape.u32(), grant: tape.u32() })
            .collect(),
    }
}

fn any_offer(tape: &mut Tape<'_>) -> Offer {
    Offer {
        book: BookId(tape.array()),
        number: tape.u32(),
        hold_ms: tape.u32(),
        mode: tape.one_of([Mode::Connect, Mode::Closed]),
        order: tape.one_of([Order::Strict, Order::Any]),
        gap_ms: tape.u16(),
    }
}

fn any_address(tape: &mut Tape<'_>) -> IpAddr {
    if tape.flag() { IpAddr::from(tape.array::<16>()) } else { IpAddr::from(tape.array::<4>()) }
}
