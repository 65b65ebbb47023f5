//! Everything of this board that the compiler cannot check: registers, memory that cards write to, the heap, traps.
//!
//! Addresses are those of QEMU's `hw/riscv/virt.c`, which have been the same in every release.
#![allow(unsafe_code, reason = "hardware is reached by address")]

use alloc::boxed::Box;
use alloc::vec;
use core::alloc::{GlobalAlloc, Layout};
use core::marker::PhantomData;
use core::ops::Range;
use core::ptr::{self, NonNull};
use core::sync::atomic::{AtomicPtr, AtomicU16, AtomicU32, AtomicUsize, Ordering, fence};

use embedded_alloc::LlffHeap;
use knockgate_gateway::storage::Verified;
use knockgate_policy_host::precompiled::{Precompiled, Trusted};
use riscv::interrupt::Interrupt;
use riscv::register::{Permission, Range as Match, mie, pmpaddr0, pmpcfg0};
use virtio_drivers::transport::Transport as _;
use virtio_drivers::transport::mmio::MmioTransport;

/// A register of a device. Only this file makes them, and only of what is there, so using one harms no memory of ours.
#[derive(Clone, Copy)]
pub(crate) struct Register<T> {
    address: usize,
    content: PhantomData<T>,
}

pub(crate) const TEST_DEVICE: Register<u32> = Register::at(0x0010_0000);
pub(crate) const CALENDAR_LOW: Register<u32> = Register::at(0x0010_1000);
pub(crate) const CALENDAR_HIGH: Register<u32> = Register::at(0x0010_1004);
pub(crate) const ALARM_LOW: Register<u32> = Register::at(0x0200_4000);
pub(crate) const ALARM_HIGH: Register<u32> = Register::at(0x0200_4004);
pub(crate) const TICKS_LOW: Register<u32> = Register::at(0x0200_BFF8);
pub(crate) const TICKS_HIGH: Register<u32> = Register::at(0x0200_BFFC);
/// Which interrupts wake this core, one bit each.
pub(crate) const INTERRUPTS: Register<u32> = Register::at(0x0C00_2000);
pub(crate) const INTERRUPT_THRESHOLD: Register<u32> = Register::at(0x0C20_0000);
pub(crate) const INTERRUPT_CLAIM: Register<u32> = Register::at(0x0C20_0004);
pub(crate) const SERIAL_DATA: Register<u8> = Register::at(0x1000_0000);
pub(crate) const SERIAL_INTERRUPTS: Register<u8> = Register::at(0x1000_0001);
pub(crate) const SERIAL_STATUS: Register<u8> = Register::at(0x1000_0005);

/// Interrupts of the eight places for cards, and of the serial port.
pub(crate) const CARD_INTERRUPTS: Range<u32> = 1..9;
pub(crate) const SERIAL_INTERRUPT: u32 = 10;
const INTERRUPT_PRIORITIES: usize = 0x0C00_0000;
const CARDS: usize = 0x1000_1000;
const CARD_SIZE: usize = 0x1000;

/// The second flash chip. The first one would hold code that starts the machine.
const FLASH: usize = 0x2200_0000;
/// Its bytes.
pub(crate) const FLASH_SIZE: u32 = 32 << 20;

impl<T: Copy> Register<T> {
    const fn at(address: usize) -> Self {
        Self { address, content: PhantomData }
    }

    pub(crate) fn read(self) -> T {
        // SAFETY: there is a device's register of this size at the address, see `Register`.
        unsafe { ptr::with_exposed_provenance::<T>(self.address).read_volatile() }
    }

    pub(crate) fn write(self, value: T) {
        // SAFETY: as above; what devices do upon it is confined to buffers that were lent to them.
        unsafe { ptr::with_exposed_provenance_mut::<T>(self.address).write_volatile(value) }
    }
}

/// How urgent an interrupt is; 0 is never.
pub(crate) fn interrupt_priority(interrupt: u32) -> Register<u32> {
    // The controller has 1024 of them; the numbers come from the constants above.
    Register::at(INTERRUPT_PRIORITIES + 4 * (interrupt as usize & 0x3ff))
}

/// The word of the flash chip that begins at byte `offset`, as commands and their answers go over it.
pub(crate) fn flash_word(offset: u32) -> Register<u32> {
    Register::at(FLASH + (offset % FLASH_SIZE) as usize / 4 * 4)
}

/// Bytes of the flash chip; none if it has not so many. To be called and to be read while the chip is in array mode: the driver
/// takes it back into that mode before each return.
pub(crate) fn flash_bytes(range: Range<u32>) -> &'static [u8] {
    let (start, length) = (range.start, range.end.saturating_sub(range.start));
    if start.checked_add(length).is_none_or(|end| end > FLASH_SIZE) {
        return &[];
    }
    let first = ptr::with_exposed_provenance::<u8>(FLASH + start as usize);
    // SAFETY: the chip is mapped for good and lies apart from all memory of ours. Its bytes change by the driver's commands
    // alone, and the contract of `Flash::lend` keeps the library from writing to what it has been lent.
    unsafe { core::slice::from_raw_parts(first, length as usize) }
}

/// The cards that are there. To be called once.
pub(crate) fn cards() -> impl Iterator<Item = MmioTransport<'static>> {
    CARD_INTERRUPTS.filter_map(|interrupt| {
        let address = CARDS + CARD_SIZE * (interrupt - CARD_INTERRUPTS.start) as usize;
        let header = NonNull::new(ptr::with_exposed_provenance_mut(address))?;
        // SAFETY: the machine has a VirtIO place of this size at the address, with or without a card in it, and nothing else in
        // this program touches it.
        unsafe { MmioTransport::new(header, CARD_SIZE) }.ok()
    })
}

/// Restarts the machine, as a watchdog does.
pub(crate) fn restart() -> ! {
    const RESET: u32 = 0x7777;
    loop {
        TEST_DEVICE.write(RESET);
    }
}

/// The library's word that a policy lies in an image whose signature was checked is enough.
pub(crate) fn vouch<'a>(_: &Verified<'a>, policy: Precompiled<'a>) -> Trusted<'a> {
    // SAFETY: `Verified` is made by the check of the owner's signature alone, and who signs images compiles what is in them. The
    // slot in force is not written to as long as the program runs.
    unsafe { Trusted::new(policy) }
}

/// What a card may do with a buffer.
#[derive(Clone, Copy)]
pub(crate) enum Use {
    /// Read so many bytes of it.
    Send(usize),
    /// Write to all of it.
    Receive,
}

/// Whether a card shall tell that it has done something.
#[derive(Clone, Copy)]
pub(crate) enum Telling {
    /// By an interrupt.
    Interrupt,
    /// Not at all: it is looked after.
    Silent,
}

/// A VirtIO queue of `N` buffers, a power of two. Buffer `n` belongs to descriptor `n` for good, so nothing is ever allocated
/// after the start. Source: VirtIO 1.1, section 2.6.
///
/// The queues of `virtio-drivers` take two pages each, and five of them a fifth of all our memory; this takes 26 bytes a buffer.
pub(crate) struct Ring<const N: usize> {
    queue: u16,
    shared: &'static Shared<N>,
    buffers: [Buffer; N],
    offered: u16,
    seen: u16,
}

enum Buffer {
    Ours(&'static mut [u8]),
    Cards(NonNull<[u8]>),
}

/// What card and program both see. Every field is written by one of them and read by the other.
#[repr(C, align(16))]
struct Shared<const N: usize> {
    descriptors: [Descriptor; N],
    available_flags: AtomicU16,
    available: AtomicU16,
    available_ring: [AtomicU16; N],
    _used_event: AtomicU16,
    used: Used<N>,
}

#[repr(C)]
#[derive(Default)]
struct Descriptor {
    address: AtomicU32,
    _address_high: AtomicU32,
    length: AtomicU32,
    flags: AtomicU16,
    _next: AtomicU16,
}

#[repr(C, align(4))]
struct Used<const N: usize> {
    flags: AtomicU16,
    count: AtomicU16,
    ring: [(AtomicU32, AtomicU32); N],
    _available_event: AtomicU16,
}

/// In a descriptor: the card writes.
const WRITTEN_BY_CARD: u16 = 2;
/// In the flags of both rings: the other side need not say when it goes on.
const NO_NOTICE: u16 = 1;

impl<const N: usize> Ring<N> {
    /// Makes the card's queue number `queue`, with buffers of `length` bytes that are all ours. Only while the board starts.
    pub(crate) fn new(
        queue: u16,
        card: &mut MmioTransport<'static>,
        length: usize,
        telling: Telling,
    ) -> Self {
        const { assert!(N.is_power_of_two() && N <= 1024) };
        let shared: &'static Shared<N> = Box::leak(Box::new(Shared {
            descriptors: core::array::from_fn(|_| Descriptor::default()),
            available_flags: AtomicU16::new(0),
            available: AtomicU16::new(0),
            available_ring: core::array::from_fn(|_| AtomicU16::new(0)),
            _used_event: AtomicU16::new(0),
            used: Used {
                flags: AtomicU16::new(0),
                count: AtomicU16::new(0),
                ring: core::array::from_fn(|_| Default::default()),
                _available_event: AtomicU16::new(0),
            },
        }));
        let place = |part: *const ()| part.expose_provenance() as u64;
        let size = u32::try_from(N).unwrap_or(0);
        card.queue_set(
            queue,
            size,
            place((&raw const shared.descriptors).cast()),
            place((&raw const shared.available_flags).cast()),
            place((&raw const shared.used).cast()),
        );
        let buffers = core::array::from_fn(|_| Buffer::Ours(Box::leak(vec![0; length].into_boxed_slice())));
        let ring = Self { queue, shared, buffers, offered: 0, seen: 0 };
        ring.tell(telling);
        ring
    }

    /// From now on the card tells, or does not.
    pub(crate) fn tell(&self, telling: Telling) {
        let flags = match telling {
            Telling::Interrupt => 0,
            Telling::Silent => NO_NOTICE,
        };
        self.shared.available_flags.store(flags, Ordering::SeqCst);
        // What the card has done before it saw the flag is looked for after this.
        fence(Ordering::SeqCst);
    }

    /// A buffer that is ours.
    pub(crate) fn ours(&self) -> Option<usize> {
        self.buffers.iter().position(|buffer| matches!(buffer, Buffer::Ours(_)))
    }

    /// The buffer's bytes, if it is ours.
    pub(crate) fn bytes(&mut self, number: usize) -> Option<&mut [u8]> {
        match self.buffers.get_mut(number)? {
            Buffer::Ours(bytes) => Some(bytes),
            Buffer::Cards(_) => None,
        }
    }

    /// Hands a buffer of ours to the card.
    pub(crate) fn hand_over(&mut self, number: usize, card: &mut MmioTransport<'static>, use_: Use) {
        let (Some(buffer), Some(descriptor)) =
            (self.buffers.get_mut(number), self.shared.descriptors.get(number))
        else {
            return;
        };
        let Buffer::Ours(bytes) = buffer else { return };
        let (length, flags) = match use_ {
            Use::Send(length) => (length.min(bytes.len()), 0),
            Use::Receive => (bytes.len(), WRITTEN_BY_CARD),
        };
        let lent = NonNull::from(&mut **bytes);
        *buffer = Buffer::Cards(lent);
        let word = |value: usize| u32::try_from(value).unwrap_or(u32::MAX);
        descriptor.address.store(word(lent.cast::<u8>().as_ptr().expose_provenance()), Ordering::Relaxed);
        descriptor.length.store(word(length), Ordering::Relaxed);
        descriptor.flags.store(flags, Ordering::Relaxed);
        let place = &self.shared.available_ring[usize::from(self.offered) % N];
        place.store(u16::try_from(number).unwrap_or(0), Ordering::Relaxed);
        self.offered = self.offered.wrapping_add(1);
        self.shared.available.store(self.offered, Ordering::SeqCst);
        fence(Ordering::SeqCst);
        if self.shared.used.flags.load(Ordering::SeqCst) & NO_NOTICE == 0 {
            card.notify(self.queue);
        }
    }

    /// Takes back the next buffer that the card has done with: its number, and how many bytes were written to it.
    pub(crate) fn take_back(&mut self) -> Option<(usize, usize)> {
        if self.shared.used.count.load(Ordering::Acquire) == self.seen {
            return None;
        }
        let (number, written) = &self.shared.used.ring[usize::from(self.seen) % N];
        let (number, written) =
            (number.load(Ordering::Relaxed) as usize, written.load(Ordering::Relaxed) as usize);
        self.seen = self.seen.wrapping_add(1);
        let buffer = self.buffers.get_mut(number)?;
        let Buffer::Cards(lent) = *buffer else { return None };
        // SAFETY: it was made from a borrow for good that ended with it, and the card has just said that it has done with it.
        let bytes: &'static mut [u8] = unsafe { &mut *lent.as_ptr() };
        let written = written.min(bytes.len());
        *buffer = Buffer::Ours(bytes);
        Some((number, written))
    }
}

// SAFETY: a buffer that the card has is reached by nobody else, and this machine has one core.
unsafe impl Send for Buffer {}

/// Waits until an alarm or a card wants something. What wakes it is not taken as an interrupt: the caller looks for it.
pub(crate) fn wait_for_interrupt() {
    // SAFETY: with interrupts off as a whole, letting this kind through only ends the waiting.
    unsafe { mie::enable(Interrupt::MachineExternal) };
    riscv::asm::wfi();
    mie::disable(Interrupt::MachineExternal);
}

/// From now on the alarm is a trap.
pub(crate) fn take_alarms() {
    // SAFETY: the trap never comes back, so no code can be disturbed by it.
    unsafe {
        mie::enable(Interrupt::MachineTimer);
        riscv::interrupt::enable();
    }
}

/// `work` without traps by the alarm, which only ends a waiting in it.
pub(crate) fn without_alarms(work: impl FnOnce()) {
    riscv::interrupt::free(work);
}

unsafe extern "C" {
    static _ram_end: u8;
    static _stack_bottom: u8;
    static mut _kept: u8;
    static _stack_start: u8;
    static __sheap: u8;
}

/// An allocator that knows the most that was ever in use.
struct Heap {
    inner: LlffHeap,
    most: AtomicUsize,
}

#[global_allocator]
static HEAP: Heap = Heap { inner: LlffHeap::empty(), most: AtomicUsize::new(0) };

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

/// Gives all memory that is left to the heap. To be called once, before anything is allocated.
pub(crate) fn open_heap() {
    let (start, end) = ((&raw const __sheap).expose_provenance(), (&raw const _ram_end).expose_provenance());
    // SAFETY: the linker has put nothing between the two, and the stack lies elsewhere.
    unsafe { HEAP.inner.init(start, end.saturating_sub(start)) }
}

/// Bytes of the heap in use, and the most that ever were.
pub(crate) fn heap() -> (u32, u32) {
    let bytes = |value: usize| u32::try_from(value).unwrap_or(u32::MAX);
    (bytes(HEAP.inner.used()), bytes(HEAP.most.load(Ordering::Relaxed)))
}

/// Bytes of the heap in all.
pub(crate) fn heap_size() -> usize {
    HEAP.inner.used() + HEAP.inner.free()
}

/// What the unused part of the stack is filled with.
const PAINT: u32 = 0x5afe_57ac;
/// Bytes below the painter's own frame that it leaves alone.
const IN_USE: usize = 256;

/// Fills the unused part of the stack, so that later its use can be seen.
pub(crate) fn paint_stack() {
    let here = 0_u8;
    let bottom = (&raw const _stack_bottom).expose_provenance();
    let top = (&raw const here).addr().saturating_sub(IN_USE);
    for address in (bottom..top & !3).step_by(4) {
        // SAFETY: this is stack that no frame has reached.
        unsafe { ptr::with_exposed_provenance_mut::<u32>(address).write_volatile(PAINT) }
    }
}

/// The most bytes of the stack that were ever in use, and how many there are.
pub(crate) fn stack() -> (usize, usize) {
    let bottom = (&raw const _stack_bottom).expose_provenance();
    let top = (&raw const _stack_start).expose_provenance();
    let untouched = (bottom..top).step_by(4).take_while(|&address| {
        // SAFETY: this is stack, read as plain words; whatever lies there is a number.
        unsafe { ptr::with_exposed_provenance::<u32>(address).read_volatile() == PAINT }
    });
    let untouched = untouched.count() * 4;
    (top - bottom - untouched, top - bottom)
}

/// Bytes of the page below the stack that nobody may touch.
const GUARD: usize = 4096;

/// Where it lies.
pub(crate) fn stack_guard() -> Range<usize> {
    let bottom = (&raw const _stack_bottom).addr();
    bottom - GUARD..bottom
}

/// Makes touching the page below the stack a fault, for this program too, until the next start.
pub(crate) fn guard_stack() {
    // A power of two in one register: the address in words, with ones below the bits that count.
    let place = stack_guard().start >> 2 | ((GUARD >> 3) - 1);
    // SAFETY: nothing of ours lies in that page.
    unsafe {
        pmpaddr0::write(place);
        pmpcfg0::set_pmp(0, Match::NAPOT, Permission::NONE, true);
    }
}

/// Says that the words behind it were written by this program and are not what memory holds when the power comes.
const KEPT_MARK: u32 = u32::from_le_bytes(*b"KGst");

/// Starts that came to no end since the power came.
pub(crate) fn unfinished_starts() -> u32 {
    let kept = (&raw const _kept).cast::<[u32; 2]>();
    // SAFETY: `_kept` is 16 bytes of memory, aligned to them, that no section lies in; any bytes are two numbers.
    let [mark, count] = unsafe { kept.read_volatile() };
    if mark == KEPT_MARK { count } else { 0 }
}

/// Keeps that number until the power is taken away.
pub(crate) fn note_unfinished_starts(count: u32) {
    let kept = (&raw mut _kept).cast::<[u32; 2]>();
    // SAFETY: as above, and nobody else writes there.
    unsafe { kept.write_volatile([KEPT_MARK, count]) };
}

// No trap is ever returned from, so it may begin on an empty stack: the old one may be what is broken.
core::arch::global_asm!(
    ".section .trap.start, \"ax\"",
    ".balign 4",
    ".global _start_trap",
    "_start_trap:",
    "la sp, _stack_start",
    "csrr a0, mcause",
    "csrr a1, mepc",
    "csrr a2, mtval",
    "mv a3, ra",
    "j {trapped}",
    trapped = sym crate::fault::trapped,
);

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

// What functions begin and end with, see there.
core::arch::global_asm!(include_str!("saves.s"));
