//! The variance of every operation by formula, and what follows from it: failure probabilities and margins.

pub(crate) mod decision;
pub(crate) mod formula;

pub use decision::{Contest, DecisionNoise};
pub use formula::{Noise, NoiseBudget};
