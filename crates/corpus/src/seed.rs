//! One seed per item, so that results do not depend on how items are shared among threads.

use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;

/// A seed for item `item` of the family `seed`: SplitMix64's finaliser (Steele, Lea, Flood, OOPSLA 2014) over both.
pub(crate) fn derive(seed: u64, item: u64) -> u64 {
    let mut z = seed.wrapping_add(item.wrapping_add(1).wrapping_mul(0x9E37_79B9_7F4A_7C15));
    z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    z ^ (z >> 31)
}

/// An independent generator for one purpose (`stream`) of one seed.
pub(crate) fn rng(seed: u64, stream: u64) -> ChaCha8Rng {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    rng.set_stream(stream);
    rng
}
