//! [`Lookup`]: tables at the messages of LWE ciphertexts, by way of a small key.

use std::ops::Range;

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
    let batch = |part: Range<usize>| -> Vec<Glwe> {
        let small = keyswitch.switch(&inputs[part.clone()]);
        turn(rotation, &tables[part], &small, fourier)
    };
    in_batches(inputs.len(), threads, BATCH / extension, go_on, batch)
}

/// For each of these rotation keys and tables, of no extension, the tables at all inputs. What [`rotate`] does, with one keyswitch for all.
pub(crate) fn look_up(
    keyswitch: &KeyswitchKey,
    by: &[(&RotationKey, &Table)],
    inputs: &[Lwe],
    fourier: &Fourier,
    threads: usize,
    go_on: impl Fn() -> bool + Sync,
) -> Vec<Vec<Lwe>> {
    let batch = |part: Range<usize>| -> Vec<Vec<Lwe>> {
        let small = keyswitch.switch(&inputs[part]);
        let turned = by.iter().map(|(rotation, table)| turn(rotation, &vec![*table; small.len()], &small, fourier));
        let turned: Vec<Vec<Glwe>> = turned.collect();
        (0..small.len()).map(|i| turned.iter().map(|turned| turned[i].extract(0)).collect()).collect()
    };
    let found = in_batches(inputs.len(), threads, BATCH, go_on, batch);
    let mut out: Vec<Vec<Lwe>> = by.iter().map(|_| Vec::with_capacity(found.len())).collect();
    found.into_iter().for_each(|each| each.into_iter().zip(&mut out).for_each(|(lwe, out)| out.push(lwe)));
    out
}

/// Blind rotations of what has been switched to the small key.
fn turn(rotation: &RotationKey, tables: &[&Table], small: &[Vec<u32>], fourier: &Fourier) -> Vec<Glwe> {
    let exponents: Vec<Exponents> = tables.iter().zip(small).map(|(table, lwe)| table.exponents(lwe)).collect();
    rotation.rotate_each(tables, &exponents, fourier, &mut fourier.scratch())
}

/// Cuts `count` rotations into batches of at most `largest`, and begins one where `go_on` says so.
fn in_batches<T: Send>(
    count: usize,
    threads: usize,
    largest: usize,
    go_on: impl Fn() -> bool + Sync,
    batch: impl Fn(Range<usize>) -> Vec<T> + Sync,
) -> Vec<T> {
    let batches = batches(count, threads, largest);
    let part = |i: usize| i * count / batches;
    let one = |i: usize| if go_on() { batch(part(i)..part(i + 1)) } else { Vec::new() };
    (0..batches).into_par_iter().flat_map_iter(one).collect()
}
