//! [`OneTripCost`]: what a one-trip query will take, counted before anyone pays for it.

use std::fmt;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use sordino_model::{Circuit, CircuitError, Counts, Decisions, Draw, HierarchyShape, MESSAGE_HEADER, Machine, StageId};

use super::layout::{Layout, bits_below};
use super::plan::OneTripPlan;
use crate::{Calibration, FheError};

/// What one query takes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct OneTripCost {
    /// Steps of decisions, by kind. A comparison counts once at every resolution, and takes as many accumulators as the
    /// resolution says.
    pub decisions: Decisions,
    /// Operations of the linear stages, the query and the reply. The gates of decisions are counted with those.
    pub counts: Counts,
    /// Blind rotations that must follow one another, however many threads there are.
    pub depth: usize,
    /// Accumulators of a comparison.
    pub accumulators: usize,
    /// Bytes of the query message.
    pub bytes_up: usize,
    /// Bytes of the reply message.
    pub bytes_down: usize,
}

impl fmt::Display for OneTripCost {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Decisions { keyswitches, comparisons, refreshes, conversions, gates } = self.decisions;
        writeln!(
            f,
            "comparisons          {comparisons:>10}   blind rotations of {} accumulator(s)",
            self.accumulators
        )?;
        writeln!(f, "refreshes            {refreshes:>10}   blind rotations, {conversions} conversions to selectors")?;
        writeln!(f, "keyswitches          {keyswitches:>10}")?;
        writeln!(f, "gates                {gates:>10}")?;
        writeln!(f, "rotations in a row   {:>10}", self.depth)?;
        writeln!(f, "polynomial products  {:>10}   of the linear stages", self.counts.products)?;
        writeln!(f, "up                   {:>10}   bytes", self.bytes_up)?;
        write!(f, "down                 {:>10}   bytes", self.bytes_down)
    }
}

impl OneTripPlan {
    /// What one query of a model of this shape takes.
    ///
    /// # Errors
    /// [`FheError::Plan`] or [`FheError::Packing`] for a shape that the plan does not fit.
    pub fn cost(&self, shape: &HierarchyShape) -> Result<OneTripCost, FheError> {
        let layout = self.layout(shape)?;
        let mut pricing = Pricing::new(&layout);
        let reply = pricing.walk(&self.circuit(shape)?)?;
        let mut counts = pricing.counts;
        counts += Counts::reply();
        counts += Counts::zero_key();
        layout.stages().iter().for_each(|stage| counts += Counts::vector(stage.packing.inputs()));
        Ok(OneTripCost {
            decisions: pricing.decisions,
            counts,
            depth: reply.iter().map(|value| value.depth).max().unwrap_or(0),
            accumulators: 1 << self.options().resolution.extension_log2(),
            bytes_up: MESSAGE_HEADER + self.query_len(&layout),
            bytes_down: MESSAGE_HEADER + self.reply_len(&layout),
        })
    }
}

impl OneTripPlan {
    /// How long one query of a model of this shape will take on `threads` threads of the machine that was measured.
    ///
    /// # Errors
    /// [`FheError::Plan`] or [`FheError::Packing`] for a shape that the plan does not fit.
    pub fn predict(
        &self,
        shape: &HierarchyShape,
        calibration: &Calibration,
        threads: usize,
    ) -> Result<Duration, FheError> {
        let layout = self.layout(shape)?;
        let mut pricing = Pricing::new(&layout);
        pricing.walk(&self.circuit(shape)?)?;
        let threads = threads.max(1);
        let step = |step: &Step| match *step {
            Step::Comparisons(count) => calibration.comparisons(count, threads),
            Step::Bit(next) => calibration.bit(next, threads),
        };
        let decisions: Duration = pricing.steps.iter().map(step).sum();
        // A gate is about ten transforms and sixteen products, and takes as long as so many products.
        let products = pricing.counts.products / 26;
        Ok(decisions + calibration.gates(pricing.decisions.gates + products, threads))
    }
}

/// What happens one after another.
#[derive(Clone, Copy)]
enum Step {
    /// Comparisons side by side.
    Comparisons(usize),
    /// A bit becomes a selector, while the signs of so many matches are taken.
    Bit(usize),
}

/// A register while counting.
#[derive(Clone)]
struct Priced {
    kind: Kind,
    /// Rotations that came before, one after another.
    depth: usize,
}

#[derive(Clone)]
enum Kind {
    Vector,
    Columns { count: usize },
    Group,
    Choice { stage: usize, paths: Vec<Option<Priced>>, draw: Draw },
    Answer,
}

struct Pricing<'a> {
    layout: &'a Layout,
    decisions: Decisions,
    counts: Counts,
    steps: Vec<Step>,
}

impl<'a> Pricing<'a> {
    fn new(layout: &'a Layout) -> Self {
        Self { layout, decisions: Decisions::default(), counts: Counts::default(), steps: Vec::new() }
    }

    fn walk(&mut self, circuit: &Circuit) -> Result<Vec<Priced>, CircuitError> {
        let inputs = circuit.inputs.iter().map(|_| Priced { kind: Kind::Vector, depth: 0 }).collect();
        circuit.run(self, inputs)
    }

    /// Reading the winner's position.
    fn read(&mut self, draw: &Draw) {
        self.decisions += draw.read();
        self.steps.extend((draw.rounds() > 0).then_some(Step::Comparisons(1)));
        self.steps.extend((0..draw.rounds()).rev().map(|r| Step::Bit(if r == 0 { 0 } else { draw.sides(r) })));
    }

    fn gates(&mut self, count: usize) {
        self.decisions += Decisions::gates(count);
    }

    /// The columns that are left of `count` when the choices before `choice` have been followed.
    fn before(&mut self, count: usize, paths: &[Option<Priced>]) -> usize {
        let mut left = count;
        for path in paths {
            left = match path {
                Some(Priced { kind: Kind::Choice { stage, paths, .. }, .. }) => self.follow(count, *stage, paths),
                _ => count,
            };
        }
        self.gates(left * (paths.len() - 1));
        left
    }

    fn follow(&mut self, count: usize, stage: usize, paths: &[Option<Priced>]) -> usize {
        let sets = self.before(count, paths);
        let outputs = self.layout.stage(stage).outputs();
        let width = (sets / outputs).max(1);
        self.gates(width * (sets.div_ceil(width) - 1));
        width
    }

    /// Gates of an address: those of the entries, the choice among them, one per bit.
    fn address(&mut self, stage: usize, paths: &[Option<Priced>]) {
        for path in paths {
            if let Some(Priced { kind: Kind::Choice { stage, paths, .. }, .. }) = path {
                self.address(*stage, paths);
            }
        }
        self.gates(paths.len() - 1 + self.layout.position_bits(stage));
    }
}

impl Machine for Pricing<'_> {
    type Value = Priced;
    type Error = CircuitError;

    fn linear(&mut self, stage: StageId, input: &Priced) -> Result<Priced, CircuitError> {
        let packing = &self.layout.stage(stage.0).packing;
        self.counts += Counts::linear(packing.inputs()).times(packing.ciphertexts());
        Ok(Priced { kind: Kind::Columns { count: packing.ciphertexts() }, depth: input.depth })
    }

    fn select(&mut self, scores: &Priced, index: &Priced) -> Result<Priced, CircuitError> {
        if let (Kind::Columns { count }, Kind::Choice { stage, paths, .. }) = (&scores.kind, &index.kind) {
            let set = self.before(*count, paths);
            let block_bits = self.layout.stage(stage + 1).block_bits();
            self.gates(set - 1 + block_bits);
        }
        Ok(Priced { kind: Kind::Group, depth: scores.depth.max(index.depth) })
    }

    fn argmax(&mut self, stage: StageId, entries: &[(&Priced, Option<&Priced>)]) -> Result<Priced, CircuitError> {
        let draw = self.layout.draw(stage.0, entries.len());
        debug_assert_eq!(draw.rounds(), self.layout.position_bits(stage.0) + bits_below(entries.len()));
        self.decisions += draw.play();
        self.steps.extend((0..draw.rounds()).map(|r| Step::Comparisons(draw.matches(r))));
        self.read(&draw);
        let before = entries.iter().map(|(scores, _)| scores.depth).max().unwrap_or(0);
        // A round of matches after the other, the sign of the root, a refresh for every bit.
        let depth = before + 2 * draw.rounds() + 1;
        let paths = entries.iter().map(|(_, path)| path.cloned()).collect();
        Ok(Priced { kind: Kind::Choice { stage: stage.0, paths, draw }, depth })
    }

    fn runner_up(&mut self, choice: &Priced) -> Result<Priced, CircuitError> {
        let mut next = choice.clone();
        if let Kind::Choice { draw, .. } = &choice.kind {
            self.decisions += draw.replay();
            self.steps.extend((0..draw.rounds()).map(|_| Step::Comparisons(1)));
            self.read(draw);
            next.depth += 2 * draw.rounds() + 1;
        }
        Ok(next)
    }

    fn threshold(&mut self, choice: &Priced) -> Result<Priced, CircuitError> {
        if let Kind::Choice { stage, paths, .. } = &choice.kind {
            self.decisions += Decisions::signs(1);
            self.decisions += Decisions::selectors(1);
            self.steps.extend([Step::Comparisons(1), Step::Bit(0)]);
            self.address(*stage, paths);
            // Known or not.
            self.gates(1);
        }
        Ok(Priced { kind: Kind::Answer, depth: choice.depth + 2 })
    }
}
