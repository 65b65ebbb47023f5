//! What passes between the two ports.
//!
//! Outwards everything passes. Inwards pass ARP and neighbour discovery, without which nobody finds anybody; the questions of
//! switches for multicast groups, without which they stop to carry it; answers to machines that ask for an address; flows
//! that were begun inside, and what went wrong with them; and what a grant covers. Everything else is dropped, and nobody
//! is told. So is what comes in the name of a machine that is guarded.
//!
//! A connection that was begun under a grant goes on when the grant has ended, as it does on Linux. There too it counts as begun
//! only when the machine inside has answered, and whoever begins once more needs a grant once more.

use core::net::IpAddr;

use knockgate_core::{Instant, Network};
use smoltcp::phy::{Device, TxToken};

use crate::clock;
use crate::dhcp::Waits;
use crate::filter::{Filter, Target};
use crate::flows::{Direction, Flow, Flows, Stage};
use crate::fragments::{self, Fragments};
use crate::frame::{self, Content, Ends, Frame, Kind, Packet, Segment, Step, Transport};

pub(crate) struct Bridge {
    pub(crate) filter: Filter,
    flows: Flows,
    fragments: Fragments,
    waits: Waits,
}

impl Bridge {
    /// `seed` makes the table of flows unpredictable.
    pub(crate) fn new(filter: Filter, seed: u32) -> Self {
        Self { filter, flows: Flows::new(seed), fragments: Fragments::new(), waits: Waits::new() }
    }

    /// Whether a frame from outside may pass.
    pub(crate) fn lets_in(&mut self, now: Instant, frame: &Frame<'_>) -> bool {
        if self.is_in_a_guarded_name(frame) {
            return false;
        }
        match &frame.kind {
            Kind::Arp(_) => true,
            Kind::Packet(packet) => self.lets_packet_in(now, frame, packet),
            Kind::Other => false,
        }
    }

    /// Whether a frame from outside says to come from a machine that is guarded, or where that machine is. Its neighbours inside
    /// would speak with somebody outside in its place.
    fn is_in_a_guarded_name(&self, frame: &Frame<'_>) -> bool {
        let names = match &frame.kind {
            Kind::Arp(arp) => [Some(arp.sender.into()), None],
            Kind::Packet(packet) => match packet.content {
                Content::Neighbour { about, is_answer: true } => [Some(packet.source), Some(about.into())],
                Content::Neighbour { is_answer: false, .. }
                | Content::Segment(_)
                | Content::Router
                | Content::GroupQuery
                | Content::Trouble(_)
                | Content::Rest
                | Content::Other => [Some(packet.source), None],
            },
            Kind::Other => [None, None],
        };
        names.into_iter().flatten().any(|name| self.filter.guards(name))
    }

    fn lets_packet_in(&mut self, now: Instant, frame: &Frame<'_>, packet: &Packet<'_>) -> bool {
        match (&packet.content, &packet.piece) {
            (Content::Neighbour { .. } | Content::Router | Content::GroupQuery, _) => true,
            (_, Some(piece)) if fragments::is_tiny(piece) => false,
            (Content::Segment(segment), Some(piece)) => {
                self.lets_segment_in(now, frame, segment)
                    && self.fragments.begin(now, frame.tag, packet, piece)
            }
            (Content::Segment(segment), None) => self.lets_segment_in(now, frame, segment),
            (Content::Rest, Some(piece)) => self.fragments.lets_in(now, frame.tag, packet, piece),
            (Content::Trouble(ends), None) => self.is_about_flow(now, frame, packet, ends),
            (Content::Trouble(_) | Content::Rest | Content::Other, _) => false,
        }
    }

    fn lets_segment_in(&mut self, now: Instant, frame: &Frame<'_>, segment: &Segment<'_>) -> bool {
        let flow = Flow::of(&segment.ends, frame.tag, Direction::Inwards);
        let stage = self.flows.stage(now, &flow);
        if stage.is_some_and(|stage| is_invited(stage, segment)) {
            self.flows.take(now, &flow, segment.step, Direction::Inwards);
            return true;
        }
        if self.is_granted(now, segment) {
            self.note_granted(now, flow, stage, segment.step);
            return true;
        }
        self.waits.lets_in(now, frame, segment)
    }

    fn is_granted(&self, now: Instant, segment: &Segment<'_>) -> bool {
        let &Ends { source: (source, _), target: (address, port), .. } = &segment.ends;
        let protocol = segment.ends.transport.protocol();
        protocol.is_some_and(|protocol| self.filter.allows(now, source, Target { protocol, address, port }))
    }

    /// Takes note of a segment that a grant covers. It may also belong to a flow of which the gateway has forgotten or not seen the
    /// beginning.
    fn note_granted(&mut self, now: Instant, flow: Flow, stage: Option<Stage>, step: Step) {
        match (stage, step) {
            (None, Step::Reset) => {}
            (None, _) | (Some(Stage::HalfClosed(_) | Stage::Closed | Stage::Reset), Step::Begin) => {
                self.flows.begin(now, flow, Direction::Inwards);
            }
            (Some(_), _) => self.flows.take(now, &flow, step, Direction::Inwards),
        }
    }

    /// Whether what went wrong is a flow's, and whoever is told is the one who has sent for it.
    fn is_about_flow(&self, now: Instant, frame: &Frame<'_>, packet: &Packet<'_>, quoted: &Ends) -> bool {
        let flow = Flow::of(quoted, frame.tag, Direction::Outwards);
        packet.target == quoted.source.0 && self.flows.stage(now, &flow).is_some()
    }

    /// Takes a frame from inside: it goes out, whatever it is.
    pub(crate) fn take_from_inside(&mut self, now: Instant, bytes: &[u8], outer: &mut impl Device) {
        let frame = Frame::parse(bytes);
        if let Some(frame) = &frame {
            self.goes_out(now, frame);
        }
        pass_on(now, bytes, frame.and_then(|frame| frame.tag), outer);
    }

    /// Takes note of a frame from inside, so that its answer may pass.
    fn goes_out(&mut self, now: Instant, frame: &Frame<'_>) {
        let Some(segment) = frame.segment() else { return };
        self.waits.goes_out(now, frame, segment);
        let flow = Flow::of(&segment.ends, frame.tag, Direction::Outwards);
        match (self.flows.stage(now, &flow), segment.step) {
            (None, Step::Begin | Step::Datagram) if can_answer(segment.ends.target.0) => {
                self.flows.begin(now, flow, Direction::Outwards);
            }
            // A TCP connection that nobody knows is begun by its SYN alone: what an inner host still sends to somebody whose
            // grant is long over must not let him in again.
            (None, _) => {}
            (Some(Stage::HalfClosed(_) | Stage::Closed | Stage::Reset), Step::Begin) => {
                self.flows.begin(now, flow, Direction::Outwards);
            }
            (Some(_), step) => self.flows.take(now, &flow, step, Direction::Outwards),
        }
    }

    /// Whether something goes on between `to` and `service`.
    pub(crate) fn is_in_use(&self, now: Instant, to: Network, service: u16) -> bool {
        self.flows.alive(now).any(|(transport, (address, port), outer)| {
            let target = transport.protocol().map(|protocol| Target { protocol, address, port });
            to.contains(outer) && target.is_some_and(|target| self.filter.leads_to(service, target))
        })
    }

    /// Forgets flows that are over.
    pub(crate) fn sweep(&mut self, now: Instant) {
        self.flows.sweep(now);
    }

    /// Connections that are remembered.
    pub(crate) fn count_flows(&self, now: Instant) -> usize {
        self.flows.count(now)
    }
}

/// Whether a segment from outside may pass without a grant because of the flow that it belongs to.
fn is_invited(stage: Stage, segment: &Segment<'_>) -> bool {
    match (stage, segment.step) {
        // Also a SYN: both sides may begin at once. But nobody outside asks for an echo.
        (Stage::Opening(Direction::Outwards), Step::Begin) => segment.ends.transport == Transport::Tcp,
        (Stage::Opening(Direction::Outwards), _) => true,
        (Stage::Opening(Direction::Inwards), _) => false,
        (_, Step::Begin) => false,
        (Stage::Answered(_) | Stage::Established, _) => true,
        (Stage::HalfClosed(_) | Stage::Closed | Stage::Reset, _) => true,
    }
}

/// Whether an answer comes from where the question went.
fn can_answer(target: IpAddr) -> bool {
    !target.is_multicast() && target != IpAddr::V4(core::net::Ipv4Addr::BROADCAST)
}

/// Sends a frame on through another port. When that port is busy or too narrow the frame is lost, as on any network.
pub(crate) fn pass_on(now: Instant, bytes: &[u8], tag: Option<u16>, port: &mut impl Device) {
    let room = port.capabilities().max_transmission_unit;
    // A card counts without the tag. Source: IEEE 802.3, clause 3.2.7.
    let room = tag.map_or(room, |_| room + frame::TAG);
    if bytes.len() > room {
        return;
    }
    if let Some(token) = port.transmit(clock::wire(now)) {
        token.consume(bytes.len(), |buffer| buffer.copy_from_slice(bytes));
    }
}
