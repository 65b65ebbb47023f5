//! Packets with any source address, one by one or as a flood: what a stranger can send, and what happens to packets on the way.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use socket2::{Domain, Protocol, Socket, Type};

use crate::pings::checksum;
use crate::{Host, waiting};

/// `IPPROTO_RAW` of netinet/in.h: the sender writes the IP header.
const OWN_HEADER: i32 = 255;
const TCP: u8 = 6;
const UDP: u8 = 17;
const TCP_HEADER: u8 = 20;
const SYN: u8 = 0x02;
const HOPS: u8 = 64;
/// How often a flood looks at the clock. Its packets leave in bursts of so much time.
const BURST: Duration = Duration::from_millis(1);

/// One packet that begins something.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Opening {
    /// A bare SYN.
    Syn,
    /// A segment with these flags and nothing in it, which begins nothing.
    Segment(u8),
    Datagram(Vec<u8>),
}

/// Sends from a host what another one seems to have sent.
pub struct Forger {
    v4: Socket,
    v6: Socket,
}

impl Forger {
    pub fn at(host: &Host) -> Result<Self> {
        let raw = |domain| Socket::new(domain, Type::RAW, Some(Protocol::from(OWN_HEADER)));
        host.inside(|| Ok(Self { v4: raw(Domain::IPV4)?, v6: raw(Domain::IPV6)? })).context("no raw socket")
    }

    /// Both ends are of one family.
    pub fn send(&self, from: SocketAddr, to: SocketAddr, what: &Opening) -> Result<()> {
        let packet = packet(from, to, what);
        let socket = if to.is_ipv4() { &self.v4 } else { &self.v6 };
        // A raw socket has no ports.
        socket.send_to(&packet, &SocketAddr::new(to.ip(), 0).into())?;
        Ok(())
    }
}

fn packet(from: SocketAddr, to: SocketAddr, what: &Opening) -> Vec<u8> {
    let (protocol, segment) = match what {
        Opening::Syn => (TCP, segment(from, to, SYN)),
        Opening::Segment(flags) => (TCP, segment(from, to, *flags)),
        Opening::Datagram(payload) => (UDP, datagram(from, to, payload)),
    };
    let length = u16::try_from(segment.len()).unwrap_or(u16::MAX);
    let mut packet = match (from.ip(), to.ip()) {
        (IpAddr::V4(from), IpAddr::V4(to)) => {
            // The kernel fills in length and checksum.
            let mut header = vec![0x45, 0, 0, 0, 0, 0, 0, 0, HOPS, protocol, 0, 0];
            header.extend(from.octets());
            header.extend(to.octets());
            header
        }
        (from, to) => {
            let [high, low] = length.to_be_bytes();
            let mut header = vec![0x60, 0, 0, 0, high, low, protocol, HOPS];
            header.extend(octets(from));
            header.extend(octets(to));
            header
        }
    };
    packet.extend(segment);
    packet
}

/// An address as it stands in a header of its family.
fn octets(address: IpAddr) -> Vec<u8> {
    match address {
        IpAddr::V4(address) => address.octets().into(),
        IpAddr::V6(address) => address.octets().into(),
    }
}

fn segment(from: SocketAddr, to: SocketAddr, flags: u8) -> Vec<u8> {
    let mut segment = vec![0; usize::from(TCP_HEADER)];
    segment[0..2].copy_from_slice(&from.port().to_be_bytes());
    segment[2..4].copy_from_slice(&to.port().to_be_bytes());
    segment[12] = (TCP_HEADER / 4) << 4;
    segment[13] = flags;
    segment[14..16].copy_from_slice(&u16::MAX.to_be_bytes());
    let sum = sum_with_ends(from, to, TCP, &segment);
    segment[16..18].copy_from_slice(&sum);
    segment
}

fn datagram(from: SocketAddr, to: SocketAddr, payload: &[u8]) -> Vec<u8> {
    let length = u16::try_from(payload.len() + 8).unwrap_or(u16::MAX);
    let mut segment = Vec::with_capacity(length.into());
    segment
        .extend([from.port().to_be_bytes(), to.port().to_be_bytes(), length.to_be_bytes(), [0; 2]].concat());
    segment.extend(payload);
    let sum = sum_with_ends(from, to, UDP, &segment);
    segment[6..8].copy_from_slice(&sum);
    segment
}

/// The checksum of a segment, with the addresses that it goes between. Sources: RFC 9293, section 3.1; RFC 8200, section 8.1.
fn sum_with_ends(from: SocketAddr, to: SocketAddr, protocol: u8, segment: &[u8]) -> [u8; 2] {
    let length = u16::try_from(segment.len()).unwrap_or(u16::MAX).to_be_bytes();
    let mut summed = [octets(from.ip()), octets(to.ip()), vec![0, protocol], length.to_vec()].concat();
    summed.extend(segment);
    checksum(&summed)
}

/// Sends on a thread of its own until it is dropped.
pub struct Flood {
    wanted: Arc<AtomicBool>,
    sent: Arc<AtomicU64>,
    thread: Option<JoinHandle<Result<()>>>,
}

impl Flood {
    /// So many packets a second, or as many as one can: packet number `n` is what `each` says.
    pub fn start(
        host: &Host,
        per_second: Option<u32>,
        each: impl Fn(u64) -> (SocketAddr, SocketAddr, Opening) + Send + 'static,
    ) -> Result<Self> {
        let forger = Forger::at(host)?;
        let (wanted, sent) = (Arc::new(AtomicBool::new(true)), Arc::new(AtomicU64::new(0)));
        let thread = std::thread::spawn({
            let (wanted, sent) = (Arc::clone(&wanted), Arc::clone(&sent));
            move || pour(&forger, per_second, each, &wanted, &sent)
        });
        Ok(Self { wanted, sent, thread: Some(thread) })
    }

    pub fn sent(&self) -> u64 {
        self.sent.load(Ordering::Relaxed)
    }

    /// Ends it. How many packets were sent.
    pub fn stop(mut self) -> Result<u64> {
        self.wanted.store(false, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))?;
        }
        Ok(self.sent())
    }
}

impl Drop for Flood {
    fn drop(&mut self) {
        self.wanted.store(false, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            // A thread that failed has its say in `stop`.
            let _ = thread.join();
        }
    }
}

fn pour(
    forger: &Forger,
    per_second: Option<u32>,
    each: impl Fn(u64) -> (SocketAddr, SocketAddr, Opening),
    wanted: &AtomicBool,
    sent: &AtomicU64,
) -> Result<()> {
    let begun = Instant::now();
    let mut count = 0;
    while wanted.load(Ordering::Relaxed) {
        let due = per_second.map(|rate| begun.elapsed().as_micros() * u128::from(rate) / 1_000_000);
        if due.is_some_and(|due| u128::from(count) >= due) {
            waiting::let_pass(BURST);
            continue;
        }
        let (from, to, what) = each(count);
        match forger.send(from, to, &what) {
            Err(error) if count == 0 => return Err(error.context("a flood cannot begin")),
            // What finds no room on the way is lost, as on any network.
            Ok(()) | Err(_) => count += 1,
        }
        sent.store(count, Ordering::Relaxed);
    }
    Ok(())
}
