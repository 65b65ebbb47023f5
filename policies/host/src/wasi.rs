//! The operating system that is not there: WASI preview 1 for languages whose runtime does not start without one.
//!
//! A policy sees nothing through it and can do nothing with it, and the answers are the same every time, so a decision can
//! still be made again: the clock stands at 1 ns, random bytes are a fixed sequence, there are no arguments, no environment and
//! no files, what is written to standard output and standard error is lost, and `proc_exit` ends the decision as a failure.
//! Everything else answers `ENOSYS`. An administrator allows it for one policy ([`Wasi::Inert`](crate::Wasi::Inert)); a gateway never has it.
//!
//! Everything here works on numbers and bytes, so that every engine gives the same answers.

/// Name of the module that WASI preview 1 is imported from.
pub(crate) const PREVIEW_1: &str = "wasi_snapshot_preview1";

/// Whether an interface belongs to any WASI: preview 1 of core modules, or the packages that components import.
pub(crate) fn is_wasi(interface: &str) -> bool {
    interface == PREVIEW_1 || interface == "wasi_unstable" || interface.starts_with("wasi:")
}

/// A byte of the sequence that stands for chance.
#[cfg(feature = "std")]
pub(crate) fn random_byte(place: u64) -> u8 {
    let [place, ..] = place.to_le_bytes();
    place.wrapping_mul(167).wrapping_add(13)
}

#[cfg(feature = "std")]
pub(crate) use calls::{Outcome, call, cost};

#[cfg(feature = "std")]
mod calls {
    use knockgate_policy_abi::limits::HOST_CALL_FUEL;

    /// What a call comes to.
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    pub(crate) enum Outcome {
        /// It answers this.
        Errno(u32),
        /// The program ended itself.
        Exit,
        /// It gave a pointer outside its memory.
        OutOfBounds,
    }

    const SUCCESS: Outcome = Outcome::Errno(0);
    const BAD_FILE: Outcome = Outcome::Errno(8);
    const NOT_THERE: Outcome = Outcome::Errno(52);

    /// Fuel of a call, before it is made: what it reads and writes counts, as it does for instructions.
    pub(crate) fn cost(function: &str, params: &[u64]) -> u64 {
        let by_size = match function {
            "fd_write" => argument(params, 2).saturating_mul(4),
            "random_get" => argument(params, 1),
            _ => 0,
        };
        HOST_CALL_FUEL.saturating_add(by_size)
    }

    /// Makes a call. `params` are the numbers as they were given, `memory` the policy's.
    pub(crate) fn call(function: &str, params: &[u64], memory: &mut [u8]) -> Outcome {
        let mut guest = Guest(memory);
        let outcome = match function {
            "proc_exit" => Some(Outcome::Exit),
            "sched_yield" => Some(SUCCESS),
            "args_sizes_get" | "environ_sizes_get" => two_zeros(&mut guest, params),
            "args_get" | "environ_get" => Some(SUCCESS),
            // Not 0: Go's runtime takes that for a broken clock and stops.
            "clock_time_get" => guest.write(argument(params, 2), &1_u64.to_le_bytes()).map(|()| SUCCESS),
            "clock_res_get" => guest.write(argument(params, 1), &1_u64.to_le_bytes()).map(|()| SUCCESS),
            "random_get" => fill(&mut guest, argument(params, 0), argument(params, 1)),
            "fd_write" if is_output(params) => swallow(&mut guest, params),
            "fd_fdstat_get" if is_standard(params) => device(&mut guest, argument(params, 1)),
            _ if function.starts_with("fd_") => Some(BAD_FILE),
            _ => Some(NOT_THERE),
        };
        outcome.unwrap_or(Outcome::OutOfBounds)
    }

    fn argument(params: &[u64], place: usize) -> u64 {
        params.get(place).copied().unwrap_or(0)
    }

    fn is_standard(params: &[u64]) -> bool {
        argument(params, 0) <= 2
    }

    fn is_output(params: &[u64]) -> bool {
        matches!(argument(params, 0), 1 | 2)
    }

    fn two_zeros(guest: &mut Guest<'_>, params: &[u64]) -> Option<Outcome> {
        guest.write(argument(params, 0), &[0; 4])?;
        guest.write(argument(params, 1), &[0; 4])?;
        Some(SUCCESS)
    }

    /// The same sequence in every call. Nothing that must be secret can be made here, and a policy has no use for it.
    fn fill(guest: &mut Guest<'_>, at: u64, length: u64) -> Option<Outcome> {
        for (place, byte) in (0..).zip(guest.bytes(at, length)?) {
            *byte = super::random_byte(place);
        }
        Some(SUCCESS)
    }

    /// Says that everything was written.
    fn swallow(guest: &mut Guest<'_>, params: &[u64]) -> Option<Outcome> {
        /// A list entry: pointer and length of a piece.
        const ENTRY: u64 = 8;
        let (list, count) = (argument(params, 1), argument(params, 2));
        let mut written = 0_u32;
        for entry in guest.bytes(list, count.checked_mul(ENTRY)?)?.chunks_exact(8) {
            let length = entry.get(4..).and_then(|bytes| bytes.try_into().ok()).map(u32::from_le_bytes)?;
            written = written.wrapping_add(length);
        }
        guest.write(argument(params, 3), &written.to_le_bytes())?;
        Some(SUCCESS)
    }

    /// Standard input, output and error are a terminal without any rights.
    fn device(guest: &mut Guest<'_>, at: u64) -> Option<Outcome> {
        let mut stat = [0; 24];
        stat[0] = 2;
        guest.write(at, &stat)?;
        Some(SUCCESS)
    }

    struct Guest<'a>(&'a mut [u8]);

    impl Guest<'_> {
        fn bytes(&mut self, at: u64, length: u64) -> Option<&mut [u8]> {
            let (at, length) = (usize::try_from(at).ok()?, usize::try_from(length).ok()?);
            self.0.get_mut(at..)?.get_mut(..length)
        }

        fn write(&mut self, at: u64, bytes: &[u8]) -> Option<()> {
            self.bytes(at, bytes.len() as u64)?.copy_from_slice(bytes);
            Some(())
        }
    }

    #[cfg(test)]
    mod tests {
        use super::*;

        #[test]
        fn nothing_is_there_and_every_answer_is_the_same_each_time() {
            let cases: &[(&str, &[u64], Outcome, &[u8])] = &[
                ("args_sizes_get", &[0, 4], SUCCESS, &[0; 8]),
                ("environ_sizes_get", &[0, 4], SUCCESS, &[0; 8]),
                ("args_get", &[0, 0], SUCCESS, &[9; 8]),
                ("clock_time_get", &[0, 1, 0], SUCCESS, &[1, 0, 0, 0, 0, 0, 0, 0]),
                ("clock_res_get", &[0, 0], SUCCESS, &[1, 0, 0, 0, 0, 0, 0, 0]),
                ("random_get", &[0, 4], SUCCESS, &[13, 180, 91, 2, 9, 9, 9, 9]),
                ("fd_write", &[1, 16, 2, 0], SUCCESS, &[18, 0, 0, 0, 9, 9, 9, 9]),
                ("fd_write", &[3, 16, 2, 0], BAD_FILE, &[9; 8]),
                ("fd_read", &[0, 16, 2, 0], BAD_FILE, &[9; 8]),
                ("fd_prestat_get", &[3, 0], BAD_FILE, &[9; 8]),
                ("fd_fdstat_get", &[1, 0], SUCCESS, &[2, 0, 0, 0, 0, 0, 0, 0]),
                ("fd_fdstat_get", &[4, 0], BAD_FILE, &[9; 8]),
                ("path_open", &[3, 0, 0, 4, 0, 0, 0, 0, 0], NOT_THERE, &[9; 8]),
                ("poll_oneoff", &[0, 0, 1, 0], NOT_THERE, &[9; 8]),
                ("sock_accept", &[], NOT_THERE, &[9; 8]),
                ("proc_exit", &[2], Outcome::Exit, &[9; 8]),
            ];
            for (number, (function, params, outcome, written)) in cases.iter().enumerate() {
                let mut memory = [9; 64];
                memory[20..24].copy_from_slice(&7_u32.to_le_bytes());
                memory[28..32].copy_from_slice(&11_u32.to_le_bytes());
                assert_eq!(call(function, params, &mut memory), *outcome, "case {number}: {function}");
                assert_eq!(memory[..8], **written, "case {number}: {function}");
            }
        }

        #[test]
        fn a_pointer_outside_memory_is_told_and_writes_nothing() {
            for (function, params) in [
                ("clock_time_get", &[0, 0, 57][..]),
                ("random_get", &[60, 5]),
                ("random_get", &[0xffff_ffff, 0xffff_ffff]),
                ("fd_write", &[1, 0, 9, 0]),
                ("fd_write", &[1, 0, 0xffff_ffff, 0]),
                ("args_sizes_get", &[64, 64]),
                ("fd_fdstat_get", &[1, 41]),
            ] {
                let mut memory = [9; 64];
                assert_eq!(call(function, params, &mut memory), Outcome::OutOfBounds, "{function}");
                assert_eq!(memory, [9; 64], "{function}");
            }
        }

        #[test]
        fn long_calls_cost_by_their_length() {
            assert_eq!(cost("random_get", &[0, 1_000_000]), 1_000_020);
            assert_eq!(cost("fd_write", &[1, 0, 100, 0]), 420);
            assert_eq!(cost("sched_yield", &[]), 20);
        }
    }
}
