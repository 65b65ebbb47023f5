use super::*;

/// Little endian, as every machine this is built for; the golden bytes below are too.
#[cfg(target_endian = "little")]
#[test]
fn a_message_is_header_family_and_padded_attributes() {
    let mut encoder = Encoder::default();
    encoder.begin(0x0a0c, 0x0405, 7, NFPROTO_INET, 0);
    encoder.text(1, "kg");
    let nest = encoder.nest(3);
    encoder.attribute(4, &60_000_u64.to_be_bytes());
    encoder.end_nest(nest);
    encoder.end();

    #[rustfmt::skip]
    let golden = [
        44, 0, 0, 0,   0x0c, 0x0a,   0x05, 0x04,   7, 0, 0, 0,   0, 0, 0, 0, // length, type, flags, number, port id
        1, 0, 0, 0,                                  // inet, version 0, resource 0
        7, 0, 1, 0,   b'k', b'g', 0,   0,             // text with its zero, one byte of padding
        16, 0, 3, 0x80,                               // nest
        12, 0, 4, 0,   0, 0, 0, 0, 0, 0, 0xea, 0x60,  // 60000 ms, big endian
    ];
    assert_eq!(encoder.as_bytes(), golden);
}

#[test]
fn what_was_encoded_is_read_back() {
    let mut encoder = Encoder::default();
    encoder.begin(5, 0, 9, NFPROTO_INET, 0);
    encoder.text(1, "abcd");
    encoder.attribute(2, &0x0102_0304_u32.to_be_bytes());
    encoder.end();

    let message = Messages(encoder.as_bytes()).next().expect("one message");

    assert_eq!((message.kind, message.sequence), (5, 9));
    assert_eq!(message.attributes().text(1), Some("abcd"));
    assert_eq!(message.attributes().u32(2), Some(0x0102_0304));
    assert_eq!(message.attributes().find(3), None);
}

#[test]
fn messages_cut_at_every_length_never_panic_and_never_invent_attributes() {
    let mut encoder = Encoder::default();
    encoder.begin(5, 0, 9, NFPROTO_INET, 0);
    encoder.text(1, "abcdefg");
    encoder.attribute(2, &[1, 2, 3, 4]);
    encoder.end();
    for length in 0..encoder.as_bytes().len() {
        let cut = &encoder.as_bytes()[..length];
        assert_eq!(Messages(cut).count(), 0, "{length}");
        let attributes = Attributes(cut.get(HEADER_BYTES + NFGEN_BYTES..).unwrap_or_default());
        assert!(attributes.count() < 2, "{length}");
    }
}

#[test]
fn lengths_that_lie_end_the_iteration() {
    let cases: [&[u8]; 5] = [
        &[0, 0, 1, 0],             // 1 shorter than its own header
        &[3, 0, 1, 0],             // 2 the same
        &[9, 0, 1, 0, 1, 2, 3, 4], // 3 longer than what is there
        &[0xff, 0xff, 1, 0],       // 4 the longest
        &[4, 0],                   // 5 half a header
    ];
    for (number, case) in cases.iter().enumerate() {
        assert_eq!(Attributes(case).count(), 0, "{}", number + 1);
    }
}
