//! The inner port: a WIZnet W5500 on a serial bus, in its raw mode, as a device of smoltcp.
//!
//! One socket of the chip has all of its memory and takes frames for any address. In that memory each frame stands behind its
//! length. Source: W5500 datasheet 1.1.0, sections 4.2 and 5.2.

use alloc::boxed::Box;
use core::convert::Infallible;

use embassy_stm32::gpio::Output;
use embassy_stm32::mode::Blocking;
use embassy_stm32::spi::mode::Master;
use embassy_stm32::spi::{self, Spi};
use embedded_hal_bus::spi::{DeviceError, ExclusiveDevice, NoDelay};
use smoltcp::phy::{self, Device, DeviceCapabilities, Medium};
use smoltcp::time::{Duration, Instant};
use w5500_ll::eh1::vdm::W5500;
use w5500_ll::{
    BufferSize, Protocol, Registers as _, SOCKETS, Sn, SocketCommand, SocketInterrupt, SocketMode,
    SocketStatus,
};

pub(crate) type Bus = ExclusiveDevice<Spi<'static, Blocking, Master>, Output<'static>, NoDelay>;
type Chip = W5500<Bus>;

const SOCKET: Sn = Sn::Sn0;
/// What the chip says of itself.
const VERSION: u8 = 4;
/// The longest frame without its check sum: 1500 bytes, addresses and type, and one VLAN tag.
const LONGEST: usize = 1518;
/// The shortest that may go over a wire, and that comes from one.
const SHORTEST: usize = 60;
/// Bytes of the length in front of a frame, which counts them too.
const LENGTH: usize = 2;
/// How often the chip is looked at until it has taken a command, which takes it a microsecond.
const PATIENCE: usize = 100;
/// How often it is looked after. A loose plug must not leave the port dead for long.
const LOOK_AFTER: Duration = Duration::from_secs(1);

/// The bus failed, or what the chip says makes no sense.
#[derive(Debug)]
pub(crate) struct Trouble;

impl From<DeviceError<spi::Error, Infallible>> for Trouble {
    fn from(_: DeviceError<spi::Error, Infallible>) -> Self {
        Self
    }
}

pub(crate) struct Port {
    chip: Chip,
    received: Box<[u8; LONGEST]>,
    outgoing: Box<[u8; LONGEST]>,
    line: Line,
    look_after: Instant,
}

/// What the chip does with what it was given last.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Line {
    Free,
    Sending,
}

impl Port {
    /// A port on a chip that was just reset.
    pub(crate) fn new(bus: Bus) -> Result<Self, Trouble> {
        let mut chip = Chip::new(bus);
        open(&mut chip)?;
        let (received, outgoing) = (Box::new([0; LONGEST]), Box::new([0; LONGEST]));
        Ok(Self { chip, received, outgoing, line: Line::Free, look_after: Instant::ZERO })
    }

    /// Opens the socket anew if the chip has lost it or has been at one frame all the time.
    fn look_after(&mut self, now: Instant) -> Result<(), Trouble> {
        if now < self.look_after {
            return Ok(());
        }
        self.look_after = now + LOOK_AFTER;
        let is_open = self.chip.sn_sr(SOCKET)? == Ok(SocketStatus::Macraw);
        if is_open && self.can_send()? {
            return Ok(());
        }
        self.line = Line::Free;
        open(&mut self.chip)
    }

    /// Fetches the next frame, if there is one, and tells how long it is.
    fn fetch(&mut self) -> Result<Option<usize>, Trouble> {
        let waiting = usize::from(waiting(&mut self.chip)?);
        if waiting < LENGTH {
            return Ok(None);
        }
        let at = self.chip.sn_rx_rd(SOCKET)?;
        let mut length = [0; LENGTH];
        self.chip.sn_rx_buf(SOCKET, at, &mut length)?;
        let whole = u16::from_be_bytes(length);
        let length = usize::from(whole).saturating_sub(LENGTH);
        let frame = self.received.get_mut(..length).filter(|_| length > 0 && usize::from(whole) <= waiting);
        let Some(frame) = frame else {
            // Where the next frame begins is lost.
            open(&mut self.chip)?;
            return Err(Trouble);
        };
        self.chip.sn_rx_buf(SOCKET, at.wrapping_add(2), frame)?;
        self.chip.set_sn_rx_rd(SOCKET, at.wrapping_add(whole))?;
        command(&mut self.chip, SocketCommand::Recv)?;
        Ok(Some(length))
    }

    /// Whether the chip takes another frame.
    fn can_send(&mut self) -> Result<bool, Trouble> {
        match self.line {
            Line::Free => Ok(true),
            Line::Sending => {
                let is_sent = self.chip.sn_ir(SOCKET)?.sendok_raised();
                if is_sent {
                    self.chip.set_sn_ir(SOCKET, SocketInterrupt::SENDOK_MASK)?;
                    self.line = Line::Free;
                }
                Ok(is_sent)
            }
        }
    }
}

/// Gives all memory to one socket and opens it for frames to any address.
fn open(chip: &mut Chip) -> Result<(), Trouble> {
    if chip.version()? != VERSION {
        return Err(Trouble);
    }
    command(chip, SocketCommand::Close)?;
    for socket in SOCKETS {
        let size = if socket == SOCKET { BufferSize::KB16 } else { BufferSize::KB0 };
        chip.set_sn_rxbuf_size(socket, size)?;
        chip.set_sn_txbuf_size(socket, size)?;
    }
    chip.set_sn_mr(SOCKET, SocketMode::DEFAULT.set_protocol(Protocol::Macraw))?;
    command(chip, SocketCommand::Open)
}

/// Gives a command and waits until the chip has taken it.
fn command(chip: &mut Chip, command: SocketCommand) -> Result<(), Trouble> {
    chip.set_sn_cr(SOCKET, command)?;
    for _ in 0..PATIENCE {
        if chip.sn_cr(SOCKET)? == 0 {
            return Ok(());
        }
    }
    Err(Trouble)
}

/// Bytes that wait in the chip. They may grow while their number is read, so it counts when it is read twice.
fn waiting(chip: &mut Chip) -> Result<u16, Trouble> {
    let mut before = chip.sn_rx_rsr(SOCKET)?;
    if before == 0 {
        return Ok(0);
    }
    for _ in 0..PATIENCE {
        let now = chip.sn_rx_rsr(SOCKET)?;
        if now == before {
            return Ok(now);
        }
        before = now;
    }
    Err(Trouble)
}

impl Device for Port {
    type RxToken<'a> = Received<'a>;
    type TxToken<'a> = Outgoing<'a>;

    fn receive(&mut self, now: Instant) -> Option<(Received<'_>, Outgoing<'_>)> {
        self.look_after(now).ok()?;
        // What cannot be answered waits in the chip.
        if !self.can_send().ok()? {
            return None;
        }
        let length = self.fetch().ok()??;
        let received = Received(self.received.get(..length)?);
        Some((received, Outgoing { chip: &mut self.chip, frame: &mut self.outgoing, line: &mut self.line }))
    }

    fn transmit(&mut self, now: Instant) -> Option<Outgoing<'_>> {
        self.look_after(now).ok()?;
        let can_send = self.can_send().ok()?;
        can_send.then_some(Outgoing { chip: &mut self.chip, frame: &mut self.outgoing, line: &mut self.line })
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
    chip: &'a mut Chip,
    frame: &'a mut [u8; LONGEST],
    line: &'a mut Line,
}

impl Outgoing<'_> {
    fn send(self, length: usize) -> Result<(), Trouble> {
        // The chip sends what it is given, without filling it up.
        let length = length.max(SHORTEST);
        let frame = self.frame.get(..length).ok_or(Trouble)?;
        let at = self.chip.sn_tx_wr(SOCKET)?;
        self.chip.set_sn_tx_buf(SOCKET, at, frame)?;
        let end = at.wrapping_add(u16::try_from(length).map_err(|_| Trouble)?);
        self.chip.set_sn_tx_wr(SOCKET, end)?;
        *self.line = Line::Sending;
        command(self.chip, SocketCommand::Send)
    }
}

impl phy::TxToken for Outgoing<'_> {
    fn consume<R, F: FnOnce(&mut [u8]) -> R>(self, length: usize, fill: F) -> R {
        // Old bytes must not leave as what fills a short frame up.
        self.frame.iter_mut().take(SHORTEST).for_each(|byte| *byte = 0);
        let frame = self.frame.get_mut(..length);
        let result = fill(frame.expect("no frame that is sent is longer than one that is received"));
        // A frame that the bus does not take is lost, as on any wire; the port looks after the chip by itself.
        _ = self.send(length);
        result
    }
}
