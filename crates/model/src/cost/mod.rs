//! [`Cost`]: what an encrypted run will do, counted before anyone pays for it.

mod counts;
mod timings;

pub use counts::{CostReport, Counts};
pub use timings::{Batched, CostStep, Schedule, Timings, WeightForm, batches};

use crate::circuit::{Circuit, CircuitError, Machine, StageId};
use crate::layout::{
    CHECKSUM_BYTES, DecisionCounts, Envelope, KEY_ID_BYTES, MESSAGE_HEADER, NUMBER_BYTES, SEED_BYTES, SparsePacking,
    StageLayout, Tournament, TournamentLayout, body_bytes, fourier_bytes,
};

/// A register of the [`Cost`] machine.
#[derive(Clone, Debug)]
pub enum CostValue {
    /// A vector or an index, counted where it is used.
    Input,
    /// What is known of encrypted samples: so many cells of every band.
    Cells {
        /// Cells of every band.
        cells: usize,
        /// Rotations that came before, one after another.
        rotations: usize,
    },
    /// A vector that the server made of samples, or what scores are held against.
    Heard {
        /// Rotations that came before, one after another.
        rotations: usize,
    },
    /// Scores of all groups, or of the one that an index from the client chose.
    Scores {
        /// The stage they belong to.
        stage: StageId,
        /// Ciphertexts that hold them.
        ciphertexts: usize,
        /// Coefficients of those ciphertexts that a reply carries.
        coefficients: usize,
        /// Gates passed.
        depth: usize,
    },
    /// Scores of the group that a choice of the server leads to, or that the client asked the deciding server for.
    Group {
        /// Rotations that came before, one after another.
        rotations: usize,
    },
    /// The winner of a tournament.
    Choice(Choice),
    /// A track or nothing.
    Answer {
        /// Rotations that came before, one after another.
        rotations: usize,
    },
}

/// A winner, for the [`Cost`] machine.
#[derive(Clone, Debug)]
pub struct Choice {
    stage: usize,
    /// The choices that led to the groups that took part; `None` in the first stage.
    entries: Vec<Option<Choice>>,
    tournament: Tournament,
    rotations: usize,
}

/// How encrypted samples are heard.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RawLayout {
    /// Cells of a query, a ciphertext each.
    pub cells: usize,
    /// Bands.
    pub bands: usize,
    /// Autocorrelations of a cell: one for every scale of its bands.
    pub products: usize,
    /// Directions along which a length is measured.
    pub directions: usize,
    /// Ring degree of the samples' ciphertexts.
    pub ring: usize,
    /// Bits kept of their bodies.
    pub body_bits: u32,
}

/// Counts operations and bytes, and in what order the slow ones come.
pub struct Cost<'a> {
    stages: &'a [(StageId, StageLayout)],
    envelope: Envelope,
    /// Where scores are when the server decides.
    tournament_layout: Option<&'a TournamentLayout>,
    accumulators: usize,
    raw: Option<RawLayout>,
    /// Rows of selectors that the client sends, packed.
    packed_rows: usize,
    report: CostReport,
    steps: Vec<CostStep>,
}

impl<'a> Cost<'a> {
    /// A machine for stages laid out as given, of a protocol in which the client decides.
    pub fn new(stages: &'a [(StageId, StageLayout)], envelope: Envelope) -> Self {
        Self {
            stages,
            envelope,
            tournament_layout: None,
            accumulators: 0,
            raw: None,
            packed_rows: 0,
            report: CostReport::default(),
            steps: Vec::new(),
        }
    }

    /// A machine for a protocol in which the server decides, with `accumulators` accumulators in a comparison.
    pub fn deciding(
        stages: &'a [(StageId, StageLayout)],
        envelope: Envelope,
        tournament_layout: &'a TournamentLayout,
        accumulators: usize,
    ) -> Self {
        Self { tournament_layout: Some(tournament_layout), accumulators, ..Self::new(stages, envelope) }
    }

    /// The same for a server that also hears encrypted samples.
    #[must_use]
    pub fn hearing(self, raw: RawLayout) -> Self {
        Self { raw: Some(raw), ..self }
    }

    /// What one run of `circuit` costs, with its messages.
    ///
    /// # Errors
    /// As [`Cost::schedule`].
    pub fn price(self, circuit: &Circuit) -> Result<CostReport, CircuitError> {
        self.schedule(circuit).map(|schedule| schedule.report)
    }

    /// What one run of `circuit` costs, with its messages, and in what order: from which follows how long it takes.
    ///
    /// # Errors
    /// [`CircuitError`] for a circuit that is not well formed, uses a stage without a layout, or lets a machine decide that has no
    /// layout for it.
    pub fn schedule(mut self, circuit: &Circuit) -> Result<Schedule, CircuitError> {
        self.report.bytes_up = MESSAGE_HEADER + CHECKSUM_BYTES;
        let reply = circuit.run(&mut self, vec![CostValue::Input; circuit.inputs.len()])?;
        let ring = self.stages.first().map_or(0, |(_, layout)| layout.packing.ring());
        let (mut ciphertexts, mut coefficients, mut answers) = (0, 0, 0);
        for value in reply {
            match value {
                CostValue::Scores { ciphertexts: more, coefficients: scores, depth, .. } => {
                    (ciphertexts, coefficients) = (ciphertexts + more, coefficients + scores);
                    self.report.depth = self.report.depth.max(depth);
                }
                CostValue::Answer { rotations } => {
                    answers += 1;
                    self.report.rotations_in_a_row = self.report.rotations_in_a_row.max(rotations);
                }
                _ => {}
            }
        }
        if let Some(tournament_layout) = self.tournament_layout.filter(|_| answers > 0) {
            // All answers share one ciphertext, and the query says whose key it is under and above which score a track is known.
            (ciphertexts, coefficients) = (ciphertexts + 1, coefficients + answers * tournament_layout.answer_bits());
            self.report.bytes_up += KEY_ID_BYTES + NUMBER_BYTES;
            self.report.accumulators = self.accumulators;
            let bits = SparsePacking::new(ring, self.packed_rows);
            self.report.bytes_up += bits.bytes();
            self.report.decisions += DecisionCounts::unpacked(bits);
        }
        self.report.counts += Counts::reply().times(ciphertexts);
        self.report.bytes_up += SEED_BYTES + body_bytes(1, ring, self.envelope.zero_key_bits);
        self.report.counts += Counts::zero_key();
        let bits = (ciphertexts * ring + coefficients) * self.envelope.reply_bits as usize;
        self.report.bytes_down = MESSAGE_HEADER + bits.div_ceil(8) + CHECKSUM_BYTES;
        Ok(Schedule { report: self.report, steps: self.steps })
    }

    fn layout(&self, stage: StageId) -> Result<StageLayout, CircuitError> {
        let missing = CircuitError::NoStage { stage: stage.0, stages: self.stages.len() };
        self.stages.iter().find(|(id, _)| *id == stage).map(|(_, layout)| *layout).ok_or(missing)
    }

    /// The place of a stage among those that are evaluated.
    fn place(&self, stage: StageId) -> Result<usize, CircuitError> {
        let missing = CircuitError::NoStage { stage: stage.0, stages: self.stages.len() };
        self.stages.iter().position(|(id, _)| *id == stage).ok_or(missing)
    }

    fn tournament_layout(&self, op: &'static str) -> Result<&'a TournamentLayout, CircuitError> {
        self.tournament_layout.ok_or(CircuitError::NoOp { op })
    }

    fn raw_layout(&self, op: &'static str) -> Result<RawLayout, CircuitError> {
        self.raw.ok_or(CircuitError::NoOp { op })
    }

    fn tables(&mut self, count: usize) {
        self.report.decisions += DecisionCounts::tables(count);
        self.steps.push(CostStep::Tables(count));
    }

    fn gates(&mut self, count: usize) {
        self.report.decisions += DecisionCounts::gates(count);
    }

    /// Matches in rounds, of which the last is decided and its sign taken side by side.
    fn play(&mut self, matches: impl ExactSizeIterator<Item = usize>) {
        let last = matches.len().saturating_sub(1);
        self.steps.extend(matches.enumerate().map(|(r, count)| CostStep::Comparisons(count + usize::from(r == last))));
    }

    /// Reading the winner's position, and in the last stage whether its score is above zero. Returns the rotations that follow one
    /// another, with those of the rounds.
    fn read(&mut self, tournament_layout: &TournamentLayout, stage: usize, tournament: &Tournament) -> usize {
        let (rounds, known) = (tournament.rounds(), stage + 1 == tournament_layout.stages().len());
        self.report.decisions += tournament.read();
        if rounds > 0 {
            let signs = (1..rounds).rev().map(|r| tournament.sides(r)).collect();
            self.steps.push(CostStep::Position { signs, aside: known });
        }
        if known {
            self.report.decisions += DecisionCounts::signs(1);
            self.report.decisions += DecisionCounts::selectors(1);
            if rounds == 0 {
                self.steps.extend([CostStep::Comparisons(1), CostStep::Selector]);
            }
        }
        2 * rounds + if known { 2usize.saturating_sub(rounds) } else { 0 }
    }

    /// The columns that are left of `count` when the choices before `choice` have been followed.
    fn before(&mut self, tournament_layout: &TournamentLayout, count: usize, choice: &Choice) -> usize {
        let mut left = count;
        for entry in &choice.entries {
            left = match entry {
                Some(entry) => self.follow(tournament_layout, count, entry),
                None => count,
            };
        }
        self.gates(left * (choice.entries.len() - 1));
        left
    }

    fn follow(&mut self, tournament_layout: &TournamentLayout, count: usize, choice: &Choice) -> usize {
        let sets = self.before(tournament_layout, count, choice);
        let width = (sets / tournament_layout.stage(choice.stage).outputs()).max(1);
        self.gates(width * (sets.div_ceil(width) - 1));
        width
    }

    /// Gates of an address: those of the entries, the choice among them, one per bit.
    fn address(&mut self, tournament_layout: &TournamentLayout, choice: &Choice) {
        choice.entries.iter().flatten().for_each(|entry| self.address(tournament_layout, entry));
        let among = if choice.entries.iter().any(Option::is_some) { choice.entries.len() - 1 } else { 0 };
        self.gates(among + tournament_layout.position_bits(choice.stage));
    }
}

impl Machine for Cost<'_> {
    type Value = CostValue;
    type Error = CircuitError;

    fn energies(&mut self, _samples: &CostValue) -> Result<CostValue, CircuitError> {
        let RawLayout { cells, products, ring, body_bits, .. } = self.raw_layout("energies")?;
        self.report.bytes_up += SEED_BYTES + body_bytes(cells, ring, body_bits);
        self.report.decisions.correlations += cells * products;
        self.steps.push(CostStep::Correlations(cells * products));
        Ok(CostValue::Cells { cells, rotations: 0 })
    }

    fn levels(&mut self, energies: &CostValue) -> Result<CostValue, CircuitError> {
        let (CostValue::Cells { cells, .. }, raw) = (energies, self.raw_layout("levels")?) else {
            return Err(CircuitError::NoOp { op: "levels" });
        };
        // In units of differences and in units of features, after one keyswitch.
        let count = cells * raw.bands;
        self.tables(count);
        self.report.decisions.tables += count;
        self.steps.push(CostStep::Comparisons(count));
        Ok(CostValue::Cells { cells: *cells, rotations: 1 })
    }

    fn differences(&mut self, levels: &CostValue, lag: usize) -> Result<CostValue, CircuitError> {
        let (CostValue::Cells { cells, rotations }, raw) = (levels, self.raw_layout("differences")?) else {
            return Err(CircuitError::NoOp { op: "differences" });
        };
        let cells = cells.saturating_sub(lag);
        self.tables(cells * raw.bands);
        Ok(CostValue::Cells { cells, rotations: rotations + 1 })
    }

    fn sums(&mut self, of: &[&CostValue]) -> Result<CostValue, CircuitError> {
        let before = |value: &&CostValue| match value {
            CostValue::Cells { rotations, .. } => *rotations,
            _ => 0,
        };
        Ok(CostValue::Heard { rotations: of.iter().map(before).max().unwrap_or(0) })
    }

    fn length(&mut self, vector: &CostValue) -> Result<CostValue, CircuitError> {
        let (CostValue::Heard { rotations }, raw) = (vector, self.raw_layout("length")?) else {
            return Err(CircuitError::NoOp { op: "length" });
        };
        self.tables(raw.directions);
        Ok(CostValue::Heard { rotations: rotations + 1 })
    }

    fn beyond(&mut self, choice: &CostValue, _length: &CostValue) -> Result<CostValue, CircuitError> {
        self.threshold(choice)
    }

    fn linear(&mut self, stage: StageId, input: &CostValue) -> Result<CostValue, CircuitError> {
        if let CostValue::Heard { rotations } = input {
            return Ok(CostValue::Group { rotations: *rotations });
        }
        let layout = self.layout(stage)?;
        let p = layout.packing;
        let report = &mut self.report;
        report.bytes_up += SEED_BYTES + body_bytes(p.inputs(), p.ring(), layout.body_bits);
        report.counts += Counts::vector(p.inputs());
        report.counts += Counts::linear(p.inputs()).times(p.ciphertexts());
        report.weight_bytes += p.ciphertexts() * p.inputs() * fourier_bytes(p.ring());
        Ok(CostValue::Scores { stage, ciphertexts: p.ciphertexts(), coefficients: layout.used, depth: 0 })
    }

    fn select(&mut self, scores: &CostValue, index: &CostValue) -> Result<CostValue, CircuitError> {
        let CostValue::Scores { stage, ciphertexts, depth, .. } = *scores else { return Ok(CostValue::Input) };
        if let CostValue::Choice(choice) = index {
            let tournament_layout = self.tournament_layout("select")?;
            let set = self.before(tournament_layout, ciphertexts, choice);
            self.gates(set - 1 + tournament_layout.stage(choice.stage + 1).block_bits());
            return Ok(CostValue::Group { rotations: choice.rotations });
        }
        let layout = self.layout(stage)?;
        let p = layout.packing;
        let Some(index) = layout.index else {
            return Err(CircuitError::NoStage { stage: stage.0, stages: self.stages.len() });
        };
        if let Some(tournament_layout) = self.tournament_layout {
            let asked = tournament_layout.stage(self.place(stage)?);
            self.packed_rows += asked.index_bits() * index.levels as usize;
            self.gates(ciphertexts - 1 + asked.block_bits());
            return Ok(CostValue::Group { rotations: 0 });
        }
        let report = &mut self.report;
        report.bytes_up += SEED_BYTES + body_bytes(p.index_bits() * index.rows(), p.ring(), index.body_bits);
        report.counts += Counts::index_bit(index).times(p.index_bits());
        report.counts += Counts::gate(index).times(p.selection_gates());
        let depth = depth + p.index_bits();
        Ok(CostValue::Scores { stage, ciphertexts: p.lanes(), coefficients: p.outputs(), depth })
    }

    fn argmax(
        &mut self,
        stage: StageId,
        entries: &[(&CostValue, Option<&CostValue>)],
    ) -> Result<CostValue, CircuitError> {
        let (tournament_layout, place) = (self.tournament_layout("argmax")?, self.place(stage)?);
        let tournament = tournament_layout.tournament(place, entries.len());
        self.report.decisions += tournament.play();
        self.play((0..tournament.rounds()).map(|r| tournament.matches(r)));
        let in_a_row = self.read(tournament_layout, place, &tournament);
        let before = |(scores, _): &(&CostValue, _)| match scores {
            CostValue::Group { rotations } => *rotations,
            _ => 0,
        };
        let rotations = entries.iter().map(before).max().unwrap_or(0) + in_a_row;
        let entry = |(_, path): &(_, Option<&CostValue>)| match path {
            Some(CostValue::Choice(choice)) => Some(choice.clone()),
            _ => None,
        };
        let entries = entries.iter().map(entry).collect();
        Ok(CostValue::Choice(Choice { stage: place, entries, tournament, rotations }))
    }

    fn runner_up(&mut self, choice: &CostValue) -> Result<CostValue, CircuitError> {
        let CostValue::Choice(choice) = choice else { return Err(CircuitError::NoOp { op: "runner-up" }) };
        let mut next = choice.clone();
        self.report.decisions += next.tournament.replay();
        self.play((0..next.tournament.rounds()).map(|_| 1));
        next.rotations += self.read(self.tournament_layout("runner-up")?, next.stage, &next.tournament);
        Ok(CostValue::Choice(next))
    }

    fn threshold(&mut self, choice: &CostValue) -> Result<CostValue, CircuitError> {
        let (tournament_layout, CostValue::Choice(choice)) = (self.tournament_layout("threshold")?, choice) else {
            return Err(CircuitError::NoOp { op: "threshold" });
        };
        self.address(tournament_layout, choice);
        // Known or not.
        self.gates(1);
        Ok(CostValue::Answer { rotations: choice.rotations })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::layout::{IndexLayout, Packing};
    use crate::stage::{HierarchyShape, StageShape};
    use sordino_front::VectorBound;

    #[test]
    fn a_trip_is_priced_as_counted_by_hand() {
        let input = VectorBound { width: 10, max_abs: 3, norm_squared: 90 };
        let first = StageShape::new(6, input, vec![6]).unwrap();
        let last = StageShape::new(5, input, vec![5; 6]).unwrap();
        let packing = Packing::new(64, 4, &last).unwrap();
        // 3 query ciphertexts; 16 slots, so 3 groups a column and 2 columns; 1 bit for the column, 2 for the block.
        let index = IndexLayout { base_log: 8, levels: 2, body_bits: 40 };
        let layout = StageLayout { packing, body_bits: 30, index: Some(index), used: 30 };
        let envelope = Envelope { zero_key_bits: 25, reply_bits: 20 };
        let circuit = Circuit::trip(&HierarchyShape::new(vec![first, last]).unwrap(), 1, 2).unwrap();
        let report = Cost::new(&[(StageId(1), layout)], envelope).price(&circuit).unwrap();

        let query = 32 + 3 * 64 * 30 / 8;
        let indices = 2 * (32 + 3 * 4 * 64 * 40 / 8);
        assert_eq!(report.bytes_up, MESSAGE_HEADER + CHECKSUM_BYTES + 32 + 64 * 25 / 8 + query + indices);
        assert_eq!(report.bytes_down, MESSAGE_HEADER + CHECKSUM_BYTES + (2 * (64 + 5) * 20usize).div_ceil(8));
        assert_eq!(report.depth, 3);
        assert_eq!(report.weight_bytes, 2 * 3 * 32 * 16);
        // Two probes, each one gate over the columns and two over the blocks.
        assert_eq!(report.counts.gates, 2 * 3);
        assert_eq!(report.counts.products, 2 * 2 * 3 + 6 * 8 + 2 * 2);
        assert_eq!(report.counts.forward, 2 + 2 * 3 + 2 * 3 * 8 + 6 * 4 + 2);
        assert_eq!(report.counts.inverse, 2 * 2 + 6 * 2 + 2 * 2);
    }
}
