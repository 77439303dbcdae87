//! [`Timings`]: what every operation takes on a machine, and [`Schedule`]: from it, what a query will take.

use std::fmt;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::cost::{CostReport, Counts};
use crate::layout::fourier_bytes;

/// Seconds of an operation that streams a key: on its own, and in a full batch that shares one pass over the key, while every
/// thread is busy with one.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Batched {
    /// One on its own.
    pub alone: f64,
    /// Each of a full batch.
    pub full: f64,
}

/// Seconds of every operation at one parameter set, on one machine.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Timings {
    /// Threads that were busy while batches were measured.
    pub threads: usize,
    /// Reading a byte of a query: masks from seeds, bodies from bits.
    pub read: f64,
    /// Writing a byte of a reply: new masks, flooding, packing.
    pub write: f64,
    /// A product of two polynomials in the Fourier domain, its weights streamed from memory.
    pub product: f64,
    /// A transform of a polynomial, in either direction.
    pub transform: f64,
    /// A CMUX gate driven by a selector that the server made.
    pub gate: f64,
    /// Making a selector of a refreshed bit.
    pub conversion: f64,
    /// A keyswitch in the ring: an automorphism, or a product with the key's square.
    pub ring_keyswitch: f64,
    /// A keyswitch to the small key of comparisons.
    pub compare_keyswitch: Batched,
    /// A keyswitch to the small key of refreshes.
    pub refresh_keyswitch: Batched,
    /// A blind rotation that refreshes a bit.
    pub refresh: Batched,
    /// A blind rotation that compares, with 1, 2 and 4 accumulators.
    pub compare: [Batched; 3],
    /// A blind rotation that looks up a table whose result is summed with others.
    pub table: Batched,
    /// The autocorrelation of a ciphertext of samples.
    pub correlation: f64,
    /// Accumulators that share a pass over a key.
    pub batch: usize,
}

/// What happens one after another where the server decides.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CostStep {
    /// Comparisons side by side.
    Comparisons(usize),
    /// Tables looked up side by side.
    Tables(usize),
    /// Autocorrelations side by side.
    Correlations(usize),
    /// A bit becomes a selector.
    Selector,
    /// A position is read: the sign of its first bit is there.
    Position {
        /// Signs taken for every further bit. They wait for the selectors of all bits but the one above, and the bit's own
        /// selector waits for them and for that one.
        signs: Vec<usize>,
        /// Whether one more sign is taken with the first of these, and becomes a selector beside the last bit.
        aside: bool,
    },
}

/// What a run costs, and in what order its slow steps come.
#[derive(Clone, Debug, PartialEq)]
pub struct Schedule {
    /// Operations and bytes.
    pub report: CostReport,
    pub(crate) steps: Vec<CostStep>,
}

/// Into how many batches of at most `largest` the server cuts `count` rotations: as many for every thread, none of them empty.
pub fn batches(count: usize, threads: usize, largest: usize) -> usize {
    let (threads, largest) = (threads.max(1), largest.max(1));
    (threads * count.div_ceil(threads * largest)).min(count).max(1)
}

/// How a server holds the weights of its stages.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum WeightForm {
    /// In the Fourier domain: eight bytes a weight, and nothing left to do but products.
    #[default]
    Transformed,
    /// As integers, a byte a weight, which every query transforms anew: a few transforms for every product saved.
    Integers,
}

impl Schedule {
    /// The same for a server that holds its weights so, for ring degree `ring`.
    #[must_use]
    pub fn holding(mut self, form: WeightForm, ring: usize) -> Self {
        if form == WeightForm::Integers {
            let polynomials = self.report.weight_bytes / fourier_bytes(ring);
            self.report.counts.forward += polynomials;
            self.report.weight_bytes = polynomials * ring;
        }
        self
    }

    /// How long the server takes on `threads` threads of the machine that was measured.
    pub fn predict(&self, timings: &Timings, threads: usize) -> Duration {
        let (report, threads) = (&self.report, threads.max(1));
        let steps = self.steps.iter().map(|step| match step {
            CostStep::Comparisons(count) => timings.comparisons(*count, report.accumulators, threads),
            CostStep::Tables(count) => timings.rotations(*count, timings.table, threads, timings.batch),
            CostStep::Correlations(count) => count.div_ceil(threads) as f64 * timings.correlation,
            CostStep::Selector => timings.selector(),
            CostStep::Position { signs, aside } => timings.position(signs, *aside, report.accumulators, threads),
        });
        let Counts { products, forward, inverse, .. } = report.counts;
        let linear = products as f64 * timings.product + (forward + inverse) as f64 * timings.transform;
        let made = report.decisions.ring_keyswitches as f64 * timings.ring_keyswitch;
        let spread =
            linear + report.bytes_up as f64 * timings.read + report.decisions.gates as f64 * timings.gate + made;
        let alone = report.bytes_down as f64 * timings.write;
        Duration::from_secs_f64((steps.sum::<f64>() + spread / threads as f64 + alone).max(0.0))
    }

    /// How long the blind rotations alone would take, each at the speed of a full batch and all spread evenly over the threads.
    pub fn bare(&self, timings: &Timings, threads: usize) -> Duration {
        let decisions = &self.report.decisions;
        let compare = decisions.comparisons() as f64 * timings.compare_with(self.report.accumulators).full;
        let refresh = decisions.refreshes as f64 * timings.refresh.full;
        let tables = decisions.tables as f64 * timings.table.full;
        Duration::from_secs_f64((compare + refresh + tables) / threads.max(1) as f64)
    }
}

impl Timings {
    /// The shorter of two measurements, operation by operation: other work only ever adds.
    pub fn shortest(&self, other: &Self) -> Self {
        let batched = |a: Batched, b: Batched| Batched { alone: a.alone.min(b.alone), full: a.full.min(b.full) };
        Self {
            threads: self.threads,
            read: self.read.min(other.read),
            write: self.write.min(other.write),
            product: self.product.min(other.product),
            transform: self.transform.min(other.transform),
            gate: self.gate.min(other.gate),
            conversion: self.conversion.min(other.conversion),
            ring_keyswitch: self.ring_keyswitch.min(other.ring_keyswitch),
            compare_keyswitch: batched(self.compare_keyswitch, other.compare_keyswitch),
            refresh_keyswitch: batched(self.refresh_keyswitch, other.refresh_keyswitch),
            refresh: batched(self.refresh, other.refresh),
            compare: std::array::from_fn(|i| batched(self.compare[i], other.compare[i])),
            table: batched(self.table, other.table),
            correlation: self.correlation.min(other.correlation),
            batch: self.batch,
        }
    }

    /// Whether every number is a time that an operation can take.
    pub fn is_sound(&self) -> bool {
        let keyswitches = [self.compare_keyswitch, self.refresh_keyswitch];
        let batched = keyswitches
            .into_iter()
            .chain([self.refresh, self.table])
            .chain(self.compare)
            .flat_map(|b| [b.alone, b.full]);
        let single =
            [self.read, self.write, self.product, self.transform, self.gate, self.conversion, self.ring_keyswitch];
        let single = single.into_iter().chain([self.correlation]);
        single.into_iter().chain(batched).all(|t| t.is_finite() && (0.0..60.0).contains(&t)) && self.batch > 0
    }

    /// A comparison with so many accumulators.
    pub fn compare_with(&self, accumulators: usize) -> Batched {
        self.compare[accumulators.max(1).ilog2().min(2) as usize]
    }

    /// `count` comparisons with their keyswitches, in batches over `threads` threads. A batch of `c` takes what its full share
    /// takes, and once what one alone takes more: the pass over the key.
    fn comparisons(&self, count: usize, accumulators: usize, threads: usize) -> f64 {
        self.rotations(count, self.compare_with(accumulators), threads, self.batch / accumulators.max(1))
    }

    /// The same of any rotation by the small key of comparisons, in batches of at most `batch`.
    fn rotations(&self, count: usize, rotation: Batched, threads: usize, batch: usize) -> f64 {
        if count == 0 {
            return 0.0;
        }
        let turns = batches(count, threads, batch).div_ceil(threads);
        let full = rotation.full + self.compare_keyswitch.full;
        let pass = (rotation.alone + self.compare_keyswitch.alone - full).max(0.0);
        full * count.div_ceil(threads) as f64 + pass * turns as f64
    }

    /// A bit made a selector.
    fn selector(&self) -> f64 {
        self.refresh_keyswitch.alone + self.refresh.alone + self.conversion
    }

    /// A position read, whatever can run given to whichever thread is free first.
    fn position(&self, signs: &[usize], aside: bool, accumulators: usize, threads: usize) -> f64 {
        let mut pool = Pool(vec![0.0; threads]);
        // One thread is left to the refreshes.
        let looking = (threads - 1).max(1);
        let take = |pool: &mut Pool, count: usize, ready: f64| {
            let parts = batches(count, looking, self.batch / accumulators.max(1));
            let part = self.comparisons(count.div_ceil(parts), accumulators, 1);
            (0..parts).map(|_| pool.run(ready, part)).fold(ready, f64::max)
        };
        let selector = self.selector();
        let sign = |depth: usize| signs[depth - 1] + usize::from(aside && depth == 1);
        let first = if signs.is_empty() { usize::from(aside) } else { sign(1) };
        // When the signs of the next bit, those of the first one, and the newest selector are there.
        let mut next = if first == 0 { 0.0 } else { take(&mut pool, first, 0.0) };
        let aside_sign = next;
        let mut newest = pool.run(0.0, selector);
        if aside && signs.is_empty() {
            pool.run(aside_sign, selector);
        }
        for depth in 1..=signs.len() {
            let signs_are_there = next;
            if depth < signs.len() {
                next = take(&mut pool, sign(depth + 1), newest);
            } else if aside {
                pool.run(newest.max(aside_sign), selector);
            }
            newest = pool.run(newest.max(signs_are_there), selector);
        }
        pool.0.into_iter().fold(0.0, f64::max)
    }
}

/// When every thread is free again.
struct Pool(Vec<f64>);

impl Pool {
    /// Runs something that is ready at `ready` and takes `seconds` on the thread that is free first; returns when it is done.
    fn run(&mut self, ready: f64, seconds: f64) -> f64 {
        let Some(free) = self.0.iter_mut().min_by(|a, b| a.total_cmp(b)) else { return ready };
        *free = free.max(ready) + seconds;
        *free
    }
}

impl fmt::Display for Timings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let time = Duration::from_secs_f64;
        let batched =
            |b: Batched| format!("{:.2?} alone, {:.2?} each in a batch, all threads busy", time(b.alone), time(b.full));
        for (name, compare) in ["comparison", "  fine", "  finest"].into_iter().zip(self.compare) {
            writeln!(f, "{name:<12} {}", batched(compare))?;
        }
        writeln!(f, "table        {}", batched(self.table))?;
        writeln!(f, "correlation  {:.2?}", time(self.correlation))?;
        writeln!(f, "refresh      {}", batched(self.refresh))?;
        writeln!(f, "keyswitch    {}", batched(self.compare_keyswitch))?;
        writeln!(f, "  to refresh {}", batched(self.refresh_keyswitch))?;
        writeln!(f, "conversion   {:.2?}", time(self.conversion))?;
        writeln!(f, "  one step   {:.2?}", time(self.ring_keyswitch))?;
        writeln!(f, "gate         {:.2?}", time(self.gate))?;
        writeln!(f, "product      {:.2?}, transform {:.2?}", time(self.product), time(self.transform))?;
        write!(f, "messages     {:.2?} a KB up, {:.2?} a KB down", time(1e3 * self.read), time(1e3 * self.write))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn timings() -> Timings {
        let batched = |alone, full| Batched { alone, full };
        Timings {
            threads: 2,
            read: 0.0,
            write: 0.0,
            product: 0.0,
            transform: 0.0,
            gate: 0.0,
            conversion: 1.0,
            ring_keyswitch: 0.0,
            compare_keyswitch: batched(2.0, 1.0),
            refresh_keyswitch: batched(2.0, 1.0),
            refresh: batched(20.0, 12.0),
            compare: [batched(10.0, 7.0), batched(20.0, 14.0), batched(40.0, 28.0)],
            table: batched(18.0, 13.0),
            correlation: 5.0,
            batch: 16,
        }
    }

    #[test]
    fn batches_are_full_and_even() {
        assert_eq!(batches(79, 2, 16), 6);
        assert_eq!(batches(3, 8, 16), 3);
        assert_eq!(batches(1, 1, 16), 1);
        assert_eq!(batches(33, 1, 16), 3);
    }

    #[test]
    fn a_schedule_is_timed_as_by_hand() {
        let report = CostReport { accumulators: 1, ..CostReport::default() };
        let position = CostStep::Position { signs: vec![2, 2, 1], aside: false };
        let schedule = Schedule { report, steps: vec![CostStep::Comparisons(40), position] };
        // 40 comparisons of 8 and three passes of 4; then four selectors of 23, and five signs of 8 with three passes.
        assert_eq!(schedule.predict(&timings(), 1), Duration::from_secs(40 * 8 + 3 * 4 + 4 * 23 + 5 * 8 + 3 * 4));
        // On two threads 20 each in two passes. Then signs of 20, 20 and 12 are there before the selectors of 23 that they wait for.
        assert_eq!(schedule.predict(&timings(), 2), Duration::from_secs(20 * 8 + 2 * 4 + 23 + 23 + 23 + 23));
        // Three autocorrelations one after another on two threads, and 40 tables of 14 with three passes of 6 on one.
        let steps = vec![CostStep::Correlations(5), CostStep::Tables(40)];
        let hearing = Schedule { report, steps };
        assert_eq!(hearing.predict(&timings(), 1), Duration::from_secs(5 * 5 + 40 * 14 + 3 * 6));
        assert_eq!(hearing.predict(&timings(), 2), Duration::from_secs(3 * 5 + 20 * 14 + 2 * 6));
        assert!(schedule.predict(&timings(), 64) < schedule.predict(&timings(), 16));
    }

    #[test]
    fn nonsense_is_no_timing() {
        assert!(timings().is_sound());
        assert!(!Timings { gate: f64::NAN, ..timings() }.is_sound());
        assert!(!Timings { read: -1.0, ..timings() }.is_sound());
        assert!(!Timings { batch: 0, ..timings() }.is_sound());
    }
}
