//! A new site image over the console.

use knockgate_core::console::Ask;
use knockgate_core::limits::MAX_PIECE;
use knockgate_gateway::environment::Over;
use knockgate_gateway::update::UpdateError;

use crate::line::{Line, Told};

#[test]
fn an_image_is_taken_piece_by_piece_and_the_gateway_starts_anew_when_the_client_knows() {
    let image: Vec<u8> = (0..5000_u32).map(|at| at.to_le_bytes()[0] ^ 0x5a).collect();
    let mut line = Line::new(333);

    send(&mut line, &image);
    assert_eq!(line.ask(&Ask::Finish), [Told::Done]);

    assert_eq!((&line.gateway.updates.image, line.gateway.updates.finished), (&image, 1));
    assert!(!line.gateway.console.wants_restart(), "the answer is still on its way");
    assert_eq!(line.gateway.say(&mut [0; 10]), Err(Over), "nothing more is said");
    line.gateway.console.leave();
    assert!(line.gateway.console.wants_restart());
}

#[test]
fn a_client_that_is_gone_before_it_hears_the_answer_does_not_stop_the_new_image() {
    let mut line = Line::new(2000);
    send(&mut line, b"image");
    let (mut frame, mut said) = ([0; 64], [0; 8]);
    let plain = Ask::Finish.encode(&mut said).unwrap();
    let finish = line.client.seal(plain, &mut frame).unwrap();
    line.gateway.hear(finish).unwrap();
    assert!(!line.gateway.console.wants_restart());
    line.gateway.console.leave();
    assert!(line.gateway.console.wants_restart());
}

#[test]
fn what_is_refused_is_told_with_the_remedy_and_the_conversation_goes_on() {
    let mut line = Line::new(100);
    line.gateway.updates.fails = Some(|| UpdateError::TooLong { room: 5 });
    for ask in [Ask::Update { length: 9 }, Ask::Piece { at: 0, bytes: b"" }, Ask::Finish] {
        let told = line.ask(&ask);
        assert_eq!(told, [Told::Refused(UpdateError::TooLong { room: 5 }.to_string())]);
    }
    assert!(matches!(line.ask(&Ask::Status)[..], [Told::Status(_)]));
    line.gateway.console.leave();
    assert!(!line.gateway.console.wants_restart());
}

fn send(line: &mut Line, image: &[u8]) {
    let length = image.len().try_into().unwrap();
    assert_eq!(line.ask(&Ask::Update { length }), [Told::Next(0)]);
    let mut at = 0;
    for piece in image.chunks(MAX_PIECE) {
        let next = at + u32::try_from(piece.len()).unwrap();
        assert_eq!(line.ask(&Ask::Piece { at, bytes: piece }), [Told::Next(next)]);
        at = next;
    }
    assert_eq!(line.gateway.updates.begun, Some(length));
}
