//! Brings the board up: finds what is there and says what is missing.

use core::fmt::Write as _;

use knockgate_core::board::{self, Board};
use knockgate_gateway::board::{Layout, Parts};
use virtio_drivers::transport::{DeviceType, Transport as _};

use crate::console::Console;
use crate::flash::Flash;
use crate::net::Port;
use crate::rng::Rng;
use crate::{idle, sys, watchdog};

/// Everything that the gateway is built from. A machine that lacks something waits for somebody to look at its console.
pub(crate) fn bring_up() -> Parts<Port, Port, Flash, Rng, Console> {
    sys::guard_stack();
    sys::paint_stack();
    sys::open_heap();
    watchdog::start();
    idle::prepare();
    let cards = Cards::find();
    let outer = cards.outer.unwrap_or_else(|| {
        lacks("an outer port: a virtio-net-device with an odd mac, such as 52:4b:47:00:00:01")
    });
    let inner = cards.inner.unwrap_or_else(|| {
        lacks("an inner port: a virtio-net-device with an even mac, such as 52:4b:47:00:00:02")
    });
    let rng = cards.rng.unwrap_or_else(|| lacks("random numbers: a virtio-rng-device"));
    let flash = Flash::find().unwrap_or_else(|| lacks("a flash chip in unit 1 as the `virt` machine has it"));
    let hardware = outer.address;
    Parts {
        outer,
        inner,
        hardware,
        flash,
        layout: layout(),
        rng,
        console: Console,
        heap: sys::heap,
        vouch: sys::vouch,
    }
}

fn layout() -> Layout {
    let Board { owner, slots, journal, .. } = board::QEMU;
    Layout { owner, slots, journal }
}

/// The cards of this machine.
#[derive(Default)]
struct Cards {
    outer: Option<Port>,
    inner: Option<Port>,
    rng: Option<Rng>,
}

impl Cards {
    /// Network cards are told apart by the last octet of their address, because QEMU puts the first one last: odd is outer.
    fn find() -> Self {
        let mut found = Self::default();
        for card in sys::cards() {
            match card.device_type() {
                DeviceType::Network => found.take_port(Port::start(card)),
                DeviceType::EntropySource => found.rng = Rng::start(card),
                _ => {}
            }
        }
        found
    }

    fn take_port(&mut self, port: Option<Port>) {
        let Some(port) = port else { return };
        let [.., last] = port.address.0;
        let place = if last.is_multiple_of(2) { &mut self.inner } else { &mut self.outer };
        *place = Some(port);
    }
}

fn lacks(what: &str) -> ! {
    // Nobody reads it if the console takes nothing.
    _ = writeln!(
        Console,
        "this machine lacks {what}, with `-global virtio-mmio.force-legacy=false`; start it again with that"
    );
    loop {
        idle::until(None);
    }
}
