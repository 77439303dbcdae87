//! [`Lookup`]: tables at the messages of LWE ciphertexts, by way of a small key.

use rayon::prelude::*;
use sordino_model::cost::batches;

use crate::bootstrap::blind_rotation::{Exponents, RotationKey, Table};
use crate::bootstrap::keyswitch::KeyswitchKey;
use crate::ring::fourier::Fourier;
use crate::ring::glwe::{Glwe, Lwe};

/// Accumulators that share one pass over a rotation key. At 32 KB each they stay in a core's second-level cache.
pub(crate) const BATCH: usize = 16;

/// A keyswitch to a small key, and blind rotations by what comes out of it.
pub(crate) struct Lookup {
    pub(crate) keyswitch: KeyswitchKey,
    pub(crate) rotation: RotationKey,
}

impl Lookup {
    /// Bytes held.
    pub(crate) fn bytes(&self) -> usize {
        self.keyswitch.bytes() + self.rotation.bytes()
    }
}

/// Keyswitch, modulus switch and blind rotation of every input, with a table for each, all of one extension; in batches over
/// `threads` threads. The keyswitch may lead from another ring's key. A batch is begun where `go_on` says so, and missing from the result where it does
/// not.
pub(crate) fn rotate(
    keyswitch: &KeyswitchKey,
    rotation: &RotationKey,
    tables: &[&Table],
    inputs: &[Lwe],
    fourier: &Fourier,
    threads: usize,
    go_on: impl Fn() -> bool + Sync,
) -> Vec<Glwe> {
    let extension = tables.first().map_or(1, |table| table.extension());
    let batches = batches(inputs.len(), threads, BATCH / extension);
    let part = |i: usize| i * inputs.len() / batches;
    let batch = |i: usize| -> Vec<Glwe> {
        if !go_on() {
            return Vec::new();
        }
        let (inputs, tables) = (&inputs[part(i)..part(i + 1)], &tables[part(i)..part(i + 1)]);
        let small = keyswitch.switch(inputs);
        let exponents: Vec<Exponents> = tables.iter().zip(&small).map(|(table, lwe)| table.exponents(lwe)).collect();
        rotation.rotate_each(tables, &exponents, fourier, &mut fourier.scratch())
    };
    (0..batches).into_par_iter().flat_map_iter(batch).collect()
}
