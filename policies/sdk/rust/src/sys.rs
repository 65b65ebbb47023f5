//! The border to the host: the only unsafe code of the SDK.
//!
//! On other targets than WebAssembly there is no host, and the same functions panic: a policy can be type-checked anywhere.

use knockgate_policy_abi::Head;

#[cfg(target_arch = "wasm32")]
mod import {
    use knockgate_policy_abi::Head;

    // `safe`: numbers go in, numbers come out, and the host checks them all.
    #[link(wasm_import_module = "knockgate:policy/event@1.0.0")]
    unsafe extern "C" {
        pub(crate) safe fn attr(key: u32) -> u64;
        pub(crate) safe fn has(key: u32) -> u32;
        pub(crate) safe fn text(key: u32, offset: u32) -> u64;
        #[link_name = "read-head"]
        pub(crate) fn read_head(head: *mut Head);
    }

    #[link(wasm_import_module = "knockgate:policy/act@1.0.0")]
    unsafe extern "C" {
        pub(crate) safe fn open(service: u32, seconds: u32) -> i32;
        #[link_name = "open-prefix"]
        pub(crate) safe fn open_prefix(service: u32, bits: u32, seconds: u32) -> i32;
        pub(crate) safe fn extend(grant: u64, seconds: u32) -> i32;
        pub(crate) safe fn revoke(grant: u64) -> i32;
        pub(crate) safe fn lockout(seconds: u32) -> i32;
        pub(crate) safe fn start(unit: u32) -> i32;
        pub(crate) safe fn notify(channel: u32, code: u32) -> i32;
    }

    #[link(wasm_import_module = "knockgate:policy/journal@1.0.0")]
    unsafe extern "C" {
        pub(crate) fn log(level: u32, message: *const u8, length: usize);
    }

    #[link(wasm_import_module = "knockgate:policy/state@1.0.0")]
    unsafe extern "C" {
        pub(crate) safe fn load(key: u32) -> u64;
        pub(crate) safe fn store(key: u32, value: u64) -> i32;
    }
}

/// Where there is no host, every call says so. The signatures are those above.
#[cfg(not(target_arch = "wasm32"))]
mod import {
    use knockgate_policy_abi::Head;

    macro_rules! no_host {
        ($($name:ident($($param:ty),*) $(-> $result:ty)?;)*) => {
            $(
                pub(crate) fn $name($(_: $param),*) $(-> $result)? {
                    panic!("a policy runs in a policy host only")
                }
            )*
        };
    }

    no_host! {
        attr(u32) -> u64;
        has(u32) -> u32;
        text(u32, u32) -> u64;
        open(u32, u32) -> i32;
        open_prefix(u32, u32, u32) -> i32;
        extend(u64, u32) -> i32;
        revoke(u64) -> i32;
        lockout(u32) -> i32;
        start(u32) -> i32;
        notify(u32, u32) -> i32;
        load(u32) -> u64;
        store(u32, u64) -> i32;
    }

    pub(crate) unsafe fn read_head(_: *mut Head) {
        panic!("a policy runs in a policy host only")
    }

    pub(crate) unsafe fn log(_: u32, _: *const u8, _: usize) {
        panic!("a policy runs in a policy host only")
    }
}

pub(crate) use import::{
    attr, extend, has, load, lockout, notify, open, open_prefix, revoke, start, store, text,
};

pub(crate) fn head() -> Head {
    let mut head = Head::default();
    // SAFETY: the host writes exactly `Head::SIZE` bytes there, which is the size of the record, before it returns.
    unsafe { import::read_head(&raw mut head) };
    head
}

pub(crate) fn log(level: u32, message: &str) {
    // SAFETY: pointer and length belong to one string; the host reads it and keeps nothing.
    unsafe { import::log(level, message.as_ptr(), message.len()) };
}

/// A policy that panics is denied; the operator sees where.
#[cfg(target_arch = "wasm32")]
#[panic_handler]
fn panic(_: &core::panic::PanicInfo<'_>) -> ! {
    core::arch::wasm32::unreachable()
}

/// Copies a manifest into an array, so that a static of exactly its length can hold it.
#[doc(hidden)]
#[must_use]
pub const fn bytes<const N: usize>(text: &str) -> [u8; N] {
    let mut out = [0; N];
    let mut at = 0;
    while at < N {
        out[at] = text.as_bytes()[at];
        at += 1;
    }
    out
}

/// Makes a policy of a manifest and a function `fn() -> Verdict`.
#[macro_export]
macro_rules! policy {
    (manifest: $manifest:expr, decide: $decide:path $(,)?) => {
        const _: () = {
            const MANIFEST: &str = $manifest;

            // SAFETY: a custom section is not loaded into memory; the host reads it from the file.
            #[cfg(target_arch = "wasm32")]
            #[used]
            #[unsafe(link_section = "knockgate.manifest")]
            static SECTION: [u8; MANIFEST.len()] = $crate::sys::bytes(MANIFEST);

            // SAFETY: a policy has one `decide`; a second one is an error of the linker.
            #[unsafe(export_name = "decide")]
            extern "C" fn exported() -> u32 {
                let decide: fn() -> $crate::Verdict = $decide;
                decide().code()
            }
        };
    };
}
