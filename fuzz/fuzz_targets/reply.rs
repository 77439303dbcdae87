//! A reply message, at a client that waits for one.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| sordino_fuzz::reply(data));
