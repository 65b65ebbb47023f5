//! The client's end of the wire: everything that passes, with the kernel's time, and probes of the guarded port.
//!
//! One thread does both: it sends a SYN to the guarded port at a steady pace, each from a fresh source port, and in
//! between reads what has passed. Times are the kernel's stamps, so it does not matter when this thread gets to read.

use std::collections::HashMap;
use std::io::{ErrorKind, Read as _};
use std::net::{IpAddr, Ipv4Addr, SocketAddrV4};
use std::num::NonZeroU64;
use std::thread;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use anyhow::{Context, Result, bail, ensure};
use knockgate_tests::{Family, Host, Lab};
use rustix::io::Errno;
use socket2::{Domain, Protocol, Socket, Type};

use crate::sys;

/// Between two probes. Short against what is measured, and rare enough to leave the machine idle.
const PACE: Duration = Duration::from_micros(200);

/// A knock that has not opened the port by then has failed.
const PATIENCE: Duration = Duration::from_secs(2);

/// Source ports of probes: outside the range that the kernel gives to the client's own connections.
const SOURCE_PORTS: std::ops::Range<u16> = 2_000..32_000;

/// Room for the packets of a tenth of a second in which this thread does not run.
const BACKLOG_BYTES: usize = 4 << 20;

/// `ETH_P_ALL` of linux/if_ether.h: every protocol, both directions.
const EVERY_PROTOCOL: u16 = 0x0003;
/// `IPPROTO_RAW`: the sender writes the IP header, and nothing is ever received.
const OWN_HEADER: i32 = 255;
const TCP: u8 = 6;
const UDP: u8 = 17;
const UDP_HEADER: u16 = 8;
const SYN: u8 = 0x02;
const ACK: u8 = 0x10;

/// A point in time of the system clock, in nanoseconds since 1970.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Moment(i64);

impl Moment {
    pub(crate) fn now() -> Self {
        SystemTime::now().into()
    }

    /// Milliseconds from an earlier moment to this one.
    pub(crate) fn since(self, earlier: Self) -> f64 {
        Duration::from_nanos(self.0.abs_diff(earlier.0)).as_secs_f64()
            * if self < earlier { -1_000.0 } else { 1_000.0 }
    }
}

impl From<SystemTime> for Moment {
    fn from(time: SystemTime) -> Self {
        let since = time.duration_since(UNIX_EPOCH).unwrap_or_default();
        Self(i64::try_from(since.as_nanos()).unwrap_or(i64::MAX))
    }
}

/// One TCP segment or UDP datagram that passed.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Segment {
    pub(crate) at: Moment,
    pub(crate) from: SocketAddrV4,
    pub(crate) to: SocketAddrV4,
    pub(crate) has_payload: bool,
    transport: Transport,
}

#[derive(Clone, Copy, Debug)]
enum Transport {
    Tcp { flags: u8 },
    Udp,
}

impl Segment {
    pub(crate) fn is_attempt(&self) -> bool {
        matches!(self.transport, Transport::Tcp { flags } if flags & (SYN | ACK) == SYN)
    }

    fn is_acceptance(&self) -> bool {
        matches!(self.transport, Transport::Tcp { flags } if flags & (SYN | ACK) == SYN | ACK)
    }

    pub(crate) fn is_datagram_to(&self, port: u16) -> bool {
        matches!(self.transport, Transport::Udp) && self.to.port() == port
    }

    pub(crate) fn is_datagram_from(&self, port: u16) -> bool {
        matches!(self.transport, Transport::Udp) && self.from.port() == port
    }
}

/// What passed during one knock, and when the port was open.
pub(crate) struct Seen {
    /// In the order in which it passed, without the probes.
    pub(crate) segments: Vec<Segment>,
    /// The first SYN-ACK of the guarded port.
    pub(crate) open: Moment,
    /// From the SYN of the answered probe to its SYN-ACK, in milliseconds: what the network alone takes.
    pub(crate) round_trip: f64,
    /// From the last probe without an answer to the answered one, in milliseconds: how exact `open` is.
    pub(crate) resolution: f64,
}

impl Seen {
    /// When the first segment of some kind passed.
    pub(crate) fn first(&self, what: &str, is_it: impl Fn(&Segment) -> bool) -> Result<Moment> {
        let found = self.segments.iter().find(|segment| is_it(segment));
        found.map(|segment| segment.at).with_context(|| format!("{what} was not seen on the wire"))
    }

    /// The same for the first packet of a knock. The answered probe has to be younger, else the port was open before.
    pub(crate) fn begun(&self, is_it: impl Fn(&Segment) -> bool) -> Result<Moment> {
        let begun = self.first("the knock's first packet", is_it)?;
        ensure!(self.open.since(begun) > self.round_trip, "the port was open before the knock");
        Ok(begun)
    }
}

/// Sockets in the client's namespace.
pub(crate) struct Wire {
    packets: Socket,
    raw: Socket,
    client: Ipv4Addr,
    target: SocketAddrV4,
    /// The UDP port from which a knock is answered, if it is.
    answers_from: Option<u16>,
    next_port: u16,
}

impl Wire {
    /// From a lab's client to a port of its gate.
    pub(crate) fn to(lab: &Lab, port: u16) -> Result<Self> {
        let (packets, raw) = lab.client.inside(|| Ok((packet_socket()?, raw_socket()?)))?;
        let target = SocketAddrV4::new(v4(&lab.gate)?, port);
        let next_port = SOURCE_PORTS.start;
        Ok(Self { packets, raw, client: v4(&lab.client)?, target, answers_from: None, next_port })
    }

    /// A knock is over when the port is open and this UDP port has answered.
    pub(crate) fn with_answers_from(self, port: u16) -> Self {
        Self { answers_from: Some(port), ..self }
    }

    /// Probes the port a while, makes sure that it is shut, begins the knock, and probes on until the port is open.
    ///
    /// `repetition` decides how long the while is, so that knocks do not fall in step with anybody's timer.
    pub(crate) fn observe<T>(
        &mut self,
        repetition: u32,
        begin: impl FnOnce(&mut Self) -> Result<T>,
    ) -> Result<(T, Result<Seen>)> {
        rustix::thread::set_current_timer_slack(NonZeroU64::new(1))?;
        self.read(|_| ())?;
        let mut log = Log::new(self.target);
        let mut pace = Pace { next: Instant::now() };
        for _ in 0..25 + repetition * 37 % 250 {
            self.probe(&mut pace, &mut log)?;
        }
        ensure!(!log.is_open(), "port {} is open before the knock", self.target.port());
        let begun = begin(self)?;
        let deadline = Instant::now() + PATIENCE;
        while !(log.is_open() && self.answers_from.is_none_or(|port| log.has_datagram_from(port)))
            && Instant::now() < deadline
        {
            self.probe(&mut pace, &mut log)?;
        }
        Ok((begun, log.conclude()))
    }

    /// A SYN to another port of the same host, from a fresh source port.
    pub(crate) fn send_syn(&mut self, port: u16) -> Result<()> {
        let from = SocketAddrV4::new(self.client, self.next_port);
        self.next_port =
            Some(self.next_port + 1).filter(|port| SOURCE_PORTS.contains(port)).unwrap_or(SOURCE_PORTS.start);
        let to = SocketAddrV4::new(*self.target.ip(), port);
        self.raw.send_to(&syn(from, to), &to.into()).context("a SYN cannot be sent")?;
        Ok(())
    }

    fn probe(&mut self, pace: &mut Pace, log: &mut Log) -> Result<()> {
        pace.keep();
        self.send_syn(self.target.port())?;
        self.read(|segment| log.note(segment))
    }

    /// Reads everything that has passed since the last time.
    fn read(&mut self, mut note: impl FnMut(Segment)) -> Result<()> {
        let mut buffer = [0; 512];
        loop {
            let length = match (&self.packets).read(&mut buffer) {
                Ok(length) => length,
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(()),
                Err(error) => return Err(error).context("cannot read from the wire"),
            };
            let [seconds, nanoseconds] = sys::stamp_of_last_packet(&self.packets)?;
            let at = Moment(seconds * 1_000_000_000 + nanoseconds);
            if let Some(segment) = buffer.get(..length).and_then(|packet| parse(packet, at)) {
                note(segment);
            }
        }
    }
}

/// A steady pace that does not try to make up for lost steps.
struct Pace {
    next: Instant,
}

impl Pace {
    fn keep(&mut self) {
        let now = Instant::now();
        thread::sleep(self.next.saturating_duration_since(now));
        self.next = now.max(self.next) + PACE;
    }
}

/// What is kept of what passes.
struct Log {
    target: SocketAddrV4,
    segments: Vec<Segment>,
    /// When each probe left, by its source port.
    probes: HashMap<u16, Moment>,
    /// The first SYN-ACK to a probe.
    answered: Option<Segment>,
}

impl Log {
    fn new(target: SocketAddrV4) -> Self {
        Self { target, segments: Vec::new(), probes: HashMap::new(), answered: None }
    }

    fn note(&mut self, segment: Segment) {
        if segment.to == self.target && segment.is_attempt() {
            self.probes.insert(segment.from.port(), segment.at);
        } else if segment.from == self.target && segment.is_acceptance() {
            self.answered.get_or_insert(segment);
        } else {
            self.segments.push(segment);
        }
    }

    fn is_open(&self) -> bool {
        self.answered.is_some()
    }

    fn has_datagram_from(&self, port: u16) -> bool {
        self.segments.iter().any(|segment| segment.is_datagram_from(port))
    }

    fn conclude(self) -> Result<Seen> {
        let Some(answer) = self.answered else {
            bail!("the port was not open after {} seconds", PATIENCE.as_secs());
        };
        let asked = *self.probes.get(&answer.to.port()).context("an answer to a probe that was not sent")?;
        let before = self
            .probes
            .values()
            .filter(|at| **at < asked)
            .max()
            .context("no probe before the answered one")?;
        Ok(Seen {
            open: answer.at,
            round_trip: answer.at.since(asked),
            resolution: asked.since(*before),
            segments: self.segments,
        })
    }
}

fn v4(host: &Host) -> Result<Ipv4Addr> {
    match host.ip(Family::V4) {
        IpAddr::V4(address) => Ok(address),
        IpAddr::V6(address) => bail!("{address} is not of IPv4"),
    }
}

fn packet_socket() -> Result<Socket> {
    let every = Protocol::from(i32::from(EVERY_PROTOCOL.to_be()));
    // Type DGRAM: the kernel takes the link header off.
    let socket = Socket::new(Domain::PACKET, Type::DGRAM, Some(every)).context("no packet socket")?;
    socket.set_recv_buffer_size(BACKLOG_BYTES)?;
    socket.set_nonblocking(true)?;
    match sys::stamp_of_last_packet(&socket) {
        Err(error) if error.raw_os_error() != Some(Errno::NOENT.raw_os_error()) => {
            Err(error).context("the kernel does not stamp packets")
        }
        Ok(_) | Err(_) => Ok(socket),
    }
}

fn raw_socket() -> Result<Socket> {
    Socket::new(Domain::IPV4, Type::RAW, Some(OWN_HEADER.into())).context("no raw socket")
}

/// An IPv4 packet with a bare SYN. The kernel fills in the IP header's length and checksum.
fn syn(from: SocketAddrV4, to: SocketAddrV4) -> [u8; 40] {
    let mut packet = [0; 40];
    packet[0] = 0x45;
    packet[8] = 64;
    packet[9] = TCP;
    packet[12..16].copy_from_slice(&from.ip().octets());
    packet[16..20].copy_from_slice(&to.ip().octets());
    packet[20..22].copy_from_slice(&from.port().to_be_bytes());
    packet[22..24].copy_from_slice(&to.port().to_be_bytes());
    packet[32] = 0x50;
    packet[33] = SYN;
    packet[34..36].copy_from_slice(&u16::MAX.to_be_bytes());
    let checksum = tcp_checksum(&packet);
    packet[36..38].copy_from_slice(&checksum.to_be_bytes());
    packet
}

/// RFC 9293, section 3.1, over the addresses, the protocol, the length of 20 bytes, and the header.
fn tcp_checksum(packet: &[u8; 40]) -> u16 {
    let words = packet[12..].chunks_exact(2).map(|word| u32::from(u16::from_be_bytes([word[0], word[1]])));
    let sum = words.sum::<u32>() + u32::from(TCP) + 20;
    let folded = (sum & 0xffff) + (sum >> 16);
    let [_, _, high, low] = (folded + (folded >> 16)).to_be_bytes();
    !u16::from_be_bytes([high, low])
}

/// A TCP segment or UDP datagram in an IPv4 packet; anything else is not looked at.
fn parse(packet: &[u8], at: Moment) -> Option<Segment> {
    if packet.first()? >> 4 != 4 {
        return None;
    }
    let word = |offset: usize| Some(u16::from_be_bytes([*packet.get(offset)?, *packet.get(offset + 1)?]));
    let address =
        |offset: usize| Some(Ipv4Addr::from(<[u8; 4]>::try_from(packet.get(offset..offset + 4)?).ok()?));
    let start = usize::from(packet[0] & 0x0f) * 4;
    let (transport, has_payload) = match *packet.get(9)? {
        TCP => {
            let header = usize::from(packet.get(start + 12)? >> 4) * 4;
            let flags = *packet.get(start + 13)?;
            (Transport::Tcp { flags }, usize::from(word(2)?) > start + header)
        }
        UDP => (Transport::Udp, word(start + 4)? > UDP_HEADER),
        _ => return None,
    };
    Some(Segment {
        at,
        from: SocketAddrV4::new(address(12)?, word(start)?),
        to: SocketAddrV4::new(address(16)?, word(start + 2)?),
        has_payload,
        transport,
    })
}
