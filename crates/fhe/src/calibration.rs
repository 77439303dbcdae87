//! [`Calibration`]: what the steps of a decision take on the machine at hand, and from it what a query will take.

use std::fmt;
use std::time::{Duration, Instant};

use rayon::prelude::*;
use serde::{Deserialize, Serialize};

use crate::ServerKey;
use crate::blind_rotation::{Exponents, RotationKey, Table};
use crate::circuit_bootstrap::level_table;
use crate::evaluator::{BATCH, Resolution, batches, comparison_table};
use crate::glwe::Glwe;

/// Time of every step at one resolution.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Calibration {
    /// The resolution of comparisons.
    pub resolution: Resolution,
    /// A comparison in a full batch, while every thread is comparing.
    pub full_compare: Duration,
    /// A refresh in a full batch, while every thread is refreshing.
    pub full_refresh: Duration,
    /// A keyswitch in a full batch.
    pub full_keyswitch: Duration,
    /// A comparison alone.
    pub compare: Duration,
    /// A refresh alone.
    pub refresh: Duration,
    /// A keyswitch alone.
    pub keyswitch: Duration,
    /// Turning a refreshed bit into a selector.
    pub conversion: Duration,
    /// A gate.
    pub gate: Duration,
}

impl fmt::Display for Calibration {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "comparison  {:>9.3?} alone, {:.3?} in a full batch", self.compare, self.full_compare)?;
        writeln!(f, "refresh     {:>9.3?} alone, {:.3?} in a full batch", self.refresh, self.full_refresh)?;
        writeln!(f, "keyswitch   {:>9.3?} alone, {:.3?} in a full batch", self.keyswitch, self.full_keyswitch)?;
        writeln!(f, "conversion  {:>9.3?}", self.conversion)?;
        write!(f, "gate        {:>9.3?}", self.gate)
    }
}

impl Calibration {
    /// Measures every step `repetitions` times and keeps the shortest: on a busy machine, noise only ever adds. One repetition
    /// takes about half a second.
    pub fn measure(key: &ServerKey, resolution: Resolution, repetitions: usize) -> Self {
        let first = Self::measure_once(key, resolution);
        (1..repetitions).fold(first, |best, _| best.shortest(Self::measure_once(key, resolution)))
    }

    fn measure_once(key: &ServerKey, resolution: Resolution) -> Self {
        let (fourier, size) = (&key.fourier, key.fourier.size());
        let (compare_table, refresh_table) =
            (comparison_table(size, resolution), level_table(size, key.circuit.gadget()));
        let mut scratch = fourier.scratch();
        let lwe = Glwe::trivial(&(0..size as u64).map(scatter).collect::<Vec<_>>()).extract(0);
        let batch = vec![lwe.clone(); BATCH];
        let (_, keyswitch) = timed(|| key.keyswitch.switch(std::slice::from_ref(&lwe)));
        let (_, full_keyswitch) = timed(|| key.keyswitch.switch(&batch));
        let alone = |table: &Table| [exponents(key, table, 0)];
        let (_, compare) = timed(|| key.compare.rotate(&compare_table, &alone(&compare_table), fourier, &mut scratch));
        let (rotated, refresh) =
            timed(|| key.refresh.rotate(&refresh_table, &alone(&refresh_table), fourier, &mut scratch));
        let (bit, conversion) = timed(|| key.circuit.selector(&rotated[0], fourier, &mut scratch));
        let (_, gate) = timed(|| bit.cmux(&rotated[0], &rotated[0], fourier, &mut scratch));
        Self {
            resolution,
            full_compare: full_batch(key, &key.compare, &compare_table),
            full_refresh: full_batch(key, &key.refresh, &refresh_table),
            full_keyswitch: full_keyswitch / BATCH as u32,
            compare,
            refresh,
            keyswitch,
            conversion,
            gate,
        }
    }

    /// The shorter of two measurements, step by step.
    pub fn shortest(self, other: Self) -> Self {
        Self {
            resolution: self.resolution,
            full_compare: self.full_compare.min(other.full_compare),
            full_refresh: self.full_refresh.min(other.full_refresh),
            full_keyswitch: self.full_keyswitch.min(other.full_keyswitch),
            compare: self.compare.min(other.compare),
            refresh: self.refresh.min(other.refresh),
            keyswitch: self.keyswitch.min(other.keyswitch),
            conversion: self.conversion.min(other.conversion),
            gate: self.gate.min(other.gate),
        }
    }

    /// `count` comparisons with their keyswitches, in batches over `threads` threads. A batch of `c` takes what its full share
    /// takes, and once what one alone takes more: the pass over the key.
    pub(crate) fn comparisons(&self, count: usize, threads: usize) -> Duration {
        let turns = batches(count, threads, self.resolution.extension_log2()).div_ceil(threads);
        let most = count.div_ceil(threads);
        let full = self.full_compare + self.full_keyswitch;
        let pass = (self.compare + self.keyswitch).saturating_sub(full);
        if count == 0 { Duration::ZERO } else { full * most as u32 + pass * turns as u32 }
    }

    /// A bit made a selector while the signs of `next` matches are taken.
    pub(crate) fn bit(&self, next: usize, threads: usize) -> Duration {
        let selector = self.keyswitch + self.refresh + self.conversion;
        let signs = self.comparisons(next, (threads - 1).max(1));
        if threads == 1 { selector + signs } else { selector.max(signs) }
    }

    /// `count` gates, as many at a time as there are threads.
    pub(crate) fn gates(&self, count: usize, threads: usize) -> Duration {
        self.gate * count.div_ceil(threads) as u32
    }
}

/// Time of one rotation of a full batch, while all threads are rotating one.
fn full_batch(key: &ServerKey, rotation: &RotationKey, table: &Table) -> Duration {
    let count = (BATCH / table.extension()).max(1);
    let batch: Vec<Exponents> = (0..count).map(|c| exponents(key, table, c)).collect();
    let times = (0..rayon::current_num_threads()).into_par_iter().map(|_| {
        let (_, time) = timed(|| rotation.rotate(table, &batch, &key.fourier, &mut key.fourier.scratch()));
        time / count as u32
    });
    // Threads that share a core finish at different times; their mean is what a query sees.
    let times: Vec<Duration> = times.collect();
    times.iter().sum::<Duration>() / times.len().max(1) as u32
}

/// Any powers will do but zeros, which are skipped.
fn exponents(key: &ServerKey, table: &Table, seed: usize) -> Exponents {
    let bits = key.parameters().lwe_dimension.0;
    let power = |i: usize| (scatter((seed * bits + i) as u64) >> (64 - table.modulus_log2())) as u32 | 1;
    Exponents::new((0..=bits).map(power))
}

/// Multiplies by the golden ratio: neighbours end far apart.
fn scatter(i: u64) -> u64 {
    (i + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15)
}

/// Runs `f` and says how long it took; what it returns is not optimised away.
fn timed<T>(f: impl FnOnce() -> T) -> (T, Duration) {
    let start = Instant::now();
    let value = std::hint::black_box(f());
    (value, start.elapsed())
}
