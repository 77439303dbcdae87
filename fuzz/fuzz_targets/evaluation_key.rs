//! An evaluation key, as a server reads it.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| sordino_fuzz::evaluation_key(data));
