//! [`Plan`]: how a decided query is packed, encoded and decided, agreed between client and server.
//!
//! The server makes it from its model and hands it out; it is public. Scores of every stage are scaled so that the largest
//! difference that any admitted query can cause, plus what noise may add, just fills a quarter of the torus.

use serde::{Deserialize, Serialize};
use sordino_model::circuit::Circuit;
use sordino_model::layout::{Envelope, KEY_ID_BYTES, NUMBER_BYTES, SEED_BYTES, SparsePacking, TournamentLayout};
use sordino_model::stage::{Hierarchy, HierarchyShape, Stage};
use sordino_model::{ModelHash, Resolution, Routing};

use super::margins::envelope;
use crate::FheError;
use crate::keys::gadgets::DecisionGadgets;
use crate::noise::decision::{DecisionNoise, QUARTER};
use crate::noise::formula::Noise;
use crate::params::{ParameterId, ParameterSet};
use crate::ring::gadget::Gadget;
use crate::wire::bits::packed_len;
use crate::wire::seeded::seeded_len;

pub(crate) const MAGIC: &[u8; 8] = b"SRDN1TP\x04";
/// Largest serialised plan: a stage is below 100 bytes.
const MAX_BYTES: usize = 1 << 13;
/// The gadget of selectors.
pub(crate) const SELECTOR: Gadget = DecisionGadgets::STANDARD.selector;
/// Most stages, groups followed and answers that a plan may have.
const MAX_STAGES: usize = 8;
const MAX_CHOICES: usize = 64;
/// Most spare bits of a position.
const MAX_SPARE: usize = 3;

/// What a decided plan aims at.
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub struct Options {
    /// Who finds the groups of the last stage: the server, or the client in the clear.
    pub routing: Routing,
    /// Groups of every stage that are followed to the next, or groups of the last stage that the client asks for.
    pub probes: usize,
    /// Tracks returned, the best first.
    pub answers: usize,
    /// How finely scores are compared.
    pub resolution: Resolution,
    /// Base-2 logarithm of the largest probability that a query whose winners lead by their margins is answered wrongly.
    pub failure_log2: f64,
}

impl Options {
    /// The options of `decided`, at the usual failure probability.
    pub fn new(probes: usize, answers: usize, resolution: Resolution) -> Self {
        Self { probes, answers, resolution, ..Self::default() }
    }

    /// The options of `picked-decided`.
    pub fn picked(self) -> Self {
        Self { routing: Routing::Public, ..self }
    }

    /// The first stage of a model of this shape that is evaluated.
    fn first(self, shape: &HierarchyShape) -> usize {
        if self.routing == Routing::Public { shape.stages().len() - 1 } else { 0 }
    }

    fn circuit(self, shape: &HierarchyShape) -> Result<Circuit, FheError> {
        let Self { probes, answers, .. } = self;
        Ok(match self.routing {
            Routing::Public => Circuit::picked_decided(shape, probes, answers)?,
            _ => Circuit::decided(shape, probes, answers)?,
        })
    }

    fn layout(
        self,
        parameters: &ParameterSet,
        shape: &HierarchyShape,
        features: &[usize],
        spare: &[usize],
    ) -> Result<TournamentLayout, FheError> {
        let ring = parameters.ring();
        Ok(match (self.routing, features, spare) {
            (Routing::Public, &[features], &[spare]) => {
                TournamentLayout::asked(ring, shape, features, self.probes, spare)?
            }
            _ => TournamentLayout::new(ring, shape, features, spare)?,
        })
    }

    /// Groups of a stage whose scores meet in one tournament.
    fn entries(self, stage: usize) -> usize {
        if stage == 0 && self.routing != Routing::Public { 1 } else { self.probes }
    }
}

impl Default for Options {
    /// Encrypted routing, one probe, one answer, standard resolution, failure 2^-40.
    fn default() -> Self {
        let routing = Routing::Encrypted;
        Self { routing, probes: 1, answers: 1, resolution: Resolution::Standard, failure_log2: -40.0 }
    }
}

/// How one stage is packed and encoded.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct StagePlan {
    /// Features in one ciphertext of the query, a power of two.
    pub features: usize,
    /// Bits of a position beyond those that count the slots: they make lighter words.
    pub spare_bits: u32,
    /// Bits kept of every body coefficient of the query.
    pub body_bits: u32,
    /// The torus element of one score unit.
    pub delta: u64,
    /// The score that an empty slot counts as; below zero in the last stage.
    pub floor: i64,
    /// Largest difference of two scores that are compared.
    pub difference: u64,
    /// Largest squared norm of the weights in one output ciphertext.
    pub norm_squared: u64,
}

/// How a decided query is packed, encoded and decided.
#[derive(Clone, Debug, PartialEq)]
pub struct Plan {
    parameters: &'static ParameterSet,
    options: Options,
    stages: Vec<StagePlan>,
    envelope: Envelope,
}

#[derive(Serialize, Deserialize)]
struct RawPlan {
    parameters: u16,
    routing: Routing,
    probes: u32,
    answers: u32,
    resolution: Resolution,
    failure_log2: f64,
    stages: Vec<StagePlan>,
    envelope: Envelope,
}

impl Plan {
    /// Plans the protocol for a model: the packing that costs least, the fewest bits, the largest scale.
    ///
    /// # Errors
    /// [`FheError::NoPlan`] for scores that noise would drown, [`FheError::Circuit`] for options that do not fit the model,
    /// [`FheError::Packing`] for stages that fit no ciphertext.
    pub fn new(parameters: &'static ParameterSet, hierarchy: &Hierarchy, options: Options) -> Result<Self, FheError> {
        options.circuit(hierarchy.shape())?;
        let shape = hierarchy.shape();
        let stages = &hierarchy.stages()[options.first(shape)..];
        let features: Vec<usize> =
            (0..stages.len()).map(|s| cheapest_features(parameters.ring(), shape, s, options)).collect();
        let spare = lightest_words(parameters, shape, &features, options)?;
        let layout = options.layout(parameters, shape, &features, &spare)?;
        let noise = DecisionNoise::new(parameters, options.resolution);
        let linear = Noise::new(parameters);
        let mut plan =
            Self { parameters, options, stages: Vec::new(), envelope: envelope(parameters, options, &layout) };
        let target = plan.part_log2(stages.len());
        for (s, stage) in stages.iter().enumerate() {
            let refuse = FheError::NoPlan { stage: s, bound: stage.score_bound() };
            let norm_squared = largest_norm(stage, &layout, s);
            let last = s + 1 == stages.len();
            let (difference, floor) = differences(stage, plan.entries(s), last);
            // A sixty-fourth of the first comparison's variance, for what comes in.
            let quiet = |&bits: &u32| linear.linear(bits, norm_squared) <= noise.comparison() / 64.0;
            let body_bits = (1..=64).find(quiet).unwrap_or(64);
            // At most three.
            let spare_bits = spare[s] as u32;
            plan.stages.push(StagePlan {
                features: features[s],
                spare_bits,
                body_bits,
                delta: 0,
                floor,
                difference,
                norm_squared,
            });
            // The tournament is played once for every choice.
            let finds = if last { options.answers } else { options.probes } as f64;
            let slack = plan.contest(&layout, s).slack(&noise, target - finds.log2());
            let delta = ((QUARTER - slack) / difference as f64).floor();
            if delta < 1.0 {
                return Err(refuse);
            }
            plan.stages[s].delta = delta as u64;
        }
        Ok(plan)
    }

    /// The parameter set.
    pub fn parameters(&self) -> &'static ParameterSet {
        self.parameters
    }

    /// What the plan was made for.
    pub fn options(&self) -> Options {
        self.options
    }

    /// How every stage that is evaluated is packed and encoded: all of them, or the last one where the client picks groups.
    pub fn stages(&self) -> &[StagePlan] {
        &self.stages
    }

    /// What the server runs.
    ///
    /// # Errors
    /// [`FheError::Circuit`] for a model that the plan does not fit.
    pub fn circuit(&self, shape: &HierarchyShape) -> Result<Circuit, FheError> {
        self.options.circuit(shape)
    }

    /// The first stage of a model of this shape that is evaluated.
    pub(crate) fn first(&self, shape: &HierarchyShape) -> usize {
        self.options.first(shape)
    }

    /// How the bits are packed by which the client asks for groups; none where the server finds them.
    pub(crate) fn asked_bits(&self, layout: &TournamentLayout) -> SparsePacking {
        let bits = layout.groups_asked() * layout.stage(0).index_bits();
        SparsePacking::new(self.parameters.ring(), bits * SELECTOR.levels as usize)
    }

    /// Groups of which a query must name the numbers.
    pub(crate) fn groups_asked(&self) -> usize {
        if self.options.routing == Routing::Public { self.options.probes } else { 0 }
    }

    /// Bytes of a query's payload.
    #[cfg(feature = "server")]
    pub(crate) fn last_vector_len(&self, inputs: usize) -> usize {
        seeded_len(inputs, self.parameters().ring(), self.last_body_bits())
    }

    /// Bits of a body of the encrypted vector of the last stage.
    #[cfg(feature = "server")]
    pub(crate) fn last_body_bits(&self) -> u32 {
        self.stages.last().map_or(0, |stage| stage.body_bits)
    }

    pub(crate) fn query_len(&self, layout: &TournamentLayout) -> usize {
        let ring = self.parameters.ring();
        let vectors = self.stages.iter().zip(layout.stages());
        let vectors = vectors.map(|(stage, arranged)| seeded_len(arranged.packing().inputs(), ring, stage.body_bits));
        let numbers = NUMBER_BYTES + self.asked_bits(layout).bytes();
        KEY_ID_BYTES + seeded_len(1, ring, self.envelope.zero_key_bits) + vectors.sum::<usize>() + numbers
    }

    /// Bytes of a reply's payload.
    pub(crate) fn reply_len(&self, layout: &TournamentLayout) -> usize {
        packed_len(self.parameters.ring() + self.reply_coefficients(layout), self.envelope.reply_bits)
    }

    /// Coefficients that a reply to a client of a model of this shape returns.
    ///
    /// # Errors
    /// [`FheError::Plan`] or [`FheError::Packing`] for a shape that the plan does not fit.
    pub fn returned(&self, shape: &HierarchyShape) -> Result<usize, FheError> {
        Ok(self.reply_coefficients(&self.layout(shape)?))
    }

    pub(crate) fn reply_coefficients(&self, layout: &TournamentLayout) -> usize {
        self.options.answers * layout.answer_bits()
    }

    pub(crate) fn envelope(&self) -> Envelope {
        self.envelope
    }

    /// Groups of a stage whose scores meet in one tournament.
    pub(crate) fn entries(&self, stage: usize) -> usize {
        self.options.entries(stage)
    }

    /// Choices made from a stage's tournament. While the plan is being made, stages are known by the circuit's options.
    pub(crate) fn finds(&self, stage: usize) -> usize {
        if stage + 1 == self.stages.len() { self.options.answers } else { self.options.probes }
    }

    /// Most choices made from any stage's tournament.
    pub(crate) fn most_finds(&self) -> usize {
        let Options { routing, probes, answers, .. } = self.options;
        // Groups that the client asks for are no choices.
        if routing == Routing::Public { answers } else { probes.max(answers) }
    }

    /// Where the scores of a model of this shape are.
    ///
    /// # Errors
    /// [`FheError::Plan`] or [`FheError::Packing`] for a shape that the plan does not fit.
    pub(crate) fn layout(&self, shape: &HierarchyShape) -> Result<TournamentLayout, FheError> {
        if shape.stages().len() - self.first(shape) != self.stages.len() {
            return Err(FheError::Plan { what: "it has another number of stages than the model" });
        }
        if self.groups_asked() > shape.last().groups() {
            return Err(FheError::Plan { what: "it asks for more groups than the model has" });
        }
        let features: Vec<usize> = self.stages.iter().map(|s| s.features).collect();
        let spare: Vec<usize> = self.stages.iter().map(|s| s.spare_bits as usize).collect();
        let layout = self.options.layout(self.parameters, shape, &features, &spare)?;
        if self.reply_coefficients(&layout) > self.parameters.ring() {
            return Err(FheError::Plan { what: "its answers do not fit one ciphertext" });
        }
        Ok(layout)
    }

    /// Whether the plan fits a model of this shape.
    ///
    /// # Errors
    /// [`FheError::Plan`] or [`FheError::Packing`].
    pub fn check_shape(&self, shape: &HierarchyShape) -> Result<(), FheError> {
        self.layout(shape).map(|_| ())
    }

    /// SHA-256 of the serialised plan, which every message carries.
    pub fn digest(&self) -> ModelHash {
        ModelHash::of(&self.to_bytes())
    }

    /// Refuses groups that a query of this plan does not ask for, or that a model of this shape does not have.
    pub(crate) fn check_groups(&self, shape: &HierarchyShape, groups: &[usize]) -> Result<(), FheError> {
        let (expected, all) = (self.groups_asked(), shape.last().groups());
        if groups.len() != expected {
            return Err(FheError::Groups { found: groups.len(), expected });
        }
        if groups.iter().any(|&group| group >= all) {
            return Err(FheError::Group { groups: all });
        }
        Ok(())
    }

    /// The plan as a message.
    pub fn to_bytes(&self) -> Vec<u8> {
        let Options { routing, probes, answers, resolution, failure_log2 } = self.options;
        let raw = RawPlan {
            parameters: self.parameters.id.0,
            routing,
            // At most MAX_CHOICES.
            probes: probes as u32,
            answers: answers as u32,
            resolution,
            failure_log2,
            stages: self.stages.clone(),
            envelope: self.envelope,
        };
        let mut bytes = MAGIC.to_vec();
        // A struct of numbers always has a bincode form.
        bytes.extend(bincode::serialize(&raw).unwrap_or_default());
        bytes
    }

    /// Reads [`Plan::to_bytes`].
    ///
    /// # Errors
    /// [`FheError::Plan`] or [`FheError::UnknownParameters`]; never a panic, and never an allocation larger than the message.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, FheError> {
        use bincode::Options as _;
        let refuse = |what| FheError::Plan { what };
        let body =
            bytes.strip_prefix(MAGIC).ok_or(refuse("its first bytes are not those of a plan of this version"))?;
        if body.len() > MAX_BYTES {
            return Err(refuse("it is longer than any plan"));
        }
        let options = bincode::options().with_fixint_encoding().with_limit(MAX_BYTES as u64);
        let raw: RawPlan = options.deserialize(body).map_err(|_| refuse("its fields cannot be read"))?;
        let parameters = ParameterSet::by_id(ParameterId(raw.parameters))?;
        let (probes, answers) = (raw.probes as usize, raw.answers as usize);
        if !(1..=MAX_CHOICES).contains(&probes) || !(1..=MAX_CHOICES).contains(&answers) {
            return Err(refuse("it follows no group, returns no answer, or too many"));
        }
        match raw.routing {
            Routing::Encrypted => {}
            Routing::Public if raw.stages.len() == 1 => {}
            _ => return Err(refuse("nobody finds its groups, or in several stages")),
        }
        if !(1..=MAX_STAGES).contains(&raw.stages.len()) || !raw.failure_log2.is_finite() || raw.failure_log2 >= 0.0 {
            return Err(refuse("it has no stages, too many, or no failure probability"));
        }
        let bits = |b: u32| (1..=64).contains(&b);
        let whole = |s: &StagePlan| {
            bits(s.body_bits)
                && s.spare_bits as usize <= MAX_SPARE
                && s.features.is_power_of_two()
                && s.features <= parameters.ring()
                && s.delta > 0
                && s.difference > 0
                && s.delta.checked_mul(s.difference).is_some_and(|most| most <= QUARTER as u64)
                && s.floor.unsigned_abs() <= 1 << 40
        };
        if !raw.stages.iter().all(whole) || !bits(raw.envelope.zero_key_bits) || !bits(raw.envelope.reply_bits) {
            return Err(refuse("its numbers do not fit 64 bits, or each other"));
        }
        let (routing, resolution) = (raw.routing, raw.resolution);
        let options = Options { routing, probes, answers, resolution, failure_log2: raw.failure_log2 };
        Ok(Self { parameters, options, stages: raw.stages, envelope: raw.envelope })
    }
}

/// Spare bits for the positions of every stage: those that make the heaviest word lightest, for at most a twenty-fifth more rotations. A
/// bit takes three: a refresh, and the signs of two matches.
pub(crate) fn lightest_words(
    parameters: &ParameterSet,
    shape: &HierarchyShape,
    features: &[usize],
    options: Options,
) -> Result<Vec<usize>, FheError> {
    const ROTATIONS: usize = 3;
    const PART: usize = 25;
    let mut spare = vec![0; features.len()];
    for stage in 0..features.len() {
        let mut best = (u32::MAX, 0);
        for bits in 0..=MAX_SPARE {
            spare[stage] = bits;
            let layout = options.layout(parameters, shape, features, &spare)?;
            let tournament = layout.tournament(stage, options.entries(stage));
            if bits * ROTATIONS * PART > tournament.candidates() {
                break;
            }
            best = best.min((tournament.heaviest(), bits));
        }
        spare[stage] = best.1;
    }
    Ok(spare)
}

/// The packing with the least cost in time and bytes. Products with weights are the same number for all.
fn cheapest_features(ring: usize, shape: &HierarchyShape, s: usize, options: Options) -> usize {
    /// Nanoseconds of a gate with the transforms of its output column, at ring degree 2048.
    const COLUMN: f64 = 14_000.0;
    /// Nanoseconds that a ciphertext of the query is worth: 2048 coefficients of some 4 bytes at 25 ns, and its expansion.
    const INPUT: f64 = 220_000.0;
    let stage = &shape.stages()[options.first(shape) + s];
    // Every group that the client asks for is chosen by gates of its own over all columns.
    let (sets, fan, choices) = match (options.routing, s) {
        (Routing::Public, _) => (1, stage.groups(), options.probes),
        (_, 0) => (1, 1, 1),
        (_, _) => (shape.stages()[s - 1].groups(), shape.stages()[s - 1].outputs(), 1),
    };
    let mut best = (f64::INFINITY, 1);
    let mut features = 1;
    while features <= ring && ring / features >= stage.outputs() && features < 2 * stage.input().width {
        let columns = sets * fan.div_ceil(ring / features / stage.outputs());
        let inputs = stage.input().width.div_ceil(features);
        let cost = COLUMN * (columns * choices) as f64 + INPUT * inputs as f64;
        if cost < best.0 {
            best = (cost, features);
        }
        features *= 2;
    }
    best.1
}

/// Largest squared norm of the weights in one column.
pub(super) fn largest_norm(stage: &Stage, layout: &TournamentLayout, s: usize) -> u64 {
    let arranged = layout.stage(s);
    let mut norms = vec![0u64; arranged.packing().columns()];
    for group in 0..stage.groups() {
        let sum = &mut norms[arranged.empty(group, 0).0];
        *sum = (0..stage.count(group)).map(|slot| stage.row_norm_squared(group, slot)).fold(*sum, u64::saturating_add);
    }
    norms.into_iter().max().unwrap_or(0)
}

/// The largest difference of two scores that are compared, and the score that empty slots count as: so low that the difference from
/// every other score is still within bounds, and below zero in the last stage.
pub(super) fn differences(stage: &Stage, entries: usize, last: bool) -> (u64, i64) {
    let (low, high) = stage.score_range();
    let compared = if entries == 1 { stage.difference_bound() } else { stage.spread_bound() };
    let mut difference = compared.max(high.abs_diff(low).div_ceil(2)).max(1);
    if last {
        // The winner itself is compared with one half, and an empty slot must not pass for a known track.
        difference = difference.max(low.unsigned_abs() + 1).max(high.unsigned_abs() + 1);
    }
    (difference, high.saturating_sub_unsigned(difference))
}

const _: () = assert!(SEED_BYTES == 32, "the length of seeds is part of the wire format");
