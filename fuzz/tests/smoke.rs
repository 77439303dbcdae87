//! Every target survives the seeds of its corpus and mutations of them. `cargo fuzz` goes on from here.

use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use sordino_fuzz::{TARGETS, mutated, seeds};

/// Mutations of each target: what a test may take. `SORDINO_FUZZ` asks for more.
fn tries(name: &str) -> usize {
    let usual = match name {
        // Each answers real queries, decodes real sound or writes real files.
        "query" | "evaluation_key" => 40,
        "reply" | "audio" | "index" | "run_toml" | "hello" => 200,
        _ => 2_000,
    };
    std::env::var("SORDINO_FUZZ").ok().and_then(|more| more.parse().ok()).unwrap_or(usual)
}

#[test]
fn no_bytes_make_a_parser_panic() {
    for &(name, target) in TARGETS {
        let seeds = seeds(name);
        assert!(!seeds.is_empty(), "{name} has no seeds");
        seeds.iter().for_each(|seed| target(seed));
        let mut rng = ChaCha8Rng::seed_from_u64(1);
        for _ in 0..tries(name) {
            let seed = &seeds[rng.random_range(0..seeds.len())];
            target(&mutated(seed, &mut rng));
        }
    }
}
