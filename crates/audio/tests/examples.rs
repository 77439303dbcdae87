//! The examples, in a small mode.

use std::path::Path;

#[path = "../examples/audio_speed.rs"]
mod audio_speed;

#[test]
fn audio_speed_measures_the_fixtures() {
    let fixtures = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures");
    audio_speed::measure(&fixtures, 1).unwrap();
}
