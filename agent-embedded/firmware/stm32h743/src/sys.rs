//! What cannot be said in safe Rust: the heap, the engine's thread-local value, the flash as memory, and the processor's handling
//! of faults.
#![allow(unsafe_code, reason = "a program without an operating system")]

use core::alloc::{GlobalAlloc, Layout};
use core::mem::MaybeUninit;
use core::panic::PanicInfo;
use core::ptr;
use core::sync::atomic::{AtomicPtr, AtomicUsize, Ordering};

use cortex_m::peripheral::SCB;
use cortex_m_rt::{ExceptionFrame, entry, exception};
use embassy_stm32::pac::FLASH;
use embedded_alloc::LlffHeap;
use knockgate_core::board::STM32H743;
use knockgate_gateway::storage::Verified;
use knockgate_policy_host::precompiled::{Precompiled, Trusted};

use crate::console;

/// Twice what the gateway may use on its smallest board, and half of this chip's memory.
const HEAP: usize = 256 * 1024;
/// Bytes of a word of the flash.
const WORD: usize = 32;
const SITE: usize = STM32H743.size as usize;

/// An allocator that knows the most that was ever in use.
struct Heap {
    inner: LlffHeap,
    most: AtomicUsize,
}

#[global_allocator]
static ALLOCATOR: Heap = Heap { inner: LlffHeap::empty(), most: AtomicUsize::new(0) };

// SAFETY: every request goes on to an allocator that keeps the contract.
unsafe impl GlobalAlloc for Heap {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        // SAFETY: the caller's promise is passed on.
        let place = unsafe { self.inner.alloc(layout) };
        self.most.fetch_max(self.inner.used(), Ordering::Relaxed);
        place
    }

    unsafe fn dealloc(&self, place: *mut u8, layout: Layout) {
        // SAFETY: the caller's promise is passed on.
        unsafe { self.inner.dealloc(place, layout) }
    }
}

#[entry]
fn main() -> ! {
    static mut MEMORY: [MaybeUninit<u8>; HEAP] = [MaybeUninit::uninit(); HEAP];
    // SAFETY: the memory is used for nothing else, this is called once, and nothing was allocated before.
    unsafe { ALLOCATOR.inner.init(MEMORY.as_mut_ptr().expose_provenance(), HEAP) };
    crate::run()
}

/// Bytes of the heap in use, and the most that ever were.
pub(crate) fn heap() -> (u32, u32) {
    let bytes = |value: usize| u32::try_from(value).unwrap_or(u32::MAX);
    (bytes(ALLOCATOR.inner.used()), bytes(ALLOCATOR.most.load(Ordering::Relaxed)))
}

/// Makes code run from the processor's cache. Data is not kept in one: the Ethernet reads and writes memory beside the processor.
pub(crate) fn prepare() {
    /// Faults of the bus are ignored while all faults are held back: `BFHFNMIGN`. Source: Armv7-M manual, B3.2.8.
    const IGNORE_BUS_FAULTS: u32 = 1 << 8;
    let Some(mut processor) = cortex_m::Peripherals::take() else { return };
    processor.SCB.enable_icache();
    // SAFETY: it has a meaning in `site_word` alone, where nothing else can fail.
    unsafe { processor.SCB.ccr.modify(|control| control | IGNORE_BUS_FAULTS) };
}

/// The site's part of the flash. Reading a word that [`site_word`] cannot read is a fault, which restarts the board.
pub(crate) fn site() -> &'static [u8] {
    let first = ptr::with_exposed_provenance(STM32H743.address as usize);
    // SAFETY: the chip has flash there, and nothing of this program lies in it. Who writes to it does not write to what has been
    // lent: that is what `Flash::lend` asks for.
    unsafe { core::slice::from_raw_parts(first, SITE) }
}

/// A word of the site, if there is one of that number and its check bits are right.
pub(crate) fn site_word(number: usize) -> Option<[u8; WORD]> {
    let offset = number.checked_mul(WORD).filter(|offset| *offset < SITE)?;
    let first = ptr::with_exposed_provenance::<[u32; WORD / 4]>(STM32H743.address as usize + offset);
    let bank = FLASH.bank(1);
    bank.ccr().write(|clear| clear.set_clr_dbeccerr(true));
    // SAFETY: the place is in flash and aligned. While faults are held back, a fault of the bus is ignored: the value that was read
    // then means nothing, and is not used.
    let words = unsafe {
        core::arch::asm!("cpsid f", options(nostack, preserves_flags));
        let words = first.read_volatile();
        cortex_m::asm::dsb();
        core::arch::asm!("cpsie f", options(nostack, preserves_flags));
        words
    };
    if bank.sr().read().dbeccerr() {
        bank.ccr().write(|clear| clear.set_clr_dbeccerr(true));
        return None;
    }
    let mut bytes = [0; WORD];
    bytes.chunks_exact_mut(4).zip(words).for_each(|(to, word)| to.copy_from_slice(&word.to_le_bytes()));
    Some(bytes)
}

/// The library's word that a policy lies in an image whose signature was checked is enough.
pub(crate) fn vouch<'a>(_: &Verified<'a>, policy: Precompiled<'a>) -> Trusted<'a> {
    // SAFETY: `Verified` is made by the check of the owner's signature alone, and who signs images compiles what is in them. The
    // slot in force is not written to as long as the program runs.
    unsafe { Trusted::new(policy) }
}

/// Restarts the board, once the console has said all that it was to say.
pub(crate) fn restart() -> ! {
    console::last_words(format_args!(""));
    SCB::sys_reset()
}

/// The engine's one word of memory per thread, of which there is one.
static ENGINE: AtomicPtr<u8> = AtomicPtr::new(ptr::null_mut());

// SAFETY: the engine declares the function like this.
#[unsafe(no_mangle)]
extern "C" fn wasmtime_tls_get(_slot: usize) -> *mut u8 {
    ENGINE.load(Ordering::Relaxed)
}

// SAFETY: as above.
#[unsafe(no_mangle)]
extern "C" fn wasmtime_tls_set(_slot: usize, value: *mut u8) {
    ENGINE.store(value, Ordering::Relaxed);
}

#[panic_handler]
fn panic(info: &PanicInfo<'_>) -> ! {
    console::last_words(format_args!("restart: {info}\n"));
    SCB::sys_reset()
}

// SAFETY: it says what it was given and restarts the board.
#[exception]
unsafe fn HardFault(frame: &ExceptionFrame) -> ! {
    console::last_words(format_args!("restart: fault at {:#x}\n", frame.pc()));
    SCB::sys_reset()
}
