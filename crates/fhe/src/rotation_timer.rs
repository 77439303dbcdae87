//! [`RotationTimer`]: the bare cost of a blind rotation, the yardstick of every decision, and what predictions are calibrated with.

use std::time::{Duration, Instant};

use rayon::prelude::*;

use crate::ServerKey;
use crate::blind_rotation::{Exponents, RotationKey, Table};
use crate::circuit_bootstrap::level_table;
use crate::evaluator::{BATCH, Resolution, comparison_table};

/// Rotates batches of tables by random amounts, on all threads at once.
pub struct RotationTimer<'k> {
    key: &'k ServerKey,
    compare: Table,
    refresh: Table,
}

/// Time of one rotation in a full batch, while every thread is rotating.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RotationTime {
    /// A comparison.
    pub compare: Duration,
    /// A refresh.
    pub refresh: Duration,
}

impl RotationTime {
    /// The smaller of two measurements, part by part: noise on a busy machine only ever adds.
    pub fn min(self, other: Self) -> Self {
        Self { compare: self.compare.min(other.compare), refresh: self.refresh.min(other.refresh) }
    }
}

impl<'k> RotationTimer<'k> {
    /// A timer for one key.
    pub fn new(key: &'k ServerKey, resolution: Resolution) -> Self {
        let size = key.fourier.size();
        Self { key, compare: comparison_table(size, resolution), refresh: level_table(size, key.circuit.gadget()) }
    }

    /// Measures for a fraction of a second.
    pub fn one_rotation(&self) -> RotationTime {
        RotationTime {
            compare: self.measure(&self.key.compare, &self.compare),
            refresh: self.measure(&self.key.refresh, &self.refresh),
        }
    }

    fn measure(&self, rotation: &RotationKey, table: &Table) -> Duration {
        let count = (BATCH / table.extension()).max(1);
        let bits = self.key.parameters().lwe_dimension.0;
        // Any powers will do but zeros, which are skipped.
        let power = |i: usize| 0x9e37_79b9u32.wrapping_mul(i as u32 + 1) >> (32 - table.modulus_log2()) | 1;
        let batch: Vec<Exponents> =
            (0..count).map(|c| Exponents::new((0..=bits).map(|i| power(c * bits + i)))).collect();
        let threads = 0..rayon::current_num_threads();
        let times = threads.into_par_iter().map(|_| {
            let start = Instant::now();
            let rotated = rotation.rotate(table, &batch, &self.key.fourier, &mut self.key.fourier.scratch());
            std::hint::black_box(rotated);
            start.elapsed() / count as u32
        });
        // Threads that share a core finish at different times; their mean is what a query sees.
        let times: Vec<Duration> = times.collect();
        times.iter().sum::<Duration>() / times.len().max(1) as u32
    }
}
