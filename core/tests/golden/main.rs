//! The bytes of the protocol. A test that fails here is not edited: the change is reverted, or the version raised.
//!
//! The sequences, sealed messages and files were computed by `docs/protocol-examples.py`, which shares no code with this
//! crate; `docs/protocol.md` shows the same bytes.

#![allow(
    clippy::unwrap_used,
    reason = "all of this is a test, which clippy only sees of functions marked as one"
)]

mod bytes;
mod console;
mod profile;
mod site;

use knockgate_core::book::{Book, BookId, Order};
use knockgate_core::client::Keys;
use knockgate_core::envelope::{self, Direction, Message};
use knockgate_core::handshake::Responder;
use knockgate_core::key::{DoorKey, GateId, Identity, SecretKey};
use knockgate_core::message::{Answer, Kind, Mode, Offer, OpenService, Reach, Request, Token, Verdict};

use bytes::{Fields, Generator, address, bytes, counting_from, flat, hex, padded, unhex};
use profile::profile;

const REQUEST: &Fields = &[
    ("02", "kind: next number"),
    ("8080f9c0c1c48203", "counter: 1 700 000 000 000 000"),
    ("01", "service: 1"),
    ("901c", "seconds: 3600"),
    ("01", "source: some"),
    ("00", "of IPv4"),
    ("c0000207", "192.0.2.7"),
];

const ANSWER: &Fields = &[
    ("01", "verdict: offered"),
    ("00", "retry_ms: 0"),
    ("b9e0f9c0c1c48203", "time: 1 700 000 000 012 345"),
    ("be07", "book_left: 958"),
    ("01", "offer: some"),
    ("b0b1b2b3b4b5b6b7", "book"),
    ("29", "number: 41"),
    ("904e", "hold_ms: 10 000"),
    ("00", "mode: connect"),
    ("00", "order: strict"),
    ("0f", "gap_ms: 15"),
    ("01", "open: one service"),
    ("01", "service: 1"),
    ("90c503", "left_ms: 58 000"),
    ("07", "grant: 7"),
];

const BOOK: &Fields = &[
    ("b0b1b2b3b4b5b6b7", "id"),
    ("e807", "count: 1000"),
    ("06", "length: 6"),
    ("64", "decoys: 100"),
    ("904e", "first_port: 10 000"),
    ("ffff01", "last_port: 32 767"),
    ("c0c1c2c3c4c5c6c7c8c9cacbcccdcecfd0d1d2d3d4d5d6d7d8d9dadbdcdddedf", "decoy_seed"),
    ("e0e1e2e3e4e5e6e7e8e9eaebecedeeeff0f1f2f3f4f5f6f7f8f9fafbfcfdfeff", "seed"),
];

const BOOK_HEAD: &Fields = &[("4b47626b", "mark: KGbk"), ("01", "version: 1")];
const BOOK_TAIL: &Fields = &[("90083b76ba14e598", "checksum")];

/// An open request with every field.
const OPEN: &Fields = &[
    ("03", "kind: open"),
    ("8080f9c0c1c48203", "counter: 1 700 000 000 000 000"),
    ("01", "service: 1"),
    ("901c", "seconds: 3600"),
    ("01", "source: some"),
    ("00", "of IPv4"),
    ("c0000207", "192.0.2.7"),
    ("00", "grant: none named"),
    ("01", "code: some"),
    ("c0c407", "123 456"),
    ("01", "token: some"),
    ("7071727374757677", "as the gate wrote it"),
    ("01", "reach: prefix"),
];

/// An answer to a client that uses the door key before.
const ANSWER_WITH_DOOR_KEY: &Fields = &[
    ("02", "verdict: granted"),
    ("00", "retry_ms: 0"),
    ("b9e0f9c0c1c48203", "time: 1 700 000 000 012 345"),
    ("be07", "book_left: 958"),
    ("00", "offer: none"),
    ("01", "open: one service"),
    ("01", "service: 1"),
    ("90c503", "left_ms: 58 000"),
    ("07", "grant: 7"),
    ("01", "seen: some"),
    ("00", "of IPv4"),
    ("c0000207", "192.0.2.7"),
    ("01", "door_key: some"),
    ("202122232425262728292a2b2c2d2e2f303132333435363738393a3b3c3d3e3f", "the one in force"),
];

const FIRST_NOISE_MESSAGE: &Fields = &[
    ("675dd574ed7789310b3d2e7681f3790b466c773b1521fecf36577958371ea52f", "e"),
    ("2add04c1925ee2e88fa51a21764aea8ebe4a1305e79a5a1fef8af1ac0318c00f", "s, sealed"),
    ("696c3015277e15c5ffc464c0452b4e61", "its tag"),
    (
        "ad2e1e15035dd177772490f339bdcf95083c52d0c06009b520a99c4e1028e047\
         695d16a00bdf17402a29f96fb5c0bc480c1ee59404f7317f241c041d11ec737f",
        "request, sealed",
    ),
    ("3aa65e0cafe5fec7f22885dabb91a279", "its tag"),
];

const SECOND_NOISE_MESSAGE: &Fields = &[
    ("493e82fc74464a59268817623d2053c5eb8e2cc4a988b4fee179ec6b010d531d", "e"),
    (
        "50faa4a03a54516fe24c3965b2ec530a3262384eac9c763d761c45c64b880d07\
         c4ea340f6d9c1bc0052dc790e723b69fb7151609cbc9997aa67bc04f5420e510\
         c6a5c464b1a3c431be488bc6a6d0fe151130403dd9d6865edd421f7a9d0cd4cd\
         9636623a2f3afcbebc64565db76c3c76",
        "answer, sealed",
    ),
    ("db70febd7052faef7bf8d731231bf35f", "its tag"),
];

const REQUEST_MESSAGE: &Fields = &[
    ("0102030405060708090a0b0c0d0e0f101112131415161718", "nonce"),
    ("ac203ac662b3a229d5cf30e188fd5ff1", "tag"),
    (
        "dba687ee466b31023e3599dfed83bf184ba171151fe30616371b4dc582c80de3\
         03cde4669e58806dd9b21aae06ff94c56282fba49dc225dd4f0acbeb20b4302c\
         724b8165e40a1c6b1b2f81551e5e8c4a1e5a410945adf0f12d6a724303fb8b01\
         aab72c94c97e4f7a06e2ae59e5aebd9d2cb528337316b70a6ddf6e3e0a8dcc93\
         8a3d1093b777e7037b4beb35a0650a0cf7e7a422c9845ee789624ef3e46839bb",
        "first Noise message, sealed",
    ),
];

const ANSWER_MESSAGE: &Fields = &[
    ("8182838485868788898a8b8c8d8e8f909192939495969798", "nonce"),
    ("0620c68754aa20727f683df8e411bbd8", "tag"),
    (
        "6c19c2bf30d8968bf3dbf9416338fd30b03217f0f9a9b1cd2c3f6f553e1f4b9f\
         c39be2dc66e93bcf43bd2a85ffc56896e93a63a0e68bc9ea3f11598ab8706c9b\
         658ba5ec1e14f3e696f350fb5775322c3f0760fa6ef26b722e38763a581ab7b6\
         613554e82df10afd6b71b728316e329c2ac6ce9e170edd387f1cb9c77707e886\
         c443f1ea5325124ee9af10819e6f291dd70f7291278cdf343344a819b1b6dc55",
        "second Noise message, sealed",
    ),
];

#[test]
fn a_request_has_these_bytes_before_it_is_sealed() {
    #[rustfmt::skip]
    let cases: [(u8, Request, &Fields); 8] = [
        (1, request(), REQUEST),
        (2, Request::new(Kind::Status, 1), &[
            ("01", "kind: status"), ("01", "counter"), ("00", "service: none"), ("00", "seconds: as the gate likes"),
            ("00", "source: none"),
        ]),
        (3, Request {
            service: 128, seconds: 86_400, source: Some(address("2001:db8::7")), ..Request::new(Kind::Status, 300)
        }, &[
            ("01", "kind: status"), ("ac02", "counter: 300"), ("8001", "service: 128"), ("80a305", "seconds: 86 400"),
            ("0101", "source: some, of IPv6"), ("20010db8000000000000000000000007", "2001:db8::7"),
        ]),
        (4, Request {
            service: u16::MAX, seconds: u32::MAX, source: Some(address("ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff")),
            ..Request::new(Kind::NextNumber, u64::MAX)
        }, &[
            ("02", "kind: next number"), ("ffffffffffffffffff01", "counter"), ("ffff03", "service"),
            ("ffffffff0f", "seconds"), ("0101", "source: some, of IPv6"),
            ("ffffffffffffffffffffffffffffffff", "the longest request of the first kinds: 37 bytes"),
        ]),
        (5, open_request(), OPEN),
        (6, Request { grant: 7, seconds: 600, ..Request::new(Kind::Renew, 301) }, &[
            ("04", "kind: renew"), ("ad02", "counter: 301"), ("00", "service: that of the grant"), ("d804", "seconds: 600"),
            ("00", "source: none"), ("07", "grant: 7"), ("00", "code: none"), ("00", "token: none"), ("00", "reach: address"),
        ]),
        (7, Request { service: 1, ..Request::new(Kind::Close, 302) }, &[
            ("05", "kind: close"), ("ae02", "counter: 302"), ("01", "service: 1"), ("00", "seconds"), ("00", "source: none"),
            ("00", "grant: whatever is open at this address"), ("00", "code: none"), ("00", "token: none"),
            ("00", "reach: address"),
        ]),
        (8, Request {
            kind: Kind::Close, counter: u64::MAX, service: u16::MAX, seconds: u32::MAX,
            source: Some(address("ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff")), grant: u32::MAX, code: Some(u32::MAX),
            token: Some(Token([0xff; 8])), reach: Reach::Prefix,
        }, &[
            ("05", "kind: close"), ("ffffffffffffffffff01", "counter"), ("ffff03", "service"), ("ffffffff0f", "seconds"),
            ("0101", "source: some, of IPv6"), ("ffffffffffffffffffffffffffffffff", "the address"),
            ("ffffffff0f", "grant"), ("01ffffffff0f", "code"), ("01ffffffffffffffff", "token"),
            ("01", "reach: prefix; the longest request: 58 bytes"),
        ]),
    ];
    for (case, request, fields) in cases {
        assert_eq!(hex(&request.encode()), padded(fields, 64), "case {case}");
        assert_eq!(Request::decode(&request.encode()), Ok(request), "case {case}");
    }
}

#[test]
fn an_answer_has_these_bytes_before_it_is_sealed() {
    let open = OpenService { service: 1, left_ms: 58_000, grant: 7 };
    let longest = OpenService { service: u16::MAX, left_ms: u32::MAX, grant: u32::MAX };
    let offer = Offer { number: u32::MAX, hold_ms: u32::MAX, gap_ms: u16::MAX, ..offer() };
    let plain = |verdict| Answer {
        verdict,
        retry_ms: 0,
        time: 0,
        book_left: 0,
        offer: None,
        open: [].into_iter().collect(),
        seen: None,
        door_key: None,
    };
    #[rustfmt::skip]
    let cases: [(u8, Answer, &Fields); 11] = [
        (1, answer(), ANSWER),
        (2, plain(Verdict::Nothing), &[
            ("00", "verdict: nothing"), ("00", "retry_ms"), ("00", "time: no calendar"), ("00", "book_left"),
            ("00", "offer: none"), ("00", "open: nothing"),
        ]),
        (3, Answer { open: [open, open].into_iter().collect(), book_left: 128, ..plain(Verdict::Granted) }, &[
            ("02", "verdict: granted"), ("00", "retry_ms"), ("00", "time"), ("8001", "book_left: 128"),
            ("00", "offer: none"), ("02", "open: two services"), ("0190c50307", "the one"), ("0190c50307", "the other"),
        ]),
        (4, Answer { retry_ms: 20, ..plain(Verdict::Pending) }, &[
            ("03", "verdict: pending"), ("14", "retry_ms: 20"), ("0000", "time, book_left"), ("0000", "offer, open"),
        ]),
        (5, Answer { retry_ms: 60_000, ..plain(Verdict::Refused(11)) }, &[
            ("040b", "verdict: refused, busy"), ("e0d403", "retry_ms: 60 000"), ("0000", "time, book_left"),
            ("0000", "offer, open"),
        ]),
        (6, Answer {
            verdict: Verdict::Refused(255), retry_ms: u32::MAX, time: u64::MAX, book_left: u32::MAX,
            offer: Some(Offer { mode: Mode::Closed, order: Order::Any, ..offer }),
            open: [longest, longest, longest, longest].into_iter().collect(), seen: None, door_key: None,
        }, &[
            ("04ff", "verdict: refused, unknown reason"), ("ffffffff0f", "retry_ms"), ("ffffffffffffffffff01", "time"),
            ("ffffffff0f", "book_left"), ("01", "offer: some"), ("b0b1b2b3b4b5b6b7", "book"), ("ffffffff0f", "number"),
            ("ffffffff0f", "hold_ms"), ("01", "mode: closed"), ("01", "order: any"), ("ffff03", "gap_ms"),
            ("04", "open: four services"), ("ffff03ffffffff0fffffffff0f", "1"), ("ffff03ffffffff0fffffffff0f", "2"),
            ("ffff03ffffffff0fffffffff0f", "3"), ("ffff03ffffffff0fffffffff0f", "99 bytes"),
        ]),
        (7, Answer { seen: Some(address("192.0.2.7")), ..plain(Verdict::Confirm(Token(counting_from(0x70)))) }, &[
            ("05", "verdict: confirm"), ("7071727374757677", "token"), ("00000000", "retry_ms, time, book_left, offer"),
            ("00", "open: nothing"), ("0100c0000207", "seen: 192.0.2.7"), ("00", "door_key: none"),
        ]),
        (8, Answer { seen: Some(address("2001:db8::7")), ..plain(Verdict::Closed) }, &[
            ("06", "verdict: closed"), ("00000000", "retry_ms, time, book_left, offer"), ("00", "open: nothing left"),
            ("0101", "seen: some, of IPv6"), ("20010db8000000000000000000000007", "2001:db8::7"), ("00", "door_key: none"),
        ]),
        (9, answer_with_door_key(), ANSWER_WITH_DOOR_KEY),
        (10, plain(Verdict::Refused(20)), &[("0414", "verdict: refused, stale"), ("00000000000000", "all the rest")]),
        (11, Answer {
            verdict: Verdict::Confirm(Token([0xff; 8])), retry_ms: u32::MAX, time: u64::MAX, book_left: u32::MAX,
            offer: Some(offer), open: [].into_iter().collect(),
            seen: Some(address("ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff")), door_key: Some(DoorKey::from_bytes([0xff; 32])),
        }, &[
            ("05ffffffffffffffff", "verdict: confirm"), ("ffffffff0f", "retry_ms"), ("ffffffffffffffffff01", "time"),
            ("ffffffff0f", "book_left"), ("01", "offer: some"), ("b0b1b2b3b4b5b6b7", "book"), ("ffffffff0f", "number"),
            ("ffffffff0f", "hold_ms"), ("00", "mode: connect"), ("00", "order: strict"), ("ffff03", "gap_ms"),
            ("00", "open: nothing"), ("0101ffffffffffffffffffffffffffffffff", "seen"),
            ("01ffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff",
             "door_key; the longest answer without grants: 105 bytes"),
        ]),
    ];
    for (case, answer, fields) in cases {
        let payload = answer.encode();
        assert_eq!(hex(&payload), padded(fields, 112), "case {case}");
        let read = Answer::decode(&payload).ok().unwrap();
        assert_eq!(hex(&read.encode()), hex(&payload), "case {case}");
    }
}

#[test]
fn a_request_travels_as_these_200_bytes() {
    let keys = Keys::of(&profile()).ok().unwrap();
    let (_, message) = keys.ask(&request(), &mut client_generator()).ok().unwrap();
    assert_eq!(hex(&message), flat(REQUEST_MESSAGE));
}

#[test]
fn an_answer_travels_as_these_200_bytes() {
    let door_key = DoorKey::from_bytes(counting_from(0x00));
    let question = bytes(REQUEST_MESSAGE);
    let first = envelope::open(&door_key, GATE, Direction::Request, &question).unwrap();
    assert_eq!(hex(&first), flat(FIRST_NOISE_MESSAGE));

    let (gate, client, payload) =
        Responder::read(&identity(0x20), &identity(0x80), GATE, &first).ok().unwrap();
    assert_eq!(client, identity(0x40).public());
    assert_eq!(Request::decode(&payload), Ok(request()));

    let second = gate.answer(&answer().encode()).unwrap();
    assert_eq!(hex(&second), flat(SECOND_NOISE_MESSAGE));
    let nonce = counting_from::<24>(0x81);
    let message =
        envelope::seal(&door_key, GATE, Direction::Answer, &second, &mut Generator(nonce.to_vec())).unwrap();
    assert_eq!(hex(&message), flat(ANSWER_MESSAGE));
}

#[test]
fn a_client_reads_the_answer_in_these_200_bytes() {
    let keys = Keys::of(&profile()).ok().unwrap();
    let (question, _) = keys.ask(&request(), &mut client_generator()).ok().unwrap();
    let message: Message = bytes(ANSWER_MESSAGE);
    let answer = question.answer(&message).ok().unwrap();
    assert_eq!(hex(&answer.encode()), padded(ANSWER, 112));
}

#[test]
fn a_book_file_has_these_bytes() {
    let file = [flat(BOOK_HEAD), flat(BOOK), flat(BOOK_TAIL)].concat();
    let mut buffer = [0; Book::MAX_FILE];
    let read = book();
    assert_eq!(read.id(), BookId(counting_from(0xb0)));
    assert_eq!((read.shape().count(), read.shape().length(), read.shape().decoys()), (1000, 6, 100));
    assert_eq!(read.shape().ports(), 10_000..=32_767);
    assert_eq!(hex(read.encode(&mut buffer).unwrap()), file);
}

#[test]
fn a_book_draws_these_decoys_and_sequences() {
    let (book, decoys) = (book(), book().decoys());
    let first_ten = [10_003, 10_122, 10_428, 10_434, 10_717, 10_769, 10_820, 10_961, 10_982, 11_006];
    assert_eq!(decoys.ports().len(), 100);
    assert_eq!(decoys.ports()[..10], first_ten);
    #[rustfmt::skip]
    let cases = [
        (0, [10_820, 30_103, 19_686, 28_189, 25_789, 28_983]),
        (1, [14_837, 17_239, 28_983, 12_979, 26_724, 30_103]),
        (41, [28_519, 10_961, 12_572, 19_686, 28_372, 10_003]),
        (999, [14_837, 25_635, 31_838, 12_979, 11_568, 12_049]),
    ];
    for (number, sequence) in cases {
        assert_eq!(book.sequence(number, &decoys).unwrap(), sequence, "number {number}");
    }
    assert_eq!(book.sequence(1000, &decoys), None);
}

#[test]
fn the_specification_shows_these_bytes() {
    let specification: String =
        include_str!("../../../docs/protocol.md").chars().filter(|c| !c.is_whitespace()).collect();
    #[rustfmt::skip]
    let examples = [
        ("request", flat(REQUEST)),
        ("answer", flat(ANSWER)),
        ("first Noise message", flat(FIRST_NOISE_MESSAGE)),
        ("second Noise message", flat(SECOND_NOISE_MESSAGE)),
        ("request as it travels", flat(REQUEST_MESSAGE)),
        ("answer as it travels", flat(ANSWER_MESSAGE)),
        ("book file", [flat(BOOK_HEAD), flat(BOOK), flat(BOOK_TAIL)].concat()),
        ("open request", flat(OPEN)),
        ("answer with a door key", flat(ANSWER_WITH_DOOR_KEY)),
    ];
    let others = console::examples().into_iter().chain(profile::examples()).chain(site::examples());
    for (name, example) in examples.into_iter().chain(others) {
        assert!(
            specification.contains(&example),
            "docs/protocol.md does not show the bytes of the {name}: {example}"
        );
    }
}

const GATE: GateId =
    GateId([0xa0, 0xa1, 0xa2, 0xa3, 0xa4, 0xa5, 0xa6, 0xa7, 0xa8, 0xa9, 0xaa, 0xab, 0xac, 0xad, 0xae, 0xaf]);

fn request() -> Request {
    Request {
        service: 1,
        seconds: 3600,
        source: Some(address("192.0.2.7")),
        ..Request::new(Kind::NextNumber, 1_700_000_000_000_000)
    }
}

fn open_request() -> Request {
    Request {
        kind: Kind::Open,
        code: Some(123_456),
        token: Some(Token(counting_from(0x70))),
        reach: Reach::Prefix,
        ..request()
    }
}

fn offer() -> Offer {
    Offer {
        book: BookId(counting_from(0xb0)),
        number: 41,
        hold_ms: 10_000,
        mode: Mode::Connect,
        order: Order::Strict,
        gap_ms: 15,
    }
}

fn answer() -> Answer {
    Answer {
        verdict: Verdict::Offered,
        retry_ms: 0,
        time: 1_700_000_000_012_345,
        book_left: 958,
        offer: Some(offer()),
        open: [OpenService { service: 1, left_ms: 58_000, grant: 7 }].into_iter().collect(),
        seen: None,
        door_key: None,
    }
}

fn answer_with_door_key() -> Answer {
    Answer {
        verdict: Verdict::Granted,
        offer: None,
        seen: Some(address("192.0.2.7")),
        door_key: Some(DoorKey::from_bytes(counting_from(0x20))),
        ..answer()
    }
}

fn book() -> Book {
    Book::decode(&unhex(&[flat(BOOK_HEAD), flat(BOOK), flat(BOOK_TAIL)].concat())).ok().unwrap()
}

/// What the client draws: its ephemeral key, then the nonce.
fn client_generator() -> Generator {
    Generator([counting_from::<32>(0x60).to_vec(), counting_from::<24>(0x01).to_vec()].concat())
}

fn identity(first_byte: u8) -> Identity {
    Identity::new(SecretKey::from_bytes(counting_from(first_byte)))
}
