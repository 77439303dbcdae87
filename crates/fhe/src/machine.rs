//! [`Tfhe`]: the machine that walks a circuit on ciphertexts.

use std::time::{Duration, Instant};

use sordino_model::{Counts, Machine, StageId};

use crate::FheError;
use crate::fourier::Fourier;
use crate::gadget::Ggsw;
use crate::glwe::Glwe;
use crate::linear::{FourierVector, LinearStage};
use crate::plan::TripPlan;
use crate::select;

/// What the server did for one query.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Work {
    /// Operations, by kind.
    pub counts: Counts,
    /// Time spent on reading the query: checking it, expanding its masks, and bringing it to the Fourier domain.
    pub read: Duration,
    /// Time spent on linear stages.
    pub linear: Duration,
    /// Time spent on selections.
    pub select: Duration,
    /// Time spent on re-randomising and writing the reply.
    pub reply: Duration,
}

impl Work {
    /// All of the time.
    pub fn total(&self) -> Duration {
        self.read + self.linear + self.select + self.reply
    }
}

/// A register of the [`Tfhe`] machine.
pub(crate) enum TfheValue {
    /// An encrypted vector, in the Fourier domain.
    Vector(FourierVector),
    /// The encrypted bits of an index, in the Fourier domain.
    Index(Vec<Ggsw>),
    /// Scores of all groups: every output ciphertext.
    Scores(Vec<Glwe>),
    /// Scores of one group: one ciphertext per lane.
    Selected(Vec<Glwe>),
}

impl TfheValue {
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
pub(crate) struct Tfhe<'a> {
    plan: &'a TripPlan,
    linear: &'a LinearStage,
    fourier: &'a Fourier,
    work: Work,
}

impl<'a> Tfhe<'a> {
    /// A machine for one trip.
    pub(crate) fn new(plan: &'a TripPlan, linear: &'a LinearStage, fourier: &'a Fourier) -> Self {
        Self { plan, linear, fourier, work: Work::default() }
    }

    /// What was done so far.
    pub(crate) fn work(&self) -> Work {
        self.work
    }
}

impl Machine for Tfhe<'_> {
    type Value = TfheValue;
    type Error = FheError;

    fn linear(&mut self, stage: StageId, input: &TfheValue) -> Result<TfheValue, FheError> {
        if stage.0 != self.plan.stage {
            return Err(sordino_model::CircuitError::NoStage { stage: stage.0, stages: 1 }.into());
        }
        let TfheValue::Vector(vector) = input else {
            return Err(FheError::Kind { op: "linear", found: input.kind(), expected: "a vector" });
        };
        let start = Instant::now();
        let scores = self.linear.evaluate(vector, self.fourier);
        self.work.linear += start.elapsed();
        self.work.counts += self.linear.counts();
        Ok(TfheValue::Scores(scores))
    }

    fn select(&mut self, scores: &TfheValue, index: &TfheValue) -> Result<TfheValue, FheError> {
        let TfheValue::Scores(all) = scores else {
            return Err(FheError::Kind { op: "select", found: scores.kind(), expected: "the scores of all groups" });
        };
        let (TfheValue::Index(bits), Some(layout)) = (index, self.plan.layout.index) else {
            return Err(FheError::Kind { op: "select", found: index.kind(), expected: "an index" });
        };
        let start = Instant::now();
        let (selected, gates) = select::select(all, &self.plan.layout.packing, bits, self.fourier);
        self.work.select += start.elapsed();
        self.work.counts += select::counts(bits.len(), layout, gates);
        Ok(TfheValue::Selected(selected))
    }
}
