//! Brings the board up: clocks, watchdog, console, both ports. Pins are those of a NUCLEO-H743ZI2, and its Arduino header for the
//! module. Source: ST UM2407, tables 11 and 18.

use alloc::boxed::Box;

use embassy_stm32::eth::{Ethernet, GenericPhy, PacketQueue, Phy as _, Sma, StationManagement as _};
use embassy_stm32::gpio::{Level, Output, Speed};
use embassy_stm32::peripherals::IWDG1;
use embassy_stm32::rcc::{
    AHBPrescaler, APBPrescaler, HSIPrescaler, Hsi48Config, Pll, PllDiv, PllMul, PllPreDiv, PllSource, Sysclk,
    VoltageScale,
};
use embassy_stm32::spi::{self, Spi};
use embassy_stm32::time::Hertz;
use embassy_stm32::usart::{self, UartTx};
use embassy_stm32::wdg::IndependentWatchdog;
use embassy_stm32::{Config, Peri, bind_interrupts, eth, flash, peripherals, rng, uid};
use embassy_time::Duration;
use embedded_hal_bus::spi::ExclusiveDevice;
use knockgate_core::board::{Board, STM32H743};
use knockgate_gateway::board::{Layout, Parts};
use smoltcp::wire::EthernetAddress;

use crate::console::Console;
use crate::flash::Flash;
use crate::rng::Rng;
use crate::{inner, outer, sys};

bind_interrupts!(struct Interrupts {
    ETH => eth::InterruptHandler;
    RNG => rng::InterruptHandler<peripherals::RNG>;
});

/// Longest turn of the main loop. The longest erase some sectors of flash, at most 4 s each by the chip's data sheet.
const PATIENCE: Duration = Duration::from_secs(20);
/// Frames that wait each way at the outer port.
type Queue = PacketQueue<8, 16>;
/// The transceiver on the board answers to this number.
const TRANSCEIVER: u8 = 0;
/// What a transceiver says that it can do, and, of that: 100 Mbit/s both ways at once, in words of IEEE 802.3. The chip is set to
/// that and to nothing else.
const ADVERTISEMENT: u8 = 4;
const FULL_DUPLEX_100: u16 = 0x0101;
/// The module takes 33 MHz over wires of a hand's length.
const BUS: Hertz = Hertz(25_000_000);
/// The module wants half a millisecond of reset, and one until its clock stands. Source: W5500 datasheet 1.1.0, section 5.5.1.
const RESET: Duration = Duration::from_millis(2);

type All = Parts<outer::Port, inner::Port, Flash, Rng, Console>;

/// Everything that the gateway is built from, and the watchdog, which runs. A board that lacks something says so and starts again.
pub(crate) fn bring_up() -> (All, IndependentWatchdog<'static, IWDG1>) {
    let board = embassy_stm32::init(clocks());
    sys::prepare();
    let patience = u32::try_from(PATIENCE.as_micros()).unwrap_or(u32::MAX);
    let mut watchdog = IndependentWatchdog::new(board.IWDG1, patience);
    watchdog.unleash();
    open_console(Serial { port: board.USART3, transmit: board.PD8 });
    let hardware = hardware_address();
    let outer = outer_port(
        hardware,
        OuterPins {
            card: board.ETH,
            management: board.ETH_SMA,
            clock: board.PA1,
            carrier: board.PA7,
            receive: (board.PC4, board.PC5),
            transmit: (board.PG13, board.PB13),
            transmit_enable: board.PG11,
            data: board.PA2,
            data_clock: board.PC1,
        },
    );
    let inner = inner_port(InnerPins {
        bus: board.SPI1,
        clock: board.PA5,
        to_module: board.PB5,
        from_module: board.PA6,
        select: board.PD14,
        reset: board.PD15,
    });
    let Board { owner, slots, journal, .. } = STM32H743;
    let parts = Parts {
        outer,
        inner,
        hardware,
        flash: Flash(flash::Flash::new_blocking(board.FLASH)),
        layout: Layout { owner, slots, journal },
        rng: Rng(rng::Rng::new(board.RNG, Interrupts)),
        console: Console,
        heap: sys::heap,
        vouch: sys::vouch,
    };
    (parts, watchdog)
}

/// 400 MHz from the chip's own oscillator: no other is there when the board is powered without its ST-LINK.
fn clocks() -> Config {
    let mut config = Config::default();
    config.rcc.hsi = Some(HSIPrescaler::DIV1);
    config.rcc.csi = true;
    // For the generator of random numbers.
    config.rcc.hsi48 = Some(Hsi48Config::default());
    config.rcc.pll1 = Some(Pll {
        source: PllSource::HSI,
        prediv: PllPreDiv::DIV4,
        mul: PllMul::MUL50,
        fracn: None,
        divp: Some(PllDiv::DIV2),
        // 100 MHz for the serial bus.
        divq: Some(PllDiv::DIV8),
        divr: None,
    });
    config.rcc.sys = Sysclk::PLL1_P;
    config.rcc.ahb_pre = AHBPrescaler::DIV2;
    config.rcc.apb1_pre = APBPrescaler::DIV2;
    config.rcc.apb2_pre = APBPrescaler::DIV2;
    config.rcc.apb3_pre = APBPrescaler::DIV2;
    config.rcc.apb4_pre = APBPrescaler::DIV2;
    config.rcc.voltage_scale = VoltageScale::Scale1;
    config
}

/// An address that nobody else has: of those that anybody may give himself, the one that the chip's number makes.
fn hardware_address() -> EthernetAddress {
    const FNV_PRIME: u64 = 0x0100_0000_01b3;
    const FNV_START: u64 = 0xcbf2_9ce4_8422_2325;
    let mix = |hash: u64, byte: &u8| (hash ^ u64::from(*byte)).wrapping_mul(FNV_PRIME);
    let [a, b, c, d, e, ..] = uid::uid().iter().fold(FNV_START, mix).to_le_bytes();
    EthernetAddress([0x02, a, b, c, d, e])
}

struct Serial {
    port: Peri<'static, peripherals::USART3>,
    transmit: Peri<'static, peripherals::PD8>,
}

/// Sets the serial port up. From then on [`Console`] writes to it.
fn open_console(serial: Serial) {
    let port = UartTx::new_blocking(serial.port, serial.transmit, usart::Config::default());
    // Its end would switch the port off.
    core::mem::forget(port.expect("115200 baud are within reach of the bus clock"));
}

struct OuterPins {
    card: Peri<'static, peripherals::ETH>,
    management: Peri<'static, peripherals::ETH_SMA>,
    clock: Peri<'static, peripherals::PA1>,
    carrier: Peri<'static, peripherals::PA7>,
    receive: (Peri<'static, peripherals::PC4>, Peri<'static, peripherals::PC5>),
    transmit: (Peri<'static, peripherals::PG13>, Peri<'static, peripherals::PB13>),
    transmit_enable: Peri<'static, peripherals::PG11>,
    data: Peri<'static, peripherals::PA2>,
    data_clock: Peri<'static, peripherals::PC1>,
}

fn outer_port(hardware: EthernetAddress, pins: OuterPins) -> outer::Port {
    // The card's own memory access uses it as long as the program runs.
    let queue: &'static mut Queue = Box::leak(Box::new(Queue::new()));
    let management = Sma::new(pins.management, pins.data, pins.data_clock);
    let mut card = Ethernet::new_with_phy(
        queue,
        pins.card,
        Interrupts,
        pins.clock,
        pins.carrier,
        pins.receive.0,
        pins.receive.1,
        pins.transmit.0,
        pins.transmit.1,
        pins.transmit_enable,
        hardware.0,
        GenericPhy::new(management, TRANSCEIVER),
    );
    let transceiver = card.phy_mut();
    transceiver.station_management().smi_write(TRANSCEIVER, ADVERTISEMENT, FULL_DUPLEX_100);
    // Once more, with what it may say now.
    transceiver.phy_init();
    outer::Port::new(card)
}

struct InnerPins {
    bus: Peri<'static, peripherals::SPI1>,
    clock: Peri<'static, peripherals::PA5>,
    to_module: Peri<'static, peripherals::PB5>,
    from_module: Peri<'static, peripherals::PA6>,
    select: Peri<'static, peripherals::PD14>,
    reset: Peri<'static, peripherals::PD15>,
}

fn inner_port(pins: InnerPins) -> inner::Port {
    let mut config = spi::Config::default();
    config.frequency = BUS;
    let bus = Spi::new_blocking(pins.bus, pins.clock, pins.to_module, pins.from_module, config);
    let select = Output::new(pins.select, Level::High, Speed::VeryHigh);
    let mut reset = Output::new(pins.reset, Level::Low, Speed::Low);
    embassy_time::block_for(RESET);
    reset.set_high();
    embassy_time::block_for(RESET);
    // Its end would let go of the line.
    core::mem::forget(reset);
    let port = ExclusiveDevice::new_no_delay(bus, select).ok().and_then(|bus| inner::Port::new(bus).ok());
    port.expect(
        "the W5500 module does not answer; look at its wires: D13 clock, D12 from it, D11 to it, D10 select, D9 reset, 3.3 V, ground",
    )
}
