//! A gateway that has nothing to go by: no site, so nobody who may knock.
//!
//! What stands behind it goes on as far as it can without anybody being let in: what is begun inside passes, and so do the
//! answers to it. The gateway itself answers nothing.

use knockgate_core::Instant;
use smoltcp::phy::{Device, RxToken};
use smoltcp::wire::EthernetAddress;

use crate::bridge::{Bridge, pass_on};
use crate::clock;
use crate::filter::Filter;
use crate::frame::Frame;
use crate::jam::Jam;
use crate::limits::{FRAMES_PER_POLL, LOOK};

/// A gateway without a site.
pub struct ShutGateway<Outer, Inner> {
    outer: Outer,
    inner: Inner,
    hardware: EthernetAddress,
    outer_jam: Jam,
    inner_jam: Jam,
    bridge: Bridge,
    look: Instant,
}

impl<Outer: Device, Inner: Device> ShutGateway<Outer, Inner> {
    /// A gateway whose outer card is `hardware`. `seed` is random.
    pub fn new(outer: Outer, inner: Inner, hardware: EthernetAddress, seed: u32, now: Instant) -> Self {
        let bridge = Bridge::new(Filter::new(alloc::vec::Vec::new()), seed);
        let (outer_jam, inner_jam) = (Jam::default(), Jam::default());
        Self { outer, inner, hardware, outer_jam, inner_jam, bridge, look: now.after(LOOK) }
    }

    /// The port that faces everybody.
    pub fn outer_mut(&mut self) -> &mut Outer {
        &mut self.outer
    }

    /// The port that faces the machines to protect.
    pub fn inner_mut(&mut self) -> &mut Inner {
        &mut self.inner
    }

    /// Takes what has come in, as [`Gateway::poll`](crate::Gateway::poll) does; returns when to call again.
    pub fn poll(&mut self, now: Instant) -> Option<Instant> {
        if self.look <= now {
            self.look = now.after(LOOK);
            self.bridge.sweep(now);
        }
        let more = [self.receive_outer(now), self.receive_inner(now)];
        more.contains(&true).then_some(now)
    }

    fn receive_outer(&mut self, now: Instant) -> bool {
        for _ in 0..FRAMES_PER_POLL {
            if self.inner_jam.holds_up(now, &mut self.inner) {
                return true;
            }
            let Some((received, _)) = self.outer.receive(clock::wire(now)) else { return false };
            let (bridge, inner) = (&mut self.bridge, &mut self.inner);
            let is_for_card = |frame: &Frame<'_>| {
                [frame.to, frame.from].contains(&self.hardware) || !frame.from.is_unicast()
            };
            received.consume(|bytes| {
                let Some(frame) = Frame::parse(bytes).filter(|frame| !is_for_card(frame)) else { return };
                if bridge.lets_in(now, &frame) {
                    pass_on(now, bytes, frame.tag, inner);
                }
            });
        }
        true
    }

    fn receive_inner(&mut self, now: Instant) -> bool {
        for _ in 0..FRAMES_PER_POLL {
            if self.outer_jam.holds_up(now, &mut self.outer) {
                return true;
            }
            let Some((received, _)) = self.inner.receive(clock::wire(now)) else { return false };
            let (bridge, outer) = (&mut self.bridge, &mut self.outer);
            received.consume(|bytes| bridge.take_from_inside(now, bytes, outer));
        }
        true
    }
}
