//! A sound file. A panic of a decoder costs that file and no more, since `decode` catches it: it is told here and ends nothing.
//! One that `decode` lets through ends the run.
#![no_main]

libfuzzer_sys::fuzz_target!(
    init: std::panic::set_hook(Box::new(|panic| eprintln!("caught: {panic}"))),
    |data: &[u8]| sordino_fuzz::audio(data)
);
