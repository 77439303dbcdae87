//! What is evaluated, as data: integer stages, the circuit that joins them, and the machines that need no cryptography.
//!
//! Comes in: trained weights. Goes out: a client half (front end, quantisers, labels), a server half (integer weights
//! per stage), and [`Circuit`]s that a [`Machine`] walks. [`Clear`] gives the answer, [`Range`] proves that nothing
//! overflows, `Cost` counts what the encrypted run will do. This crate refuses to know how weights are trained
//! and how ciphertexts work; it has no heavy dependency.

mod circuit;
mod clear;
mod range;
mod shape;
mod stage;

pub use circuit::{Circuit, CircuitError, Input, Machine, Op, Register, StageId};
pub use clear::{Clear, ClearError, ClearValue};
pub use range::{Range, RangeError, RangeValue};
pub use shape::{HierarchyShape, StageError, StageShape, VectorBound};
pub use stage::{Hierarchy, Stage};
