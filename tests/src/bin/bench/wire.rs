//! The client's end of the wire: everything that passes, with the kernel's time, and probes of the guarded port.
//!
//! One thread does both: it sends a SYN to the guarded port at a steady pace, each from a fresh source port, and in
//! between reads what has passed. Times are the kernel's stamps, so it does not matter when this thread gets to read.

use std::collections::HashMap;
use std::io::{ErrorKind, Read as _};
use std::net::{IpAddr, Ipv4Addr, SocketAddrV4};
use std::num::NonZeroU64;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use knockgate_tests::{Family, Host, Lab};
use rustix::io::Errno;
use socket2::{Domain, Protocol, Socket, Type};

use crate::link::{self, EVERY_PROTOCOL};
use crate::processors::{self, End};
use crate::segment::{Moment, Segment, parse, syn};
use crate::sys;

/// How long a knock may take.
const PATIENCE: Duration = Duration::from_secs(2);

/// Source ports of probes: outside the range that the kernel gives to the client's own connections.
const SOURCE_PORTS: std::ops::Range<u16> = 2_000..32_000;

/// `IPPROTO_RAW`: the sender writes the IP header, and nothing is ever received.
const OWN_HEADER: i32 = 255;

/// How often the guarded port is probed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Pace {
    /// Where time is measured to a fraction of a millisecond.
    Fine,
    /// Where somebody makes noise, and probes shall not be a part of it.
    Coarse,
}

impl Pace {
    /// Between two probes.
    pub(crate) const fn gap(self) -> Duration {
        match self {
            Self::Fine => Duration::from_micros(100),
            Self::Coarse => Duration::from_millis(1),
        }
    }
}

/// How one knock is watched.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Watching {
    /// The number of the knock. It decides how long the port is probed before, so that knocks do not fall in step with anybody's
    /// timer.
    pub(crate) repetition: u32,
    pub(crate) pace: Pace,
    /// A knock that has not opened the port by then has failed.
    pub(crate) patience: Duration,
    /// Whoever knocks, and his probes, are on a processor of their own: then the gate was started on the others.
    pub(crate) is_apart: bool,
}

impl Watching {
    pub(crate) fn new(repetition: u32, pace: Pace) -> Self {
        Self { repetition, pace, patience: PATIENCE, is_apart: false }
    }

    pub(crate) fn apart(self) -> Self {
        Self { is_apart: true, ..self }
    }

    /// Between 5 and 54 milliseconds.
    fn before(self) -> Duration {
        Duration::from_millis(5) + Duration::from_micros(u64::from(self.repetition) * 7_400 % 50_000)
    }

    fn probes_before(self) -> u128 {
        (self.before().as_nanos() / self.pace.gap().as_nanos()).max(5)
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

    /// From now on probes and SYNs come from this address of the client.
    pub(crate) fn speak_as(&mut self, client: Ipv4Addr) {
        self.client = client;
    }

    /// Probes the port a while, makes sure that it is shut, begins the knock, and probes on until the port is open. For a thread
    /// inside the client's namespace.
    pub(crate) fn observe<T>(
        &mut self,
        watching: Watching,
        begin: impl FnOnce(&mut Self) -> Result<T>,
    ) -> Result<(T, Result<Seen>)> {
        if watching.is_apart {
            return processors::on(End::Client, || self.watch(watching, begin));
        }
        self.watch(watching, begin)
    }

    fn watch<T>(
        &mut self,
        watching: Watching,
        begin: impl FnOnce(&mut Self) -> Result<T>,
    ) -> Result<(T, Result<Seen>)> {
        rustix::thread::set_current_timer_slack(NonZeroU64::new(1))?;
        self.read(|_| ())?;
        let mut log = Log::new(self.client, self.target);
        let mut pace = Metronome { gap: watching.pace.gap(), next: Instant::now() };
        for _ in 0..watching.probes_before() {
            self.probe(&mut pace, &mut log)?;
        }
        ensure!(!log.is_open(), "port {} is open before the knock", self.target.port());
        let begun = begin(self)?;
        let deadline = Instant::now() + watching.patience;
        while !(log.is_open() && self.answers_from.is_none_or(|port| log.has_datagram_from(port)))
            && Instant::now() < deadline
        {
            self.probe(&mut pace, &mut log)?;
        }
        Ok((begun, log.conclude(watching.patience)))
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

    fn probe(&mut self, pace: &mut Metronome, log: &mut Log) -> Result<()> {
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
            let at = Moment::of_stamp(sys::stamp_of_last_packet(&self.packets)?);
            if let Some(segment) = buffer.get(..length).and_then(|packet| parse(packet, at)) {
                note(segment);
            }
        }
    }
}

/// A steady pace that does not try to make up for lost steps.
struct Metronome {
    gap: Duration,
    next: Instant,
}

impl Metronome {
    fn keep(&mut self) {
        let now = Instant::now();
        thread::sleep(self.next.saturating_duration_since(now));
        self.next = now.max(self.next) + self.gap;
    }
}

/// What is kept of what passes.
struct Log {
    client: Ipv4Addr,
    target: SocketAddrV4,
    segments: Vec<Segment>,
    /// When each probe left, by its source port.
    probes: HashMap<u16, Moment>,
    /// The first SYN-ACK to a probe.
    answered: Option<Segment>,
}

impl Log {
    fn new(client: Ipv4Addr, target: SocketAddrV4) -> Self {
        Self { client, target, segments: Vec::new(), probes: HashMap::new(), answered: None }
    }

    fn note(&mut self, segment: Segment) {
        if segment.to == self.target && segment.is_attempt() {
            self.probes.insert(segment.from.port(), segment.at);
        } else if segment.from == self.target && segment.is_acceptance() {
            // An answer to another address of the client belongs to an earlier knock.
            if *segment.to.ip() == self.client {
                self.answered.get_or_insert(segment);
            }
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

    fn conclude(self, patience: Duration) -> Result<Seen> {
        let Some(answer) = self.answered else {
            bail!("the port was not open after {} ms", patience.as_millis());
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

pub(crate) fn v4(host: &Host) -> Result<Ipv4Addr> {
    match host.ip(Family::V4) {
        IpAddr::V4(address) => Ok(address),
        IpAddr::V6(address) => bail!("{address} is not of IPv4"),
    }
}

fn packet_socket() -> Result<Socket> {
    let every = Protocol::from(i32::from(EVERY_PROTOCOL.to_be()));
    // Type DGRAM: the kernel takes the link header off.
    let socket = Socket::new(Domain::PACKET, Type::DGRAM, Some(every)).context("no packet socket")?;
    link::make_room(&socket)?;
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
