//! [`Circuit`]: one trip of a protocol as data, walked by interchangeable [`Machine`]s.

mod clear;
mod range;

pub use clear::{Clear, ClearError, ClearValue, ScoredPath};
pub use range::{Range, RangeError, RangeValue};

use serde::{Deserialize, Serialize};
use sordino_front::VectorBound;
use thiserror::Error;

use crate::raw::{RawInput, RawSpec};
use crate::stage::{Hierarchy, HierarchyShape, Stage};

/// A value of a circuit: its inputs come first, then one register per op.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Register(pub usize);

/// Which stage an op evaluates: its place in the hierarchy, counted from 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct StageId(pub usize);

/// What the client sends, encrypted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Input {
    /// A quantised feature vector.
    Vector(VectorBound),
    /// A group index below `bound`.
    Index {
        /// Number of groups to choose from.
        bound: usize,
    },
    /// The samples of a sound, [`crate::raw::RawSpec::samples`].
    Samples {
        /// How many.
        count: usize,
        /// Largest absolute value.
        max_abs: i32,
    },
}

/// A layer-sized operation.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Op {
    /// What the bands of every cell hold: samples to `[cells, bands]`.
    Energies {
        /// The samples.
        samples: Register,
    },
    /// The logarithm of every energy on a few bits: `[cells, bands]` to the same.
    Levels {
        /// The energies.
        energies: Register,
    },
    /// Half of the absolute differences of levels some cells apart: `[cells, bands]` to `[cells - lag, bands]`.
    Differences {
        /// The levels.
        levels: Register,
        /// How many cells.
        lag: usize,
    },
    /// Sums over cells of all its inputs, one after the other: a vector.
    Sums {
        /// Levels or differences.
        of: Vec<Register>,
    },
    /// A multiple of the length of a vector.
    Length {
        /// The vector.
        vector: Register,
    },
    /// All scores of all groups of a stage: `[groups, outputs]`.
    Linear {
        /// The stage.
        stage: StageId,
        /// Its input vector.
        input: Register,
    },
    /// The scores of one group: `[groups, outputs]` to `[1, outputs]`.
    Select {
        /// What to select from.
        scores: Register,
        /// The group's index, or the choice that leads to it.
        index: Register,
    },
    /// The largest of all scores of one or more groups of a stage, and where it is.
    Argmax {
        /// The stage.
        stage: StageId,
        /// Where the scores are.
        entries: Vec<Entry>,
    },
    /// The next best of the scores that a choice was made from.
    RunnerUp {
        /// The choice.
        choice: Register,
    },
    /// A choice of the last stage if its score is above zero, nothing otherwise.
    Threshold {
        /// The choice.
        choice: Register,
    },
    /// A choice of the last stage if its score is above a length, nothing otherwise.
    Beyond {
        /// The choice.
        choice: Register,
        /// The length.
        length: Register,
    },
}

/// The scores of one group, as [`Op::Argmax`] takes them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Entry {
    /// The scores: `[1, outputs]`.
    pub scores: Register,
    /// The choice or the index that selected the group; `None` in stage 0, which has only one.
    pub path: Option<Register>,
}

/// A straight-line program over registers.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Circuit {
    /// What the client sends.
    pub inputs: Vec<Input>,
    /// What the server does, in order.
    pub ops: Vec<Op>,
    /// What the server returns.
    pub reply: Vec<Register>,
}

/// A circuit that cannot be walked.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum CircuitError {
    /// The caller gave the wrong number of inputs.
    #[error("circuit: {found} inputs given, expected {expected}")]
    Inputs {
        /// Inputs given.
        found: usize,
        /// Inputs declared.
        expected: usize,
    },
    /// An op reads a register that is not written before it.
    #[error("circuit: register {register} is read before it is written ({written} registers exist)")]
    Unwritten {
        /// The register read.
        register: usize,
        /// Registers written so far.
        written: usize,
    },
    /// A reply names a register twice.
    #[error("circuit: register {register} is returned twice, expected once")]
    Repeated {
        /// The register.
        register: usize,
    },
    /// More choices asked for than the smallest group of a stage has slots.
    #[error("circuit: {found} choices of stage {stage} asked for, expected between 1 and {slots}")]
    Choices {
        /// The stage.
        stage: usize,
        /// Choices asked for.
        found: usize,
        /// Slots of the smallest group.
        slots: usize,
    },
    /// An op that the machine does not have.
    #[error("circuit: {op} asked for, expected only ops that this machine has")]
    NoOp {
        /// The op.
        op: &'static str,
    },
    /// A stage that the hierarchy does not have.
    #[error("circuit: stage {stage} asked for, the model has {stages}")]
    NoStage {
        /// The stage asked for.
        stage: usize,
        /// Number of stages.
        stages: usize,
    },
}

impl Circuit {
    /// `flat`: one vector in, every score of the last stage out; the server decides nothing.
    ///
    /// Takes a [`Hierarchy`] on the server and its [`HierarchyShape`] on the client.
    pub fn flat(hierarchy: &impl AsRef<HierarchyShape>) -> Self {
        let shape = hierarchy.as_ref();
        let last = shape.stages().len() - 1;
        Self {
            inputs: vec![Input::Vector(shape.last().input())],
            ops: vec![Op::Linear { stage: StageId(last), input: Register(0) }],
            reply: vec![Register(1)],
        }
    }

    /// One trip of the protocol in which the client picks: the scores of `probes` groups of stage `stage`, chosen by
    /// encrypted indices. Stage 0 has one group, so its trip takes no index.
    ///
    /// Takes a [`Hierarchy`] on the server and its [`HierarchyShape`] on the client.
    ///
    /// # Errors
    /// [`CircuitError::NoStage`] if the hierarchy has no such stage.
    pub fn trip(hierarchy: &impl AsRef<HierarchyShape>, stage: usize, probes: usize) -> Result<Self, CircuitError> {
        let stages = hierarchy.as_ref().stages();
        let s = stages.get(stage).ok_or(CircuitError::NoStage { stage, stages: stages.len() })?;
        if stage == 0 {
            let inputs = vec![Input::Vector(s.input())];
            let ops = vec![Op::Linear { stage: StageId(0), input: Register(0) }];
            return Ok(Self { inputs, ops, reply: vec![Register(1)] });
        }
        Ok(Self::asked(hierarchy.as_ref(), stage, probes))
    }

    /// The protocol in which the server decides: every stage's vector in, `answers` tracks or nothing out, the best first. The
    /// `probes` best groups of every stage are followed.
    ///
    /// Takes a [`Hierarchy`] on the server and its [`HierarchyShape`] on the client.
    ///
    /// # Errors
    /// [`CircuitError::Choices`] for no probes, no answers, or more probes than the smallest group of some stage but the last
    /// has slots.
    pub fn decided(
        hierarchy: &impl AsRef<HierarchyShape>,
        probes: usize,
        answers: usize,
    ) -> Result<Self, CircuitError> {
        let stages = hierarchy.as_ref().stages();
        let inputs = stages.iter().map(|s| Input::Vector(s.input())).collect();
        let mut ops: Vec<Op> = Vec::new();
        let mut push = |op| {
            ops.push(op);
            Register(stages.len() + ops.len() - 1)
        };
        let mut choices: Vec<Register> = Vec::new();
        for (s, shape) in stages.iter().enumerate() {
            let stage = StageId(s);
            let scores = push(Op::Linear { stage, input: Register(s) });
            let entries = match s {
                0 => vec![Entry { scores, path: None }],
                _ => {
                    let select =
                        |&index: &Register| Entry { scores: push(Op::Select { scores, index }), path: Some(index) };
                    choices.iter().map(select).collect()
                }
            };
            let last = s + 1 == stages.len();
            let slots =
                if last { usize::MAX } else { shape.counts().iter().copied().filter(|&c| c > 0).min().unwrap_or(0) };
            let found = if last { answers } else { probes };
            if found == 0 || found > slots {
                return Err(CircuitError::Choices { stage: s, found, slots });
            }
            let mut choice = push(Op::Argmax { stage, entries });
            choices = vec![choice];
            for _ in 1..found {
                choice = push(Op::RunnerUp { choice });
                choices.push(choice);
            }
        }
        let reply = choices.iter().map(|&choice| push(Op::Threshold { choice })).collect();
        Ok(Self { inputs, ops, reply })
    }

    /// The protocol in which the client picks groups of the last stage and the server decides among them: the last stage's vector and
    /// `probes` indices in, `answers` tracks or nothing out, the best first.
    ///
    /// Takes a [`Hierarchy`] on the server and its [`HierarchyShape`] on the client.
    ///
    /// # Errors
    /// [`CircuitError::Choices`] for no probes, more probes than there are groups, or no answers.
    pub fn picked_decided(
        hierarchy: &impl AsRef<HierarchyShape>,
        probes: usize,
        answers: usize,
    ) -> Result<Self, CircuitError> {
        let last = hierarchy.as_ref().stages().len() - 1;
        let (stage, groups) = (StageId(last), hierarchy.as_ref().last().groups());
        if !(1..=groups).contains(&probes) || answers == 0 {
            let found = if answers == 0 { answers } else { probes };
            return Err(CircuitError::Choices { stage: last, found, slots: groups });
        }
        let Self { inputs, mut ops, reply: selected } = Self::asked(hierarchy.as_ref(), last, probes);
        let entry = |(p, &scores): (usize, &Register)| Entry { scores, path: Some(Register(1 + p)) };
        let entries = selected.iter().enumerate().map(entry).collect();
        let mut push = |op| {
            ops.push(op);
            Register(inputs.len() + ops.len() - 1)
        };
        let mut choices = vec![push(Op::Argmax { stage, entries })];
        while choices.len() < answers {
            choices.push(push(Op::RunnerUp { choice: choices[choices.len() - 1] }));
        }
        let reply = choices.iter().map(|&choice| push(Op::Threshold { choice })).collect();
        Ok(Self { inputs, ops, reply })
    }

    /// The protocol in which the server hears encrypted samples and decides: samples in, a track or nothing out.
    pub fn raw(raw: &RawSpec) -> Self {
        let inputs = vec![Input::Samples { count: raw.query_samples(), max_abs: raw.sample_max }];
        let mut ops: Vec<Op> = Vec::new();
        let mut push = |op| {
            ops.push(op);
            Register(ops.len())
        };
        let energies = push(Op::Energies { samples: Register(0) });
        let levels = push(Op::Levels { energies });
        let differences = raw.lags.iter().map(|&lag| push(Op::Differences { levels, lag }));
        let of = std::iter::once(levels).chain(differences).collect();
        let vector = push(Op::Sums { of });
        let scores = push(Op::Linear { stage: StageId(0), input: vector });
        let choice = push(Op::Argmax { stage: StageId(0), entries: vec![Entry { scores, path: None }] });
        let length = push(Op::Length { vector });
        let reply = vec![push(Op::Beyond { choice, length })];
        Self { inputs, ops, reply }
    }

    /// The scores of `probes` groups of a stage that there is, chosen by encrypted indices.
    fn asked(shape: &HierarchyShape, stage: usize, probes: usize) -> Self {
        let s = &shape.stages()[stage];
        let mut inputs = vec![Input::Vector(s.input())];
        inputs.extend((0..probes).map(|_| Input::Index { bound: s.groups() }));
        let scores = Register(inputs.len());
        let mut ops = vec![Op::Linear { stage: StageId(stage), input: Register(0) }];
        ops.extend((0..probes).map(|p| Op::Select { scores, index: Register(1 + p) }));
        let reply = (0..probes).map(|p| Register(scores.0 + 1 + p)).collect();
        Self { inputs, ops, reply }
    }

    /// Walks the circuit on `machine` and returns the reply.
    ///
    /// # Errors
    /// The machine's own error, or [`CircuitError`] for a program that is not well formed.
    pub fn run<M: Machine>(&self, machine: &mut M, inputs: Vec<M::Value>) -> Result<Vec<M::Value>, M::Error> {
        if inputs.len() != self.inputs.len() {
            return Err(CircuitError::Inputs { found: inputs.len(), expected: self.inputs.len() }.into());
        }
        let mut registers = inputs;
        for op in &self.ops {
            let value = match op {
                Op::Energies { samples } => machine.energies(read(&registers, *samples)?)?,
                Op::Levels { energies } => machine.levels(read(&registers, *energies)?)?,
                Op::Differences { levels, lag } => machine.differences(read(&registers, *levels)?, *lag)?,
                Op::Sums { of } => {
                    let of: Result<Vec<_>, _> = of.iter().map(|register| read(&registers, *register)).collect();
                    machine.sums(&of?)?
                }
                Op::Length { vector } => machine.length(read(&registers, *vector)?)?,
                Op::Linear { stage, input } => machine.linear(*stage, read(&registers, *input)?)?,
                Op::Select { scores, index } => {
                    machine.select(read(&registers, *scores)?, read(&registers, *index)?)?
                }
                Op::Argmax { stage, entries } => {
                    let entry = |entry: &Entry| -> Result<_, CircuitError> {
                        let path = entry.path.map(|path| read(&registers, path)).transpose()?;
                        Ok((read(&registers, entry.scores)?, path))
                    };
                    machine.argmax(*stage, &entries.iter().map(entry).collect::<Result<Vec<_>, _>>()?)?
                }
                Op::RunnerUp { choice } => machine.runner_up(read(&registers, *choice)?)?,
                Op::Threshold { choice } => machine.threshold(read(&registers, *choice)?)?,
                Op::Beyond { choice, length } => {
                    machine.beyond(read(&registers, *choice)?, read(&registers, *length)?)?
                }
            };
            registers.push(value);
        }
        // Replies leave in order of appearance; a register is returned at most once, so it can be moved out.
        let mut slots: Vec<Option<M::Value>> = registers.into_iter().map(Some).collect();
        let written = slots.len();
        self.reply
            .iter()
            .map(|r| {
                let slot = slots.get_mut(r.0).ok_or(CircuitError::Unwritten { register: r.0, written })?;
                Ok(slot.take().ok_or(CircuitError::Repeated { register: r.0 })?)
            })
            .collect()
    }
}

fn read<V>(registers: &[V], register: Register) -> Result<&V, CircuitError> {
    let written = registers.len();
    registers.get(register.0).ok_or(CircuitError::Unwritten { register: register.0, written })
}

/// Something that can evaluate the ops of a circuit.
pub trait Machine {
    /// What a register holds.
    type Value;
    /// What can go wrong.
    type Error: From<CircuitError>;

    /// What the bands of every cell of these samples hold.
    ///
    /// # Errors
    /// [`CircuitError::NoOp`] for a machine that hears no samples; otherwise where the value is none.
    fn energies(&mut self, _samples: &Self::Value) -> Result<Self::Value, Self::Error> {
        Err(CircuitError::NoOp { op: "energies" }.into())
    }

    /// The levels of energies.
    ///
    /// # Errors
    /// As [`Machine::energies`].
    fn levels(&mut self, _energies: &Self::Value) -> Result<Self::Value, Self::Error> {
        Err(CircuitError::NoOp { op: "levels" }.into())
    }

    /// Half of the absolute differences of levels `lag` cells apart.
    ///
    /// # Errors
    /// As [`Machine::energies`].
    fn differences(&mut self, _levels: &Self::Value, _lag: usize) -> Result<Self::Value, Self::Error> {
        Err(CircuitError::NoOp { op: "differences" }.into())
    }

    /// Sums over cells.
    ///
    /// # Errors
    /// As [`Machine::energies`].
    fn sums(&mut self, _of: &[&Self::Value]) -> Result<Self::Value, Self::Error> {
        Err(CircuitError::NoOp { op: "sums" }.into())
    }

    /// A multiple of the length of a vector of sums.
    ///
    /// # Errors
    /// As [`Machine::energies`].
    fn length(&mut self, _vector: &Self::Value) -> Result<Self::Value, Self::Error> {
        Err(CircuitError::NoOp { op: "length" }.into())
    }

    /// `choice` if its score is above `length`.
    ///
    /// # Errors
    /// As [`Machine::energies`].
    fn beyond(&mut self, _choice: &Self::Value, _length: &Self::Value) -> Result<Self::Value, Self::Error> {
        Err(CircuitError::NoOp { op: "beyond" }.into())
    }

    /// All scores of all groups of `stage` for one input vector.
    ///
    /// # Errors
    /// Where the value is no vector for this stage.
    fn linear(&mut self, stage: StageId, input: &Self::Value) -> Result<Self::Value, Self::Error>;

    /// The scores of the group that `index` names.
    ///
    /// # Errors
    /// Where the values are no scores and index.
    fn select(&mut self, scores: &Self::Value, index: &Self::Value) -> Result<Self::Value, Self::Error>;

    /// The largest score of all `entries`: scores of one group of `stage` each, and the choice or the index that selected it. Of equal scores,
    /// the first.
    ///
    /// # Errors
    /// [`CircuitError::NoOp`] for a machine that leaves decisions to the client; otherwise where the values are no scores.
    fn argmax(
        &mut self,
        _stage: StageId,
        _entries: &[(&Self::Value, Option<&Self::Value>)],
    ) -> Result<Self::Value, Self::Error> {
        Err(CircuitError::NoOp { op: "argmax" }.into())
    }

    /// The choice after `choice` among the same scores.
    ///
    /// # Errors
    /// As [`Machine::argmax`].
    fn runner_up(&mut self, _choice: &Self::Value) -> Result<Self::Value, Self::Error> {
        Err(CircuitError::NoOp { op: "runner-up" }.into())
    }

    /// `choice` if its score is above zero.
    ///
    /// # Errors
    /// As [`Machine::argmax`].
    fn threshold(&mut self, _choice: &Self::Value) -> Result<Self::Value, Self::Error> {
        Err(CircuitError::NoOp { op: "threshold" }.into())
    }
}

/// How a hierarchy hears samples.
pub(crate) fn raw_of<'a>(hierarchy: &'a Hierarchy, op: &'static str) -> Result<&'a RawInput, CircuitError> {
    hierarchy.raw().ok_or(CircuitError::NoOp { op })
}

/// The stage that an op names.
pub(crate) fn stage_of(hierarchy: &Hierarchy, id: StageId) -> Result<&Stage, CircuitError> {
    let stages = hierarchy.stages();
    stages.get(id.0).ok_or(CircuitError::NoStage { stage: id.0, stages: stages.len() })
}
