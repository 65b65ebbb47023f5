//! What nobody who keeps to the protocol sends.

use knockgate_core::channel::MAX_FRAME;
use knockgate_core::console::Ask;
use knockgate_core::limits::{MAX_SAID, TAG_LEN};
use knockgate_gateway::environment::Over;
use proptest::prelude::*;

use crate::line::{Line, Told};

#[test]
fn a_length_that_no_message_has_ends_the_conversation() {
    for length in [0, TAG_LEN - 1, MAX_SAID + TAG_LEN + 1, 0xffff] {
        let mut line = Line::new(100);
        let bytes = u16::try_from(length).unwrap().to_be_bytes();
        assert_eq!(line.gateway.hear(&bytes), Err(Over), "{length}");
    }
}

#[test]
fn a_message_that_was_changed_anywhere_ends_the_conversation_and_changes_nothing() {
    let mut frame = [0; MAX_FRAME];
    let mut said = [0; 32];
    let plain = Ask::Update { length: 1000 }.encode(&mut said).unwrap();
    let length = Line::new(1).client.seal(plain, &mut frame).unwrap().len();
    for place in 2..length {
        let mut line = Line::new(100);
        let mut changed = frame;
        changed[place] ^= 1;
        assert_eq!(line.gateway.hear(&changed[..length]), Err(Over), "byte {place}");
        assert_eq!(line.gateway.updates.begun, None);
        assert_eq!(line.gateway.hear(&frame[..length]), Err(Over), "and stays ended");
    }
}

#[test]
fn a_message_that_is_repeated_ends_the_conversation() {
    let mut line = Line::new(100);
    let (mut frame, mut said) = ([0; MAX_FRAME], [0; 8]);
    let plain = Ask::Status.encode(&mut said).unwrap();
    let frame = line.client.seal(plain, &mut frame).unwrap();
    line.gateway.hear(frame).unwrap();
    line.listen();
    assert_eq!(line.gateway.hear(frame), Err(Over));
}

#[test]
fn the_longest_message_is_heard() {
    let mut line = Line::new(1000);
    let told = line.put(&[0xff; MAX_SAID]);
    assert!(matches!(told[..], [Told::Refused(_)]), "{told:?}");
}

proptest! {
    #[test]
    fn any_bytes_end_in_silence(bytes in prop::collection::vec(any::<u8>(), 0..3000), step in 1_usize..200) {
        let mut line = Line::new(100);
        'conversation: for piece in bytes.chunks(step) {
            let mut rest = piece;
            while !rest.is_empty() {
                let Ok(taken) = line.gateway.hear(rest) else { break 'conversation };
                rest = &rest[taken..];
                prop_assert_eq!(line.gateway.say(&mut [0; 100]), Ok(0));
            }
        }
        prop_assert_eq!(line.gateway.updates.begun, None);
    }

    #[test]
    fn any_authentic_message_is_answered(said in prop::collection::vec(any::<u8>(), 0..MAX_SAID)) {
        // What the desk is asked to do may make no sense; what writes past its place would panic there.
        if matches!(Ask::decode(&said), Ok(Ask::Piece { at: 1.., .. })) {
            return Ok(());
        }
        let told = Line::new(1000).put(&said);
        prop_assert!(!told.is_empty());
    }
}
