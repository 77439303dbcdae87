//! A request of the server in front, at a worker.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| sordino_fuzz::share_request(data));
