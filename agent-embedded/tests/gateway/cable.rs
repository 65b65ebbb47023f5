//! A cable with any number of ends, that may lose, duplicate, reorder and damage frames.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::rc::Rc;

use smoltcp::phy::{Device, DeviceCapabilities, Medium, RxToken, TxToken};
use smoltcp::time::Instant;

use crate::board::TestRng;
use crate::raw;
use crate::sys::unwatched;

type Queue = Rc<RefCell<VecDeque<Vec<u8>>>>;

/// One end of a cable, as a network card.
#[derive(Clone, Default)]
pub(crate) struct Port {
    incoming: Queue,
    outgoing: Queue,
    /// Where datagrams go, if a program takes them instead of the stack.
    datagrams: Option<Queue>,
}

/// What a cable does to frames, in percent.
#[derive(Clone, Copy, Default)]
pub(crate) struct Faults {
    pub(crate) lost: u64,
    pub(crate) doubled: u64,
    pub(crate) late: u64,
    pub(crate) damaged: u64,
}

/// Carries every frame to all other ends.
pub(crate) struct Cable {
    ends: Vec<Port>,
    /// Every frame that was sent, with the number of the end that sent it.
    pub(crate) log: Vec<(usize, Vec<u8>)>,
    /// Frames that arrive after those that are sent next.
    late: Vec<(usize, Vec<u8>)>,
    faults: Faults,
    rng: TestRng,
}

impl Cable {
    pub(crate) fn new(faults: Faults, seed: u64) -> Self {
        Self { ends: Vec::new(), log: Vec::new(), late: Vec::new(), faults, rng: TestRng::new(seed) }
    }

    /// Adds an end. The first one has the number 0.
    pub(crate) fn plug(&mut self) -> Port {
        let port = Port::default();
        self.ends.push(port.clone());
        port
    }

    /// Carries what was sent; returns whether there was anything.
    pub(crate) fn carry(&mut self) -> bool {
        let sent: Vec<(usize, Vec<u8>)> = self
            .ends
            .iter()
            .enumerate()
            .flat_map(|(from, end)| {
                end.outgoing.borrow_mut().drain(..).map(|f| (from, f)).collect::<Vec<_>>()
            })
            .collect();
        let late = std::mem::take(&mut self.late);
        let any = !sent.is_empty() || !late.is_empty();
        for (from, frame) in sent {
            for _ in 0..self.copies() {
                self.send(from, frame.clone());
            }
            self.log.push((from, frame));
        }
        late.into_iter().for_each(|(from, frame)| self.deliver(from, &frame));
        any
    }

    /// Frames that an end has not received yet.
    pub(crate) fn waiting_at(&self, end: usize) -> usize {
        self.ends[end].incoming.borrow().len()
    }

    fn copies(&mut self) -> usize {
        let Faults { lost, doubled, .. } = self.faults;
        match self.rng.below(100) {
            n if n < lost => 0,
            n if n < lost + doubled => 2,
            _ => 1,
        }
    }

    fn send(&mut self, from: usize, mut frame: Vec<u8>) {
        if self.rng.below(100) < self.faults.damaged && !frame.is_empty() {
            let at = self.rng.below(frame.len() as u64) as usize;
            frame[at] ^= 1 << self.rng.below(8);
        }
        if self.rng.below(100) < self.faults.late {
            self.late.push((from, frame));
        } else {
            self.deliver(from, &frame);
        }
    }

    fn deliver(&mut self, from: usize, frame: &[u8]) {
        let others = self.ends.iter().enumerate().filter(|(to, _)| *to != from);
        others.for_each(|(_, end)| end.incoming.borrow_mut().push_back(frame.to_vec()));
    }
}

impl Port {
    /// The same end, where a program takes the datagrams.
    pub(crate) fn with_program(self) -> Self {
        Self { datagrams: Some(Queue::default()), ..self }
    }

    /// Sends a frame that no stack has made.
    pub(crate) fn send(&self, frame: Vec<u8>) {
        self.outgoing.borrow_mut().push_back(frame);
    }

    /// The frames with datagrams that have come since this was last asked.
    pub(crate) fn datagrams(&self) -> Vec<Vec<u8>> {
        self.datagrams.iter().flat_map(|queue| queue.borrow_mut().drain(..).collect::<Vec<_>>()).collect()
    }

    /// Forgets what has come in.
    pub(crate) fn forget(&self) {
        self.incoming.borrow_mut().clear();
    }

    fn next(&self) -> Option<Vec<u8>> {
        loop {
            let frame = self.incoming.borrow_mut().pop_front()?;
            match &self.datagrams {
                Some(program) if raw::is_datagram(&frame) => program.borrow_mut().push_back(frame),
                Some(_) | None => return Some(frame),
            }
        }
    }
}

impl Device for Port {
    type RxToken<'a> = Received;
    type TxToken<'a> = Sender;

    fn receive(&mut self, _: Instant) -> Option<(Received, Sender)> {
        unwatched(|| self.next()).map(|frame| (Received(frame), Sender(self.outgoing.clone())))
    }

    fn transmit(&mut self, _: Instant) -> Option<Sender> {
        Some(Sender(self.outgoing.clone()))
    }

    fn capabilities(&self) -> DeviceCapabilities {
        let mut capabilities = DeviceCapabilities::default();
        capabilities.medium = Medium::Ethernet;
        capabilities.max_transmission_unit = 1514;
        capabilities
    }
}

pub(crate) struct Received(Vec<u8>);

impl RxToken for Received {
    fn consume<R, F: FnOnce(&[u8]) -> R>(self, read: F) -> R {
        read(&self.0)
    }
}

pub(crate) struct Sender(Queue);

impl TxToken for Sender {
    fn consume<R, F: FnOnce(&mut [u8]) -> R>(self, length: usize, write: F) -> R {
        // A card's buffer holds what was sent before.
        let mut frame = unwatched(|| vec![0xa5; length]);
        let result = write(&mut frame);
        unwatched(|| self.0.borrow_mut().push_back(frame));
        result
    }
}
