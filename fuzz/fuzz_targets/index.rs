//! An index on disk: its manifest or one shard.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| sordino_fuzz::index(data));
