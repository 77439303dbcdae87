//! Keyswitch, modulus switch and blind rotation beside a second evaluator, which computes in exact integers and without any transform.

use std::process::Command;

use serde_json::{Value, json};

use super::Keys;
use crate::EvaluationKey;
use crate::bootstrap::blind_rotation::Table;
use crate::params::INSECURE_N256;
use crate::ring::glwe::Lwe;

const EVALUATOR: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../tests/formats/evaluator.py");

/// How many standard deviations of a rotation's noise a phase may be from the exact one. The transform is off by as much as the last digit
/// weighs, or a little less. So some digits round the other way, and the two sums, of the same phase, have roundings of their own.
const DEVIATIONS: f64 = 6.0;

#[test]
fn a_second_evaluator_in_exact_integers_agrees() {
    let keys = Keys::new(&INSECURE_N256, 3);
    let size = keys.server.fourier.size();
    let mut random = keys.random(4);
    let inputs: Vec<Lwe> = [-0.3, 0.2].into_iter().map(|phase| random.encrypt(phase)).collect();
    let table: Vec<u64> = (0..size).map(|_| random.next()).collect();
    let folder = tempfile::tempdir().unwrap();
    let write = |name: &str, bytes: &[u8]| std::fs::write(folder.path().join(name), bytes).unwrap();
    write("secret.key", &keys.secret.to_bytes());
    let mut evaluation = Vec::new();
    EvaluationKey::generate_from_insecure_seed(&keys.secret, 3, |_| {}).write(&mut evaluation).unwrap();
    write("evaluation.key", &evaluation);
    let lwe: Vec<&[u64]> = inputs.iter().map(|lwe| lwe.as_ref()).collect();
    write("input.json", json!({ "lwe": lwe, "table": table }).to_string().as_bytes());
    let Ok(run) = Command::new("python3").arg(EVALUATOR).arg(folder.path()).output() else {
        eprintln!("skipped: no python3");
        return;
    };
    assert!(run.status.success(), "{}", String::from_utf8_lossy(&run.stderr));
    let exact: Value = serde_json::from_slice(&run.stdout).unwrap();

    let server = &keys.server;
    let noise = keys.noise();
    let kinds = [
        ("compare", &server.compare, 0, noise.compare_rotation()),
        ("refresh", &server.refresh, 2, noise.refresh_rotation()),
    ];
    for (name, lookup, stride_log2, variance) in kinds {
        let (exact, table) = (&exact[name], Table::new(size, 0, stride_log2, |index| table[index]));
        let switched = lookup.keyswitch.switch(&inputs);
        assert_eq!(exact["switched"], json!(switched), "{name}");
        let exponents: Vec<_> = switched.iter().map(|small| table.exponents(small)).collect();
        let powers: Vec<_> = exponents.iter().map(|exponents| exponents.powers()).collect();
        assert_eq!(exact["exponents"], json!(powers), "{name}");
        let rotated = lookup.rotation.rotate(&table, &exponents, &server.fourier, &mut server.fourier.scratch());
        for (rotated, exact) in rotated.iter().zip(exact["phases"].as_array().unwrap()) {
            for (i, (phase, exact)) in keys.phases(rotated).iter().zip(exact.as_array().unwrap()).enumerate() {
                let deviations = phase.wrapping_sub(exact.as_u64().unwrap()) as i64 as f64 / variance.sqrt();
                assert!(deviations.abs() < DEVIATIONS, "{name}, coefficient {i}: off by {deviations:.1}");
            }
        }
    }
}
