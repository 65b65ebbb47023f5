//! The console: USART3, which the board's ST-LINK shows as a serial port of the computer that it is plugged into; 115200 baud.
//!
//! A line takes longer to leave than a frame to pass, so text waits in memory and leaves a byte at a time. What finds no room is
//! lost, and a row of dots tells so.

use core::cell::RefCell;
use core::fmt;

use critical_section::Mutex;
use embassy_stm32::pac::USART3;
use heapless::Deque;

/// Text that may wait: the longest start with everything that it says.
const ROOM: usize = 8 * 1024;
const LOST: &[u8] = b"...\r\n";
/// How often the port is looked at, when the program ends, before it is taken for broken: some milliseconds a byte.
const PATIENCE: usize = 1_000_000;

static WAITING: Mutex<RefCell<Deque<u8, ROOM>>> = Mutex::new(RefCell::new(Deque::new()));

/// Takes text for the console.
#[derive(Clone, Copy)]
pub(crate) struct Console;

impl fmt::Write for Console {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        critical_section::with(|cs| {
            let mut waiting = WAITING.borrow_ref_mut(cs);
            if ROOM - waiting.len() < 2 * text.len() + LOST.len() {
                mark_loss(&mut waiting);
                return;
            }
            for byte in text.bytes() {
                if byte == b'\n' {
                    put(&mut waiting, b'\r');
                }
                put(&mut waiting, byte);
            }
        });
        Ok(())
    }
}

/// Puts the dots behind what waits, once.
fn mark_loss(waiting: &mut Deque<u8, ROOM>) {
    let is_marked = waiting.iter().rev().zip(LOST.iter().rev()).all(|(waiting, mark)| waiting == mark);
    if !is_marked {
        LOST.iter().for_each(|byte| put(waiting, *byte));
    }
}

fn put(waiting: &mut Deque<u8, ROOM>, byte: u8) {
    // There is room: whoever calls has looked.
    _ = waiting.push_back(byte);
}

/// Sends what the port takes without waiting.
pub(crate) fn send_on() {
    critical_section::with(|cs| {
        let mut waiting = WAITING.borrow_ref_mut(cs);
        while has_room() {
            let Some(byte) = waiting.pop_front() else { return };
            send(byte);
        }
    });
}

/// Sends all that waits, and then `text`, when nothing else will ever be done.
pub(crate) fn last_words(text: fmt::Arguments<'_>) {
    critical_section::with(|cs| {
        // Somebody who was interrupted in the middle of it never comes back.
        if let Ok(mut waiting) = WAITING.borrow(cs).try_borrow_mut() {
            while let Some(byte) = waiting.pop_front() {
                send_patiently(byte);
            }
        }
    });
    _ = fmt::write(&mut Patient, text);
}

/// Waits for every byte.
struct Patient;

impl fmt::Write for Patient {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        for byte in text.bytes() {
            if byte == b'\n' {
                send_patiently(b'\r');
            }
            send_patiently(byte);
        }
        Ok(())
    }
}

fn send_patiently(byte: u8) {
    if (0..PATIENCE).any(|_| has_room()) {
        send(byte);
    }
}

fn has_room() -> bool {
    USART3.isr().read().txe()
}

fn send(byte: u8) {
    USART3.tdr().write(|data| data.set_dr(byte.into()));
}
