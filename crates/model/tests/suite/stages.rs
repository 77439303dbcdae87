//! Shapes, stages and hierarchies: what can be built, and that scores stay within their bound.

use proptest::prelude::*;
use rand::RngExt;
use sordino_front::VectorBound;
use sordino_model::stage::{Hierarchy, HierarchyShape, Stage, StageError, StageShape};

use crate::sample::{bound, hierarchy, rng, stage, vector};

fn built(outputs: usize, width: usize, weights: usize, bias: usize, counts: Vec<usize>) -> Result<Stage, StageError> {
    Stage::new(outputs, bound(width.max(1)), vec![1; weights], vec![1; bias], counts)
}

#[test]
fn tables_of_the_wrong_size_are_refused() {
    assert!(built(3, 4, 24, 6, vec![3, 2]).is_ok());
    let length = |table, found, expected| Err(StageError::Length { table, found, expected });
    assert_eq!(built(3, 4, 23, 6, vec![3, 2]), length("weights", 23, 24));
    assert_eq!(built(3, 4, 24, 7, vec![3, 2]), length("bias", 7, 6));
    assert_eq!(built(3, 4, 24, 6, vec![3, 4]), Err(StageError::Count { group: 1, found: 4, slots: 3 }));
    assert_eq!(built(3, 4, 0, 0, vec![]), Err(StageError::Empty));
    assert_eq!(built(0, 4, 0, 0, vec![0]), Err(StageError::Empty));
}

#[test]
fn claimed_sizes_that_overflow_are_refused() {
    let huge = built(usize::MAX, 4, 8, 2, vec![1, 1]);
    assert!(matches!(huge, Err(StageError::Length { table: "weights", found: 8, .. })), "{huge:?}");
    let wide = Stage::new(2, VectorBound { width: usize::MAX / 2, ..bound(1) }, vec![1; 4], vec![0; 2], vec![2]);
    assert!(matches!(wide, Err(StageError::Length { .. })), "{wide:?}");
}

#[test]
fn an_input_bound_that_admits_nothing_useful_is_refused() {
    for max_abs in [0, -3, i32::MIN] {
        let shape = StageShape::new(2, VectorBound { max_abs, ..bound(4) }, vec![2]);
        let expected = "at least 1";
        assert_eq!(shape, Err(StageError::Bound { field: "max_abs", found: i64::from(max_abs), expected }));
    }
    assert_eq!(StageShape::new(2, bound(0), vec![2]), Err(StageError::Empty));
}

#[test]
fn padding_slots_are_zeroed() {
    let stage = built(3, 2, 12, 6, vec![1, 3]).unwrap();
    assert_eq!(stage.weights(), [1, 1, 0, 0, 0, 0, 1, 1, 1, 1, 1, 1]);
    assert_eq!(stage.biases(), [1, 0, 0, 1, 1, 1]);
    assert_eq!((stage.count(0), stage.count(1), stage.shape().used()), (1, 3, 4));
}

#[test]
fn a_stage_has_one_group_per_path_before_it() {
    let (first, second) = (built(3, 2, 6, 3, vec![3]).unwrap(), built(2, 2, 8, 4, vec![2, 2]).unwrap());
    let found = Hierarchy::new(vec![first.clone(), second]);
    assert_eq!(found, Err(StageError::Groups { stage: 1, found: 2, expected: 3 }));
    assert_eq!(
        Hierarchy::new(vec![built(2, 2, 8, 4, vec![2, 2]).unwrap()]),
        Err(StageError::Groups { stage: 0, found: 2, expected: 1 })
    );
    assert_eq!(Hierarchy::new(vec![]), Err(StageError::Empty));
    let third = built(1, 2, 6, 3, vec![1, 1, 1]).unwrap();
    assert!(Hierarchy::new(vec![first, third]).is_ok());
}

#[test]
fn a_group_below_a_padding_slot_uses_no_slots() {
    let first = built(3, 2, 6, 3, vec![2]).unwrap();
    let orphan = built(1, 2, 6, 3, vec![1, 1, 1]).unwrap();
    let found = Hierarchy::new(vec![first.clone(), orphan]);
    assert_eq!(found, Err(StageError::Orphan { stage: 1, group: 2, found: 1 }));
    assert!(Hierarchy::new(vec![first, built(1, 2, 6, 3, vec![1, 1, 0]).unwrap()]).is_ok());
    assert_eq!(Hierarchy::new(vec![built(3, 2, 6, 3, vec![0]).unwrap()]), Err(StageError::Empty));
}

#[test]
fn shapes_survive_json_and_bad_json_is_refused() {
    let shape = hierarchy(1, &[4, 3, 2], &[bound(4), bound(5), bound(6)]).shape().clone();
    let json = serde_json::to_string(&shape).unwrap();
    assert_eq!(serde_json::from_str::<HierarchyShape>(&json).unwrap(), shape);
    let input = r#""input":{"width":2,"max_abs":3,"norm_squared":9}"#;
    for bad in [
        "[]".to_owned(),
        format!(r#"[{{"outputs":2,{input},"counts":[3]}}]"#),
        format!(r#"[{{"outputs":2,{input},"counts":[2,2]}}]"#),
        format!(r#"[{{"outputs":2,{input},"counts":[2]}},{{"outputs":2,{input},"counts":[2]}}]"#),
        format!(r#"[{{"outputs":18446744073709551615,{input},"counts":[2]}},{{"outputs":2,{input},"counts":[2]}}]"#),
        format!(r#"[{{"outputs":2,{input},"counts":[-1]}}]"#),
    ] {
        assert!(serde_json::from_str::<HierarchyShape>(&bad).is_err(), "{bad}");
    }
}

#[test]
fn a_bound_admits_what_it_says() {
    let bound = VectorBound { width: 3, max_abs: 5, norm_squared: 38 };
    assert!(bound.admits(&[5, -3, 2]));
    assert!(!bound.admits(&[5, -3, 3]), "norm");
    assert!(!bound.admits(&[6, 0, 0]), "entry");
    assert!(!bound.admits(&[0, 0]), "width");
    let widest = VectorBound { width: 5, max_abs: i32::MAX, norm_squared: u64::MAX };
    assert!(!widest.admits(&[i32::MAX; 5]), "a sum above 2^64 must not wrap");
    assert!(bound.within(&bound) && bound.within(&VectorBound { max_abs: 6, ..bound }));
    assert!(!bound.within(&VectorBound { norm_squared: 37, ..bound }));
}

#[test]
fn the_score_bound_is_reached_where_weights_and_input_agree() {
    // |w| = 5, |x| = 10: Cauchy-Schwarz is met by x = 2 w. The bias adds.
    let cauchy = VectorBound { width: 2, max_abs: 100, norm_squared: 100 };
    let stage = Stage::new(1, cauchy, vec![3, 4], vec![-7], vec![1]).unwrap();
    assert_eq!(stage.score_bound(), 57);
    assert_eq!(stage.score(0, 0, &[-6, -8]), -57);
    // With a small largest entry Hölder is the tighter one, met by the signs of w.
    let hoelder = VectorBound { width: 2, max_abs: 1, norm_squared: 100 };
    let stage = Stage::new(1, hoelder, vec![3, -4], vec![7], vec![1]).unwrap();
    assert_eq!(stage.score_bound(), 14);
    assert_eq!(stage.score(0, 0, &[1, -1]), 14);
}

#[test]
fn extreme_bounds_saturate() {
    let input = VectorBound { width: 4, max_abs: i32::MAX, norm_squared: u64::MAX };
    let stage = Stage::new(1, input, vec![-128; 4], vec![i32::MIN], vec![1]).unwrap();
    assert!(stage.score_bound() > u64::from(u32::MAX));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn scores_stay_within_the_bound(seed: u64, width in 1usize..40, outputs in 1usize..6, groups in 1usize..5, max_abs in 1i32..200, norm in 1u64..90_000) {
        let rng = &mut rng(seed);
        let input = VectorBound { width, max_abs, norm_squared: norm };
        let counts = (0..groups).map(|_| rng.random_range(0..=outputs)).collect();
        let stage = stage(rng, outputs, input, counts);
        for _ in 0..8 {
            let x = vector(rng, input);
            prop_assert!(input.admits(&x));
            for g in 0..groups {
                for t in 0..stage.count(g) {
                    prop_assert!(stage.score(g, t, &x).unsigned_abs() <= stage.score_bound());
                }
            }
        }
    }

    #[test]
    fn a_score_is_the_sum_it_says(seed: u64, width in 1usize..30, outputs in 1usize..5, groups in 1usize..4) {
        let rng = &mut rng(seed);
        let stage = stage(rng, outputs, bound(width), vec![outputs; groups]);
        let x = vector(rng, bound(width));
        for g in 0..groups {
            for t in 0..outputs {
                let at = (g * outputs + t) * width;
                let sum: i64 = (0..width).map(|i| i64::from(stage.weights()[at + i]) * i64::from(x[i])).sum();
                prop_assert_eq!(stage.score(g, t, &x), sum + i64::from(stage.biases()[g * outputs + t]));
            }
        }
    }
}
