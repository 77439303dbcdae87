//! [`Cost`]: what an encrypted run will do, counted before anyone pays for it.

use std::fmt;
use std::ops::AddAssign;

use serde::{Deserialize, Serialize};

use crate::{Circuit, CircuitError, Machine, Packing, StageId};

/// Bytes of every message before its payload.
pub const MESSAGE_HEADER: usize = 74;

/// Bytes of a seed from which the masks of a list of ciphertexts are expanded.
pub const SEED_BYTES: usize = 32;

/// Bytes of a polynomial in the Fourier domain: `N/2` complex numbers of two 8-byte floats.
pub fn fourier_bytes(ring: usize) -> usize {
    ring / 2 * 16
}

/// How an encrypted index bit is written: as a GGSW ciphertext of `2 levels` rows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct IndexLayout {
    /// Digits are in base `2^base_log`.
    pub base_log: u32,
    /// Number of digits.
    pub levels: u32,
    /// Bits kept of every body coefficient.
    pub body_bits: u32,
}

impl IndexLayout {
    /// GLWE ciphertexts in one encrypted bit.
    pub fn rows(&self) -> usize {
        2 * self.levels as usize
    }
}

/// How the values of one stage are written and computed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct StageLayout {
    /// Where features and scores are.
    pub packing: Packing,
    /// Bits kept of every body coefficient of the query.
    pub body_bits: u32,
    /// How the index bits are written, where the stage's groups are selected from.
    pub index: Option<IndexLayout>,
    /// Used slots of all groups: what a reply without selection carries.
    pub used: usize,
}

/// How messages are written, beside the stages.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Envelope {
    /// Bits kept of every body coefficient of the zero key that re-randomises replies.
    pub zero_key_bits: u32,
    /// Bits of every coefficient of a reply.
    pub reply_bits: u32,
}

/// Operations of the server, by kind.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Counts {
    /// Products of two polynomials in the Fourier domain, each added to a sum.
    pub products: usize,
    /// Transforms into the Fourier domain.
    pub forward: usize,
    /// Transforms out of the Fourier domain.
    pub inverse: usize,
    /// CMUX gates; their products and transforms are counted above as well.
    pub gates: usize,
}

impl AddAssign for Counts {
    fn add_assign(&mut self, other: Self) {
        self.products += other.products;
        self.forward += other.forward;
        self.inverse += other.inverse;
        self.gates += other.gates;
    }
}

impl Counts {
    /// The same, `n` times.
    pub fn times(self, n: usize) -> Self {
        let Self { products, forward, inverse, gates } = self;
        Self { products: n * products, forward: n * forward, inverse: n * inverse, gates: n * gates }
    }

    /// A vector of `inputs` ciphertexts brought to the Fourier domain.
    pub fn vector(inputs: usize) -> Self {
        Self { forward: 2 * inputs, ..Self::default() }
    }

    /// One encrypted bit brought to the Fourier domain.
    pub fn index_bit(index: IndexLayout) -> Self {
        Self { forward: 2 * index.rows(), ..Self::default() }
    }

    /// One output ciphertext of a linear stage.
    pub fn linear(inputs: usize) -> Self {
        Self { products: 2 * inputs, inverse: 2, ..Self::default() }
    }

    /// One CMUX gate.
    pub fn gate(index: IndexLayout) -> Self {
        Self { products: 2 * index.rows(), forward: index.rows(), inverse: 2, gates: 1 }
    }

    /// The zero key brought to the Fourier domain.
    pub fn zero_key() -> Self {
        Self { forward: 2, ..Self::default() }
    }

    /// One reply ciphertext re-randomised.
    pub fn reply() -> Self {
        Self { products: 2, forward: 1, inverse: 2, ..Self::default() }
    }
}

/// What one trip costs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct CostReport {
    /// Operations of the server.
    pub counts: Counts,
    /// Bytes of the query message.
    pub bytes_up: usize,
    /// Bytes of the reply message.
    pub bytes_down: usize,
    /// Most gates that one value passes through.
    pub depth: usize,
    /// Memory that the prepared weights take, read once per query.
    pub weight_bytes: usize,
}

impl AddAssign for CostReport {
    /// The cost of one trip after another.
    fn add_assign(&mut self, other: Self) {
        self.counts += other.counts;
        self.bytes_up += other.bytes_up;
        self.bytes_down += other.bytes_down;
        self.depth = self.depth.max(other.depth);
        self.weight_bytes += other.weight_bytes;
    }
}

impl fmt::Display for CostReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Counts { products, forward, inverse, gates } = self.counts;
        writeln!(f, "polynomial products  {products:>10}")?;
        writeln!(f, "transforms           {:>10}   ({forward} forward, {inverse} inverse)", forward + inverse)?;
        writeln!(f, "CMUX gates           {gates:>10}   (depth {})", self.depth)?;
        writeln!(f, "weights in memory    {:>10}   bytes", self.weight_bytes)?;
        writeln!(f, "up                   {:>10}   bytes", self.bytes_up)?;
        write!(f, "down                 {:>10}   bytes", self.bytes_down)
    }
}

/// A register of the [`Cost`] machine.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CostValue {
    /// A vector or an index, counted where it is used.
    Input,
    /// Scores.
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
}

/// Counts operations and bytes.
pub struct Cost<'a> {
    stages: &'a [(StageId, StageLayout)],
    envelope: Envelope,
    report: CostReport,
}

impl<'a> Cost<'a> {
    /// A machine for stages laid out as given.
    pub fn new(stages: &'a [(StageId, StageLayout)], envelope: Envelope) -> Self {
        Self { stages, envelope, report: CostReport::default() }
    }

    /// What one run of `circuit` costs, with its messages.
    ///
    /// # Errors
    /// [`CircuitError`] for a circuit that is not well formed or uses a stage without a layout.
    pub fn price(mut self, circuit: &Circuit) -> Result<CostReport, CircuitError> {
        self.report.bytes_up = MESSAGE_HEADER;
        let reply = circuit.run(&mut self, vec![CostValue::Input; circuit.inputs.len()])?;
        let mut bits = 0;
        let mut ring = 0;
        for value in reply {
            if let CostValue::Scores { stage, ciphertexts, coefficients, depth } = value {
                ring = self.layout(stage)?.packing.ring();
                bits += (ciphertexts * ring + coefficients) * self.envelope.reply_bits as usize;
                self.report.depth = self.report.depth.max(depth);
                self.report.counts += Counts::reply().times(ciphertexts);
            }
        }
        self.report.bytes_up += SEED_BYTES + body_bytes(1, ring, self.envelope.zero_key_bits);
        self.report.counts += Counts::zero_key();
        self.report.bytes_down = MESSAGE_HEADER + bits.div_ceil(8);
        Ok(self.report)
    }

    fn layout(&self, stage: StageId) -> Result<StageLayout, CircuitError> {
        let missing = CircuitError::NoStage { stage: stage.0, stages: self.stages.len() };
        self.stages.iter().find(|(id, _)| *id == stage).map(|(_, layout)| *layout).ok_or(missing)
    }
}

/// Bytes of the bodies of `ciphertexts` seeded ciphertexts, `bits` bits kept of each coefficient.
pub fn body_bytes(ciphertexts: usize, ring: usize, bits: u32) -> usize {
    (ciphertexts * ring * bits as usize).div_ceil(8)
}

impl Machine for Cost<'_> {
    type Value = CostValue;
    type Error = CircuitError;

    fn linear(&mut self, stage: StageId, _input: &CostValue) -> Result<CostValue, CircuitError> {
        let layout = self.layout(stage)?;
        let p = layout.packing;
        let report = &mut self.report;
        report.bytes_up += SEED_BYTES + body_bytes(p.inputs(), p.ring(), layout.body_bits);
        report.counts += Counts::vector(p.inputs());
        report.counts += Counts::linear(p.inputs()).times(p.ciphertexts());
        report.weight_bytes += p.ciphertexts() * p.inputs() * fourier_bytes(p.ring());
        Ok(CostValue::Scores { stage, ciphertexts: p.ciphertexts(), coefficients: layout.used, depth: 0 })
    }

    fn select(&mut self, scores: &CostValue, _index: &CostValue) -> Result<CostValue, CircuitError> {
        let CostValue::Scores { stage, depth, .. } = *scores else { return Ok(CostValue::Input) };
        let layout = self.layout(stage)?;
        let p = layout.packing;
        let Some(index) = layout.index else {
            return Err(CircuitError::NoStage { stage: stage.0, stages: self.stages.len() });
        };
        let report = &mut self.report;
        report.bytes_up += SEED_BYTES + body_bytes(p.index_bits() * index.rows(), p.ring(), index.body_bits);
        report.counts += Counts::index_bit(index).times(p.index_bits());
        report.counts += Counts::gate(index).times(p.selection_gates());
        let depth = depth + p.index_bits();
        Ok(CostValue::Scores { stage, ciphertexts: p.lanes(), coefficients: p.outputs(), depth })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{HierarchyShape, StageShape, VectorBound};

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
        assert_eq!(report.bytes_up, MESSAGE_HEADER + 32 + 64 * 25 / 8 + query + indices);
        assert_eq!(report.bytes_down, MESSAGE_HEADER + (2 * (64 + 5) * 20usize).div_ceil(8));
        assert_eq!(report.depth, 3);
        assert_eq!(report.weight_bytes, 2 * 3 * 32 * 16);
        // Two probes, each one gate over the columns and two over the blocks.
        assert_eq!(report.counts.gates, 2 * 3);
        assert_eq!(report.counts.products, 2 * 2 * 3 + 6 * 8 + 2 * 2);
        assert_eq!(report.counts.forward, 2 + 2 * 3 + 2 * 3 * 8 + 6 * 4 + 2);
        assert_eq!(report.counts.inverse, 2 * 2 + 6 * 2 + 2 * 2);
    }
}
