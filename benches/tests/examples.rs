//! The measuring programs, in a small mode.

use sordino_fhe::params::INSECURE_N256;

#[path = "../examples/client_trace.rs"]
#[allow(dead_code)]
mod client_trace;
#[path = "../examples/cost_25k.rs"]
#[allow(dead_code)]
mod cost_25k;
#[path = "../examples/decided.rs"]
#[allow(dead_code)]
mod decided;
#[path = "../examples/raw.rs"]
#[allow(dead_code)]
mod raw;
#[path = "../examples/wrong_winners.rs"]
#[allow(dead_code)]
mod wrong_winners;

#[test]
fn what_is_traced_encrypts_and_decrypts() {
    let home = tempfile::tempdir().unwrap();
    let run = |arguments: &str, folder: &str| {
        let folder = home.path().join(folder).to_str().unwrap().to_owned();
        client_trace::run(&arguments.split(' ').chain([&*folder]).map(String::from).collect::<Vec<_>>())
    };
    run("prepare 2", "").unwrap();
    for protocol in ["flat", "decided"] {
        run(&format!("query {protocol}"), "1-2").unwrap();
        run(&format!("reply {protocol}"), "2-1").unwrap();
    }
    assert!(run("reply routed", "1-1").is_err());
}

#[test]
fn cost_25k_compares_every_reply() {
    cost_25k::measure(&[1, 1, 4]).unwrap();
}

#[test]
fn decided_answers_a_small_library() {
    decided::measure(&["1", "3,3"].map(String::from)).unwrap();
    decided::measure(&["1", "5,3", "standard", "2", "1", "picked"].map(String::from)).unwrap();
    decided::measure(&["1", "3,2,3", "standard", "2", "1", "picked", "integers"].map(String::from)).unwrap();
}

#[test]
fn raw_finds_a_row_for_samples() {
    let rows = raw::measure(&["1", "2", "3", "5", "2"].map(String::from)).unwrap();
    assert_eq!((rows.len(), rows[0].split(',').count()), (1, 22));
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
