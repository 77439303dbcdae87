//! [`ScoreMachine`]: the machine that walks a circuit on ciphertexts.

use std::time::Instant;

use sordino_model::circuit::{Machine, StageId};

use crate::FheError;
use crate::linear::{FourierVector, LinearStage};
use crate::ring::fourier::Fourier;
use crate::ring::ggsw::Ggsw;
use crate::ring::glwe::Glwe;
use crate::scores::plan::TripPlan;
use crate::scores::select;
use crate::scores::work::Work;

/// A register of the [`ScoreMachine`].
pub(crate) enum ScoreValue {
    /// An encrypted vector, in the Fourier domain.
    Vector(FourierVector),
    /// The encrypted bits of an index, in the Fourier domain.
    Index(Vec<Ggsw>),
    /// Scores of all groups: every output ciphertext.
    Scores(Vec<Glwe>),
    /// Scores of one group: one ciphertext per lane.
    Selected(Vec<Glwe>),
}

impl ScoreValue {
    fn kind(&self) -> &'static str {
        match self {
            Self::Vector(_) => "a vector",
            Self::Index(_) => "an index",
            Self::Scores(_) => "the scores of all groups",
            Self::Selected(_) => "the scores of one group",
        }
    }
}

/// Ciphertexts, for one trip of a prepared model. Counts what it does.
pub(crate) struct ScoreMachine<'a> {
    plan: &'a TripPlan,
    linear: &'a LinearStage,
    fourier: &'a Fourier,
    work: Work,
}

impl<'a> ScoreMachine<'a> {
    /// A machine for one trip.
    pub(crate) fn new(plan: &'a TripPlan, linear: &'a LinearStage, fourier: &'a Fourier) -> Self {
        Self { plan, linear, fourier, work: Work::default() }
    }

    /// What was done so far.
    pub(crate) fn work(&self) -> Work {
        self.work
    }
}

impl Machine for ScoreMachine<'_> {
    type Value = ScoreValue;
    type Error = FheError;

    fn linear(&mut self, stage: StageId, input: &ScoreValue) -> Result<ScoreValue, FheError> {
        if stage.0 != self.plan.stage {
            return Err(sordino_model::circuit::CircuitError::NoStage { stage: stage.0, stages: 1 }.into());
        }
        let ScoreValue::Vector(vector) = input else {
            return Err(FheError::Kind { op: "linear", found: input.kind(), expected: "a vector" });
        };
        let start = Instant::now();
        let scores = self.linear.evaluate(vector, self.fourier);
        self.work.linear += start.elapsed();
        self.work.counts += self.linear.counts();
        Ok(ScoreValue::Scores(scores))
    }

    fn select(&mut self, scores: &ScoreValue, index: &ScoreValue) -> Result<ScoreValue, FheError> {
        let ScoreValue::Scores(all) = scores else {
            return Err(FheError::Kind { op: "select", found: scores.kind(), expected: "the scores of all groups" });
        };
        let (ScoreValue::Index(bits), Some(layout)) = (index, self.plan.layout.index) else {
            return Err(FheError::Kind { op: "select", found: index.kind(), expected: "an index" });
        };
        let start = Instant::now();
        let (selected, gates) = select::select(all, &self.plan.layout.packing, bits, self.fourier);
        self.work.select += start.elapsed();
        self.work.counts += select::counts(bits.len(), layout, gates);
        Ok(ScoreValue::Selected(selected))
    }
}
