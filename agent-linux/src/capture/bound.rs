//! Packet knocks on a socket of our own, for a host where the guard may not watch or raw sockets may not be.
//!
//! One socket takes both families. It answers from the address that was asked, and every datagram of another size is
//! thrown away unanswered, so to a stranger the port looks like one behind a firewall that drops. What differs from
//! watching: the port is taken, and the kernel's socket table shows it.

use std::io::{self, IoSliceMut};
use std::net::{IpAddr, SocketAddr, SocketAddrV6};
use std::os::fd::{AsFd, BorrowedFd};
use std::sync::Arc;

use knockgate_core::envelope::Message;
use quinn_udp::{RecvMeta, Transmit, UdpSocketState};
use socket2::{Protocol, Socket, Type};

use super::dual;
use super::packets::{is_a_host, on_interface};
use super::watch::{Seen, Taken};

/// Room in the socket for some thousand knocks, so that a busy moment of ours is not a loss.
const QUEUE_BYTES: usize = 1024 * 1024;
/// The kernel may hand over several datagrams of one flow as one piece of this size (generic receive offload).
const INBOX_BYTES: usize = 64 * 1024;

/// A UDP port that takes packet knocks.
pub struct BoundSocket {
    way: BoundAnswerer,
    inbox: Box<[u8]>,
}

/// The way back through a [`BoundSocket`].
#[derive(Clone)]
pub struct BoundAnswerer {
    socket: Arc<Socket>,
    state: Arc<UdpSocketState>,
    local: SocketAddr,
}

impl BoundSocket {
    /// Takes a port (0: any) on all addresses. A host without IPv6 gets IPv4 alone.
    ///
    /// # Errors
    /// The port is taken, or may not be.
    pub fn bind(port: u16) -> io::Result<Self> {
        let socket = dual::bind(Type::DGRAM, Protocol::UDP, port, |socket| {
            // What the system's limit refuses is cut by the kernel without a word.
            socket.set_recv_buffer_size(QUEUE_BYTES)
        })?;
        let state = Arc::new(UdpSocketState::new((&socket).into())?);
        let local = socket.local_addr()?.as_socket().ok_or(io::ErrorKind::AddrNotAvailable)?;
        let way = BoundAnswerer { socket: Arc::new(socket), state, local };
        Ok(Self { way, inbox: vec![0; INBOX_BYTES].into_boxed_slice() })
    }

    /// The port that it has taken.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.way.local.port()
    }

    #[must_use]
    pub fn answerer(&self) -> BoundAnswerer {
        self.way.clone()
    }

    /// Hands over what is there in one piece, without waiting for it. Nothing is an error: whatever a stranger can provoke, the
    /// next packet may be a client's.
    pub fn read(&mut self, each: &mut dyn FnMut(Seen<'_>)) -> Taken {
        let BoundAnswerer { socket, state, local } = &self.way;
        let (inbox, mut meta) = (&mut self.inbox, [RecvMeta::default()]);
        let received = state.recv((&**socket).into(), &mut [IoSliceMut::new(inbox)], &mut meta);
        let [meta] = meta;
        match received {
            Ok(1..) => {}
            Ok(0) => return Taken { packets: 0, more: false },
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                return Taken { packets: 0, more: false };
            }
            // What the kernel had to tell is told; packets may wait behind it.
            Err(_) => return Taken { packets: 1, more: true },
        }
        let bytes = self.inbox.get(..meta.len).unwrap_or_default();
        let mut packets = 0;
        for datagram in bytes.chunks(meta.stride.max(1)) {
            packets += 1;
            if let Some(seen) = read(&meta, local.port(), datagram) {
                each(seen);
            }
        }
        Taken { packets, more: true }
    }
}

impl AsFd for BoundSocket {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.way.socket.as_fd()
    }
}

impl BoundAnswerer {
    /// Sends one datagram to `to` from the address of `from`, and from the port that is bound.
    ///
    /// # Errors
    /// It was not sent: no route, no room, an address that is gone. None of these says anything about the next one.
    pub fn answer(&self, to: SocketAddr, from: SocketAddr, message: &Message) -> io::Result<()> {
        let destination = if self.local.is_ipv6() { in_v6_clothes(to) } else { to };
        let (src_ip, contents) = (Some(from.ip()), &message[..]);
        let transmit = Transmit { destination, ecn: None, contents, segment_size: None, src_ip };
        // Whoever answers does not wait until there is room.
        self.state.try_send((&*self.socket).into(), &transmit)
    }
}

/// `None` for what is no knock, or could not be answered from where it was asked.
fn read<'a>(meta: &RecvMeta, port: u16, datagram: &'a [u8]) -> Option<Seen<'a>> {
    let message = datagram.try_into().ok()?;
    let (source, asked) = (bare(meta.addr), meta.dst_ip?.to_canonical());
    // To a group of hosts nobody knocks, and from its address nobody can answer.
    let answerable = is_a_host(&source.ip()) || source.ip().is_loopback();
    if !answerable || asked.is_multicast() || is_broadcast(&asked) {
        return None;
    }
    let destination = on_interface(SocketAddr::new(asked, port), meta.interface_index)?;
    Some(Seen::Message { source, destination, message })
}

fn is_broadcast(address: &IpAddr) -> bool {
    matches!(address, IpAddr::V4(v4) if v4.is_broadcast())
}

/// With a v4 address in v6 clothes undressed, and without the flow label, which is no part of an address.
fn bare(address: SocketAddr) -> SocketAddr {
    match (address.ip().to_canonical(), address) {
        (IpAddr::V6(ip), SocketAddr::V6(v6)) => SocketAddrV6::new(ip, v6.port(), 0, v6.scope_id()).into(),
        (ip, _) => SocketAddr::new(ip, address.port()),
    }
}

fn in_v6_clothes(address: SocketAddr) -> SocketAddr {
    match address {
        SocketAddr::V4(v4) => SocketAddrV6::new(v4.ip().to_ipv6_mapped(), v4.port(), 0, 0).into(),
        SocketAddr::V6(_) => address,
    }
}

#[cfg(test)]
mod tests {
    use std::net::UdpSocket;

    use knockgate_core::limits::MESSAGE_LEN;
    use rustix::event::{PollFd, PollFlags, poll};

    use super::*;

    #[test]
    fn only_knocks_are_read() {
        let here: IpAddr = "192.0.2.2".parse().expect("an address");
        let cases: [(&str, Option<&str>, usize, Option<&str>); 10] = [
            ("[::ffff:192.0.2.1]:5", Some("::ffff:192.0.2.2"), 200, Some("192.0.2.1:5 192.0.2.2:9")), // 1
            ("192.0.2.1:5", Some("192.0.2.2"), 200, Some("192.0.2.1:5 192.0.2.2:9")),                 // 2
            ("[2001:db8::1]:5", Some("2001:db8::2"), 200, Some("[2001:db8::1]:5 [2001:db8::2]:9")),   // 3
            ("[fe80::1%3]:5", Some("fe80::2"), 200, Some("[fe80::1%3]:5 [fe80::2%3]:9")),             // 4
            ("192.0.2.1:5", Some("192.0.2.2"), 199, None),                                            // 5
            ("192.0.2.1:5", Some("192.0.2.2"), 201, None),                                            // 6
            ("192.0.2.1:5", None, 200, None),                                                         // 7
            ("192.0.2.1:5", Some("255.255.255.255"), 200, None),                                      // 8
            ("[2001:db8::1]:5", Some("ff02::1"), 200, None),                                          // 9
            ("127.0.0.1:5", Some("127.0.0.1"), 200, Some("127.0.0.1:5 127.0.0.1:9")),                 // 10
        ];
        for (number, (source, asked, length, expected)) in cases.iter().enumerate() {
            let mut meta = RecvMeta::default();
            meta.addr = source.parse().expect("an address");
            meta.dst_ip = asked.map(|asked| asked.parse().expect("an address"));
            meta.interface_index = Some(3);
            let datagram = vec![0; *length];
            let shown = read(&meta, 9, &datagram).map(|seen| match seen {
                Seen::Message { source, destination, .. } => format!("{source} {destination}"),
                Seen::Probe(_) => panic!("a socket has no probes"),
            });
            assert_eq!(shown.as_deref(), *expected, "{}", number + 1);
        }
        assert!(!is_broadcast(&here));
    }

    /// Waits for the next packet.
    fn next(gate: &mut BoundSocket) -> (SocketAddr, SocketAddr, Message) {
        let mut seen = None;
        while seen.is_none() {
            let mut readable = [PollFd::new(&*gate, PollFlags::IN)];
            poll(&mut readable, None).expect("waits");
            gate.read(&mut |packet| {
                if let Seen::Message { source, destination, message } = packet {
                    seen = Some((source, destination, *message));
                }
            });
        }
        seen.expect("the loop ends with a packet")
    }

    #[test]
    fn a_knock_is_answered_from_where_it_was_asked_and_noise_is_nothing() {
        let mut gate = BoundSocket::bind(0).expect("some port is free");
        for (own, asked) in [("127.0.0.1", "127.0.0.2"), ("::1", "::1")] {
            let own: IpAddr = own.parse().expect("an address");
            let asked = SocketAddr::new(asked.parse().expect("an address"), gate.port());
            let client = UdpSocket::bind((own, 0)).expect("some port is free");
            client.connect(asked).expect("connects");
            for length in [0, 1, 199, 201, 1400] {
                client.send(&vec![1; length]).expect("sends");
            }
            client.send(&[7; MESSAGE_LEN]).expect("sends");

            let (source, destination, message) = next(&mut gate);

            let own = client.local_addr().expect("it is bound");
            assert_eq!((source, destination, message), (own, asked, [7; MESSAGE_LEN]));
            gate.answerer().answer(source, destination, &[8; MESSAGE_LEN]).expect("sends");
            let mut heard = [0; 300];
            assert_eq!(client.recv(&mut heard).expect("hears"), MESSAGE_LEN);
            assert_eq!(heard[..MESSAGE_LEN], [8; MESSAGE_LEN]);
        }
    }

    #[test]
    fn a_client_that_is_gone_keeps_nobody_from_being_heard() {
        let mut gate = BoundSocket::bind(0).expect("some port is free");
        let gates = SocketAddr::new([127, 0, 0, 1].into(), gate.port());
        for round in 0..3 {
            let client = UdpSocket::bind("127.0.0.1:0").expect("some port is free");
            client.send_to(&[round; MESSAGE_LEN], gates).expect("sends");
            let (source, destination, message) = next(&mut gate);
            assert_eq!(message[0], round);
            drop(client);
            // Its host says that the port is closed; that is for the next reading to stumble over.
            gate.answerer().answer(source, destination, &[9; MESSAGE_LEN]).expect("sends");
        }
    }
}
