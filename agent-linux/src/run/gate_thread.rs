//! The thread that owns the gate, the firewall and the sockets that packets come in by.
//!
//! It sleeps in one place, until a packet comes, somebody rings or something is due; so a packet costs one wake-up from the wire to
//! the open port. Packets are taken in batches, and between two of them whatever else waits has its turn: neither a flood nor
//! callers in crowds keep a deadline, an answer of the disk or a client waiting for longer than a batch takes.

use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context, anyhow};
use knockgate_core::limits::MESSAGE_LEN;
use tokio::sync::oneshot;

use super::bell::Woken;
use super::clock;
use super::driver::{Driver, Stop};
use super::input::{Input, Received};
use super::notify::Notify;
use super::packets::Packets;
use super::rhythm::{Rhythm, Wait};

/// Packets that are taken in one go. Junk of a knock's size costs a microsecond each.
const BATCH: usize = 64;
const _: () = assert!(BATCH * MESSAGE_LEN < 16 * 1024, "a batch stays in the processor's nearest cache");
/// Inputs and calls that are taken between two batches.
const INPUTS: usize = 64;
/// How often the agent looks after roster and firewall.
const UPKEEP: Duration = Duration::from_secs(1);
/// As much as a process's first thread usually has: policies and key exchanges run here.
const STACK_BYTES: usize = 8 * 1024 * 1024;

/// What the thread works with.
pub(super) struct GateThread {
    driver: Driver,
    packets: Packets,
    received: Received,
    rhythm: Rhythm,
    upkeep: Instant,
    notify: Arc<Notify>,
}

impl GateThread {
    pub(super) fn new(driver: Driver, packets: Packets, received: Received, notify: Arc<Notify>) -> Self {
        let now = Instant::now();
        Self { driver, packets, received, rhythm: Rhythm::new(now), upkeep: now + UPKEEP, notify }
    }

    /// Runs until a signal ends it or something that it cannot do without breaks. A panic of the thread is one of the caller.
    pub(super) async fn run(self) -> anyhow::Result<()> {
        let (done, finished) = oneshot::channel();
        let thread = std::thread::Builder::new()
            .name("gate".into())
            .stack_size(STACK_BYTES)
            // Whoever waits for the result is gone only when the whole agent is.
            .spawn(move || drop(done.send(self.work())))
            .context("cannot start the gate's thread")?;
        match (finished.await, thread) {
            (Ok(result), _) => result,
            (Err(_), thread) => match thread.join() {
                Err(panic) => std::panic::resume_unwind(panic),
                Ok(()) => Err(anyhow!("the gate's thread has ended; restart the agent")),
            },
        }
    }

    fn work(mut self) -> anyhow::Result<()> {
        self.driver.turn();
        let stop = loop {
            if let Some(stop) = self.next() {
                break stop;
            }
        };
        self.notify.stopping();
        let Self { driver, packets, received, .. } = self;
        drop(received);
        driver.end(stop, packets.counts())
    }

    /// Waits for what comes next, and takes it.
    fn next(&mut self) -> Option<Stop> {
        let woken = match self.sleep() {
            Ok(woken) => woken,
            Err(error) => {
                return Some(Stop::Broken(anyhow::Error::new(error).context("cannot wait for knocks")));
            }
        };
        let is_due = woken == Woken::ByDescriptor || self.rhythm.wait() != Wait::Packet;
        if is_due && let Err(error) = self.read() {
            return Some(Stop::Broken(anyhow::Error::new(error).context("packets cannot be read")));
        }
        self.take_inputs().or_else(|| self.look_after())
    }

    fn sleep(&self) -> std::io::Result<Woken> {
        let due = self.due();
        match self.rhythm.wait() {
            Wait::Nothing => Ok(Woken::ByDescriptor),
            Wait::Packet => self.received.sleep(self.packets.descriptors(), due),
            Wait::Rest(rest) => self.received.sleep(std::iter::empty(), due.min(rest)),
        }
    }

    fn due(&self) -> Duration {
        let upkeep = self.upkeep.saturating_duration_since(Instant::now());
        self.driver.due(clock::now()).map_or(upkeep, |due| due.min(upkeep))
    }

    fn read(&mut self) -> std::io::Result<()> {
        let Self { driver, packets, .. } = self;
        let taken = packets.read(BATCH, &mut |seen| driver.seen(seen))?;
        driver.turn();
        self.rhythm.looked(Instant::now(), taken.packets, taken.more);
        Ok(())
    }

    fn take_inputs(&mut self) -> Option<Stop> {
        for _ in 0..INPUTS {
            let Some(input) = self.received.next_input() else { break };
            let stop = self.take(input);
            self.driver.turn();
            if stop.is_some() {
                return stop;
            }
        }
        for _ in 0..INPUTS {
            let Some(call) = self.received.next_call() else { break };
            self.driver.answer(call);
            self.driver.turn();
        }
        None
    }

    fn take(&mut self, input: Input) -> Option<Stop> {
        let Input::Turnover(change, answer) = input else { return self.driver.take(input) };
        // Whoever has prepared it is there until it is applied.
        drop(answer.send(self.driver.turn_over(&mut self.packets, *change)));
        None
    }

    fn look_after(&mut self) -> Option<Stop> {
        let now = Instant::now();
        let stop = if self.upkeep > now {
            self.driver.look_at_the_clock();
            None
        } else {
            self.upkeep = now + UPKEEP;
            self.notify.alive();
            self.packets.look_after();
            self.driver.look_after(now, self.packets.counts())
        };
        self.driver.turn();
        stop
    }
}
