//! A board on the bench: a chip, two network cards, a console. It can be started again and again.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::fmt;
use std::rc::Rc;

use knockgate_core::board::ERASED;
use knockgate_core::site::Owner;
use knockgate_core::{Instant, Now};
use knockgate_gateway::board::{Layout, Parts};
use knockgate_gateway::boot;
use knockgate_gateway::machine::Machine;
use knockgate_gateway::storage::Verified;
use knockgate_policy_host::precompiled::{Precompiled, Trusted};
use smoltcp::phy::{Device, DeviceCapabilities, Medium, RxToken, TxToken};
use smoltcp::wire::EthernetAddress;

use crate::stage::chip::{Chip, Noise};
use crate::stage::signer::Signer;

const PAGE: u32 = 4096;
pub(crate) const HARDWARE: EthernetAddress = EthernetAddress([2, 0, 0, 0, 0, 1]);

/// Flash with the words of an STM32H7 and small pages.
pub(crate) type Flash = Chip<32, 4096>;
pub(crate) type Started = Machine<Port, Port, Flash, Noise, Screen>;

/// A page for the owner, two slots, and a journal.
pub(crate) fn layout() -> Layout {
    let at = |page: u32| page * PAGE;
    Layout { owner: at(0)..at(1), slots: [at(1)..at(41), at(41)..at(81)], journal: at(81)..at(94) }
}

/// What stays when a board is started anew.
pub(crate) struct Bench {
    pub(crate) flash: Flash,
}

/// A board that has been started.
pub(crate) struct Running {
    pub(crate) machine: Started,
    pub(crate) outer: Port,
    pub(crate) inner: Port,
    pub(crate) screen: Screen,
    pub(crate) micros: u64,
}

impl Bench {
    /// A board with an owner and nothing else.
    pub(crate) fn owned_by(signer: &Signer) -> Self {
        let flash = Flash::new(94);
        let mut buffer = [ERASED; Owner::MAX_LEN];
        flash.flash(layout().owner, signer.owner().encode(&mut buffer).unwrap());
        Self { flash }
    }

    /// A board whose first slot was written with the cable.
    pub(crate) fn with(signer: &Signer, image: &[u8]) -> Self {
        let bench = Self::owned_by(signer);
        bench.flash.flash(layout().slots[0].clone(), image);
        bench
    }

    /// Starts it. What ran before must be gone: compiled policies are used where they lie, by one engine at a time.
    pub(crate) fn start(&self) -> Running {
        self.start_with(vouch)
    }

    pub(crate) fn start_with(
        &self,
        vouch: for<'a> fn(&Verified<'a>, Precompiled<'a>) -> Trusted<'a>,
    ) -> Running {
        let (outer, inner, screen) = (Port::default(), Port::default(), Screen::default());
        let parts = Parts {
            outer: outer.clone(),
            inner: inner.clone(),
            hardware: HARDWARE,
            flash: self.flash.clone(),
            layout: layout(),
            rng: Noise(u64::from(self.flash.steps())),
            console: screen.clone(),
            heap: || (0, 0),
            vouch,
        };
        let machine = boot::start(parts, Now { instant: Instant::from_micros(0), unix: None });
        Running { machine, outer, inner, screen, micros: 0 }
    }
}

impl Running {
    /// What is on the screen.
    pub(crate) fn text(&self) -> String {
        self.screen.0.borrow().clone()
    }

    /// Lets the machine work until it has nothing to do.
    pub(crate) fn settle(&mut self) {
        for _ in 0..20 {
            self.micros += 1;
            let now = Now { instant: Instant::from_micros(self.micros), unix: None };
            self.machine.turn(now);
        }
    }

    /// Puts a frame onto the cable of the outer port and returns what comes back, and what goes in.
    pub(crate) fn send(&mut self, frame: &[u8]) -> (Vec<Vec<u8>>, Vec<Vec<u8>>) {
        self.outer.incoming.borrow_mut().push_back(frame.to_vec());
        self.settle();
        let all = |port: &Port| port.outgoing.borrow_mut().drain(..).collect();
        (all(&self.outer), all(&self.inner))
    }
}

/// The word of a board in a test.
pub(crate) fn vouch<'a>(verified: &Verified<'a>, policy: Precompiled<'a>) -> Trusted<'a> {
    let inside = verified.image().as_ptr_range();
    assert!(inside.contains(&policy.code().as_ptr()), "the policy is not of this image");
    // SAFETY: the tests have compiled it in this very process, and nobody changes what the chip has lent.
    unsafe { Trusted::new(policy) }
}

/// The console that is wired to the board.
#[derive(Clone, Default)]
pub(crate) struct Screen(Rc<RefCell<String>>);

impl fmt::Write for Screen {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        self.0.borrow_mut().push_str(text);
        Ok(())
    }
}

type Queue = Rc<RefCell<VecDeque<Vec<u8>>>>;

/// A network card. Clones are the same card.
#[derive(Clone, Default)]
pub(crate) struct Port {
    incoming: Queue,
    outgoing: Queue,
}

pub(crate) struct Received(Vec<u8>);

pub(crate) struct Sending(Queue);

impl Device for Port {
    type RxToken<'a> = Received;
    type TxToken<'a> = Sending;

    fn receive(&mut self, _: smoltcp::time::Instant) -> Option<(Received, Sending)> {
        let frame = self.incoming.borrow_mut().pop_front()?;
        Some((Received(frame), Sending(Rc::clone(&self.outgoing))))
    }

    fn transmit(&mut self, _: smoltcp::time::Instant) -> Option<Sending> {
        Some(Sending(Rc::clone(&self.outgoing)))
    }

    fn capabilities(&self) -> DeviceCapabilities {
        let mut capabilities = DeviceCapabilities::default();
        capabilities.medium = Medium::Ethernet;
        capabilities.max_transmission_unit = 1514;
        capabilities
    }
}

impl RxToken for Received {
    fn consume<R, F: FnOnce(&[u8]) -> R>(self, read: F) -> R {
        read(&self.0)
    }
}

impl TxToken for Sending {
    fn consume<R, F: FnOnce(&mut [u8]) -> R>(self, length: usize, write: F) -> R {
        let mut frame = vec![0; length];
        let result = write(&mut frame);
        self.0.borrow_mut().push_back(frame);
        result
    }
}
