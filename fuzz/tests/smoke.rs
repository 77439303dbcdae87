//! Every target survives the seeds of its corpus and mutations of them. `cargo fuzz` goes on from here.

use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use sordino_fuzz::{TARGETS, flips, mutated, seeds};

/// Mutations of each target: what a test may take, or what `SORDINO_FUZZ` asks for, as in `plan=1000000 audio=20000`. A target that
/// it does not name is then left out.
fn tries(name: &str) -> usize {
    if let Ok(asked) = std::env::var("SORDINO_FUZZ") {
        let of =
            |entry: &str| entry.split_once('=').filter(|(target, _)| *target == name).and_then(|(_, n)| n.parse().ok());
        return asked.split_whitespace().find_map(of).unwrap_or(0);
    }
    match name {
        // Each answers real queries, decodes real sound or writes real files.
        "query" | "evaluation_key" | "share_reply" => 40,
        "reply" | "share_request" | "audio" | "index" | "run_toml" | "hello" => 200,
        _ => 2_000,
    }
}

#[test]
fn no_bytes_make_a_parser_panic() {
    for &(name, target) in TARGETS {
        let seeds = seeds(name);
        assert!(!seeds.is_empty(), "{name} has no seeds");
        seeds.iter().for_each(|seed| target(seed));
        let (mut rng, tries) = (ChaCha8Rng::seed_from_u64(1), tries(name));
        println!("{name}: {} seeds, {tries} mutations", seeds.len());
        for _ in 0..tries {
            let seed = &seeds[rng.random_range(0..seeds.len())];
            target(&mutated(seed, &mut rng));
        }
    }
}

#[test]
fn no_changed_bit_is_believed() {
    let found = flips(300);
    // Two keys, two halves, and three messages of each protocol.
    assert_eq!(found.len(), 4 + 3 * 5, "{found:?}");
    assert!(found.iter().all(|artefact| artefact.refused > 0 && artefact.believed() == 0), "{found:?}");
}
