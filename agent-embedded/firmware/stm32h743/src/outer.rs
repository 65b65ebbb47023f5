//! The outer port: the chip's own Ethernet, as a device of smoltcp.

use alloc::boxed::Box;
use core::task::{Context, Waker};

use embassy_net_driver::{Driver as _, RxToken as _, TxToken as _};
use embassy_stm32::eth::{self, Ethernet, GenericPhy, Sma};
use embassy_stm32::pac::ETH;
use embassy_stm32::peripherals;
use smoltcp::phy::{self, Device, DeviceCapabilities, Medium};
use smoltcp::time::Instant;

/// The longest frame that the driver's buffers hold, without its check sum: no VLAN tag on a frame of full length.
const LONGEST: usize = 1514;
/// The longest that anybody may want to send: one with a VLAN tag.
const LONGEST_TAGGED: usize = 1518;

pub(crate) type Card = Ethernet<'static, peripherals::ETH, GenericPhy<Sma<'static, peripherals::ETH_SMA>>>;

pub(crate) struct Port {
    card: Card,
    /// Where a frame is made that is too long to leave.
    spare: Box<[u8; LONGEST_TAGGED]>,
}

impl Port {
    /// Makes the card take frames for any address, without the check sum that it has checked.
    pub(crate) fn new(card: Card) -> Self {
        let mac = ETH.ethernet_mac();
        mac.maccr().modify(|control| control.set_re(false));
        mac.macpfr().modify(|filter| filter.set_pr(true));
        // The driver has it taken off short frames alone, which does for a host: it never looks behind a packet.
        mac.maccr().modify(|control| control.set_cst(true));
        mac.maccr().modify(|control| control.set_re(true));
        Self { card, spare: Box::new([0; LONGEST_TAGGED]) }
    }
}

impl Device for Port {
    type RxToken<'a> = Received<'a>;
    type TxToken<'a> = Outgoing<'a>;

    fn receive(&mut self, _: Instant) -> Option<(Received<'_>, Outgoing<'_>)> {
        let (received, token) = self.card.receive(&mut polling())?;
        Some((Received(received), Outgoing { token, spare: &mut self.spare }))
    }

    fn transmit(&mut self, _: Instant) -> Option<Outgoing<'_>> {
        let token = self.card.transmit(&mut polling())?;
        Some(Outgoing { token, spare: &mut self.spare })
    }

    fn capabilities(&self) -> DeviceCapabilities {
        let mut capabilities = DeviceCapabilities::default();
        capabilities.medium = Medium::Ethernet;
        capabilities.max_transmission_unit = LONGEST;
        capabilities
    }
}

/// Nobody sleeps here who would have to be woken.
fn polling() -> Context<'static> {
    Context::from_waker(Waker::noop())
}

/// A frame that has come.
pub(crate) struct Received<'a>(eth::RxToken<'a, 'static>);

impl phy::RxToken for Received<'_> {
    fn consume<R, F: FnOnce(&[u8]) -> R>(self, take: F) -> R {
        self.0.consume(|frame| take(frame))
    }
}

/// The right to send a frame.
pub(crate) struct Outgoing<'a> {
    token: eth::TxToken<'a, 'static>,
    spare: &'a mut [u8; LONGEST_TAGGED],
}

impl phy::TxToken for Outgoing<'_> {
    fn consume<R, F: FnOnce(&mut [u8]) -> R>(self, length: usize, fill: F) -> R {
        if length <= LONGEST {
            return self.token.consume(length, fill);
        }
        // Made and not sent, as a link drops what it cannot carry.
        fill(self.spare.get_mut(..length).expect("no frame that is sent is longer than one that is received"))
    }
}
