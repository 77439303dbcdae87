//! The server's half of a model, likewise.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| sordino_fuzz::server_half(data));
