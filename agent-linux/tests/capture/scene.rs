//! A gate that listens, and a client that puts frames on its wire.

use std::net::{IpAddr, SocketAddr, UdpSocket};

use knockgate_agent::capture::ProbeSeen;
use knockgate_agent::capture::watch::{Means, Seen, Wanted, WantedPackets, Watch};
use knockgate_agent::firewall::Protocol;
use socket2::{Domain, Socket, Type};

use crate::frames::{self, GATE_MAC};
use crate::netns::{Host, Lab, wait_until};
use crate::sys::{self, EtherType};

pub(crate) const KNOCK_PORT: u16 = 62_201;
pub(crate) const DECOY: u16 = 10_001;
pub(crate) const TCP_STEP: u16 = 7000;
pub(crate) const UDP_STEP: u16 = 8000;
/// A knock by which the end of what was sent is known.
const LAST: [u8; 200] = [0xff; 200];
pub(crate) const GATE_V4: [u8; 4] = [10, 1, 0, 1];
pub(crate) const GATE_V6: &str = "fd01::1";

pub(crate) struct Scene {
    pub(crate) lab: Lab,
    pub(crate) watch: Watch,
    wire: Socket,
}

/// What came in, without what it was sent by.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Heard {
    /// To where, and the first byte of the message.
    Knock(SocketAddr, u8),
    Probe(ProbeSeen),
}

impl Scene {
    /// The gate hears what is wanted by packet sockets.
    pub(crate) fn new(wanted: &Wanted) -> Self {
        let lab = Lab::new();
        lab.gate.ip("link set eth1 address 02:00:00:00:00:01\n");
        let watch = lab.gate.on(|| Watch::open(wanted).expect("root may"));
        assert_eq!(*watch.means(), Means::PacketSockets);
        let wire = wire(&lab.client);
        Self { lab, watch, wire }
    }

    pub(crate) fn send(&self, frame: &[u8]) {
        assert_eq!(self.wire.send(frame).expect("sends"), frame.len());
    }

    /// Changes the gate's interfaces, and has the watch read what the kernel says of it, as its descriptor asks for.
    pub(crate) fn change(&mut self, change: impl FnOnce(&Lab)) {
        change(&self.lab);
        let read = self.watch.read(64, &mut |seen| panic!("nobody has sent {seen:?}"));
        assert_eq!(read.expect("reads").packets, 0);
    }

    /// Everything that has come in since, and how many packets were read for it.
    pub(crate) fn hear(&mut self) -> (Vec<Heard>, usize) {
        let last = frames::datagram(KNOCK_PORT, &LAST);
        self.send(&frames::frame(GATE_MAC, frames::V4, &frames::v4(GATE_V4.into(), frames::UDP, &last)));
        self.send(&frames::frame(GATE_MAC, frames::V6, &frames::v6(v6(GATE_V6), frames::UDP, &last)));
        let (heard, read) = hear_until(&mut self.watch, 2);
        (heard, read - 2)
    }

    /// The same, if all that was read was heard.
    pub(crate) fn heard(&mut self) -> Vec<Heard> {
        let (heard, read) = self.hear();
        assert_eq!(read, heard.len(), "{heard:?}");
        heard
    }
}

/// Reads until so many last knocks have come.
fn hear_until(watch: &mut Watch, last: usize) -> (Vec<Heard>, usize) {
    let (mut heard, mut ends, mut read) = (Vec::new(), 0, 0);
    wait_until("the last knock", || {
        let taken = watch.read(64, &mut |seen| match seen {
            Seen::Message { message: &LAST, .. } => ends += 1,
            Seen::Message { destination, message, .. } => {
                heard.push(Heard::Knock(destination, message[0]));
            }
            Seen::Probe(probe) => heard.push(Heard::Probe(probe)),
        });
        read += taken.expect("reads").packets;
        ends >= last
    });
    (heard, read)
}

/// Everything that a watch hears of a client's ordinary datagrams, up to the last.
pub(crate) fn hear_from(watch: &mut Watch, client: &Host, to: IpAddr) -> Vec<Heard> {
    send_udp(client, to, KNOCK_PORT, &LAST);
    hear_until(watch, 1).0
}

/// A socket for frames on the client's interface.
pub(crate) fn wire(client: &Host) -> Socket {
    let (_, number) = client.link_local_on("eth0");
    client.on(|| {
        let socket = Socket::new(Domain::PACKET, Type::RAW, None).expect("root may");
        sys::bind(&socket, EtherType(0), number).expect("it is there");
        socket
    })
}

pub(crate) fn send_udp(from: &Host, to: IpAddr, port: u16, payload: &[u8]) {
    from.on(|| {
        let any: IpAddr = if to.is_ipv4() { [0; 4].into() } else { [0; 16].into() };
        let socket = UdpSocket::bind((any, 0)).expect("some port is free");
        socket.set_broadcast(true).expect("a socket can be");
        socket.send_to(payload, (to, port)).expect("sends");
    });
}

pub(crate) fn send_syn(from: &Host, to: IpAddr, port: u16) {
    from.on(|| {
        let to = SocketAddr::new(to, port);
        let socket = Socket::new(Domain::for_address(to), Type::STREAM, None).expect("a socket");
        socket.set_nonblocking(true).expect("a socket can be");
        let _in_progress = socket.connect(&to.into());
    });
}

pub(crate) fn wanted() -> Wanted {
    Wanted {
        packets: WantedPackets::Ports(vec![KNOCK_PORT..=KNOCK_PORT]),
        probes: vec![DECOY],
        statics: vec![(Protocol::Tcp, TCP_STEP), (Protocol::Udp, UDP_STEP)],
        ..Wanted::default()
    }
}

/// A knock of one byte, 200 times.
pub(crate) fn knock(byte: u8) -> Vec<u8> {
    frames::datagram(KNOCK_PORT, &[byte; 200])
}

pub(crate) fn v6(address: &str) -> std::net::Ipv6Addr {
    address.parse().expect("an address")
}

pub(crate) fn gates(family: usize) -> IpAddr {
    [IpAddr::from(GATE_V4), v6(GATE_V6).into()][family]
}
