//! [`Counts`] and [`CostReport`]: what an encrypted run does, in numbers.

use std::fmt;
use std::ops::AddAssign;

use serde::{Deserialize, Serialize};

use crate::layout::{DecisionCounts, IndexLayout};

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
    /// Operations of the linear stages, of selections by indices that the client sends, of query and reply.
    pub counts: Counts,
    /// Steps of the decisions that the server takes. A comparison counts once, whatever its resolution.
    pub decisions: DecisionCounts,
    /// Accumulators of a comparison: 1 at standard resolution, 2 or 4 at finer ones.
    pub accumulators: usize,
    /// Blind rotations that must follow one another, however many threads there are.
    pub rotations_in_a_row: usize,
    /// Bytes of the query message.
    pub bytes_up: usize,
    /// Bytes of the reply message.
    pub bytes_down: usize,
    /// Most gates that one value passes through where the client sends the index.
    pub depth: usize,
    /// Memory that the prepared weights take, read once per query.
    pub weight_bytes: usize,
}

impl AddAssign for CostReport {
    /// The cost of one trip after another.
    fn add_assign(&mut self, other: Self) {
        self.counts += other.counts;
        self.decisions += other.decisions;
        self.accumulators = self.accumulators.max(other.accumulators);
        self.rotations_in_a_row += other.rotations_in_a_row;
        self.bytes_up += other.bytes_up;
        self.bytes_down += other.bytes_down;
        self.depth = self.depth.max(other.depth);
        self.weight_bytes += other.weight_bytes;
    }
}

impl fmt::Display for CostReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Counts { products, forward, inverse, gates } = self.counts;
        if self.decisions != DecisionCounts::default() {
            let DecisionCounts { keyswitches, matches, signs, refreshes, conversions, gates, ring_keyswitches, .. } =
                self.decisions;
            let DecisionCounts { tables, correlations, .. } = self.decisions;
            writeln!(f, "blind rotations      {:>10}", self.decisions.rotations())?;
            if tables > 0 {
                writeln!(f, "  tables             {tables:>10}   (of {correlations} autocorrelations)")?;
            }
            writeln!(f, "  matches            {matches:>10}   of {} accumulator(s)", self.accumulators)?;
            writeln!(f, "  signs              {signs:>10}   of {} accumulator(s)", self.accumulators)?;
            writeln!(f, "  refreshes          {refreshes:>10}   ({conversions} conversions to selectors)")?;
            writeln!(f, "rotations in a row   {:>10}", self.rotations_in_a_row)?;
            writeln!(f, "keyswitches          {keyswitches:>10}")?;
            if ring_keyswitches > 0 {
                writeln!(f, "ring keyswitches     {ring_keyswitches:>10}")?;
            }
            writeln!(f, "gates of decisions   {gates:>10}")?;
        }
        writeln!(f, "polynomial products  {products:>10}")?;
        writeln!(f, "transforms           {:>10}   ({forward} forward, {inverse} inverse)", forward + inverse)?;
        if gates > 0 {
            writeln!(f, "CMUX gates           {gates:>10}   (depth {})", self.depth)?;
        }
        writeln!(f, "weights in memory    {:>10}   bytes", self.weight_bytes)?;
        writeln!(f, "up                   {:>10}   bytes", self.bytes_up)?;
        write!(f, "down                 {:>10}   bytes", self.bytes_down)
    }
}
