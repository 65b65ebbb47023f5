//! Connections that were begun rightly, and may go on: the bridge's memory.
//!
//! Nobody gets an entry who was not let through before, so no stranger can fill the table. When it is full, what is over makes
//! room, then what somebody outside has begun and not gone on with, then the flow that has been silent longest; and an
//! address outside that has more than its share makes room for itself. If a grant covers a flow that was given up, its next packet
//! brings it back.
//!
//! The gateway does not follow sequence numbers, so FIN and RST from outside may be forged by somebody who knows all four numbers
//! of a connection. They do not end it: they shorten the silence that it may keep, and when the machine inside goes on after
//! an RST the connection counts as established again. A SYN from outside never rests on an old entry: it takes a grant.

use alloc::vec;
use alloc::vec::Vec;
use core::net::IpAddr;
use core::time::Duration;

use knockgate_core::Instant;

use crate::frame::{Ends, Step, Transport};
use crate::limits::{
    FLOW_CLOSING, FLOW_ECHO_IDLE, FLOW_HALF_CLOSED, FLOW_OPENING, FLOW_TCP_IDLE, FLOW_UDP_IDLE, FLOWS,
    FLOWS_PER_SOURCE,
};

/// Which way a segment goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Direction {
    Inwards,
    Outwards,
}

/// An address of either family in 16 bytes, IPv4 as in RFC 4291, section 2.5.5.2.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Address([u32; 4]);

/// Both ends of a connection. The inner end stands behind the gateway, whoever began.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Flow {
    inner: Address,
    outer: Address,
    inner_port: u16,
    outer_port: u16,
    /// VLANs are networks apart, and so is what has no tag.
    vlan: u16,
    transport: Transport,
}

/// No VLAN has this number.
const UNTAGGED: u16 = u16::MAX;

/// How far a flow has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Stage {
    /// Only the side that began has spoken; its direction.
    Opening(Direction),
    /// Of TCP: it was answered, and has not answered that.
    Answered(Direction),
    /// Both have spoken.
    Established,
    /// The side that speaks in this direction has said all it had to say.
    HalfClosed(Direction),
    /// Both have.
    Closed,
    /// One side knows nothing of it any more.
    Reset,
}

/// Units of 2^17 microseconds since the start: an eighth of a second, for 17 years.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Tick(u32);

/// 48 bytes.
struct Entry {
    flow: Flow,
    stage: Stage,
    last: Tick,
    /// The next entry of the same bucket, or the next free one.
    next: Place,
}

/// Where an entry is; the table is shorter than this can count.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Place(u16);

const NOWHERE: Place = Place(u16::MAX);
const _: () = assert!(FLOWS < u16::MAX as usize && FLOWS.is_power_of_two());

/// At most [`FLOWS`] connections.
pub(crate) struct Flows {
    /// Makes buckets unpredictable, so that nobody can make one long.
    seed: u32,
    buckets: Vec<Place>,
    entries: Vec<Entry>,
    free: Place,
}

impl Flow {
    pub(crate) fn of(ends: &Ends, tag: Option<u16>, direction: Direction) -> Self {
        let &Ends { transport, source, target } = ends;
        let (inner, outer) = match direction {
            Direction::Inwards => (target, source),
            Direction::Outwards => (source, target),
        };
        Self {
            inner: inner.0.into(),
            outer: outer.0.into(),
            inner_port: inner.1,
            outer_port: outer.1,
            vlan: tag.unwrap_or(UNTAGGED),
            transport,
        }
    }

    fn bucket(&self, seed: u32) -> usize {
        let ports = u32::from(self.inner_port) << 16 | u32::from(self.outer_port);
        let rest = u32::from(self.vlan) << 8 | self.transport as u32;
        let words = self.inner.0.into_iter().chain(self.outer.0).chain([ports, rest]);
        // Murmur3's step: it mixes every bit upwards, and the shift at the end brings them down again.
        let mixed = words.fold(seed, |sum, word| {
            (sum ^ word.wrapping_mul(0xcc9e_2d51).rotate_left(15))
                .rotate_left(13)
                .wrapping_mul(5)
                .wrapping_add(0xe654_6b64)
        });
        (mixed ^ mixed >> 16) as usize % FLOWS
    }
}

impl Flows {
    pub(crate) fn new(seed: u32) -> Self {
        Self { seed, buckets: vec![NOWHERE; FLOWS], entries: Vec::with_capacity(FLOWS), free: NOWHERE }
    }

    /// How far the flow has come; `None` if nobody knows it.
    pub(crate) fn stage(&self, now: Instant, flow: &Flow) -> Option<Stage> {
        let entry = self.entry(self.find(flow)?)?;
        (!entry.is_over(now.into())).then_some(entry.stage)
    }

    /// Takes note of a segment of a known flow.
    pub(crate) fn take(&mut self, now: Instant, flow: &Flow, step: Step, direction: Direction) {
        let found = self.find(flow).and_then(|place| self.entry_mut(place));
        if let Some(entry) = found {
            entry.take(now.into(), step, direction);
        }
    }

    /// Remembers a flow that begins in this direction.
    pub(crate) fn begin(&mut self, now: Instant, flow: Flow, direction: Direction) {
        let now = Tick::from(now);
        let stage = Stage::Opening(direction);
        if let Some(entry) = self.find(&flow).and_then(|place| self.entry_mut(place)) {
            (entry.stage, entry.last) = (stage, now);
            return;
        }
        if self.free == NOWHERE && self.entries.len() >= FLOWS {
            self.make_room(now, &flow, direction);
        }
        self.add(Entry { flow, stage, last: now, next: NOWHERE });
    }

    /// Forgets what is over.
    pub(crate) fn sweep(&mut self, now: Instant) {
        let now = now.into();
        for at in 0..self.entries.len() {
            let is_over = |entry: &Entry| !entry.is_vacant() && entry.is_over(now);
            let is_over = self.entries.get(at).is_some_and(is_over);
            if let (true, Ok(at)) = (is_over, u16::try_from(at)) {
                self.remove(Place(at));
            }
        }
    }

    pub(crate) fn count(&self, now: Instant) -> usize {
        let now = now.into();
        self.entries.iter().filter(|entry| !entry.is_over(now)).count()
    }

    /// The flows through which both sides still talk: their transport, the end inside and the address outside.
    pub(crate) fn alive(&self, now: Instant) -> impl Iterator<Item = (Transport, (IpAddr, u16), IpAddr)> {
        let now = now.into();
        let alive = move |entry: &&Entry| entry.stage == Stage::Established && !entry.is_over(now);
        self.entries.iter().filter(alive).map(|entry| {
            let flow = &entry.flow;
            (flow.transport, (flow.inner.into(), flow.inner_port), flow.outer.into())
        })
    }

    fn find(&self, flow: &Flow) -> Option<Place> {
        let mut place = *self.buckets.get(flow.bucket(self.seed))?;
        // `None` at the end of the chain, which is no place.
        while self.entry(place)?.flow != *flow {
            place = self.entry(place)?.next;
        }
        Some(place)
    }

    fn add(&mut self, entry: Entry) {
        let bucket = entry.flow.bucket(self.seed);
        let Some(head) = self.buckets.get_mut(bucket) else { return };
        let entry = Entry { next: *head, ..entry };
        if let Some(vacant) = self.entries.get_mut(usize::from(self.free.0)) {
            *head = self.free;
            self.free = core::mem::replace(vacant, entry).next;
        } else if let Ok(place) = u16::try_from(self.entries.len())
            && self.entries.len() < FLOWS
        {
            *head = Place(place);
            self.entries.push(entry);
        }
    }

    fn remove(&mut self, place: Place) {
        let Some(&Entry { ref flow, next, .. }) = self.entry(place) else { return };
        let bucket = flow.bucket(self.seed);
        let Some(head) = self.buckets.get_mut(bucket) else { return };
        if *head == place {
            *head = next;
        } else {
            let mut before = *head;
            while let Some(entry) = self.entries.get_mut(usize::from(before.0)) {
                if entry.next == place {
                    entry.next = next;
                    break;
                }
                before = entry.next;
            }
        }
        let free = self.free;
        if let Some(entry) = self.entry_mut(place) {
            entry.vacate(free);
            self.free = place;
        }
    }

    /// Gives up the entry that is worth least.
    fn make_room(&mut self, now: Tick, newcomer: &Flow, direction: Direction) {
        let of_same = |entry: &&Entry| entry.flow.outer == newcomer.outer;
        let crowd = self.entries.iter().filter(of_same).count();
        let is_greedy = direction == Direction::Inwards && crowd >= FLOWS_PER_SOURCE;
        let candidates = self.entries.iter().enumerate();
        let candidates = candidates.filter(|(_, entry)| !is_greedy || of_same(entry));
        let least = candidates.min_by_key(|(_, entry)| (entry.worth(now), entry.last));
        let place = least.and_then(|(at, _)| u16::try_from(at).ok());
        place.into_iter().for_each(|at| self.remove(Place(at)));
    }

    fn entry(&self, place: Place) -> Option<&Entry> {
        self.entries.get(usize::from(place.0))
    }

    fn entry_mut(&mut self, place: Place) -> Option<&mut Entry> {
        self.entries.get_mut(usize::from(place.0))
    }
}

impl Entry {
    fn take(&mut self, now: Tick, step: Step, direction: Direction) {
        use Direction::Outwards;
        use Stage::{Answered, Closed, Established, HalfClosed, Opening, Reset};
        // Nobody outside keeps alive what is over.
        if direction == Outwards || !matches!(self.stage, Closed | Reset) {
            self.last = now;
        }
        let tcp = self.flow.transport == Transport::Tcp;
        self.stage = match (self.stage, step) {
            (Closed, Step::Begin | Step::Datagram | Step::Continue | Step::Finish) => Closed,
            (_, Step::Reset) => Reset,
            (Reset, Step::Continue) if direction == Outwards => Established,
            (Reset, Step::Begin | Step::Datagram | Step::Continue | Step::Finish) => Reset,
            (HalfClosed(first), Step::Finish) if first != direction => Closed,
            (HalfClosed(first), _) => HalfClosed(first),
            (Opening(_) | Answered(_) | Established, Step::Finish) => HalfClosed(direction),
            (Opening(first), _) if first == direction => Opening(first),
            (Opening(first), _) if tcp => Answered(first),
            (Answered(first), Step::Continue) if first == direction => Established,
            (Answered(first), _) => Answered(first),
            (Opening(_) | Established, _) => Established,
        };
    }

    /// How much would be lost with it.
    fn worth(&self, now: Tick) -> u8 {
        use Stage::{Answered, Closed, Established, HalfClosed, Opening, Reset};
        match self.stage {
            _ if self.is_over(now) => 0,
            Closed | Reset => 0,
            Opening(Direction::Inwards) | Answered(Direction::Inwards) => 1,
            Opening(Direction::Outwards) | Answered(Direction::Outwards) | HalfClosed(_) | Established => 2,
        }
    }

    fn is_over(&self, now: Tick) -> bool {
        self.is_vacant() || now.0.saturating_sub(self.last.0) >= self.patience().0
    }

    /// How long it may be silent.
    fn patience(&self) -> Tick {
        match (self.stage, self.flow.transport) {
            (Stage::Opening(_) | Stage::Answered(_), _) => const { Tick::lasting(FLOW_OPENING) },
            (Stage::Established, Transport::Tcp) => const { Tick::lasting(FLOW_TCP_IDLE) },
            (Stage::Established, Transport::Udp) => const { Tick::lasting(FLOW_UDP_IDLE) },
            (Stage::Established, Transport::Echo) => const { Tick::lasting(FLOW_ECHO_IDLE) },
            (Stage::HalfClosed(_), _) => const { Tick::lasting(FLOW_HALF_CLOSED) },
            (Stage::Closed | Stage::Reset, _) => const { Tick::lasting(FLOW_CLOSING) },
        }
    }

    fn is_vacant(&self) -> bool {
        self.last == NEVER
    }

    /// Nothing finds it any more, and `next` is the next free one.
    fn vacate(&mut self, next: Place) {
        (self.last, self.next) = (NEVER, next);
    }
}

/// The moment at which a vacant entry was last in use.
const NEVER: Tick = Tick(u32::MAX);

impl Tick {
    /// Rounded up, and never nothing.
    #[expect(clippy::cast_possible_truncation, reason = "of constants, all of them shorter than a day")]
    const fn lasting(duration: Duration) -> Self {
        Self((duration.as_micros() >> 17) as u32 + 1)
    }
}

impl From<Instant> for Tick {
    fn from(instant: Instant) -> Self {
        Self(u32::try_from(instant.as_micros() >> 17).unwrap_or(u32::MAX - 1))
    }
}

impl From<IpAddr> for Address {
    fn from(address: IpAddr) -> Self {
        match address {
            IpAddr::V4(v4) => Self([0, 0, 0xffff, v4.to_bits()]),
            IpAddr::V6(v6) => {
                let [a, b, c, d, e, f, g, h] = v6.segments().map(u32::from);
                Self([a << 16 | b, c << 16 | d, e << 16 | f, g << 16 | h])
            }
        }
    }
}

impl From<Address> for IpAddr {
    fn from(Address(words): Address) -> Self {
        let bits = words.into_iter().fold(0, |bits: u128, word| bits << 32 | u128::from(word));
        IpAddr::from(bits.to_be_bytes()).to_canonical()
    }
}

#[cfg(test)]
#[path = "flows/tests.rs"]
mod tests;
