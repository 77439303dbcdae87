//! [`Plan`]: how a raw query is written and decided, agreed between client and server.
//!
//! The server makes it from its model and hands it out; it is public, and with a key it is all that a client needs.

use serde::{Deserialize, Serialize};
use sordino_model::circuit::Circuit;
use sordino_model::layout::{Envelope, KEY_ID_BYTES, NUMBER_BYTES, TournamentLayout};
use sordino_model::raw::{RawInput, RawSpec};
use sordino_model::stage::{Hierarchy, HierarchyShape, Stage};
use sordino_model::{ModelHash, Resolution};

use super::noise::RawNoise;
use super::samples::{BODY_BITS, check};
use crate::FheError;
use crate::decision::Options;
use crate::decision::margins::{envelope_for, gates_of_a_reply, reply_failure_log2};
use crate::decision::plan::lightest_words;
use crate::noise::decision::{Contest, DecisionNoise, QUARTER, quarter_failure_log2};
use crate::noise::formula::{TAIL_LOG2, sum_log2};
use crate::params::{ParameterId, ParameterSet};
use crate::wire::bits::packed_len;
use crate::wire::seeded::seeded_len;

pub(crate) const MAGIC: &[u8; 8] = b"SRDNRAW\x02";
/// Largest serialised plan.
const MAX_BYTES: usize = 1 << 12;
/// Most spare bits of a position.
const MAX_SPARE: u32 = 3;
/// Base-2 logarithm of the largest probability that a query that keeps its margins is answered wrongly.
const FAILURE_LOG2: f64 = -40.0;
/// Ways in which a query can fail: a wrong winner, a difference beyond a quarter, a wrong bit, the threshold, the reply.
const WAYS: f64 = 5.0;

/// How a raw query is written and decided.
#[derive(Clone, Debug, PartialEq)]
pub struct Plan {
    parameters: &'static ParameterSet,
    numbers: Numbers,
}

/// What travels of a plan beside the parameter set.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Numbers {
    spec: RawSpec,
    /// The torus element of one score unit.
    delta: u64,
    /// How far the scores of one query may lie apart, and at most the numbers along a direction.
    spread: u64,
    /// Bits of a position beyond those that count the rows.
    spare_bits: u32,
    /// Most tables whose results are summed in a score, each counted by the square of its weight.
    norm_squared: u64,
    /// Directions along which a length is measured, a table each.
    directions: u32,
    /// Variance of what scores are held against, on the torus.
    length_variance: f64,
    envelope: Envelope,
    /// Autocorrelations of a cell.
    products: u32,
}

/// How far apart scores must be for an answer to be certain, but for what tables misread of the sound.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Margins {
    /// By how many score units the winner must lead all others.
    pub lead: f64,
    /// How many score units the best score must be from what it is held against.
    pub threshold: f64,
    /// Base-2 logarithm of a bound on the probability that a query that keeps these margins is answered wrongly.
    pub failure_log2: f64,
}

impl Plan {
    /// Plans the protocol for the part of a model that hears samples.
    ///
    /// # Errors
    /// [`FheError::Plan`] for a hierarchy that hears none, [`FheError::NoPlan`] for scores that noise would drown, [`FheError::Packing`] for more rows than the
    /// ring has coefficients, [`FheError::Cell`] for cells that do not fit the samples' ring.
    pub fn new(parameters: &'static ParameterSet, hierarchy: &Hierarchy) -> Result<Self, FheError> {
        let (input, stage) = heard(hierarchy)?;
        check(input.front().spec(), parameters.of_samples().ring())?;
        let shape = hierarchy.shape();
        // At most three.
        let spare_bits = lightest_words(parameters, shape, &[1], Options::default())?[0] as u32;
        let layout = TournamentLayout::new(parameters.ring(), shape, &[1], &[spare_bits as usize])?;
        let noise = RawNoise::new(parameters);
        let norm_squared = largest_norm(input, stage);
        let length_variance = noise.length(input);
        let decisions = decisions(parameters);
        let contest = Contest { tournament: layout.tournament(0, 1), input: norm_squared as f64 * noise.table() };
        let part = FAILURE_LOG2 - WAYS.log2();
        let slack = contest.slack(&decisions, part);
        let spread = input.spread();
        let delta = ((QUARTER - slack) / spread as f64).floor();
        if delta < 1.0 {
            return Err(FheError::NoPlan { stage: 0, bound: spread });
        }
        let computed = decisions.gate() * gates_of_a_reply(&layout);
        let envelope = envelope_for(parameters, computed, part - (layout.answer_bits() as f64).log2());
        let spec = input.front().spec().clone();
        let delta = delta as u64;
        let directions = input.length().count() as u32;
        let products = input.front().scales().len() as u32;
        let numbers =
            Numbers { spec, delta, spread, spare_bits, norm_squared, directions, length_variance, envelope, products };
        Ok(Self { parameters, numbers })
    }

    /// The parameter set.
    pub fn parameters(&self) -> &'static ParameterSet {
        self.parameters
    }

    /// How samples are written.
    pub fn spec(&self) -> &RawSpec {
        &self.numbers.spec
    }

    /// The torus element of one score unit.
    pub fn delta(&self) -> u64 {
        self.numbers.delta
    }

    /// How far the scores of one query may lie apart for its answer to be certain.
    pub fn spread(&self) -> u64 {
        self.numbers.spread
    }

    /// Directions along which a length is measured.
    pub(crate) fn directions(&self) -> usize {
        self.numbers.directions as usize
    }

    /// Autocorrelations of a cell.
    pub(crate) fn products(&self) -> usize {
        self.numbers.products as usize
    }

    pub(crate) fn envelope(&self) -> Envelope {
        self.numbers.envelope
    }

    /// What the server runs.
    pub fn circuit(&self) -> Circuit {
        Circuit::raw(self.spec())
    }

    /// Where the rows of a part for samples of this shape are.
    ///
    /// # Errors
    /// [`FheError::Plan`] or [`FheError::Packing`] for a shape that the plan does not fit.
    pub(crate) fn layout(&self, shape: &HierarchyShape) -> Result<TournamentLayout, FheError> {
        if shape.stages().len() != 1 || shape.last().input() != self.spec().bound() {
            return Err(FheError::Plan { what: "it was made for other features than the model's" });
        }
        Ok(TournamentLayout::new(self.parameters.ring(), shape, &[1], &[self.numbers.spare_bits as usize])?)
    }

    /// Whether the plan fits a part for samples of this shape.
    ///
    /// # Errors
    /// [`FheError::Plan`] or [`FheError::Packing`].
    pub fn check_shape(&self, shape: &HierarchyShape) -> Result<(), FheError> {
        self.layout(shape).map(|_| ())
    }

    /// Coefficients that a reply to a client of a model of this shape returns.
    ///
    /// # Errors
    /// As [`Plan::check_shape`].
    pub fn returned(&self, shape: &HierarchyShape) -> Result<usize, FheError> {
        Ok(self.layout(shape)?.answer_bits())
    }

    /// Bytes of a query's payload: the name of the evaluation key, the zero key, the threshold, the samples.
    pub(crate) fn query_len(&self) -> usize {
        let samples = seeded_len(self.spec().cells, self.parameters.of_samples().ring(), BODY_BITS);
        KEY_ID_BYTES + seeded_len(1, self.parameters.ring(), self.envelope().zero_key_bits) + NUMBER_BYTES + samples
    }

    /// Bytes of a reply's payload.
    pub(crate) fn reply_len(&self, layout: &TournamentLayout) -> usize {
        packed_len(self.parameters.ring() + layout.answer_bits(), self.envelope().reply_bits)
    }

    /// The tournament among rows, with the noise of their scores.
    fn contest(&self, layout: &TournamentLayout) -> Contest {
        let input = self.numbers.norm_squared as f64 * RawNoise::new(self.parameters).table();
        Contest { tournament: layout.tournament(0, 1), input }
    }

    /// How far apart the scores of a part for samples of this shape must be.
    ///
    /// # Errors
    /// As [`Plan::check_shape`].
    pub fn margins(&self, shape: &HierarchyShape) -> Result<Margins, FheError> {
        let layout = self.layout(shape)?;
        let (noise, contest, delta) = (decisions(self.parameters), self.contest(&layout), self.delta() as f64);
        let part = FAILURE_LOG2 - WAYS.log2();
        let lead = contest.margin(&noise, part, 0);
        let held = Contest { input: contest.input + self.numbers.length_variance, ..contest.clone() };
        let threshold = held.threshold_margin(&noise, part);
        let slack = QUARTER - delta * self.spread() as f64;
        let bits = (contest.tournament.rounds() + 1) as f64;
        let gates = noise.gate() * gates_of_a_reply(&layout);
        let failures = vec![
            contest.failure_log2(&noise, lead, 0),
            contest.slack_failure_log2(&noise, slack),
            bits.log2() + quarter_failure_log2(noise.refresh()),
            held.threshold_failure_log2(&noise, threshold),
            (layout.answer_bits() as f64).log2() + reply_failure_log2(self.parameters, self.envelope(), gates),
            // The three keys and the blinding may be heavier than assumed.
            TAIL_LOG2 + 2.0,
        ];
        Ok(Margins { lead: lead / delta, threshold: threshold / delta + 0.5, failure_log2: sum_log2(failures) })
    }

    /// How many deviations away a number must be that noise shall not reach: with the probability of one way to fail, for each of as many rows as the ring has
    /// coefficients.
    pub(crate) fn deviations(&self) -> f64 {
        let log2 = FAILURE_LOG2 - WAYS.log2() - (self.parameters.ring() as f64).log2();
        (2.0 * -log2 * std::f64::consts::LN_2).sqrt()
    }

    /// Base-2 logarithm of a bound on the probability that a query whose scores keep their margins is answered wrongly.
    ///
    /// # Errors
    /// As [`Plan::check_shape`].
    pub fn failure_log2(&self, shape: &HierarchyShape) -> Result<f64, FheError> {
        Ok(self.margins(shape)?.failure_log2)
    }

    /// SHA-256 of the serialised plan, which every message carries.
    pub fn digest(&self) -> ModelHash {
        ModelHash::of(&self.to_bytes())
    }

    /// The plan as a message.
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut bytes = [&MAGIC[..], &self.parameters.id.0.to_le_bytes()].concat();
        // A struct of numbers always has a bincode form.
        bytes.extend(bincode::serialize(&self.numbers).unwrap_or_default());
        bytes
    }

    /// Reads [`Plan::to_bytes`].
    ///
    /// # Errors
    /// [`FheError::Plan`] or [`FheError::UnknownParameters`]; never a panic, and never an allocation larger than the message.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, FheError> {
        use bincode::Options as _;
        let refuse = |what| FheError::Plan { what };
        let unread = refuse("its first bytes are not those of a plan of this version");
        let (set, body) = bytes.strip_prefix(MAGIC).and_then(|rest| rest.split_first_chunk()).ok_or(unread)?;
        if body.len() > MAX_BYTES {
            return Err(refuse("it is longer than any plan"));
        }
        let options = bincode::options().with_fixint_encoding().with_limit(MAX_BYTES as u64);
        let numbers: Numbers =
            options.deserialize(body).map_err(|_| refuse("it is cut short, too long, or not a plan at all"))?;
        let parameters = ParameterSet::by_id(ParameterId(u16::from_le_bytes(*set)))?;
        numbers.spec.validate()?;
        check(&numbers.spec, parameters.of_samples().ring())?;
        let bits = |b: u32| (1..=64).contains(&b);
        let Numbers { delta, spread, length_variance, envelope, .. } = numbers;
        let fits = delta > 0 && spread > 0 && delta.checked_mul(spread).is_some_and(|most| most <= QUARTER as u64);
        let products = (1..=numbers.spec.most_products()).contains(&numbers.products);
        let sound =
            length_variance.is_finite() && length_variance >= 0.0 && numbers.spare_bits <= MAX_SPARE && products;
        if !fits || !sound || !bits(envelope.zero_key_bits) || !bits(envelope.reply_bits) {
            return Err(refuse("its numbers do not fit 64 bits, or each other"));
        }
        Ok(Self { parameters, numbers })
    }

    /// Refuses a model that breaks what the plan promises of it.
    #[cfg(feature = "server")]
    pub(crate) fn check_model(&self, hierarchy: &Hierarchy) -> Result<(), FheError> {
        let (input, stage) = heard(hierarchy)?;
        if input.front().spec() != self.spec() {
            return Err(FheError::Plan { what: "it was made for samples of another kind" });
        }
        let counted = (input.length().count(), input.front().scales().len());
        if counted != (self.directions(), self.products()) {
            return Err(FheError::Plan { what: "it was made for another number of directions, or of scales" });
        }
        let variance = RawNoise::new(self.parameters).length(input);
        let fits = largest_norm(input, stage) <= self.numbers.norm_squared
            && variance <= self.numbers.length_variance
            && input.spread() <= self.spread();
        if fits { Ok(()) } else { Err(FheError::Plan { what: "the model's weights exceed its bound on their norm" }) }
    }
}

fn decisions(parameters: &ParameterSet) -> DecisionNoise {
    DecisionNoise::new(parameters, Resolution::Standard)
}

/// How a hierarchy hears samples, and its rows.
pub(crate) fn heard(hierarchy: &Hierarchy) -> Result<(&RawInput, &Stage), FheError> {
    let what = "the model has no part that hears encrypted samples; train it with --raw";
    Ok((hierarchy.raw().ok_or(FheError::Plan { what })?, hierarchy.last()))
}

/// Most tables whose results are summed in a score, each counted by the square of its weight.
fn largest_norm(input: &RawInput, stage: &Stage) -> u64 {
    let spec = input.front().spec();
    (0..stage.count(0)).map(|row| spec.tables_of(stage.row(0, row))).max().unwrap_or(0)
}
