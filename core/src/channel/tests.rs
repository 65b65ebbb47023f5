use super::*;
use crate::handshake::{Initiator, Responder};
use crate::key::{GateId, Identity};
use crate::limits::{ANSWER_LEN, REQUEST_LEN};
use crate::testing::TestRng;

const GATE: GateId = GateId([7; 16]);

/// A message of `said` as it travels, in its place.
struct Frame {
    bytes: [u8; MAX_FRAME],
    len: usize,
}

impl Frame {
    fn of(channel: &mut Channel, said: &[u8]) -> Self {
        let mut bytes = [0; MAX_FRAME];
        let len = channel.seal(said, &mut bytes).unwrap().len();
        Self { bytes, len }
    }

    fn length(&self) -> [u8; LENGTH_LEN] {
        *self.bytes.first_chunk().unwrap()
    }

    fn sealed(&self) -> &[u8] {
        &self.bytes[LENGTH_LEN..self.len]
    }
}

#[test]
fn what_one_side_says_the_other_one_hears_in_both_directions() {
    let (mut client, mut gate) = conversation();
    let mut said = [0; MAX_SAID];
    for word in [&b"one"[..], b"", &[0x5a; MAX_SAID], b"four"] {
        let frame = Frame::of(&mut client, word);
        assert_eq!(Channel::sealed_len(frame.length()), Some(frame.sealed().len()));
        assert_eq!(gate.open(frame.sealed(), &mut said), Ok(word));
        let back = Frame::of(&mut gate, word);
        assert_eq!(client.open(back.sealed(), &mut said), Ok(word));
    }
}

#[test]
fn a_message_that_is_repeated_left_out_or_moved_does_not_open() {
    for (case, order) in [(1, [0, 0]), (2, [1, 2]), (3, [2, 1])] {
        let (mut client, mut gate) = conversation();
        let frames = [&b"one"[..], b"two", b"three"].map(|word| Frame::of(&mut client, word));
        let mut said = [0; MAX_SAID];
        let opened = order.map(|at: usize| gate.open(frames[at].sealed(), &mut said).is_ok());
        // The first one opens only where it is the first.
        assert_eq!(opened, [order[0] == 0, false], "case {case}");
    }
}

#[test]
fn a_message_that_is_changed_anywhere_does_not_open() {
    let frame = first_frame();
    for at in 0..frame.sealed().len() {
        let mut bytes = [0; 64];
        let sealed = &mut bytes[..frame.sealed().len()];
        sealed.copy_from_slice(frame.sealed());
        sealed[at] ^= 0x10;
        let mut said = [0; MAX_SAID];
        assert_eq!(conversation().1.open(sealed, &mut said), Err(Failed), "byte {at}");
    }
}

#[test]
fn a_message_that_is_cut_off_anywhere_or_goes_on_does_not_open() {
    let frame = first_frame();
    for len in (0..frame.sealed().len()).chain([frame.sealed().len() + 1]) {
        let mut said = [0; MAX_SAID];
        assert_eq!(
            conversation().1.open(&frame.bytes[LENGTH_LEN..][..len], &mut said),
            Err(Failed),
            "{len} bytes"
        );
    }
}

#[test]
fn after_something_that_does_not_open_the_conversation_is_over() {
    let (mut client, mut gate) = conversation();
    let frame = Frame::of(&mut client, b"one");
    let (mut said, mut bytes) = ([0; MAX_SAID], [0; MAX_FRAME]);
    assert_eq!(gate.open(&[0; 20], &mut said), Err(Failed));
    assert_eq!(gate.open(frame.sealed(), &mut said), Err(Failed));
    assert_eq!(gate.seal(b"what?", &mut bytes), Err(Failed));
}

#[test]
fn nobody_hears_himself() {
    let (mut client, _) = conversation();
    let frame = Frame::of(&mut client, b"one");
    assert_eq!(client.open(frame.sealed(), &mut [0; MAX_SAID]), Err(Failed));

    let (mut client, mut gate) = conversation();
    let [one, other] = [&mut client, &mut gate].map(|side| Frame::of(side, b"one"));
    assert_ne!(one.sealed(), other.sealed(), "each direction has a key of its own");
}

#[test]
fn two_conversations_of_the_same_keys_have_nothing_in_common() {
    let (mut client, _) = conversation();
    let (_, mut gate) = conversation_of(9);
    let frame = Frame::of(&mut client, b"one");
    assert_eq!(gate.open(frame.sealed(), &mut [0; MAX_SAID]), Err(Failed));
}

#[test]
fn what_is_too_long_is_not_said_and_ends_nothing() {
    let (mut client, mut gate) = conversation();
    let mut bytes = [0; MAX_FRAME + 1];
    assert_eq!(client.seal(&[0; MAX_SAID + 1], &mut bytes), Err(Failed));
    assert_eq!(client.seal(b"one", &mut bytes[..LENGTH_LEN + TAG_LEN + 2]), Err(Failed));

    let frame = Frame::of(&mut client, b"one");
    assert_eq!(gate.open(frame.sealed(), &mut [0; 3]), Ok(&b"one"[..]), "there is room for just that");
}

#[test]
fn a_length_is_that_of_a_tag_at_least_and_of_the_longest_message_at_most() {
    let longest = MAX_SAID + TAG_LEN;
    for (case, length, expected) in [
        (1, 0, None),
        (2, TAG_LEN - 1, None),
        (3, TAG_LEN, Some(TAG_LEN)),
        (4, longest, Some(longest)),
        (5, longest + 1, None),
        (6, 0xffff, None),
    ] {
        let length = u16::try_from(length).unwrap().to_be_bytes();
        assert_eq!(Channel::sealed_len(length), expected, "case {case}");
    }
}

/// What every [`conversation`] may begin with.
fn first_frame() -> Frame {
    Frame::of(&mut conversation().0, b"a word")
}

fn conversation() -> (Channel, Channel) {
    conversation_of(1)
}

/// Client and gate after a handshake, the same for the same number.
fn conversation_of(number: u64) -> (Channel, Channel) {
    let mut keys = TestRng::new(1);
    let (client, gate) = (Identity::generate(&mut keys), Identity::generate(&mut keys));
    let mut rng = TestRng::new(number);
    let ephemeral = Identity::generate(&mut rng);
    let request = [0; REQUEST_LEN];
    let (initiator, first) = Initiator::start(&client, ephemeral, gate.public(), GATE, &request).unwrap();
    let (responder, ..) = Responder::read(&gate, &Identity::generate(&mut rng), GATE, &first).unwrap();
    let (second, gate) = responder.answer_and_go_on(&[0; ANSWER_LEN]).unwrap();
    let (_, client) = initiator.finish_and_go_on(&second).unwrap();
    (client, gate)
}
