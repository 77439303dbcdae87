//! Tournaments find whoever leads by the margin, under keys that have travelled.

use sordino_model::layout::Tournament;

use super::{Keys, REAL, Random, SMALL, TORUS};
use crate::bootstrap::evaluator::Evaluator;
use crate::decision::tournament::EncryptedTournament;
use crate::noise::decision::{Contest, DecisionNoise};
use crate::params::{INSECURE_N512, STANDARD};
use crate::ring::glwe::Lwe;
use sordino_model::Resolution;

use crate::{EvaluationKey, SecretKey, ServerKey};

/// Candidates of which `winner` leads by `margin`, all within `spread` of each other, as fractions of the torus.
fn planted(random: &mut Random<'_>, count: usize, winner: usize, margin: f64, spread: f64) -> Vec<f64> {
    let top = spread / 2.0;
    (0..count)
        .map(|i| if i == winner { top } else { top - margin - (random.unit() + 1.0) / 2.0 * (spread - margin) })
        .collect()
}

fn check_tournament(keys: &Keys, resolution: Resolution, occupied: &[bool], seed: u128) {
    let evaluator = Evaluator::new(&keys.server, resolution);
    let noise = DecisionNoise::new(keys.secret.parameters(), resolution);
    let contest = Contest { tournament: Tournament::new(occupied.to_vec()), input: 0.0 };
    let mut random = keys.random(seed);
    let margin = contest.margin(&noise, -40.0, 0) / TORUS;
    let spread = 0.25 - contest.slack(&noise, -40.0) / TORUS;
    let taken: Vec<usize> = (0..occupied.len()).filter(|&i| occupied[i]).collect();
    let winner = taken[random.next() as usize % taken.len()];
    let values = planted(&mut random, occupied.len(), winner, margin, spread);
    let candidates: Vec<Option<Lwe>> =
        values.iter().zip(occupied).map(|(&value, &occupied)| occupied.then(|| random.encrypt(value))).collect();
    let floor = (-spread / 2.0 * TORUS) as i64 as u64;
    let tournament = EncryptedTournament::play(&evaluator, candidates, floor).expect("somebody is there");
    let (bits, _) = tournament.index(&evaluator, None);
    let counts = evaluator.counts();
    assert_eq!(keys.position(&evaluator, &bits), winner, "{} candidates, seed {seed}", taken.len());
    let error = keys.phase(tournament.winner()) as i64 as f64 / TORUS - spread / 2.0;
    assert!(error.abs() < margin, "the winner's score is off by {error}, expected below {margin}");
    let mut priced = contest.tournament.play();
    priced += contest.tournament.read();
    assert_eq!(counts, priced, "steps as priced");
}

#[test]
fn tournaments_find_whoever_leads_by_the_margin() {
    for (k, keys) in SMALL.iter().enumerate() {
        for (t, count) in [1, 2, 3, 5, 8, 13, 40].into_iter().enumerate() {
            check_tournament(keys, Resolution::Standard, &vec![true; count], (1000 * k + t) as u128);
        }
    }
}

#[test]
fn tournaments_skip_empty_positions() {
    let mut random = SMALL[0].random(3);
    for seed in 0..12 {
        let mut occupied: Vec<bool> = (0..21).map(|_| random.next().is_multiple_of(3)).collect();
        occupied[20] = true;
        check_tournament(&SMALL[seed % 5], Resolution::Standard, &occupied, 50 + seed as u128);
    }
}

#[test]
fn finer_resolutions_decide_finer_margins() {
    for (i, resolution) in [Resolution::Fine, Resolution::Finest].into_iter().enumerate() {
        for (k, keys) in SMALL.iter().enumerate() {
            check_tournament(keys, resolution, &[true; 11], (10 * k + i) as u128);
        }
    }
    let margin = |resolution| {
        let noise = DecisionNoise::new(&STANDARD, resolution);
        Contest { tournament: Tournament::new(vec![true; 158]), input: 0.0 }.margin(&noise, -40.0, 0)
    };
    assert!(margin(Resolution::Fine) < 0.6 * margin(Resolution::Standard));
}

#[test]
fn the_tournament_without_its_winner_finds_the_next() {
    for (k, keys) in SMALL.iter().enumerate() {
        let evaluator = Evaluator::new(&keys.server, Resolution::Standard);
        let mut random = keys.random(77 + k as u128);
        // Places 4, 9 and 2 lead by a tenth of the domain each; the others trail far behind, some positions are empty.
        let values: Vec<Option<f64>> = (0..13)
            .map(|i| match i {
                4 => Some(0.1),
                9 => Some(0.06),
                2 => Some(0.02),
                5 | 7 => None,
                _ => Some(-0.05 + 0.03 * random.unit()),
            })
            .collect();
        let candidates = values.iter().map(|v| v.map(|v| random.encrypt(v))).collect();
        let floor = (-0.1 * TORUS) as i64 as u64;
        let mut played = EncryptedTournament::play(&evaluator, candidates, floor).expect("somebody is there");
        let mut found = Vec::new();
        let tournament = Tournament::new(values.iter().map(Option::is_some).collect());
        for _ in 0..3 {
            let before = evaluator.counts();
            let (bits, _) = played.index(&evaluator, None);
            played = played.without(&evaluator, &bits);
            let mut priced = before;
            priced += tournament.read();
            priced += tournament.replay();
            assert_eq!(evaluator.counts(), priced, "steps as priced");
            found.push(keys.position(&evaluator, &bits));
        }
        assert_eq!(found, [4, 9, 2], "key {k}");
    }
}

#[test]
fn positions_are_read_the_same_on_any_number_of_threads() {
    let keys = &SMALL[1];
    for threads in [1, 2, 3, 8] {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().expect("threads can be started");
        for (count, known) in [(1, true), (2, false), (3, true), (4, false), (9, true)] {
            let evaluator = Evaluator::new(&keys.server, Resolution::Standard);
            let mut random = keys.random((10 * threads + count) as u128);
            let winner = count - 1;
            let values = planted(&mut random, count, winner, 0.1, 0.2);
            let candidates = values.iter().map(|&value| Some(random.encrypt(value))).collect();
            let score = random.encrypt(if known { 0.1 } else { -0.1 });
            let (bits, known_bit) = pool.install(|| {
                let tournament = EncryptedTournament::play(&evaluator, candidates, 0).expect("somebody is there");
                tournament.index(&evaluator, Some(&score))
            });
            assert_eq!(keys.position(&evaluator, &bits), winner, "{count} candidates on {threads} threads");
            let known_bit = known_bit.expect("it was asked for");
            assert_eq!(keys.bit(&evaluator, &known_bit), known, "{count} candidates on {threads} threads");
            let tournament = Tournament::new(vec![true; count]);
            let counts = evaluator.counts();
            assert_eq!(counts.signs, tournament.read().signs + 1);
            assert_eq!(counts.refreshes, tournament.read().refreshes + 1);
        }
    }
}

#[test]
fn tournaments_at_the_standard_parameters() {
    check_tournament(&REAL, Resolution::Standard, &[true; 5], 1);
}

#[test]
fn evaluation_keys_survive_the_wire() {
    let secret = SecretKey::generate_from_insecure_seed(&INSECURE_N512, 5);
    let key = EvaluationKey::generate(&secret, |_| {});
    let mut bytes = Vec::new();
    key.write(&mut bytes).expect("a vector takes all bytes");
    assert_eq!(bytes.len(), EvaluationKey::wire_bytes(&INSECURE_N512));
    let read = EvaluationKey::read(&mut bytes.as_slice()).expect("it was just written");
    let mut again = Vec::new();
    read.write(&mut again).expect("a vector takes all bytes");
    assert!(bytes == again, "a key that was read is written the same");
    for length in [0, 5, 9, 10, 25, 26, 100, bytes.len() - 1] {
        assert!(EvaluationKey::read(&mut &bytes[..length]).is_err(), "{length} bytes");
    }
    for byte in 0..10 {
        let mut damaged = bytes.clone();
        damaged[byte] ^= 0x55;
        assert!(EvaluationKey::read(&mut damaged.as_slice()).is_err(), "byte {byte}");
    }
    // Expanded from memory, and on the way from a stream.
    let streamed = ServerKey::read(&mut bytes.as_slice()).expect("it was just written");
    assert_eq!(streamed.id(), read.id());
    for length in [9, 25, 26, 100, 60_000, bytes.len() - 1] {
        assert!(ServerKey::read(&mut &bytes[..length]).is_err(), "{length} bytes");
    }
    // Files say how long they are.
    let path = std::env::temp_dir().join(format!("sordino-evaluation-key-test-{}", std::process::id()));
    let loaded = |bytes: &[u8]| {
        std::fs::write(&path, bytes).expect("a temporary folder takes files");
        (ServerKey::load(&path).map(|key| key.id()), EvaluationKey::load(&path).map(|key| key.id()))
    };
    let whole = loaded(&bytes);
    assert!(whole.0.is_ok_and(|id| id == read.id()) && whole.1.is_ok());
    let long = loaded(&[&bytes[..], &[0]].concat());
    std::fs::remove_file(&path).expect("it was just written");
    for refused in [long.0, long.1] {
        assert!(refused.is_err_and(|e| e.to_string().contains("longer than its parameter set implies")));
    }
    assert!(ServerKey::load(&path).is_err_and(|e| e.to_string().contains("sordino-evaluation-key-test")));
    let mut keys = Keys { secret, server: read.expand() };
    check_tournament(&keys, Resolution::Standard, &[true; 3], 1);
    keys.server = streamed;
    check_tournament(&keys, Resolution::Standard, &[true; 3], 1);
}
