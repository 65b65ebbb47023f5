use super::*;
use crate::firewall::netlink::Messages;

fn grant(source: &str, protocol: Protocol, port: u16) -> NewElement {
    NewElement {
        key: Key::Grant { source: source.parse().expect("an address"), protocol, port },
        timeout: Duration::from_secs(60),
        tag: Some(Tag { grant: 7, client: 3, service: 1, reach: Reach::Address }),
    }
}

fn wide(network: &str, bits: u8) -> NewElement {
    let network = network.parse().expect("an address");
    NewElement {
        key: Key::Wide { network, protocol: Protocol::Tcp, port: 22 },
        tag: Some(Tag { grant: 7, client: 3, service: 1, reach: Reach::Prefix(bits) }),
        ..grant("::", Protocol::Tcp, 1)
    }
}

#[cfg(target_endian = "little")]
#[test]
fn the_bytes_of_a_grant_are_these() {
    let mut out = Encoder::default();
    encode(&mut out, 2, Change::Add, Answer::Always, &[grant("192.0.2.1", Protocol::Tcp, 22)]);

    #[rustfmt::skip]
    let golden = [
        104, 0, 0, 0,  12, 10,  0x05, 0x04,  2, 0, 0, 0,  0, 0, 0, 0,  // NEWSETELEM, request + ack + create
        1, 0, 0, 0,                                                    // inet
        14, 0, 1, 0,  b'k', b'n', b'o', b'c', b'k', b'g', b'a', b't', b'e', 0,  0, 0,
        12, 0, 2, 0,  b'g', b'r', b'a', b'n', b't', b's', b'4', 0,
        56, 0, 3, 0x80,                                                // elements
        52, 0, 1, 0x80,                                                // element
        20, 0, 1, 0x80,  16, 0, 1, 0,                                  // key, value
        192, 0, 2, 1,  6, 0, 0, 0,  0, 22, 0, 0,                       // address, tcp, port, each padded
        12, 0, 4, 0,  0, 0, 0, 0, 0, 0, 0xea, 0x60,                    // timeout, 60000 ms
        16, 0, 6, 0,                                                   // user data: a comment with its zero
        0, 10,  b'k', b'g', b'1', b':', b'7', b':', b'3', b':', b'1', 0,
    ];
    assert_eq!(out.as_bytes(), golden);
}

#[test]
fn an_element_is_read_back_as_written() {
    let elements = [
        grant("192.0.2.1", Protocol::Tcp, 22),
        grant("2001:db8::1", Protocol::Udp, 51_820),
        wide("192.0.2.0", 24),
        wide("2001:db8::", 64),
        NewElement {
            key: Key::Holder { source: "192.0.2.1".parse().expect("an address") },
            tag: None,
            ..grant("::", Protocol::Tcp, 1)
        },
        NewElement {
            key: Key::Holder { source: "fe80::1".parse().expect("an address") },
            tag: None,
            ..grant("::", Protocol::Tcp, 1)
        },
    ];
    for element in elements {
        let mut out = Encoder::default();
        encode(&mut out, 1, Change::Add, Answer::IfRefused, &[element]);
        let mut found = Vec::new();
        decode(element.key.set(), &mut found, Messages(out.as_bytes()).next().expect("one message"));
        let expected = KernelElement {
            key: element.key,
            timeout: Some(element.timeout),
            remaining: None,
            comment: element.tag.map(|tag| tag.to_string()),
        };
        assert_eq!(found, [expected]);
    }
}

#[test]
fn keys_of_another_length_are_not_ours() {
    for set in SetName::ALL {
        let right = match set {
            SetName::Grants4 | SetName::Wide4 => 12,
            SetName::Grants6 | SetName::Wide6 => 24,
            SetName::Holders4 => 4,
            SetName::Holders6 => 16,
        };
        for length in 0..=40 {
            let decoded = Key::decode(set, &vec![6; length]);
            assert_eq!(decoded.is_some(), length == right, "{set} {length}");
        }
    }
}

#[test]
fn only_our_own_comments_are_tags() {
    let cases = [
        ("kg1:7:3:1", true),                       // 1
        ("kg1:4294967295:4294967295:65535", true), // 2
        ("kg1:4294967296:3:1", false),             // 3
        ("kg1:7:3:65536", false),                  // 4
        ("kg1:7:3", false),                        // 5
        ("kg1:7:3:1:9", true),                     // 6
        ("kg1:07:3:1", false),                     // 7
        ("kg1:+7:3:1", false),                     // 8
        ("kg2:7:3:1", false),                      // 9
        ("", false),                               // 10
        ("kg1:7:3:1:", false),                     // 11
        ("kg1:7:3:1:256", false),                  // 12
        ("kg1:7:3:1:09", false),                   // 13
        ("kg1:7:3:1:24:1", false),                 // 14
    ];
    for (number, (comment, ours)) in cases.iter().enumerate() {
        assert_eq!(comment.parse::<Tag>().is_ok(), *ours, "{}", number + 1);
    }
}

#[test]
fn a_comment_counts_only_in_the_set_that_it_was_written_for() {
    let [address, prefix]: [IpAddr; 2] = ["192.0.2.1", "192.0.2.0"].map(|a| a.parse().expect("an address"));
    let (protocol, port) = (Protocol::Tcp, 22);
    let cases = [
        (Key::Grant { source: address, protocol, port }, "kg1:7:3:1", true), // 1
        (Key::Grant { source: address, protocol, port }, "kg1:7:3:1:32", false), // 2
        (Key::Wide { network: prefix, protocol, port }, "kg1:7:3:1:24", true), // 3
        (Key::Wide { network: prefix, protocol, port }, "kg1:7:3:1", false), // 4
        (Key::Wide { network: address, protocol, port }, "kg1:7:3:1:24", false), // 5 not its first address
        (Key::Holder { source: address }, "kg1:7:3:1", false),               // 6
    ];
    for (number, (key, comment, ours)) in cases.into_iter().enumerate() {
        let comment = Some(comment.to_owned());
        let element = KernelElement { key, timeout: None, remaining: None, comment };
        assert_eq!(element.tag().is_some(), ours, "{}", number + 1);
    }
}

#[test]
fn user_data_cut_at_every_length_never_panics() {
    let whole = [1, 2, 9, 9, USERDATA_COMMENT, 3, b'h', b'i', 0];
    for length in 0..whole.len() {
        assert_eq!(decode_comment(&whole[..length]), None, "{length}");
    }
    assert_eq!(decode_comment(&whole).as_deref(), Some("hi"));
}

#[test]
fn no_timeout_is_ever_for_ever() {
    assert_eq!(milliseconds(Duration::ZERO), 1);
    assert_eq!(milliseconds(Duration::from_micros(1500)), 1);
    assert_eq!(milliseconds(Duration::MAX), u64::MAX);
}
