//! What cannot be said in safe Rust: the heap, the engine's thread-local values, semihosting's files, and symbols of the linker.
#![allow(unsafe_code, reason = "a program without an operating system")]

use core::alloc::{GlobalAlloc, Layout};
use core::mem::MaybeUninit;
use core::panic::PanicInfo;
use core::ptr;
use core::sync::atomic::{AtomicPtr, AtomicUsize, Ordering};

use cortex_m_rt::{ExceptionFrame, entry, exception};
use cortex_m_semihosting::{debug, hprintln, nr, syscall};
use embedded_alloc::LlffHeap;
use knockgate_policy_host::precompiled::{Precompiled, Trusted};

const HEAP: usize = 256 * 1024;
/// Room for what the host gives; in a gateway it lies in flash.
const GIVEN: usize = 512 * 1024;
/// The file in the folder where the emulator was started.
const FILE: &[u8] = b"policies.bin\0";

/// Aligned as a site image is in flash.
#[repr(align(16))]
struct Room([u8; GIVEN]);

/// A heap that remembers how much was in use at most.
struct Heap {
    inner: LlffHeap,
    high: AtomicUsize,
}

#[global_allocator]
static ALLOCATOR: Heap = Heap { inner: LlffHeap::empty(), high: AtomicUsize::new(0) };

// SAFETY: every call goes to an allocator that keeps the contract; what is added only reads a number.
unsafe impl GlobalAlloc for Heap {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        // SAFETY: the caller keeps the contract, and it is the same one.
        let memory = unsafe { self.inner.alloc(layout) };
        self.high.fetch_max(self.inner.used(), Ordering::Relaxed);
        memory
    }

    unsafe fn dealloc(&self, memory: *mut u8, layout: Layout) {
        // SAFETY: as above.
        unsafe { self.inner.dealloc(memory, layout) }
    }
}

/// What the host gives: a seed in the first sixteen bytes of the file, then policies.
pub(crate) struct Given {
    pub(crate) seed: u64,
    pub(crate) policies: &'static [u8],
}

#[entry]
fn main() -> ! {
    static mut MEMORY: [MaybeUninit<u8>; HEAP] = [MaybeUninit::uninit(); HEAP];
    // SAFETY: the memory is used for nothing else, this is called once, and nothing was allocated before.
    unsafe { ALLOCATOR.inner.init(MEMORY.as_mut_ptr().addr(), HEAP) };
    crate::run()
}

/// Ends the emulation with a failure.
pub(crate) fn fail() -> ! {
    loop {
        debug::exit(debug::EXIT_FAILURE);
    }
}

/// Vouches for a policy that the test has compiled with this very crate and handed over itself.
pub(crate) fn vouched(policy: Precompiled<'_>) -> Trusted<'_> {
    // SAFETY: the test that starts this program writes the file with `precompile` into a folder of its own.
    unsafe { Trusted::new(policy) }
}

pub(crate) fn heap_in_use() -> usize {
    ALLOCATOR.inner.used()
}

/// The most bytes of heap and of stack that were ever in use.
pub(crate) fn high_water() -> (usize, usize) {
    unsafe extern "C" {
        static _stack_start: u32;
        static _stack_end: u32;
    }
    let (top, mut place) = (&raw const _stack_start, &raw const _stack_end);
    // SAFETY: between these two symbols of the linker lies the stack, which the start-up code has painted. Nothing else writes while
    // this reads: there are no interrupts.
    while place < top && unsafe { place.read_volatile() } == cortex_m_rt::STACK_PAINT_VALUE {
        place = place.wrapping_add(1);
    }
    (ALLOCATOR.high.load(Ordering::Relaxed), top.addr().saturating_sub(place.addr()))
}

/// Reads what the host gives, once.
pub(crate) fn given() -> Result<Given, &'static str> {
    static mut ROOM: Room = Room([0; GIVEN]);
    static TAKEN: AtomicUsize = AtomicUsize::new(0);
    if TAKEN.fetch_add(1, Ordering::Relaxed) != 0 {
        return Err("the file of policies was read twice");
    }
    let place = &raw mut ROOM;
    // SAFETY: nobody else has it, as was just seen.
    let Room(room) = unsafe { &mut *place };
    let length = read_into(room)?;
    let bytes = room.get(..length).ok_or("the file of policies is too long")?;
    let (seed, policies) = bytes.split_first_chunk::<16>().ok_or("the file of policies is cut off")?;
    let [seed @ .., _, _, _, _, _, _, _, _] = *seed;
    Ok(Given { seed: u64::from_le_bytes(seed), policies })
}

fn read_into(room: &mut [u8]) -> Result<usize, &'static str> {
    const FAILED: usize = usize::MAX;
    let name = FILE.len() - 1;
    // SAFETY: semihosting's calls take a block of numbers: here a text that ends with zero, its mode, and its length.
    let file = unsafe { syscall!(OPEN, FILE.as_ptr(), nr::open::R_BINARY, name) };
    if file == FAILED {
        return Err("there is no policies.bin where the emulator was started");
    }
    // SAFETY: the file was just opened.
    let length = unsafe { syscall!(FLEN, file) };
    if length > room.len() {
        return Err("the file of policies is too long");
    }
    // SAFETY: the file was just opened, and the room has that many bytes.
    let missing = unsafe { syscall!(READ, file, room.as_mut_ptr(), length) };
    if missing == 0 { Ok(length) } else { Err("the file of policies cannot be read") }
}

/// The policy engine keeps a pointer for each thread, and there is one thread.
static ENGINE: [AtomicPtr<u8>; 2] = [const { AtomicPtr::new(ptr::null_mut()) }; 2];

// SAFETY: the name is what the engine links against, and nobody else defines it.
#[unsafe(no_mangle)]
extern "C" fn wasmtime_tls_get(slot: usize) -> *mut u8 {
    ENGINE.get(slot).map_or(ptr::null_mut(), |value| value.load(Ordering::Relaxed))
}

// SAFETY: as above.
#[unsafe(no_mangle)]
extern "C" fn wasmtime_tls_set(slot: usize, pointer: *mut u8) {
    if let Some(value) = ENGINE.get(slot) {
        value.store(pointer, Ordering::Relaxed);
    }
}

#[panic_handler]
fn panic(info: &PanicInfo<'_>) -> ! {
    hprintln!("cortex-m4: {info}");
    fail()
}

// SAFETY: it ends the program and touches nothing.
#[exception]
unsafe fn HardFault(frame: &ExceptionFrame) -> ! {
    hprintln!("cortex-m4: fault at {:#010x}", frame.pc());
    fail()
}
