//! A port: a virtio network card as a device of smoltcp.
//!
//! QEMU's card takes frames for any address as long as nobody asks it for less. Its buffers are made once and go round.

use smoltcp::phy::{self, Device, DeviceCapabilities, Medium};
use smoltcp::time::Instant;
use smoltcp::wire::EthernetAddress;
use virtio_drivers::transport::mmio::{MmioTransport, MmioVersion};
use virtio_drivers::transport::{DeviceStatus, Transport as _};

use crate::sys::{Ring, Telling, Use};

/// Buffers each way. What comes faster than the main loop turns waits with QEMU, and is lost when that has no room, as at any
/// full card.
const RECEIVING: usize = 4;
const SENDING: usize = 2;
/// Bytes that VirtIO puts in front of a frame. Source: VirtIO 1.1, section 5.1.6.
const HEADER: usize = 12;
/// The longest frame without its check sum: 1500 bytes, addresses and type, and one VLAN tag.
const FRAME: usize = 1500 + 14 + 4;
const RECEIVE_QUEUE: u16 = 0;
const SEND_QUEUE: u16 = 1;

/// VirtIO 1.0 or newer.
const VERSION_1: u64 = 1 << 32;
/// The card has an address.
const HAS_ADDRESS: u64 = 1 << 5;

/// A card with which it was settled what it shall do.
pub(crate) struct Negotiated;

impl Negotiated {
    /// Settles that the card shall do `features` and nothing else; none if it will not. Source: VirtIO 1.1, section 3.1.1.
    pub(crate) fn with(card: &mut MmioTransport<'static>, features: u64) -> Option<Self> {
        let wanted = features | VERSION_1;
        if card.version() == MmioVersion::Legacy || card.read_device_features() & wanted != wanted {
            return None;
        }
        card.set_status(DeviceStatus::empty());
        card.set_status(DeviceStatus::ACKNOWLEDGE | DeviceStatus::DRIVER);
        card.write_driver_features(wanted);
        card.set_status(DeviceStatus::ACKNOWLEDGE | DeviceStatus::DRIVER | DeviceStatus::FEATURES_OK);
        card.get_status().contains(DeviceStatus::FEATURES_OK).then_some(Self)
    }

    /// The card may begin: its queues are there.
    pub(crate) fn finish(self, card: &mut MmioTransport<'static>) {
        card.set_status(card.get_status() | DeviceStatus::DRIVER_OK);
    }
}

/// A network card.
pub(crate) struct Port {
    card: MmioTransport<'static>,
    receiving: Ring<RECEIVING>,
    sending: Ring<SENDING>,
    /// The buffer whose frame was handed out last. It goes back to the card before the next one is.
    handed_out: Option<usize>,
    pub(crate) address: EthernetAddress,
}

impl Port {
    pub(crate) fn start(mut card: MmioTransport<'static>) -> Option<Self> {
        let negotiated = Negotiated::with(&mut card, HAS_ADDRESS)?;
        let address = EthernetAddress(card.read_config_space(0).ok()?);
        let mut receiving = Ring::new(RECEIVE_QUEUE, &mut card, HEADER + FRAME, Telling::Interrupt);
        let sending = Ring::new(SEND_QUEUE, &mut card, HEADER + FRAME, Telling::Silent);
        negotiated.finish(&mut card);
        for buffer in 0..RECEIVING {
            receiving.hand_over(buffer, &mut card, Use::Receive);
        }
        Some(Self { card, receiving, sending, handed_out: None, address })
    }

    /// Whether a frame can be sent. If not, the card will wake the machine when it can.
    fn can_send(&mut self) -> bool {
        self.collect_sent();
        if self.sending.ours().is_some() {
            return true;
        }
        self.sending.tell(Telling::Interrupt);
        self.collect_sent();
        let free = self.sending.ours().is_some();
        if free {
            self.sending.tell(Telling::Silent);
        }
        free
    }

    fn collect_sent(&mut self) {
        while self.sending.take_back().is_some() {}
    }

    /// The next buffer with a frame, and where the frame ends in it.
    fn next_frame(&mut self) -> Option<(usize, usize)> {
        if let Some(frame) = self.receiving.take_back() {
            return Some(frame);
        }
        // From here on the card raises an interrupt again. What has come before it is looked for once more.
        let _ = self.card.ack_interrupt();
        self.receiving.take_back()
    }
}

impl Device for Port {
    type RxToken<'a> = Received<'a>;
    type TxToken<'a> = Outgoing<'a>;

    fn receive(&mut self, _: Instant) -> Option<(Received<'_>, Outgoing<'_>)> {
        if let Some(buffer) = self.handed_out.take() {
            self.receiving.hand_over(buffer, &mut self.card, Use::Receive);
        }
        // What cannot be answered waits: smoltcp wants a place for the answer together with the question.
        if !self.can_send() {
            return None;
        }
        let (buffer, end) = self.next_frame()?;
        self.handed_out = Some(buffer);
        let frame = self.receiving.bytes(buffer)?.get(HEADER..end)?;
        Some((Received(frame), Outgoing { card: &mut self.card, ring: &mut self.sending }))
    }

    fn transmit(&mut self, _: Instant) -> Option<Outgoing<'_>> {
        self.can_send().then_some(Outgoing { card: &mut self.card, ring: &mut self.sending })
    }

    fn capabilities(&self) -> DeviceCapabilities {
        let mut capabilities = DeviceCapabilities::default();
        capabilities.medium = Medium::Ethernet;
        capabilities.max_transmission_unit = 1514;
        capabilities
    }
}

/// A frame that has come.
pub(crate) struct Received<'a>(&'a [u8]);

impl phy::RxToken for Received<'_> {
    fn consume<R, F: FnOnce(&[u8]) -> R>(self, take: F) -> R {
        take(self.0)
    }
}

/// The right to send a frame.
pub(crate) struct Outgoing<'a> {
    card: &'a mut MmioTransport<'static>,
    ring: &'a mut Ring<SENDING>,
}

impl phy::TxToken for Outgoing<'_> {
    fn consume<R, F: FnOnce(&mut [u8]) -> R>(self, length: usize, fill: F) -> R {
        assert!(length <= FRAME, "no frame that is sent is longer than one that is received");
        let buffer = self.ring.ours().expect("there was a free buffer when this right was given");
        let place = self.ring.bytes(buffer).and_then(|bytes| bytes.get_mut(..HEADER + length));
        let (header, frame) = place.expect("a buffer has room for every frame").split_at_mut(HEADER);
        // Nothing is left to the card: no check sum to compute, no segments to cut.
        header.fill(0);
        let result = fill(frame);
        self.ring.hand_over(buffer, self.card, Use::Send(HEADER + length));
        result
    }
}
