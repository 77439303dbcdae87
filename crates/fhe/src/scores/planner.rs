//! Chooses a [`Plan`]: the packing, the digits of indices and the bits of every message that cost least and fail with
//! probability at most 2^-64 a query.

use std::ops::RangeInclusive;

use sordino_model::circuit::StageId;
use sordino_model::cost::{Cost, CostReport};
use sordino_model::layout::{Envelope, IndexLayout, Packing, StageLayout};
use sordino_model::stage::{Hierarchy, Stage};

use crate::FheError;
use crate::noise::formula::{Noise, deviations};
use crate::params::ParameterSet;
use crate::scores::plan::{Plan, TripPlan};
use crate::wire::encoding::Encoding;

/// What the planner aims at.
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub struct PlannerOptions {
    /// Base-2 logarithm of the largest probability that a query is answered wrongly.
    pub failure_log2: f64,
    /// Bits by which the flooding exceeds the standard deviation of the noise that the weights leave in a reply.
    pub hiding: u32,
    /// Nanoseconds of server time that a byte on the wire is worth.
    pub nanoseconds_per_byte: f64,
}

impl Default for PlannerOptions {
    /// Failure 2^-64, 8 bits of hiding, 25 ns a byte.
    fn default() -> Self {
        Self { failure_log2: -64.0, hiding: 8, nanoseconds_per_byte: 25.0 }
    }
}

/// Nanoseconds of a product, of a transform and of expanding a seeded ciphertext of ring degree 2048. Only their
/// ratios matter, to choose between plans; figures of this kind are measured by the benches.
const PRODUCT: f64 = 500.0;
const TRANSFORM: f64 = 2_800.0;
const EXPANSION: f64 = 18_000.0;

/// Digits of indices that are tried.
const LEVELS: RangeInclusive<u32> = 1..=4;
const BASE_LOGS: RangeInclusive<u32> = 4..=26;

impl Plan {
    /// Plans `flat`: one trip that returns every score of the last stage.
    ///
    /// # Errors
    /// [`FheError::NoPlan`] for scores that do not fit.
    pub fn flat(
        parameters: &'static ParameterSet,
        hierarchy: &Hierarchy,
        options: PlannerOptions,
    ) -> Result<Self, FheError> {
        let last = hierarchy.stages().len() - 1;
        Self::new(parameters, vec![trip(parameters, hierarchy, last, None, options)?])
    }

    /// Plans `routed`: one trip per stage. Every trip after the first selects `probes` groups, or all there are where that is fewer.
    ///
    /// # Errors
    /// [`FheError::NoPlan`] for scores that do not fit.
    pub fn routed(
        parameters: &'static ParameterSet,
        hierarchy: &Hierarchy,
        probes: usize,
        options: PlannerOptions,
    ) -> Result<Self, FheError> {
        let stages = hierarchy.stages();
        // A query fails if any of its trips does.
        let failure_log2 = options.failure_log2 - (stages.len() as f64).log2();
        let options = PlannerOptions { failure_log2, ..options };
        let trips = stages.iter().enumerate().map(|(s, stage)| {
            let probes = (s > 0).then(|| probes.clamp(1, stage.groups()));
            trip(parameters, hierarchy, s, probes, options)
        });
        Self::new(parameters, trips.collect::<Result<_, _>>()?)
    }

    /// Plans `picked`: one trip that selects `probes` groups of the last stage, or all there are where that is fewer.
    ///
    /// # Errors
    /// [`FheError::NoPlan`] for scores that do not fit.
    pub fn picked(
        parameters: &'static ParameterSet,
        hierarchy: &Hierarchy,
        probes: usize,
        options: PlannerOptions,
    ) -> Result<Self, FheError> {
        let last = hierarchy.stages().len() - 1;
        let probes = probes.clamp(1, hierarchy.last().groups());
        Self::new(parameters, vec![trip(parameters, hierarchy, last, Some(probes), options)?])
    }
}

/// The cheapest trip for one stage.
fn trip(
    parameters: &'static ParameterSet,
    hierarchy: &Hierarchy,
    stage: usize,
    probes: Option<usize>,
    options: PlannerOptions,
) -> Result<TripPlan, FheError> {
    // Keys and blindings of exceptional weight take a little of the probability.
    let options = PlannerOptions { failure_log2: options.failure_log2 - 0.05, ..options };
    let weights = &hierarchy.stages()[stage];
    let rows = row_norms(weights);
    let score_bound = weights.score_bound();
    let mut best: Option<(f64, TripPlan)> = None;
    let mut features = 1;
    while features <= parameters.ring().min(weights.input().width.next_power_of_two()) {
        let packing = Packing::new(parameters.ring(), features, weights.shape()).map_err(FheError::Packing)?;
        let norm_squared = largest_norm(&packing, &rows);
        let bits = packing.index_bits();
        let indices =
            probes.map_or(vec![None], |_| if bits == 0 { vec![Some(NO_DIGITS)] } else { digits().map(Some).collect() });
        for index in indices {
            let candidate = Candidate { parameters, weights, packing, score_bound, norm_squared, stage, probes, index };
            if let Some(plan) = candidate.fit(options) {
                let report = candidate.price(&plan, hierarchy)?;
                let cost = candidate.nanoseconds(&report)
                    + (report.bytes_up + report.bytes_down) as f64 * options.nanoseconds_per_byte;
                if best.is_none_or(|(least, _)| cost < least) {
                    best = Some((cost, plan));
                }
            }
        }
        features *= 2;
    }
    best.map(|(_, plan)| plan).ok_or(FheError::NoPlan { stage, bound: score_bound })
}

/// The layout of indices of no bits: written, never used.
const NO_DIGITS: IndexLayout = IndexLayout { base_log: 1, levels: 1, body_bits: 1 };

fn digits() -> impl Iterator<Item = IndexLayout> {
    LEVELS
        .flat_map(|levels| BASE_LOGS.map(move |base_log| IndexLayout { base_log, levels, body_bits: 64 }))
        .filter(|d| d.base_log * d.levels <= 52)
}

/// Squared norms of all rows of weights, slot after slot.
pub(crate) fn row_norms(stage: &Stage) -> Vec<u64> {
    let slots = (0..stage.groups()).flat_map(|group| (0..stage.outputs()).map(move |slot| (group, slot)));
    slots.map(|(group, slot)| stage.row_norm_squared(group, slot)).collect()
}

/// Largest squared norm of the weights in one output ciphertext.
pub(crate) fn largest_norm(packing: &Packing, rows: &[u64]) -> u64 {
    let mut norms = vec![0u64; packing.ciphertexts()];
    for (i, &norm) in rows.iter().enumerate() {
        let place = packing.place(i / packing.outputs(), i % packing.outputs());
        let sum = &mut norms[place.column * packing.lanes() + place.lane];
        *sum = sum.saturating_add(norm);
    }
    norms.into_iter().max().unwrap_or(0)
}

/// A packing and digits whose bits are still to be chosen.
struct Candidate<'a> {
    parameters: &'static ParameterSet,
    weights: &'a Stage,
    packing: Packing,
    score_bound: u64,
    norm_squared: u64,
    stage: usize,
    probes: Option<usize>,
    index: Option<IndexLayout>,
}

impl Candidate<'_> {
    /// The fewest bits that keep the noise within its budget, if any do.
    ///
    /// Half of the margin is set aside for flooding. Of what the noise may be in all, half its variance goes to what is computed
    /// (further cut so that the flooding hides it) and half to what is added at the end. Each share is spent first on what
    /// cannot be chosen, then on truncation: where `A` coefficients cost a bit each, the cheapest split of a variance among
    /// truncations is in proportion to `A`. Bits being whole, some of the margin is left; the flooding takes it.
    fn fit(&self, options: PlannerOptions) -> Option<TripPlan> {
        let noise = Noise::new(self.parameters);
        let (packing, ring) = (self.packing, self.parameters.ring());
        let score_bound = self.score_bound;
        let margin = Encoding::new(score_bound).delta() / 2;
        let flood = margin as f64 / 2.0;
        let used = self.weights.shape().used();
        let scores = self.probes.map_or(used, |probes| probes * packing.outputs());
        let deviations = deviations(options.failure_log2, scores);
        let variance = ((margin as f64 - flood) / deviations).powi(2);

        let hidden = (flood / 2f64.powi(options.hiding as i32)).powi(2);
        let computed = hidden.min(variance / 2.0);
        let fixed = noise.linear(64, self.norm_squared);
        let gates = packing.index_bits() as f64;
        let (digit_gain, gate_fixed) = match self.index.filter(|_| gates > 0.0) {
            Some(index) => {
                let full = noise.gate(IndexLayout { body_bits: 64, ..index });
                let unit = noise.gate(IndexLayout { body_bits: 63, ..index }) - full;
                (gates * unit / noise.truncation(63), gates * full)
            }
            None => (0.0, 0.0),
        };
        let room = computed - fixed - gate_fixed;
        let query = packing.inputs() * ring;
        let selectors =
            self.index.map_or(0, |index| self.probes.unwrap_or(0) * packing.index_bits() * index.rows() * ring);
        let body_bits = bits(share(room, query, query + selectors) / self.norm_squared.max(1) as f64)?;
        let index = match self.index {
            Some(index) if gates > 0.0 => {
                let body_bits = bits(share(room, selectors, query + selectors) / digit_gain)?;
                Some(IndexLayout { body_bits, ..index })
            }
            other => other,
        };

        let added = variance - computed - noise.zero(64);
        let ciphertexts = self.probes.map_or(packing.ciphertexts(), |probes| probes * packing.lanes());
        let reply = ciphertexts * ring + scores;
        let key_gain = (noise.zero(63) - noise.zero(64)) / noise.truncation(63);
        let zero_key_bits = bits(share(added, ring, ring + reply) / key_gain)?;
        let reply_bits = bits(share(added, reply, ring + reply) / (noise.switch(63) / noise.truncation(63)))?;

        let layout = StageLayout { packing, body_bits, index, used };
        let envelope = Envelope { zero_key_bits, reply_bits };
        let (stage, probes, norm_squared) = (self.stage, self.probes, self.norm_squared);
        let plan = TripPlan { stage, probes, layout, envelope, score_bound, norm_squared, flood: 0 };
        let sigma = plan.noise(self.parameters).variance().sqrt();
        // One part in 2^20 less, for the rounding of the formulas themselves.
        let flood = ((margin as f64 - sigma * deviations) * (1.0 - 2f64.powi(-20))) as u64;
        let plan = TripPlan { flood, ..plan };
        (flood > 0 && plan.noise(self.parameters).failure_log2(scores) <= options.failure_log2).then_some(plan)
    }

    fn price(&self, plan: &TripPlan, hierarchy: &Hierarchy) -> Result<CostReport, FheError> {
        let stages = [(StageId(self.stage), plan.layout)];
        Ok(Cost::new(&stages, plan.envelope).price(&plan.circuit(hierarchy.shape())?)?)
    }

    fn nanoseconds(&self, report: &CostReport) -> f64 {
        let scale = self.parameters.ring() as f64 / 2048.0;
        let rows = self.index.map_or(0, |index| self.packing.index_bits() * index.rows());
        let ciphertexts = self.packing.inputs() + self.probes.unwrap_or(0) * rows;
        let counts = report.counts;
        let transforms = (counts.forward + counts.inverse) as f64;
        scale * (PRODUCT * counts.products as f64 + TRANSFORM * transforms + EXPANSION * ciphertexts as f64)
    }
}

/// The part of a variance that goes to `part` of `whole` coefficients.
fn share(variance: f64, part: usize, whole: usize) -> f64 {
    variance * part as f64 / whole.max(1) as f64
}

/// The fewest bits whose truncation has at most this variance.
fn bits(variance: f64) -> Option<u32> {
    // 4^(64 - bits) / 12 <= variance
    let bits = 64.0 - (12.0 * variance).log2() / 2.0;
    (variance > 0.0 && bits <= 64.0).then(|| bits.ceil().max(1.0) as u32)
}
