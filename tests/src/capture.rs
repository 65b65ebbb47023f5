//! Listening on the wire: what an attacker on the path sees, and what he can do with it.

use std::io::{ErrorKind, Read as _};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use socket2::{Domain, Protocol, Socket, Type};

use crate::{Host, peers, waiting};

/// `ETH_P_ALL` of linux/if_ether.h: every protocol, both directions.
const EVERY_PROTOCOL: u16 = 0x0003;
const ICMP: u8 = 1;
const TCP: u8 = 6;
const UDP: u8 = 17;
const ICMP_V6: u8 = 58;
/// Types of messages that say "destination unreachable".
const UNREACHABLE: u8 = 3;
const UNREACHABLE_V6: u8 = 1;
const UDP_HEADER: usize = 8;
const SYN: u8 = 0x02;
const ACK: u8 = 0x10;

/// How often the listening thread looks whether it is still wanted.
const LOOK_UP: Duration = Duration::from_millis(50);

/// One TCP segment on the wire.
#[derive(Debug, Clone)]
pub struct Segment {
    pub seen: Instant,
    pub from: SocketAddr,
    pub to: SocketAddr,
    flags: u8,
    pub payload: Vec<u8>,
}

impl Segment {
    /// The first segment of a connection attempt.
    pub fn is_attempt(&self) -> bool {
        self.flags & (SYN | ACK) == SYN
    }

    /// The answer to an attempt: somebody listens there.
    pub fn is_acceptance(&self) -> bool {
        self.flags & (SYN | ACK) == SYN | ACK
    }
}

/// One UDP datagram on the wire.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Datagram {
    pub seen: Instant,
    pub from: SocketAddr,
    pub to: SocketAddr,
    pub payload: Vec<u8>,
}

/// What is told apart on the wire.
#[derive(Debug, Clone)]
enum Packet {
    Segment(Segment),
    Datagram(Datagram),
    /// A host says that something cannot be reached.
    Unreachable {
        by: IpAddr,
    },
}

/// Records what a host sends and receives over TCP and UDP, and what is called unreachable, until dropped.
pub struct Capture {
    host: Host,
    packets: Arc<Mutex<Vec<Packet>>>,
    wanted: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Capture {
    pub fn on(host: &Host) -> Result<Self> {
        let socket = host.inside(|| {
            let every = Protocol::from(i32::from(EVERY_PROTOCOL.to_be()));
            // Type DGRAM: the kernel takes the link header off.
            let socket = Socket::new(Domain::PACKET, Type::DGRAM, Some(every)).context("no packet socket")?;
            socket.set_read_timeout(Some(LOOK_UP))?;
            Ok(socket)
        })?;
        let packets = Arc::new(Mutex::default());
        let wanted = Arc::new(AtomicBool::new(true));
        let thread = std::thread::spawn({
            let (packets, wanted) = (Arc::clone(&packets), Arc::clone(&wanted));
            move || record(socket, &packets, &wanted)
        });
        Ok(Self { host: host.clone(), packets, wanted, thread: Some(thread) })
    }

    pub fn segments(&self) -> Vec<Segment> {
        self.each(|packet| match packet {
            Packet::Segment(segment) => Some(segment.clone()),
            Packet::Datagram(_) | Packet::Unreachable { .. } => None,
        })
    }

    /// Datagrams from one address to another so far, in order.
    pub fn datagrams(&self, from: IpAddr, to: IpAddr) -> Result<Vec<Datagram>> {
        self.catch_up()?;
        Ok(self.each(|packet| match packet {
            Packet::Datagram(datagram) if (datagram.from.ip(), datagram.to.ip()) == (from, to) => {
                Some(datagram.clone())
            }
            Packet::Datagram(_) | Packet::Segment(_) | Packet::Unreachable { .. } => None,
        }))
    }

    /// Everything that came from an address so far: words that tell what it was.
    pub fn heard_from(&self, address: IpAddr) -> Result<Vec<String>> {
        self.catch_up()?;
        Ok(self.each(|packet| match packet {
            Packet::Segment(Segment { from, to, .. }) if from.ip() == address => {
                Some(format!("segment from {from} to {to}"))
            }
            Packet::Datagram(Datagram { from, to, payload, .. }) if from.ip() == address => {
                Some(format!("datagram of {} bytes from {from} to {to}", payload.len()))
            }
            Packet::Unreachable { by } if *by == address => Some("unreachable".to_owned()),
            Packet::Segment(_) | Packet::Datagram(_) | Packet::Unreachable { .. } => None,
        }))
    }

    /// Returns once everything is recorded that was on the wire before this call.
    fn catch_up(&self) -> Result<()> {
        static NEXT_MARK: AtomicU64 = AtomicU64::new(1);
        const NOBODY: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 9);
        let mark = NEXT_MARK.fetch_add(1, Ordering::Relaxed).to_be_bytes();
        peers::send_datagram(&self.host, NOBODY, &mark)?;
        waiting::until_true("the recorder sees a mark on the wire", Duration::from_secs(5), || {
            let is_it = |packet: &Packet| match packet {
                Packet::Datagram(datagram) => datagram.to == NOBODY && datagram.payload == mark,
                Packet::Segment(_) | Packet::Unreachable { .. } => false,
            };
            self.packets.lock().unwrap_or_else(PoisonError::into_inner).iter().rev().any(is_it)
        })
    }

    fn each<T>(&self, look: impl Fn(&Packet) -> Option<T>) -> Vec<T> {
        self.packets.lock().unwrap_or_else(PoisonError::into_inner).iter().filter_map(look).collect()
    }

    /// What was seen of a knock from a client to a gate: everything that an attacker could repeat.
    pub fn knock(&self, client: IpAddr, gate: IpAddr, central: u16, service: u16) -> Knock {
        let mut knock =
            Knock { central: SocketAddr::new(gate, central), asked: Vec::new(), ports: Vec::new() };
        for segment in self.segments() {
            if segment.from.ip() != client || segment.to.ip() != gate || segment.to.port() == service {
                continue;
            }
            if segment.to.port() == central {
                knock.note_question(segment);
            } else if segment.is_attempt() && knock.ports.last() != Some(&segment.to.port()) {
                knock.ports.push(segment.to.port());
            }
        }
        knock
    }
}

impl Drop for Capture {
    fn drop(&mut self) {
        self.wanted.store(false, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            // A recorder that panicked has already said so.
            let _ = thread.join();
        }
    }
}

/// A captured knock: the sealed questions to the central port, in order, and the ports of the sequence.
#[derive(Debug, Clone)]
pub struct Knock {
    pub central: SocketAddr,
    pub asked: Vec<Vec<u8>>,
    pub ports: Vec<u16>,
}

impl Knock {
    fn note_question(&mut self, segment: Segment) {
        if !segment.payload.is_empty() && self.asked.last() != Some(&segment.payload) {
            self.asked.push(segment.payload);
        }
    }

    /// Sends every captured question again, then knocks at every port in order, from any host. Returns what the gate
    /// answered to each question: the first one was for a number, the others for the state of the knock.
    pub fn replay(&self, from: &Host) -> Result<Vec<Vec<u8>>> {
        let answers = self.asked.iter().map(|question| peers::send(from, self.central, question));
        // A gate that does not even take the connection has answered nothing.
        let answers = answers.map(Result::unwrap_or_default).collect();
        self.knock_ports(from, &self.ports)?;
        Ok(answers)
    }

    /// Only the sequence, or a part of it, without asking first.
    pub fn knock_ports(&self, from: &Host, ports: &[u16]) -> Result<()> {
        /// Long enough for a connection to be made, short enough to pass a whole sequence in its window.
        const PER_PORT: Duration = Duration::from_millis(150);
        from.inside(|| {
            for port in ports {
                // Success does not matter: the attempt is the knock.
                let _ = TcpStream::connect_timeout(&SocketAddr::new(self.central.ip(), *port), PER_PORT);
            }
            Ok(())
        })
    }
}

fn record(mut socket: Socket, packets: &Mutex<Vec<Packet>>, wanted: &AtomicBool) {
    let mut buffer = vec![0; usize::from(u16::MAX)];
    while wanted.load(Ordering::Relaxed) {
        match socket.read(&mut buffer) {
            Ok(length) => {
                let seen = Instant::now();
                let packet = buffer.get(..length).and_then(|packet| parse(packet, seen));
                packets.lock().unwrap_or_else(PoisonError::into_inner).extend(packet);
            }
            Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::Interrupted) => {}
            Err(_) => return,
        }
    }
}

/// What is in an IPv4 or IPv6 packet, if it is one of the things that are told apart.
fn parse(packet: &[u8], seen: Instant) -> Option<Packet> {
    match packet.first()? >> 4 {
        4 => {
            let header = usize::from(packet[0] & 0x0f) * 4;
            let length = usize::from(u16::from_be_bytes([*packet.get(2)?, *packet.get(3)?]));
            let from = Ipv4Addr::from(<[u8; 4]>::try_from(packet.get(12..16)?).ok()?);
            let to = Ipv4Addr::from(<[u8; 4]>::try_from(packet.get(16..20)?).ok()?);
            parse_inner(*packet.get(9)?, packet.get(header..length)?, (from.into(), to.into()), seen)
        }
        6 => {
            let from = Ipv6Addr::from(<[u8; 16]>::try_from(packet.get(8..24)?).ok()?);
            let to = Ipv6Addr::from(<[u8; 16]>::try_from(packet.get(24..40)?).ok()?);
            parse_inner(*packet.get(6)?, packet.get(40..)?, (from.into(), to.into()), seen)
        }
        _ => None,
    }
}

fn parse_inner(protocol: u8, inner: &[u8], (from, to): (IpAddr, IpAddr), seen: Instant) -> Option<Packet> {
    let number = |at: usize| Some(u16::from_be_bytes([*inner.get(at)?, *inner.get(at + 1)?]));
    match (protocol, *inner.first()?) {
        (TCP, _) => {
            let header = usize::from(inner.get(12)? >> 4) * 4;
            Some(Packet::Segment(Segment {
                seen,
                from: SocketAddr::new(from, number(0)?),
                to: SocketAddr::new(to, number(2)?),
                flags: *inner.get(13)?,
                payload: inner.get(header..)?.to_vec(),
            }))
        }
        (UDP, _) => Some(Packet::Datagram(Datagram {
            seen,
            from: SocketAddr::new(from, number(0)?),
            to: SocketAddr::new(to, number(2)?),
            payload: inner.get(UDP_HEADER..usize::from(number(4)?))?.to_vec(),
        })),
        (ICMP, UNREACHABLE) | (ICMP_V6, UNREACHABLE_V6) => Some(Packet::Unreachable { by: from }),
        _ => None,
    }
}
