//! The client's half of a model, as one byte string or file by file.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| sordino_fuzz::client_half(data));
