//! Random numbers that depend on a seed and a place in a sequence, not on threads.

use nalgebra::DMatrix;
use ndarray::Array2;
use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;
use rand_distr::{Distribution, StandardNormal};

/// A generator for item `index` of the sequence that `seed` names.
pub(crate) fn stream(seed: u64, index: u64) -> ChaCha8Rng {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    rng.set_stream(index);
    rng
}

/// A random orthogonal matrix, shape `[size, size]`: the Q of a Gaussian matrix.
pub(crate) fn random_rotation(size: usize, seed: u64) -> Array2<f32> {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    let q = DMatrix::<f64>::from_fn(size, size, |_, _| StandardNormal.sample(&mut rng)).qr().q();
    Array2::from_shape_fn((size, size), |(i, j)| q[(i, j)] as f32)
}
