//! [`Margins`]: how far apart scores must be for an encrypted decision to be certain, composed through every step.

use std::f64::consts::LOG2_E;

use sordino_model::layout::{Envelope, TournamentLayout, bits_below};
use sordino_model::stage::HierarchyShape;

use super::plan::{Options, Plan, StagePlan};
use super::reply::FLOOD;
use crate::FheError;
use crate::noise::decision::{Contest, DecisionNoise, QUARTER, quarter_failure_log2};
use crate::noise::formula::{Noise, TAIL_LOG2, sum_log2};
use crate::params::ParameterSet;

/// How far apart scores must be for an answer to be certain.
#[derive(Clone, Debug, PartialEq)]
pub struct Margins {
    /// For every stage, by how many score units the winner must lead all others.
    pub stages: Vec<f64>,
    /// The same as a fraction of the largest difference of two scores.
    pub relative: Vec<f64>,
    /// How many score units the best score must be from one half to be told known from unknown: at least this much
    /// above zero for a known track.
    pub threshold: f64,
    /// The last stage's margin and the distance from one half where the winner's track has 1, 2, ... other slots in the race, and losing to one of
    /// them changes nothing.
    pub among_siblings: Vec<(f64, f64)>,
    /// Base-2 logarithm of a bound on the probability that a query that keeps all these margins is answered wrongly.
    pub failure_log2: f64,
}

impl Margins {
    /// The last stage's margin and the distance from one half, in score units, where so many other slots of the winner's track are in
    /// the race; infinite for more than are worked out.
    pub fn last_stage(&self, siblings: usize) -> (f64, f64) {
        match (siblings, self.stages.last()) {
            (0, Some(&margin)) => (margin, self.threshold),
            (0, None) => (f64::INFINITY, f64::INFINITY),
            _ => *self.among_siblings.get(siblings - 1).unwrap_or(&(f64::INFINITY, f64::INFINITY)),
        }
    }
}

/// Most slots of a track, beside the best one, for which margins are worked out. A query with more is never called certain.
const MOST_SIBLINGS: usize = 8;

impl Plan {
    /// How far apart the scores of a model of this shape must be for the answer to be certain.
    ///
    /// # Errors
    /// [`FheError::Plan`] or [`FheError::Packing`] for a shape that the plan does not fit.
    pub fn margins(&self, shape: &HierarchyShape) -> Result<Margins, FheError> {
        self.margins_among(shape, MOST_SIBLINGS)
    }

    /// [`Margins::failure_log2`] alone, for whoever does not ask for the margins among siblings, which take most of the time.
    ///
    /// # Errors
    /// As [`Plan::margins`].
    pub fn failure_log2(&self, shape: &HierarchyShape) -> Result<f64, FheError> {
        Ok(self.margins_among(shape, 0)?.failure_log2)
    }

    /// [`Plan::margins`] with those among at most so many siblings.
    fn margins_among(&self, shape: &HierarchyShape, most_siblings: usize) -> Result<Margins, FheError> {
        let layout = self.layout(shape)?;
        let noise = DecisionNoise::new(self.parameters(), self.options().resolution);
        let target = self.part_log2(self.stages().len());
        let (mut margins, mut relative, mut failures) = (Vec::new(), Vec::new(), Vec::new());
        let (mut threshold, mut among_siblings) = (0.0, Vec::new());
        for (s, stage) in self.stages().iter().enumerate() {
            let (contest, finds) = (self.contest(&layout, s), (self.finds(s) as f64).log2());
            let margin = contest.margin(&noise, target - finds, 0);
            failures.push(finds + contest.failure_log2(&noise, margin, 0));
            failures.push(finds + contest.slack_failure_log2(&noise, self.slack(stage)));
            let bits = (self.finds(s) * contest.tournament.rounds()).max(1) as f64;
            failures.push(bits.log2() + quarter_failure_log2(noise.refresh()));
            margins.push(margin / stage.delta as f64);
            relative.push(margin / stage.delta as f64 / stage.difference as f64);
            if s + 1 == self.stages().len() {
                let distance = contest.threshold_margin(&noise, target - finds);
                failures.push(finds + contest.threshold_failure_log2(&noise, distance));
                // A score less a threshold at the other end of the scores: twice as far out as a difference, and half of the torus, where
                // signs turn over, is twice as far as a quarter.
                failures.push(finds + contest.threshold_failure_log2(&noise, 2.0 * self.slack(stage)));
                threshold = distance / stage.delta as f64 + 0.5;
                among_siblings.extend((1..=most_siblings).map(|siblings| {
                    let margin = contest.margin(&noise, target - finds, siblings);
                    // Each of them might be the one that noise carries over the threshold.
                    let each = target - finds - (siblings as f64 + 1.0).log2();
                    let distance = contest.threshold_margin(&noise, each);
                    (margin / stage.delta as f64, distance / stage.delta as f64 + 0.5)
                }));
            }
        }
        failures.push(self.reply_failure_log2(&layout));
        // Whether a track is known is one more selector for each answer; and the three keys and the blinding may be heavier than assumed.
        let known = (self.options().answers as f64).log2() + quarter_failure_log2(noise.refresh());
        failures.extend([known, TAIL_LOG2 + 2.0]);
        Ok(Margins { stages: margins, relative, threshold, among_siblings, failure_log2: sum_log2(failures) })
    }

    /// The tournament of a stage, with the noise that comes in: the linear stage's, that of the gates that selected the groups,
    /// and that of the gates that put replacements in when a winner was passed over.
    pub(crate) fn contest(&self, layout: &TournamentLayout, s: usize) -> Contest {
        let noise = DecisionNoise::new(self.parameters(), self.options().resolution);
        let stage = &self.stages()[s];
        let tournament = layout.tournament(s, self.entries(s));
        let chosen = match s {
            0 => (layout.groups_asked().min(1) * layout.stage(0).index_bits()) as f64 * noise.asked_gate(),
            _ => (layout.address_bits(s - 1) + s * bits_below(self.entries(s))) as f64 * noise.gate(),
        };
        let replaced = 4 * tournament.rounds() * (self.most_finds() - 1);
        let input = Noise::new(self.parameters()).linear(stage.body_bits, stage.norm_squared)
            + chosen
            + replaced as f64 * noise.gate();
        Contest { tournament, input }
    }

    /// What the scale leaves between the largest difference and a quarter of the torus.
    fn slack(&self, stage: &StagePlan) -> f64 {
        QUARTER - stage.delta as f64 * stage.difference as f64
    }

    fn reply_failure_log2(&self, layout: &TournamentLayout) -> f64 {
        let noise = DecisionNoise::new(self.parameters(), self.options().resolution);
        let count = (self.reply_coefficients(layout) as f64).log2();
        count + reply_failure_log2(self.parameters(), self.envelope(), noise.gate() * gates_of_a_reply(layout))
    }

    /// The share of the failure probability of one of the ways in which a query can fail.
    pub(crate) fn part_log2(&self, stages: usize) -> f64 {
        part_log2(self.options(), stages)
    }
}

/// Ways in which a query can fail: a wrong winner, a difference beyond a quarter and a wrong bit at every stage; the threshold, the reply.
fn part_log2(options: Options, stages: usize) -> f64 {
    options.failure_log2 - ((3 * stages + 2) as f64).log2()
}

/// Gates on the way of one bit of the reply: the choice among entries of every stage, the bit itself, and whether it is known.
pub(crate) fn gates_of_a_reply(layout: &TournamentLayout) -> f64 {
    (8 * layout.stages().len() + 2) as f64
}

/// The fewest bits for which a reply is read rightly.
pub(crate) fn envelope(parameters: &ParameterSet, options: Options, layout: &TournamentLayout) -> Envelope {
    let noise = DecisionNoise::new(parameters, options.resolution);
    let computed = noise.gate() * gates_of_a_reply(layout);
    let bits = options.answers * layout.answer_bits();
    envelope_for(parameters, computed, part_log2(options, layout.stages().len()) - (bits as f64).log2())
}

/// The fewest bits for which a bit of a reply, with noise of this variance, is read rightly but with probability `2^target_log2`.
pub(crate) fn envelope_for(parameters: &ParameterSet, computed: f64, target_log2: f64) -> Envelope {
    let holds = |reply_bits: u32, zero_key_bits: u32| {
        reply_failure_log2(parameters, Envelope { zero_key_bits, reply_bits }, computed) <= target_log2
    };
    let reply_bits = (1..=64).find(|&bits| holds(bits, 64)).unwrap_or(64);
    let zero_key_bits = (1..=64).find(|&bits| holds(reply_bits, bits)).unwrap_or(64);
    Envelope { zero_key_bits, reply_bits }
}

/// Base-2 logarithm of a bound on the probability that a bit of a reply is read wrongly.
pub(crate) fn reply_failure_log2(parameters: &ParameterSet, envelope: Envelope, computed: f64) -> f64 {
    let noise = Noise::new(parameters);
    let variance = computed + noise.zero(envelope.zero_key_bits) + noise.switch(envelope.reply_bits);
    let room = QUARTER - FLOOD as f64;
    1.0 - room * room / (2.0 * variance) * LOG2_E
}
