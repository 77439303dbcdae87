//! A reply of a worker, at the server in front.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| sordino_fuzz::share_reply(data));
