//! The example, in a small mode.

#[path = "../examples/front_speed.rs"]
mod front_speed;

#[test]
fn front_speed_measures_a_small_library() {
    front_speed::measure(4, 3, 1).unwrap();
}
