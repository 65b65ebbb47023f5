//! Packets of strangers, as the kernel reports them.

use std::net::{IpAddr, SocketAddr};

use knockgate_agent::capture::{PacketSeen, parse_message};
use knockgate_agent::fuzzing;

const UDP: u8 = 17;

/// A packet that may be a probe of closed mode.
pub fn packet_probe(data: &[u8]) {
    let probe = fuzzing::probe(data);
    if let Some(probe) = probe {
        assert_eq!(probe.source.is_ipv4(), probe.destination.is_ipv4());
        assert!(!probe.syn || probe.protocol.number() == 6, "only TCP has a SYN");
        let longer = [data, &[0xff; 64]].concat();
        assert_eq!(fuzzing::probe(&longer), Some(probe), "what stands behind it does not matter");
    }
    // Padding is not looked at, and nothing is made up.
    if let Some(packet) = fuzzing::without_padding(data, usize::MAX) {
        assert!(data.starts_with(packet));
        assert!(fuzzing::probe(packet).is_none_or(|inside| Some(inside) == probe));
    }
    // Cut short it is none, or the same.
    for length in [data.len() / 2, data.len().saturating_sub(1)] {
        let cut = fuzzing::probe(data.get(..length).unwrap_or_default());
        assert!(cut.is_none() || cut == probe);
    }
}

/// A packet that may be a packet knock.
pub fn packet_knock(data: &[u8]) {
    let Some(seen) = parse_message(data) else { return };
    let source = seen.source.ip();
    assert!(
        !source.is_multicast() && !source.is_loopback() && !source.is_unspecified(),
        "nobody is answered there"
    );
    assert!(!matches!(source.to_canonical(), IpAddr::V4(v4) if v4.is_broadcast()));
    assert_ne!(seen.source.port(), 0);
    assert!(
        data.windows(seen.message.len()).any(|window| window == seen.message),
        "its bytes are the packet's own"
    );
    assert_eq!(parse_message(&plain(&seen)), Some(seen), "headers that say nothing can be left out");

    let probe = fuzzing::probe(data).expect("it is a datagram");
    assert_eq!(
        SocketAddr::new(probe.destination, probe.port),
        seen.destination,
        "both parsers see one packet"
    );
    assert_eq!((probe.source, probe.protocol.number(), probe.syn), (source, UDP, false));
}

/// The shortest packet with that message.
fn plain(seen: &PacketSeen) -> Vec<u8> {
    let length = u16::try_from(8 + seen.message.len()).expect("a message has 200 bytes");
    let udp = [seen.source.port(), seen.destination.port(), length, 0].map(u16::to_be_bytes).concat();
    let ip = match (seen.source.ip(), seen.destination.ip()) {
        (IpAddr::V4(source), IpAddr::V4(destination)) => {
            let head = [0x45, 0, 0, 0, 0, 0, 0, 0, 64, UDP, 0, 0];
            [&head[..], &source.octets(), &destination.octets()].concat()
        }
        (IpAddr::V6(source), IpAddr::V6(destination)) => {
            let head = [0x60, 0, 0, 0, 0, 0, UDP, 64];
            [&head[..], &source.octets(), &destination.octets()].concat()
        }
        (IpAddr::V4(_), IpAddr::V6(_)) | (IpAddr::V6(_), IpAddr::V4(_)) => {
            panic!("one packet has one family")
        }
    };
    [&ip[..], &udp, &seen.message].concat()
}
