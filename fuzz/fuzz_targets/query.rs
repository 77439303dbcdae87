//! A query message, at a server of any protocol.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| sordino_fuzz::query(data));
