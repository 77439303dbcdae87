//! What the client decrypts is what [`sordino_model::circuit::Clear`] computes, bit for bit.

mod common;

use common::{Pair, hierarchy, key, vector};
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use sordino_fhe::params::{INSECURE_N256, INSECURE_N512, STANDARD};
use sordino_front::VectorBound;
use sordino_model::stage::{Hierarchy, Stage};

fn check(pair: &mut Pair<'_>, queries: usize, rng: &mut ChaCha8Rng) {
    for trip in 0..pair.server.plan().trips().len() {
        let plan = pair.server.plan().trips()[trip];
        let stage = &pair.hierarchy.stages()[plan.stage];
        let (bound, groups) = (stage.input(), stage.groups());
        for _ in 0..queries {
            let x = vector(bound, rng);
            let picked: Vec<usize> = (0..plan.probes.unwrap_or(0)).map(|_| rng.random_range(0..groups)).collect();
            assert_eq!(
                pair.encrypted(trip, &x, &picked),
                pair.clear(trip, &x, &picked),
                "trip {trip}, groups {picked:?}"
            );
        }
    }
}

#[test]
fn one_two_and_three_stages_on_several_keys() {
    let mut rng = ChaCha8Rng::seed_from_u64(1);
    let shapes: [&[(usize, usize)]; 8] = [
        &[(1, 1)],
        &[(300, 13)],
        &[(1, 5), (1, 3)],
        &[(5, 7), (9, 12)],
        &[(13, 9), (3, 33)],
        &[(3, 8), (700, 5)],
        &[(4, 6), (5, 9), (7, 17)],
        &[(2, 3), (1, 4), (11, 10)],
    ];
    for (seed, shape) in shapes.iter().enumerate() {
        let hierarchy = hierarchy(shape, seed as u64);
        let parameters = if seed % 2 == 0 { &INSECURE_N512 } else { &INSECURE_N256 };
        for key_seed in 0..3 {
            let key = key(parameters, key_seed);
            check(&mut Pair::staged(&key, &hierarchy, 2, key_seed), 2, &mut rng);
            check(&mut Pair::flat(&key, &hierarchy, key_seed), 1, &mut rng);
        }
    }
}

#[test]
fn two_trips_at_the_standard_parameters() {
    let mut rng = ChaCha8Rng::seed_from_u64(2);
    let hierarchy = hierarchy(&[(20, 40), (30, 35)], 3);
    for key_seed in 0..2 {
        let key = key(&STANDARD, key_seed);
        check(&mut Pair::staged(&key, &hierarchy, 2, key_seed), 3, &mut rng);
        check(&mut Pair::flat(&key, &hierarchy, key_seed), 1, &mut rng);
    }
}

#[test]
fn every_group_can_be_selected() {
    let mut rng = ChaCha8Rng::seed_from_u64(4);
    let hierarchy = hierarchy(&[(23, 5), (9, 11)], 5);
    let key = key(&INSECURE_N256, 9);
    let mut pair = Pair::staged(&key, &hierarchy, 1, 9);
    for group in 0..23 {
        let x = vector(hierarchy.last().input(), &mut rng);
        assert_eq!(pair.encrypted(1, &x, &[group]), pair.clear(1, &x, &[group]), "group {group}");
    }
}

#[test]
fn scores_at_both_ends_of_their_range() {
    let width = 12;
    let input = VectorBound { width, max_abs: 31, norm_squared: 31 * 31 * width as u64 };
    let weights = |sign: i8| (0..width).map(move |i| sign * if i % 2 == 0 { 127 } else { -127 });
    // Group 0 has the largest and the smallest score there can be; its neighbours too, so that garbage is as loud as it gets.
    let table: Vec<i8> = (0..6).flat_map(|row| weights(if row % 2 == 0 { 1 } else { -1 })).collect();
    let last = Stage::new(2, input, table, vec![500, -500, 500, -500, 500, -500], vec![2; 3]).unwrap();
    let first = Stage::new(3, input, vec![127; 3 * width], vec![0; 3], vec![3]).unwrap();
    let hierarchy = Hierarchy::new(vec![first, last]).unwrap();
    let bound = hierarchy.last().score_bound() as i64;
    for (parameters, seed) in [(&INSECURE_N256, 1), (&STANDARD, 2)] {
        let key = key(parameters, seed);
        let mut pair = Pair::staged(&key, &hierarchy, 1, seed);
        let x: Vec<i32> = (0..width).map(|i| if i % 2 == 0 { 31 } else { -31 }).collect();
        for group in 0..3 {
            assert_eq!(pair.encrypted(1, &x, &[group]), [[bound, -bound]]);
        }
    }
}

#[test]
fn plans_keep_the_failure_probability_they_promise() {
    for shape in [&[(300, 13)][..], &[(5, 7), (9, 12)], &[(4, 6), (5, 9), (7, 17)]] {
        let hierarchy = hierarchy(shape, 1);
        for parameters in [&STANDARD, &INSECURE_N256] {
            let key = key(parameters, 1);
            let pair = Pair::staged(&key, &hierarchy, 2, 1);
            let failure = pair.server.plan().failure_log2();
            assert!(failure <= -64.0, "{failure}");
            assert!(failure > -66.0, "{failure}: room for flooding is left");
        }
    }
}
