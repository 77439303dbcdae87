//! The measuring programs, in a small mode.

use sordino_fhe::params::INSECURE_N256;

#[path = "../examples/cost_25k.rs"]
#[allow(dead_code)]
mod cost_25k;
#[path = "../examples/decided.rs"]
#[allow(dead_code)]
mod decided;
#[path = "../examples/wrong_winners.rs"]
#[allow(dead_code)]
mod wrong_winners;

#[test]
fn cost_25k_compares_every_reply() {
    cost_25k::measure(&[1, 1, 4]).unwrap();
}

#[test]
fn decided_answers_a_small_library() {
    decided::measure(&["1", "3,3"].map(String::from)).unwrap();
}

#[test]
fn wrong_winners_are_many_without_a_lead_and_few_with_one() {
    let mut out = Vec::new();
    wrong_winners::measure(&INSECURE_N256, 30, 1, &mut out).unwrap();
    let out = String::from_utf8(out).unwrap();
    let wrong: Vec<usize> = out.lines().skip(1).map(|line| line.split(',').nth(2).unwrap().parse().unwrap()).collect();
    assert!((5..26).contains(&wrong[0]) && wrong[8] == 0, "{out}");
    assert!(out.lines().last().is_some_and(|line| line.ends_with("-11.54,-14.95")), "{out}");
}
