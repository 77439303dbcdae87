//! [`mutated`]: what bytes turn into on a bad day.

use rand::RngExt;
use rand_chacha::ChaCha8Rng;

/// Numbers at which counts and lengths go wrong.
const EDGES: [u64; 8] = [0, 1, 0x7f, 0xff, 0x7fff_ffff, 0xffff_ffff, 1 << 40, u64::MAX];

/// A mutation of `seed`: some flipped bits, bytes, edge numbers, cuts and repeats.
pub fn mutated(seed: &[u8], rng: &mut ChaCha8Rng) -> Vec<u8> {
    let mut out = seed.to_vec();
    for _ in 0..rng.random_range(1..6) {
        if out.is_empty() {
            out.push(rng.random());
        }
        let at = rng.random_range(0..out.len());
        let end = (at + rng.random_range(1..64)).min(out.len());
        match rng.random_range(0..6) {
            0 => out[at] ^= 1 << rng.random_range(0..8),
            1 => out[at] = rng.random(),
            2 => {
                let edge = EDGES[rng.random_range(0..EDGES.len())].to_le_bytes();
                let width = [1, 2, 4, 8][rng.random_range(0..4)];
                out[at..].iter_mut().zip(&edge[..width]).for_each(|(out, edge)| *out = *edge);
            }
            3 => out.truncate(at),
            4 => drop(out.drain(at..end)),
            _ => {
                let piece = out[at..end].to_vec();
                let to = rng.random_range(0..=out.len());
                out.splice(to..to, piece);
            }
        }
    }
    out
}
