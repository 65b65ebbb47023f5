//! Packet knocks on a socket of our own, for a host where the guard may not watch or raw sockets may not be.
//!
//! One socket takes both families. It answers from the address that was asked, and every datagram of another size is
//! thrown away unanswered, so to a stranger the port looks like one behind a firewall that drops. What differs from
//! watching: the port is taken, and the kernel's socket table shows it.

use std::collections::VecDeque;
use std::io::{self, IoSliceMut};
use std::net::{IpAddr, SocketAddr, SocketAddrV6};
use std::sync::Arc;
use std::time::Duration;

use knockgate_core::envelope::Message;
use quinn_udp::{RecvMeta, Transmit, UdpSocketState};
use socket2::{Protocol, Type};
use tokio::io::Interest;
use tokio::net::UdpSocket;

use super::dual;
use super::packets::{PacketSeen, is_a_host, on_interface};

/// Room in the socket for some thousand knocks, so that a busy moment of ours is not a loss.
const QUEUE_BYTES: usize = 1024 * 1024;
/// The kernel may hand over several datagrams of one flow as one piece of this size (generic receive offload).
const INBOX_BYTES: usize = 64 * 1024;
/// After an error that may persist: long enough not to spin, short enough for a client.
const PAUSE: Duration = Duration::from_millis(50);

/// A UDP port that takes packet knocks.
pub struct BoundSocket {
    way: BoundAnswerer,
    inbox: Box<[u8]>,
    waiting: VecDeque<PacketSeen>,
}

/// The way back through a [`BoundSocket`].
#[derive(Clone)]
pub struct BoundAnswerer {
    socket: Arc<UdpSocket>,
    state: Arc<UdpSocketState>,
}

impl BoundSocket {
    /// Takes a port (0: any) on all addresses. A host without IPv6 gets IPv4 alone. Needs a tokio runtime.
    ///
    /// # Errors
    /// The port is taken, or may not be.
    pub fn bind(port: u16) -> io::Result<Self> {
        let socket = dual::bind(Type::DGRAM, Protocol::UDP, port, |socket| {
            // What the system's limit refuses is cut by the kernel without a word.
            socket.set_recv_buffer_size(QUEUE_BYTES)
        })?;
        let state = UdpSocketState::new((&socket).into())?;
        let socket = UdpSocket::from_std(socket.into())?;
        let way = BoundAnswerer { socket: Arc::new(socket), state: Arc::new(state) };
        Ok(Self { way, inbox: vec![0; INBOX_BYTES].into_boxed_slice(), waiting: VecDeque::new() })
    }

    /// # Errors
    /// The socket is broken.
    pub fn port(&self) -> io::Result<u16> {
        Ok(self.way.socket.local_addr()?.port())
    }

    #[must_use]
    pub fn answerer(&self) -> BoundAnswerer {
        self.way.clone()
    }

    /// The next packet. Nothing ends this: whatever a stranger can provoke, the next packet may be a client's.
    pub async fn recv(&mut self) -> PacketSeen {
        loop {
            if let Some(packet) = self.waiting.pop_front() {
                return packet;
            }
            if self.fill().await.is_err() {
                tokio::time::sleep(PAUSE).await;
            }
        }
    }

    async fn fill(&mut self) -> io::Result<()> {
        let BoundAnswerer { socket, state } = &self.way;
        let (inbox, mut meta) = (&mut self.inbox, [RecvMeta::default()]);
        let received = socket.async_io(Interest::READABLE, || {
            state.recv((&**socket).into(), &mut [IoSliceMut::new(inbox)], &mut meta)
        });
        let [meta] = if received.await? == 1 { meta } else { return Ok(()) };
        let port = socket.local_addr()?.port();
        let bytes = self.inbox.get(..meta.len).unwrap_or_default();
        self.waiting
            .extend(bytes.chunks(meta.stride.max(1)).filter_map(|datagram| read(&meta, port, datagram)));
        Ok(())
    }
}

impl BoundAnswerer {
    /// Sends one datagram to `to` from the address of `from`, and from the port that is bound.
    ///
    /// # Errors
    /// It was not sent: no route, no room, an address that is gone. None of these says anything about the next one.
    pub fn answer(&self, to: SocketAddr, from: SocketAddr, message: &Message) -> io::Result<()> {
        let v6 = self.socket.local_addr()?.is_ipv6();
        let destination = if v6 { in_v6_clothes(to) } else { to };
        let (src_ip, contents) = (Some(from.ip()), &message[..]);
        let transmit = Transmit { destination, ecn: None, contents, segment_size: None, src_ip };
        // Not by way of tokio: whoever answers does not wait until there is room.
        self.state.try_send((&*self.socket).into(), &transmit)
    }
}

/// `None` for what is no knock, or could not be answered from where it was asked.
fn read(meta: &RecvMeta, port: u16, datagram: &[u8]) -> Option<PacketSeen> {
    let message = datagram.try_into().ok()?;
    let (source, asked) = (bare(meta.addr), meta.dst_ip?.to_canonical());
    // To a group of hosts nobody knocks, and from its address nobody can answer.
    let answerable = is_a_host(&source.ip()) || source.ip().is_loopback();
    if !answerable || asked.is_multicast() || is_broadcast(&asked) {
        return None;
    }
    let destination = on_interface(SocketAddr::new(asked, port), meta.interface_index)?;
    Some(PacketSeen { source, destination, message })
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
    use super::*;
    use knockgate_core::limits::MESSAGE_LEN;

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
            let seen = read(&meta, 9, &vec![0; *length]);
            let shown = seen.map(|seen| format!("{} {}", seen.source, seen.destination));
            assert_eq!(shown.as_deref(), *expected, "{}", number + 1);
        }
        assert!(!is_broadcast(&here));
    }

    #[tokio::test]
    async fn a_knock_is_answered_from_where_it_was_asked_and_noise_is_nothing() {
        let mut gate = BoundSocket::bind(0).expect("some port is free");
        let port = gate.port().expect("it is bound");
        for (own, asked) in [("127.0.0.1", "127.0.0.2"), ("::1", "::1")] {
            let own: IpAddr = own.parse().expect("an address");
            let asked = SocketAddr::new(asked.parse().expect("an address"), port);
            let client = UdpSocket::bind((own, 0)).await.expect("some port is free");
            client.connect(asked).await.expect("connects");
            for length in [0, 1, 199, 201, 1400] {
                client.send(&vec![1; length]).await.expect("sends");
            }
            client.send(&[7; MESSAGE_LEN]).await.expect("sends");

            let seen = gate.recv().await;

            let source = client.local_addr().expect("it is bound");
            assert_eq!(seen, PacketSeen { source, destination: asked, message: [7; MESSAGE_LEN] });
            gate.answerer().answer(seen.source, seen.destination, &[8; MESSAGE_LEN]).expect("sends");
            let mut heard = [0; 300];
            assert_eq!(client.recv(&mut heard).await.expect("hears"), MESSAGE_LEN);
            assert_eq!(heard[..MESSAGE_LEN], [8; MESSAGE_LEN]);
        }
    }

    #[tokio::test]
    async fn a_client_that_is_gone_does_not_end_the_loop() {
        let mut gate = BoundSocket::bind(0).expect("some port is free");
        let gates = SocketAddr::new([127, 0, 0, 1].into(), gate.port().expect("it is bound"));
        for round in 0..3 {
            let client = UdpSocket::bind("127.0.0.1:0").await.expect("some port is free");
            client.send_to(&[round; MESSAGE_LEN], gates).await.expect("sends");
            let seen = gate.recv().await;
            assert_eq!(seen.message[0], round);
            drop(client);
            // Its host says that the port is closed; that is for the next call to stumble over.
            gate.answerer().answer(seen.source, seen.destination, &[9; MESSAGE_LEN]).expect("sends");
        }
    }
}
