//! Connections that were begun rightly, and may go on: the bridge's memory.
//!
//! Nobody gets an entry who was not let through before, so no stranger can fill the table. When it is full, the flow that
//! has been silent longest makes room; if a grant covers it, its next packet brings it back.

use core::net::IpAddr;
use core::time::Duration;

use alloc::vec::Vec;
use knockgate_core::Instant;
use knockgate_core::profile::Protocol;

use crate::frame::{Segment, Step};
use crate::limits::{FLOW_CLOSING, FLOW_OPENING, FLOW_TCP_IDLE, FLOW_UDP_IDLE, FLOWS};

/// Both ends of a connection. The inner end stands behind the gateway, whoever began.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Flow {
    protocol: Protocol,
    inner: (IpAddr, u16),
    outer: (IpAddr, u16),
}

/// Which way a segment goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Direction {
    Inwards,
    Outwards,
}

impl Flow {
    pub(crate) fn of(segment: &Segment, direction: Direction) -> Self {
        let &Segment { protocol, source, target, .. } = segment;
        match direction {
            Direction::Inwards => Self { protocol, inner: target, outer: source },
            Direction::Outwards => Self { protocol, inner: source, outer: target },
        }
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Stage {
    /// Only the side that began has spoken.
    Opening(Direction),
    /// Both have.
    Established,
    /// One has said that it is over.
    Closing,
}

struct Entry {
    flow: Flow,
    stage: Stage,
    last: Instant,
    until: Instant,
}

/// At most [`FLOWS`] connections.
pub(crate) struct Flows {
    entries: Vec<Entry>,
}

impl Flows {
    pub(crate) fn new() -> Self {
        Self { entries: Vec::with_capacity(FLOWS) }
    }

    /// Whether `segment` belongs to a known connection; if so, that connection is kept alive.
    pub(crate) fn knows(&mut self, now: Instant, segment: &Segment, direction: Direction) -> bool {
        let flow = Flow::of(segment, direction);
        let Some(entry) = self.entries.iter_mut().find(|entry| entry.flow == flow && entry.until > now)
        else {
            return false;
        };
        entry.take(now, segment.step, direction);
        true
    }

    /// Remembers the connection that `segment` begins.
    pub(crate) fn begin(&mut self, now: Instant, segment: &Segment, direction: Direction) {
        let flow = Flow::of(segment, direction);
        self.entries.retain(|entry| entry.until > now && entry.flow != flow);
        if self.entries.len() >= FLOWS {
            let quietest = self.entries.iter().enumerate().min_by_key(|(_, entry)| entry.last);
            quietest.map(|(at, _)| at).map(|at| self.entries.swap_remove(at));
        }
        let stage = Stage::Opening(direction);
        self.entries.push(Entry { flow, stage, last: now, until: now.after(FLOW_OPENING) });
    }
}

impl Entry {
    fn take(&mut self, now: Instant, step: Step, direction: Direction) {
        self.last = now;
        let answered = self.stage != Stage::Opening(direction);
        match (self.stage, step) {
            (Stage::Closing, _) => {}
            (_, Step::End) => {
                self.stage = Stage::Closing;
                self.until = now.after(FLOW_CLOSING);
            }
            (_, Step::Begin | Step::Continue) if answered => {
                self.stage = Stage::Established;
                self.until = now.after(self.idle());
            }
            (_, Step::Begin | Step::Continue) => self.until = now.after(FLOW_OPENING),
        }
    }

    fn idle(&self) -> Duration {
        match self.flow.protocol {
            Protocol::Tcp => FLOW_TCP_IDLE,
            Protocol::Udp => FLOW_UDP_IDLE,
        }
    }
}

#[cfg(test)]
#[path = "flows/tests.rs"]
mod tests;
