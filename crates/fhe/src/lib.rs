//! Encrypted evaluation of a circuit's stages.

mod argmax;
mod blind_rotation;
mod circuit_bootstrap;
mod error;
mod evaluation_key;
mod evaluator;
mod fourier;
mod gadget;
mod glwe;
mod keyswitch;
pub mod params;
mod secret_key;
mod vector;

pub use error::FheError;
pub use evaluation_key::{DecisionGadgets, EvaluationKey, ServerKey};
pub use evaluator::{DecisionCounts, Resolution};
pub use gadget::Gadget;
pub use secret_key::SecretKey;
