//! What is asked and what is told.

use std::time::Duration;

use knockgate_core::console::{Ask, Status};
use knockgate_core::limits::MAX_LINE;
use knockgate_gateway::environment::Over;

use crate::line::{Line, MADE, Told, channels};

#[test]
fn the_status_is_that_of_the_gateway() {
    let expected = Status {
        boot: 7,
        serial: 4,
        up: 86_400,
        grants: 2,
        flows: 300,
        heap: (90_000, 101_000),
        room: 458_752,
    };
    assert_eq!(Line::new(2000).ask(&Ask::Status), [Told::Status(expected)]);
}

/// However the bytes are cut, the same is told.
#[test]
fn a_conversation_goes_on_in_pieces_of_any_size() {
    let whole = conversation(2000);
    for step in (1..40).chain([100, 1041, 1042, 1043]) {
        assert_eq!(conversation(step), whole, "{step} bytes at a time");
    }
}

fn conversation(step: usize) -> Vec<Told> {
    let mut line = Line::new(step);
    ["{}", "{\"a\":1}"].iter().for_each(|record| line.gateway.records.push(record));
    line.gateway.records.push(&"x".repeat(MAX_LINE));
    let asks = [
        Ask::Status,
        Ask::Log { after: 1 },
        Ask::Time { now: MADE },
        Ask::Update { length: 5 },
        Ask::Piece { at: 0, bytes: b"image" },
        Ask::Log { after: 99 },
    ];
    asks.iter().flat_map(|ask| line.ask(ask)).collect()
}

#[test]
fn the_log_is_told_record_by_record_and_what_was_lost_is_counted() {
    let mut line = Line::new(100);
    for number in 1..=3 {
        line.gateway.records.push(&format!("{{\"seq\":{number}}}"));
    }
    let record = |number| Told::Record(number, format!("{{\"seq\":{number}}}"));
    assert_eq!(line.ask(&Ask::Log { after: 0 }), [record(1), record(2), record(3), Told::End(0)]);
    assert_eq!(line.ask(&Ask::Log { after: 2 }), [record(3), Told::End(0)]);
    assert_eq!(line.ask(&Ask::Log { after: 3 }), [Told::End(0)]);

    for _ in 0..40 {
        line.gateway.records.push(&"x".repeat(500));
    }
    let told = line.ask(&Ask::Log { after: 3 });
    let kept = told.len() as u64 - 1;
    assert_eq!(told.last(), Some(&Told::End(40 - kept)));
    assert!((10..17).contains(&kept), "{kept}");
}

#[test]
fn a_record_that_makes_room_while_the_log_is_told_is_counted_as_lost() {
    let mut line = Line::new(2000);
    for _ in 0..16 {
        line.gateway.records.push(&"x".repeat(500));
    }
    let mut frame = [0; 1042];
    let mut said = [0; 64];
    let plain = Ask::Log { after: 0 }.encode(&mut said).unwrap();
    let ask = line.client.seal(plain, &mut frame).unwrap();
    line.gateway.hear(ask).unwrap();
    // The first one is on its way; then all the others make room for new ones.
    let first = line.listen_once();
    for _ in 0..20 {
        line.gateway.records.push("new");
    }
    for _ in 0..10 {
        line.gateway.records.push(&"y".repeat(800));
    }
    let rest = line.listen();
    let told = 1 + rest.len() as u64 - 1;
    assert!(matches!(first, Told::Record(1, _)), "{first:?}");
    assert_eq!(rest.last(), Some(&Told::End(46 - told)));
}

#[test]
fn a_gateway_without_a_calendar_is_told_the_time_and_says_why_it_does_not_believe_it() {
    let mut line = Line::new(50);
    let later = |seconds| MADE.after(Duration::from_secs(seconds));
    assert_eq!(line.ask(&Ask::Time { now: later(1000) }), [Told::Done]);
    assert_eq!(line.gateway.now().unix, Some(later(1000)));
    let told = line.ask(&Ask::Time { now: MADE });
    let [Told::Refused(why)] = told.as_slice() else { panic!("{told:?}") };
    assert!(why.ends_with("restart the gateway and tell it again"), "{why}");
    assert_eq!(line.gateway.now().unix, Some(later(1000)));
}

#[test]
fn what_this_version_does_not_know_is_refused_and_the_conversation_goes_on() {
    let mut line = Line::new(7);
    for unknown in [&[6][..], &[0x7f, 1, 2, 3], &[], &[0, 0]] {
        let told = line.put(unknown);
        let [Told::Refused(why)] = told.as_slice() else { panic!("{told:?}") };
        assert!(why.ends_with("update its firmware"), "{why}");
    }
    assert!(matches!(line.ask(&Ask::Status)[..], [Told::Status(_)]));
}

#[test]
fn the_next_ask_is_heard_once_the_last_one_is_answered() {
    let mut line = Line::new(2000);
    let mut asked = Vec::new();
    for _ in 0..3 {
        let (mut said, mut frame) = ([0; 8], [0; 64]);
        let plain = Ask::Status.encode(&mut said).unwrap();
        asked.extend_from_slice(line.client.seal(plain, &mut frame).unwrap());
    }
    let (one, mut told) = (asked.len() / 3, 0);
    let mut rest = &asked[..];
    while !rest.is_empty() {
        assert_eq!(line.gateway.hear(rest), Ok(one));
        rest = &rest[one..];
        assert_eq!(line.gateway.hear(rest), Ok(0), "first it is answered");
        told += line.listen().len();
    }
    assert_eq!(told, 3);
}

#[test]
fn whoever_comes_next_begins_anew() {
    let mut line = Line::new(2000);
    line.gateway.records.push("{}");
    line.gateway.hear(&[0, 30, 1, 2]).unwrap();
    let (client, channel) = channels();
    line.gateway.console.welcome(channel);
    line.client = client;
    assert_eq!(line.ask(&Ask::Log { after: 0 }), [Told::Record(1, "{}".to_owned()), Told::End(0)]);

    line.gateway.console.leave();
    assert_eq!(line.gateway.hear(&[0]), Err(Over));
    assert_eq!(line.gateway.say(&mut [0; 10]), Err(Over));
}
