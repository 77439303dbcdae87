//! Whatever goes in, the integers keep their bound; and where nothing forces a change, they are plain rounding.

use proptest::prelude::*;
use sordino_front::{FrontError, Quantiser, VectorBound};

fn quantiser(width: usize, bits: u32, scale: f32) -> Quantiser {
    Quantiser::for_unit_vectors(width, bits, scale).unwrap()
}

#[test]
fn entries_are_rounded_half_to_even_and_clamped() {
    let bound = VectorBound { width: 8, max_abs: 7, norm_squared: 10_000 };
    let q = Quantiser { bits: 4, scale: 2.0, bound };
    let z = [0.25, 0.75, 1.25, -0.25, -0.75, 1.2, 9.0, -9.0];
    assert_eq!(q.quantise(&z).unwrap(), [0, 2, 2, 0, -2, 2, 7, -7]);
}

#[test]
fn a_long_vector_is_shrunk_onto_the_sphere() {
    let bound = VectorBound { width: 2, max_abs: 100, norm_squared: 50 * 50 };
    let q = Quantiser { bits: 8, scale: 50.0, bound };
    assert_eq!(q.quantise(&[6.0, 8.0]).unwrap(), [30, 40]);
    assert_eq!(q.quantise(&[-6e37, 8e37]).unwrap(), [-30, 40]);
}

#[test]
fn of_the_entries_rounding_pushed_out_the_furthest_steps_back() {
    // Rounded: (3, 3, 2), squared norm 22. The second entry was pushed out the most: 3 - 2.51 > 3 - 2.9.
    let bound = VectorBound { width: 3, max_abs: 7, norm_squared: 21 };
    let q = Quantiser { bits: 4, scale: 1.0, bound };
    assert_eq!(q.quantise(&[2.9, -2.51, 2.3]).unwrap(), [3, -2, 2]);
    // Of equals the first.
    let bound = VectorBound { width: 3, max_abs: 7, norm_squared: 11 };
    assert_eq!(Quantiser { bound, ..q }.quantise(&[1.75, 1.75, 1.75]).unwrap(), [1, 2, 2]);
}

#[test]
fn a_bound_of_zero_leaves_zeros() {
    let bound = VectorBound { width: 3, max_abs: 1, norm_squared: 0 };
    assert_eq!(Quantiser { bits: 2, scale: 1.0, bound }.quantise(&[1.0, -2.0, 0.0]).unwrap(), [0, 0, 0]);
}

#[test]
fn settings_outside_their_range_are_refused() {
    for (width, bits, scale) in [(0, 6, 1.0), (3, 1, 1.0), (3, 17, 1.0), (3, 0, 1.0), (3, 6, 0.0), (3, 6, -1.0)] {
        let error = Quantiser::for_unit_vectors(width, bits, scale);
        assert!(matches!(error, Err(FrontError::Setting { .. })), "{error:?}");
    }
    for scale in [f32::NAN, f32::INFINITY] {
        assert!(Quantiser::for_unit_vectors(3, 6, scale).is_err());
    }
}

#[test]
fn other_widths_and_numbers_that_are_none_are_refused() {
    let q = quantiser(3, 6, 40.0);
    let error = q.quantise(&[0.1, 0.2]).unwrap_err();
    assert_eq!(error, FrontError::Shape { part: "quantiser".into(), what: "input width", found: 2, expected: 3 });
    for bad in [f32::NAN, f32::INFINITY, f32::NEG_INFINITY] {
        assert!(matches!(q.quantise(&[0.1, bad, 0.2]), Err(FrontError::NotFinite { .. })));
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    #[test]
    fn the_bound_always_holds(
        z in proptest::collection::vec(prop_oneof![-2.0f32..2.0, proptest::num::f32::NORMAL, Just(0.0)], 1..60),
        bits in 2u32..=16,
        scale in 0.01f32..3_000.0,
        tight in 0.0f64..2.0,
    ) {
        let mut q = quantiser(z.len(), bits, scale);
        q.bound.norm_squared = (q.bound.norm_squared as f64 * tight) as u64;
        let x = q.quantise(&z).unwrap();
        prop_assert!(q.bound.admits(&x), "{x:?} breaks {:?}", q.bound);
        prop_assert_eq!(x, q.quantise(&z).unwrap());
    }

    #[test]
    fn a_unit_vector_moves_little(z in proptest::collection::vec(-1.0f32..1.0, 16..128), bits in 6u32..=8) {
        let norm = z.iter().map(|v| v * v).sum::<f32>().sqrt();
        prop_assume!(norm > 0.1);
        // Wide enough that nothing is clamped.
        let scale = ((1 << (bits - 1)) - 1) as f32;
        let q = quantiser(z.len(), bits, scale);
        let z: Vec<f32> = z.iter().map(|v| v / norm).collect();
        let x = q.quantise(&z).unwrap();
        for (&x, &z) in x.iter().zip(&z) {
            prop_assert!((x as f32 - z * scale).abs() <= 1.5 + 1e-3, "{x} from {}", z * scale);
            prop_assert!(x == 0 || (x as f32).signum() == z.signum());
        }
    }
}
