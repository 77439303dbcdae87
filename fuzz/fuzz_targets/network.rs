//! The file of a network that was learned elsewhere.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| sordino_fuzz::network(data));
