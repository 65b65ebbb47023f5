#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| knockgate_fuzz_targets::routes(data));
