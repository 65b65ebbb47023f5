//! What passes between the two ports.
//!
//! Outwards everything passes. Inwards pass ARP and neighbour discovery, without which nobody finds anybody; connections
//! that were begun inside; and what a grant covers. Everything else is dropped, and nobody is told.
//!
//! A connection that was begun under a grant goes on when the grant has ended, as it does on Linux.

use knockgate_core::Instant;
use smoltcp::phy::{Device, TxToken};

use crate::clock;
use crate::filter::{Filter, Target};
use crate::flows::{Direction, Flows};
use crate::frame::{Frame, Kind, Segment, Step};

pub(crate) struct Bridge {
    pub(crate) filter: Filter,
    flows: Flows,
}

impl Bridge {
    pub(crate) fn new(filter: Filter) -> Self {
        Self { filter, flows: Flows::new() }
    }

    /// Whether a frame from outside may pass.
    pub(crate) fn lets_in(&mut self, now: Instant, frame: &Frame) -> bool {
        match &frame.kind {
            Kind::Arp { .. } | Kind::Neighbour { .. } => true,
            Kind::Segment(segment) => self.lets_segment_in(now, segment),
            Kind::Other => false,
        }
    }

    fn lets_segment_in(&mut self, now: Instant, segment: &Segment) -> bool {
        if self.flows.knows(now, segment, Direction::Inwards) {
            return true;
        }
        let &Segment { protocol, source: (source, _), target: (address, port), .. } = segment;
        let granted = self.filter.allows(now, source, Target { protocol, address, port });
        if granted {
            self.flows.begin(now, segment, Direction::Inwards);
        }
        granted
    }

    /// Takes note of a frame from inside, so that its answer may pass.
    pub(crate) fn goes_out(&mut self, now: Instant, frame: &Frame) {
        let Kind::Segment(segment) = &frame.kind else { return };
        let known = self.flows.knows(now, segment, Direction::Outwards);
        // A TCP connection that nobody knows is begun by its SYN alone: what an inner host still sends to somebody whose
        // grant is long over must not let him in again.
        if !known && segment.step == Step::Begin {
            self.flows.begin(now, segment, Direction::Outwards);
        }
    }
}

/// Sends a frame on through another port. When that port is busy or too narrow the frame is lost, as on any network.
pub(crate) fn pass_on(now: Instant, frame: &[u8], port: &mut impl Device) {
    if frame.len() > port.capabilities().max_transmission_unit {
        return;
    }
    if let Some(token) = port.transmit(clock::wire(now)) {
        token.consume(frame.len(), |buffer| buffer.copy_from_slice(frame));
    }
}
