//! Noise: packets of strangers, as many as are wanted, from addresses that are not the sender's.
//!
//! It enters at the last router's interface to the gate, so nothing on the way has to carry it, and goes past queues and packet
//! sockets of that side.

mod frames;
mod spoof;

use std::io::IoSlice;
use std::num::NonZeroU64;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use knockgate_tests::Lab;
use rustix::net::{MMsgHdr, SendAncillaryBuffer, SendFlags, sendmmsg};
use socket2::Socket;

use crate::link;
use crate::wire;
use frames::Frames;
pub(crate) use frames::Kind;

/// The router's interface to the gate.
const TO_GATE: &str = "to1";

/// Frames that are given to the kernel at a time.
const BATCH: usize = 64;

/// Longest sleep while no packet is due. Short, so that a rate is kept evenly.
const NAP: Duration = Duration::from_micros(500);

/// A sender's Ethernet address of its own making, which nobody answers.
const NOBODY: link::Mac = [2, 0, 0, 0, 0, 1];

/// What a stranger sends.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Noise {
    pub(crate) kind: Kind,
    /// So many different addresses.
    pub(crate) sources: u32,
    /// Packets a second; as many as can be sent if there is no such number.
    pub(crate) rate: Option<u32>,
}

/// A thread that makes noise until this is dropped.
pub(crate) struct Maker {
    shared: Arc<Shared>,
    since: Instant,
    thread: Option<JoinHandle<()>>,
}

#[derive(Default)]
struct Shared {
    is_enough: AtomicBool,
    sent: AtomicU64,
}

impl Maker {
    pub(crate) fn start(lab: &Lab, noise: Noise) -> Result<Self> {
        let gate = link::mac_of(&lab.gate, "eth0")?;
        let router = link::mac_of(&lab.net, TO_GATE)?;
        let frames = Frames::new(noise, [gate, router], wire::v4(&lab.gate)?);
        let socket = lab.net.inside(|| link::sender(TO_GATE))?;
        let shared = Arc::<Shared>::default();
        let thread = std::thread::spawn({
            let shared = Arc::clone(&shared);
            move || {
                let is_enough = || shared.is_enough.load(Ordering::Relaxed);
                make(&socket, frames, noise.rate, is_enough, &shared.sent);
            }
        });
        Ok(Self { shared, since: Instant::now(), thread: Some(thread) })
    }

    /// Packets so far.
    pub(crate) fn sent(&self) -> u64 {
        self.shared.sent.load(Ordering::Relaxed)
    }

    /// Packets a second, so far.
    pub(crate) fn rate(&self) -> f64 {
        #[expect(clippy::cast_precision_loss, reason = "far below 2^52")]
        let sent = self.sent() as f64;
        sent / self.since.elapsed().as_secs_f64()
    }
}

impl Drop for Maker {
    fn drop(&mut self) {
        self.shared.is_enough.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            // One that panicked has already said so.
            let _ = thread.join();
        }
    }
}

fn make(
    socket: &Socket,
    mut frames: Frames,
    rate: Option<u32>,
    is_enough: impl Fn() -> bool,
    sent: &AtomicU64,
) {
    // Without it a nap takes a tenth longer, which costs rates but nothing else.
    let _ = rustix::thread::set_current_timer_slack(NonZeroU64::new(1));
    let begun = Instant::now();
    while !is_enough() {
        match due(rate, begun.elapsed(), sent.load(Ordering::Relaxed)) {
            0 => std::thread::sleep(NAP),
            due => {
                let given = send(socket, frames.next(due.min(BATCH)));
                sent.fetch_add(given, Ordering::Relaxed);
            }
        }
    }
}

/// Packets that should have been sent by now and were not.
fn due(rate: Option<u32>, elapsed: Duration, sent: u64) -> usize {
    let Some(rate) = rate else { return usize::MAX };
    let should = u128::from(rate) * elapsed.as_micros() / 1_000_000;
    usize::try_from(should.saturating_sub(sent.into())).unwrap_or(usize::MAX)
}

/// How many the kernel has taken. What it does not take now is not sent again.
fn send(socket: &Socket, frames: &[Vec<u8>]) -> u64 {
    let slices: Vec<[IoSlice<'_>; 1]> = frames.iter().map(|frame| [IoSlice::new(frame)]).collect();
    let mut controls: Vec<SendAncillaryBuffer<'_, '_, '_>> =
        slices.iter().map(|_| SendAncillaryBuffer::default()).collect();
    let messages = slices.iter().zip(&mut controls).map(|(slice, control)| MMsgHdr::new(slice, control));
    let mut messages: Vec<MMsgHdr<'_>> = messages.collect();
    sendmmsg(socket, &mut messages, SendFlags::empty()).map_or(0, |taken| taken as u64)
}

/// `bench noise INTERFACE GATE MAC KIND SOURCES RATE|max SECONDS`: noise by hand, in whatever namespace this is.
pub(crate) fn by_hand(arguments: &[&str]) -> Result<()> {
    let [interface, gate, mac, kind, sources, rate, seconds] = arguments else {
        anyhow::bail!("it takes INTERFACE GATE MAC syn|junk|letters|short|walk SOURCES RATE|max SECONDS")
    };
    let noise = Noise {
        kind: Kind::named(kind)
            .with_context(|| format!("{kind:?} is no kind; use syn, junk, letters, short or walk"))?,
        sources: sources.parse().context("the number of sources")?,
        rate: (*rate != "max").then(|| rate.parse()).transpose().context("the rate")?,
    };
    let gate_mac = link::parse_mac(mac).context("the gate's Ethernet address")?;
    let frames = Frames::new(noise, [gate_mac, NOBODY], gate.parse()?);
    let (socket, length) = (link::sender(interface)?, Duration::from_secs(seconds.parse()?));
    let (begun, sent) = (Instant::now(), AtomicU64::default());
    make(&socket, frames, noise.rate, || begun.elapsed() >= length, &sent);
    let sent = sent.into_inner();
    println!("{sent} packets, {} a second", sent / length.as_secs().max(1));
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rate_is_kept_and_no_rate_is_no_bound() {
        let second = Duration::from_secs(1);
        #[rustfmt::skip]
        let cases = [
            (1, Some(1_000), second, 0, 1_000), (2, Some(1_000), second, 990, 10), (3, Some(1_000), second, 2_000, 0),
            (4, Some(100), Duration::from_millis(5), 0, 0), (5, None, Duration::ZERO, 5, usize::MAX),
        ];
        for (case, rate, elapsed, sent, expected) in cases {
            assert_eq!(due(rate, elapsed, sent), expected, "case {case}");
        }
    }
}
