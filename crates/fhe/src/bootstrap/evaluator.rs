//! [`Evaluator`]: the few encrypted operations that decisions are made of, batched over the key and over threads.

use std::borrow::Borrow;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use rayon::prelude::*;
use sordino_model::Resolution;
use sordino_model::layout::{DecisionCounts, SparsePacking};

use crate::bootstrap::blind_rotation::{RotationKey, Table};
use crate::bootstrap::circuit_bootstrap::level_table;
use crate::bootstrap::keyswitch::KeyswitchKey;
use crate::bootstrap::lookup::{self, Lookup};
use crate::decision::tree;
use crate::ring::fourier::Fourier;
use crate::ring::ggsw::Ggsw;
use crate::ring::glwe::{Glwe, Lwe};
use crate::{FheError, ServerKey};

/// Phase of a set bit as [`Evaluator::signs`] returns it; a clear bit has the opposite phase.
const SIGN: u64 = 1 << 62;

/// Carries out operations under one key, and counts them. It may be told to stop: from then on its operations give nothing, or less than
/// they should, and whoever uses them asks [`Evaluator::still_wanted`] before a result leaves.
pub(crate) struct Evaluator<'k> {
    key: &'k ServerKey,
    /// Asked before every batch of rotations, and of conversions, until it says no.
    wanted: &'k (dyn Fn() -> bool + Sync),
    stopped: AtomicBool,
    positive: Table,
    sign: Table,
    levels: Table,
    counts: Counters,
}

#[derive(Default)]
struct Counters {
    keyswitches: AtomicUsize,
    matches: AtomicUsize,
    signs: AtomicUsize,
    refreshes: AtomicUsize,
    conversions: AtomicUsize,
    gates: AtomicUsize,
    ring_keyswitches: AtomicUsize,
    tables: AtomicUsize,
    correlations: AtomicUsize,
}

/// The table of `max(x, 0)` for phases within a quarter of the torus.
pub(crate) fn comparison_table(size: usize, resolution: Resolution) -> Table {
    let indices = size << resolution.extension_log2();
    // Index p stands for phases in [p, p + 1) steps of q / (2 * indices); its value is the middle.
    let half_step = 63 - (2 * indices).ilog2();
    let middle = |p: usize| (2 * p as u64 + 1) << half_step;
    Table::new(size, resolution.extension_log2(), 0, |p| if p < indices / 2 { middle(p) } else { 0 })
}

impl<'k> Evaluator<'k> {
    pub(crate) fn new(key: &'k ServerKey, resolution: Resolution) -> Self {
        let (size, extension) = (key.fourier.size(), resolution.extension_log2());
        Self {
            key,
            wanted: &|| true,
            stopped: AtomicBool::new(false),
            positive: comparison_table(size, resolution),
            sign: Table::new(size, extension, 0, |_| SIGN),
            levels: level_table(size, key.circuit.gadget()),
            counts: Counters::default(),
        }
    }

    /// The same, as long as `wanted` says so.
    pub(crate) fn while_wanted(self, wanted: &'k (dyn Fn() -> bool + Sync)) -> Self {
        Self { wanted, ..self }
    }

    /// Refuses to go on where it was told to stop.
    ///
    /// # Errors
    /// [`FheError::Stopped`].
    pub(crate) fn still_wanted(&self) -> Result<(), FheError> {
        if self.stopped() { Err(FheError::Stopped) } else { Ok(()) }
    }

    fn stopped(&self) -> bool {
        self.stopped.load(Ordering::Relaxed)
    }

    /// Whether another step is to be made.
    fn go_on(&self) -> bool {
        if !self.stopped() && !(self.wanted)() {
            self.stopped.store(true, Ordering::Relaxed);
        }
        !self.stopped()
    }

    /// The transform in which its selectors are.
    pub(crate) fn fourier(&self) -> &Fourier {
        &self.key.fourier
    }

    /// Ring degree.
    pub(crate) fn size(&self) -> usize {
        self.key.fourier.size()
    }

    /// What has been done so far.
    pub(crate) fn counts(&self) -> DecisionCounts {
        let c = &self.counts;
        DecisionCounts {
            keyswitches: c.keyswitches.load(Ordering::Relaxed),
            matches: c.matches.load(Ordering::Relaxed),
            signs: c.signs.load(Ordering::Relaxed),
            refreshes: c.refreshes.load(Ordering::Relaxed),
            conversions: c.conversions.load(Ordering::Relaxed),
            gates: c.gates.load(Ordering::Relaxed),
            ring_keyswitches: c.ring_keyswitches.load(Ordering::Relaxed),
            tables: c.tables.load(Ordering::Relaxed),
            correlations: c.correlations.load(Ordering::Relaxed),
        }
    }

    /// `max(x, 0)` of every phase `x`, which lies within a quarter of the torus.
    pub(crate) fn positive_part(&self, inputs: &[Lwe]) -> Vec<Lwe> {
        self.counts.matches.fetch_add(inputs.len(), Ordering::Relaxed);
        self.rotate(&self.key.compare, &self.positive, inputs, rayon::current_num_threads())
            .iter()
            .map(|r| r.extract(0))
            .collect()
    }

    /// The last match: `max(x, 0)` where there is one, and the sign of the lead, side by side.
    pub(crate) fn decide(&self, played: Option<&Lwe>, lead: &Lwe) -> (Option<Lwe>, Option<Lwe>) {
        self.counts.matches.fetch_add(usize::from(played.is_some()), Ordering::Relaxed);
        self.counts.signs.fetch_add(1, Ordering::Relaxed);
        let inputs: Vec<Lwe> = played.into_iter().chain([lead]).cloned().collect();
        let tables = [&self.positive, &self.sign];
        let tables = &tables[tables.len() - inputs.len()..];
        let rotated = self.rotate_each(&self.key.compare, tables, &inputs, rayon::current_num_threads());
        let mut rotated: Vec<Lwe> = rotated.iter().map(|r| r.extract(0)).collect();
        let sign = rotated.pop();
        (rotated.pop(), sign)
    }

    /// A quarter of the torus where the phase is positive, minus a quarter where it is negative. One thread is left to others.
    pub(crate) fn signs(&self, inputs: &[Lwe]) -> Vec<Lwe> {
        self.counts.signs.fetch_add(inputs.len(), Ordering::Relaxed);
        let threads = (rayon::current_num_threads() - 1).max(1);
        self.rotate(&self.key.compare, &self.sign, inputs, threads).iter().map(|r| r.extract(0)).collect()
    }

    /// Selectors from what [`Evaluator::signs`] returns.
    pub(crate) fn selectors(&self, signs: &[Lwe]) -> Vec<Ggsw> {
        self.counts.refreshes.fetch_add(signs.len(), Ordering::Relaxed);
        self.counts.conversions.fetch_add(signs.len(), Ordering::Relaxed);
        let rotated = self.rotate(&self.key.refresh, &self.levels, signs, rayon::current_num_threads());
        let fourier = &self.key.fourier;
        let convert = |scratch: &mut _, r: &Glwe| self.go_on().then(|| self.key.circuit.selector(r, fourier, scratch));
        rotated.par_iter().map_init(|| fourier.scratch(), convert).flatten_iter().collect()
    }

    /// Selectors of bits that a client sent, packed as [`SparsePacking`] says: for every bit, a number for each level.
    pub(crate) fn unpacked(&self, packed: &[Glwe], packing: SparsePacking) -> Vec<Ggsw> {
        let made = DecisionCounts::unpacked(packing).ring_keyswitches;
        self.counts.ring_keyswitches.fetch_add(made, Ordering::Relaxed);
        let (fourier, circuit) = (&self.key.fourier, &self.key.circuit);
        let numbers = packed.iter().zip(packing.ciphertexts());
        let numbers = numbers.map(|(packed, count)| circuit.unpack(packed, count, packing.stride(count), fourier));
        let numbers: Vec<Glwe> = numbers.flatten().collect();
        let bits = numbers.par_chunks_exact(circuit.gadget().levels as usize);
        let selector = |scratch: &mut _, rows: &[Glwe]| circuit.selector_of(rows, fourier, scratch);
        bits.map_init(|| fourier.scratch(), selector).collect()
    }

    /// The first or the second of every pair, by the bit.
    pub(crate) fn cmux(&self, bit: &Ggsw, pairs: &[(&Glwe, &Glwe)]) -> Vec<Glwe> {
        self.counts.gates.fetch_add(pairs.len(), Ordering::Relaxed);
        let fourier = &self.key.fourier;
        let gate = |scratch: &mut _, (zero, one): &(&Glwe, &Glwe)| bit.cmux(zero, one, fourier, scratch);
        pairs.par_iter().map_init(|| fourier.scratch(), gate).collect()
    }

    /// `bit * input` for every input.
    pub(crate) fn gate(&self, bit: &Ggsw, inputs: &[Glwe]) -> Vec<Glwe> {
        self.counts.gates.fetch_add(inputs.len(), Ordering::Relaxed);
        let fourier = &self.key.fourier;
        let gate = |scratch: &mut _, input: &Glwe| {
            let mut out = Glwe::zero(input.size());
            bit.add_product(input, &mut out, fourier, scratch);
            out
        };
        inputs.par_iter().map_init(|| fourier.scratch(), gate).collect()
    }

    /// An address of selectors, and a bit that says that there is one: of `known`, all or nothing.
    pub(crate) fn answer(&self, known: &Ggsw, mut address: Glwe) -> Option<Glwe> {
        address.add_assign(&self.marker(0));
        self.gate(known, &[address]).pop()
    }

    /// Half of the torus at one coefficient: a bit that is set.
    fn marker(&self, coefficient: usize) -> Glwe {
        let mut out = Glwe::zero(self.size());
        out.body_mut()[coefficient] = 1 << 63;
        out
    }

    /// Selectors as bits, each half of the torus if set, from coefficient `first` on.
    pub(crate) fn written(&self, bits: &[Ggsw], first: usize) -> Glwe {
        let mut out = Glwe::zero(self.size());
        for (i, bit) in bits.iter().enumerate() {
            self.gate(bit, &[self.marker(first + i)]).iter().for_each(|bit| out.add_assign(bit));
        }
        out
    }

    /// The node that `bits`, most significant first, point at. Empty nodes are public, and never pointed at.
    pub(crate) fn select<'n>(
        &self,
        nodes: impl IntoIterator<Item = Option<&'n Glwe>>,
        bits: &[impl Borrow<Ggsw>],
    ) -> Option<Glwe> {
        tree::select(nodes, bits, |bit, pairs| self.cmux(bit, pairs))
    }

    /// [`Evaluator::select`] for nodes of several ciphertexts each, the same number in all.
    pub(crate) fn select_each(&self, nodes: &[Option<&[Glwe]>], bits: &[Ggsw]) -> Vec<Glwe> {
        let width = nodes.iter().flatten().map(|node| node.len()).next().unwrap_or(0);
        (0..width).filter_map(|i| self.select(nodes.iter().map(|node| node.map(|node| &node[i])), bits)).collect()
    }

    /// Places `input` at the position that `bits` point at, most significant first, and zero elsewhere: `2^bits` outputs, of which
    /// the first `count` are returned.
    pub(crate) fn scatter(&self, input: Glwe, bits: &[Ggsw], count: usize) -> Vec<Glwe> {
        let mut nodes = vec![input];
        for (depth, bit) in bits.iter().enumerate() {
            nodes.truncate(count.div_ceil(1 << (bits.len() - depth)));
            let ones = self.gate(bit, &nodes);
            nodes = nodes
                .into_iter()
                .zip(ones)
                .flat_map(|(mut zero, one)| {
                    zero.sub_assign(&one);
                    [zero, one]
                })
                .collect();
        }
        nodes.truncate(count);
        nodes
    }

    /// For each of these rotation keys and tables the tables at all inputs, which are switched to the small key once.
    pub(crate) fn look_up(
        &self,
        keyswitch: &KeyswitchKey,
        by: &[(&RotationKey, &Table)],
        inputs: &[Lwe],
    ) -> Vec<Vec<Lwe>> {
        self.counts.keyswitches.fetch_add(inputs.len(), Ordering::Relaxed);
        self.counts.tables.fetch_add(by.len() * inputs.len(), Ordering::Relaxed);
        let threads = rayon::current_num_threads();
        lookup::look_up(keyswitch, by, inputs, &self.key.fourier, threads, || self.go_on())
    }

    /// The keyswitch and the rotations of comparisons.
    pub(crate) fn comparison(&self) -> &'k Lookup {
        &self.key.compare
    }

    /// Autocorrelations, each with what is made of it; fewer where it is told to stop.
    pub(crate) fn correlate<T: Sync, E: Send>(&self, of: &[T], energies: impl Fn(&T) -> Vec<E> + Sync) -> Vec<E> {
        self.counts.correlations.fetch_add(of.len(), Ordering::Relaxed);
        let cell = |x: &T| if self.go_on() { energies(x) } else { Vec::new() };
        of.par_iter().flat_map_iter(cell).collect()
    }

    /// The table at every input, in batches over `threads` threads.
    fn rotate(&self, lookup: &Lookup, table: &Table, inputs: &[Lwe], threads: usize) -> Vec<Glwe> {
        self.rotate_each(lookup, &vec![table; inputs.len()], inputs, threads)
    }

    /// [`Evaluator::rotate`] with a table for every input, all of one extension.
    fn rotate_each(&self, lookup: &Lookup, tables: &[&Table], inputs: &[Lwe], threads: usize) -> Vec<Glwe> {
        self.counts.keyswitches.fetch_add(inputs.len(), Ordering::Relaxed);
        let Lookup { keyswitch, rotation } = lookup;
        lookup::rotate(keyswitch, rotation, tables, inputs, &self.key.fourier, threads, || self.go_on())
    }
}
