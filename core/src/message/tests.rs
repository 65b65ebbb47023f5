use super::*;
use core::net::{Ipv4Addr, Ipv6Addr};
use proptest::prelude::*;

/// Bytes that are not padding; the last field of a longest message must not be zero.
fn used(payload: &[u8]) -> usize {
    payload.iter().rposition(|byte| *byte != 0).map_or(0, |last| last + 1)
}

fn longest_request() -> Request {
    Request {
        kind: Kind::Close,
        counter: u64::MAX,
        service: u16::MAX,
        seconds: u32::MAX,
        source: Some(IpAddr::V6(Ipv6Addr::from_bits(u128::MAX))),
        grant: u32::MAX,
        code: Some(u32::MAX),
        token: Some(Token([0xff; TOKEN_LEN])),
        reach: Reach::Prefix,
    }
}

fn longest_answer() -> Answer {
    let offer = Offer {
        book: BookId([0xff; 8]),
        number: u32::MAX,
        hold_ms: u32::MAX,
        mode: Mode::Closed,
        order: Order::Any,
        gap_ms: u16::MAX,
    };
    let service = OpenService { service: u16::MAX, left_ms: u32::MAX, grant: u32::MAX };
    Answer {
        verdict: Verdict::Confirm(Token([0xff; TOKEN_LEN])),
        retry_ms: u32::MAX,
        time: u64::MAX,
        book_left: u32::MAX,
        offer: Some(offer),
        open: core::iter::repeat_n(service, MAX_ANSWER_GRANTS).collect(),
        seen: Some(IpAddr::V6(Ipv6Addr::from_bits(u128::MAX))),
        door_key: Some(DoorKey::from_bytes([0xff; 32])),
    }
}

#[test]
fn the_longest_request_fits() {
    let payload = longest_request().encode();
    assert_eq!(used(&payload), 58);
    assert_eq!(Request::decode(&payload), Ok(longest_request()));
}

#[test]
fn the_longest_answer_without_grants_fits() {
    let payload = Answer { open: Vec::new(), ..longest_answer() }.encode();
    assert_eq!(used(&payload), 105);
    assert!(read(&payload).open.is_empty());
}

#[test]
fn where_not_everything_fits_the_grants_that_end_first_are_left_out() {
    let ending = |left_ms| OpenService { service: u16::MAX, left_ms, grant: u32::MAX };
    let open = [4, 3, 2, 1].map(|rank| ending(rank * 1_000_000_000));
    let answer =
        |seen, door_key| Answer { open: open.into_iter().collect(), seen, door_key, ..longest_answer() };
    let Answer { seen, door_key, .. } = longest_answer();
    #[rustfmt::skip]
    let cases = [
        (1, answer(None, None), 4),
        (2, answer(seen, None), 3),
        (3, answer(seen, door_key.clone()), 0),
        (4, Answer { offer: None, ..answer(seen, door_key.clone()) }, 2),
        (5, Answer { offer: None, ..answer(None, door_key) }, 3),
    ];
    for (case, answer, fit) in cases {
        let read = read(&answer.clone().encode());
        assert_eq!(read.open, open[..fit], "case {case}");
        assert_eq!(read.encode(), answer.encode(), "case {case}: nothing of the others is left behind");
    }
}

proptest! {
    #[test]
    fn a_request_that_was_encoded_is_decoded(request in requests()) {
        prop_assert_eq!(Request::decode(&request.encode()), Ok(request));
    }

    #[test]
    fn an_answer_that_was_encoded_is_decoded(answer in answers()) {
        let payload = answer.encode();
        prop_assert_eq!(read(&payload).encode(), payload);
    }

    #[test]
    fn no_payload_makes_a_reader_panic(bytes in proptest::array::uniform32(any::<u8>())) {
        let (mut request, mut answer) = ([0; REQUEST_LEN], [0; ANSWER_LEN]);
        request[..32].copy_from_slice(&bytes);
        answer[..32].copy_from_slice(&bytes);
        if let Ok(read) = Request::decode(&request) {
            prop_assert_eq!(Request::decode(&read.encode()), Ok(read));
        }
        if let Ok(found) = Answer::decode(&answer) {
            let payload = found.encode();
            prop_assert_eq!(read(&payload).encode(), payload);
        }
    }
}

#[test]
fn a_payload_of_zeros_is_no_request() {
    // Kind 0 is never given to anything, so that empty memory is not a request.
    assert_eq!(Request::decode(&[0; REQUEST_LEN]), Err(RequestError::UnknownKind { counter: 0 }));
}

#[test]
fn a_request_of_a_kind_to_come_still_gives_its_counter_away() {
    for kind in [0u8, 7, 127, 255] {
        let payload = padded(&(kind, 77u64, 1u16, 60u32, None::<IpAddr>));
        assert_eq!(Request::decode(&payload), Err(RequestError::UnknownKind { counter: 77 }), "kind {kind}");
    }
}

#[test]
fn a_request_that_makes_no_sense_is_refused() {
    #[rustfmt::skip]
    let cases: [(u8, &[u8]); 6] = [
        (1, &[0xff; REQUEST_LEN]),
        (2, &[1, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x02]), // counter above 2^64
        (3, &[1, 5, 0xff, 0xff, 0x04]),                                        // service above 2^16
        (4, &[1, 5, 1, 0xff, 0xff, 0xff, 0xff, 0x10]),                         // seconds above 2^32
        (5, &[1, 5, 1, 60, 2]),                                                // neither an address nor none
        (6, &[1, 5, 1, 60, 1, 2]),                                             // neither IPv4 nor IPv6
    ];
    for (case, bytes) in cases {
        let mut payload = [0; REQUEST_LEN];
        payload[..bytes.len()].copy_from_slice(bytes);
        assert_eq!(Request::decode(&payload), Err(RequestError::Malformed), "case {case}");
    }
}

#[test]
fn an_answer_that_makes_no_sense_is_refused() {
    #[rustfmt::skip]
    let cases: [(u8, &[u8]); 5] = [
        (1, &[0xff; ANSWER_LEN]),
        (2, &[7, 0, 0, 0, 0, 0]),                                  // a verdict to come
        (3, &[0, 0, 0, 0, 2, 0]),                                  // neither an offer nor none
        (4, &[0, 0, 0, 0, 0, 5]),                                  // more grants than there is room for
        (5, &[1, 0, 0, 0, 1, 1, 2, 3, 4, 5, 6, 7, 8, 0, 0, 2, 0, 0, 0]), // a mode to come
    ];
    for (case, bytes) in cases {
        let mut payload = [0; ANSWER_LEN];
        payload[..bytes.len()].copy_from_slice(bytes);
        assert_eq!(Answer::decode(&payload).err(), Some(AnswerError), "case {case}");
    }
}

#[test]
fn a_source_written_as_v6_but_meaning_v4_is_read_as_v4() {
    let v4 = Ipv4Addr::new(192, 0, 2, 7);
    let payload = Request { source: Some(IpAddr::V6(v4.to_ipv6_mapped())), ..longest_request() }.encode();
    assert_eq!(Request::decode(&payload).unwrap().source, Some(IpAddr::V4(v4)));
}

#[test]
fn a_refusal_is_known_by_its_number_and_an_unknown_number_is_still_a_refusal() {
    let with = |verdict| Answer { verdict, ..longest_answer() };
    assert_eq!(with(Verdict::Refused(Refusal::Busy.code())).refusal(), Some(Refusal::Busy));
    assert_eq!(with(Verdict::Refused(250)).refusal(), None);
    for verdict in [Verdict::Nothing, Verdict::Offered, Verdict::Granted, Verdict::Pending, Verdict::Closed] {
        assert_eq!(with(verdict).refusal(), None);
    }
}

mod growth {
    use super::*;

    /// What the first version wrote and read.
    type FirstRequest = (u8, u64, u16, u32, Option<IpAddr>);
    type FirstAnswer = (Verdict, u32, u64, u32, Option<Offer>, Vec<OpenService, MAX_ANSWER_GRANTS>);
    /// The messages of a later version: the fields of this one, and some at the end.
    type LaterRequest = (FirstRequest, u32, Option<u32>, Option<Token>, Reach, Option<u32>, u16);
    type LaterAnswer = (FirstAnswer, Option<IpAddr>, Option<DoorKey>, Option<u64>, u8);

    const FIRST: FirstRequest = (2, 9, 1, 60, None);
    const EXPECTED: Request = Request { service: 1, seconds: 60, ..Request::new(Kind::NextNumber, 9) };

    fn first_answer() -> FirstAnswer {
        (Verdict::Pending, 20, 5, 6, None, Vec::new())
    }

    #[test]
    fn a_field_that_is_added_later_is_not_seen_by_this_version() {
        let later: LaterRequest = (FIRST, 0, None, None, Reach::Address, Some(u32::MAX), u16::MAX);
        assert_eq!(Request::decode(&padded(&later)), Ok(EXPECTED));

        let later: LaterAnswer = (first_answer(), None, None, Some(u64::MAX), u8::MAX);
        let read = read(&padded(&later));
        assert_eq!((read.verdict, read.retry_ms, read.time, read.book_left), (Verdict::Pending, 20, 5, 6));
        assert_eq!(read.encode(), padded(&first_answer()));
    }

    #[test]
    fn a_field_that_is_added_later_reads_as_zero_or_none_from_this_version() {
        let (later, _) = postcard::take_from_bytes::<LaterRequest>(&longest_request().encode()).unwrap();
        assert_eq!((later.5, later.6), (None, 0));
        let answer = Answer { open: Vec::new(), ..longest_answer() };
        let (later, _) = postcard::take_from_bytes::<LaterAnswer>(&answer.encode()).unwrap();
        assert_eq!((later.3, later.4), (None, 0));
    }

    #[test]
    fn the_first_version_and_this_one_read_each_other() {
        assert_eq!(Request::decode(&padded(&FIRST)), Ok(EXPECTED));
        let (first, _) = postcard::take_from_bytes::<FirstRequest>(&EXPECTED.encode()).unwrap();
        assert_eq!(first, FIRST);
        let read = read(&padded(&first_answer()));
        assert!(read.seen.is_none() && read.door_key.is_none());
    }
}

fn read(payload: &[u8; ANSWER_LEN]) -> Answer {
    Answer::decode(payload).unwrap()
}

fn padded<const N: usize>(content: &impl Serialize) -> [u8; N] {
    let mut payload = [0; N];
    postcard::to_slice(content, &mut payload).unwrap();
    payload
}

fn requests() -> impl Strategy<Value = Request> {
    let kind = prop::sample::select(Kind::ALL.to_vec());
    let reach = prop_oneof![Just(Reach::Address), Just(Reach::Prefix)];
    let first = (kind, any::<u64>(), any::<u16>(), any::<u32>(), proptest::option::of(addresses()));
    let added = (any::<u32>(), any::<Option<u32>>(), proptest::option::of(tokens()), reach);
    (first, added).prop_map(|((kind, counter, service, seconds, source), (grant, code, token, reach))| {
        Request { kind, counter, service, seconds, source, grant, code, token, reach }
    })
}

fn addresses() -> impl Strategy<Value = IpAddr> {
    let v4 = any::<u32>().prop_map(|bits| IpAddr::V4(Ipv4Addr::from_bits(bits)));
    let v6 = any::<u128>().prop_map(|bits| IpAddr::V6(Ipv6Addr::from_bits(bits)).to_canonical());
    prop_oneof![v4, v6]
}

fn tokens() -> impl Strategy<Value = Token> {
    any::<[u8; TOKEN_LEN]>().prop_map(Token)
}

fn answers() -> impl Strategy<Value = Answer> {
    let verdict = prop_oneof![
        Just(Verdict::Nothing),
        Just(Verdict::Offered),
        Just(Verdict::Granted),
        Just(Verdict::Pending),
        any::<u8>().prop_map(Verdict::Refused),
        tokens().prop_map(Verdict::Confirm),
        Just(Verdict::Closed),
    ];
    let open = proptest::collection::vec(any::<(u16, u32, u32)>(), 0..=MAX_ANSWER_GRANTS).prop_map(|open| {
        open.into_iter().map(|(service, left_ms, grant)| OpenService { service, left_ms, grant }).collect()
    });
    let first = (verdict, any::<u32>(), any::<u64>(), any::<u32>(), proptest::option::of(offers()), open);
    (first, proptest::option::of(addresses()), any::<Option<[u8; 32]>>()).prop_map(
        |((verdict, retry_ms, time, book_left, offer, open), seen, door_key)| Answer {
            verdict,
            retry_ms,
            time,
            book_left,
            offer,
            open,
            seen,
            door_key: door_key.map(DoorKey::from_bytes),
        },
    )
}

fn offers() -> impl Strategy<Value = Offer> {
    let mode = prop_oneof![Just(Mode::Connect), Just(Mode::Closed)];
    let order = prop_oneof![Just(Order::Strict), Just(Order::Any)];
    (any::<[u8; 8]>(), any::<u32>(), any::<u32>(), mode, order, any::<u16>()).prop_map(
        |(book, number, hold_ms, mode, order, gap_ms)| Offer {
            book: BookId(book),
            number,
            hold_ms,
            mode,
            order,
            gap_ms,
        },
    )
}
