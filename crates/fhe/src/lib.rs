//! Encrypted evaluation of a circuit's stages.

mod argmax;
mod bits;
mod blind_rotation;
mod circuit_bootstrap;
mod client;
#[cfg(test)]
mod decision_tests;
mod encoding;
mod error;
mod evaluation_key;
mod evaluator;
mod fourier;
mod gadget;
mod glwe;
mod keyswitch;
mod linear;
mod machine;
mod margin;
#[cfg(test)]
mod measured;
mod messages;
pub mod noise;
pub mod params;
mod plan;
mod planner;
mod random;
mod reply;
mod secret_key;
mod seeded;
mod select;
mod server;
mod vector;

pub use client::QueryEncryptor;
pub use encoding::Encoding;
pub use error::FheError;
pub use evaluation_key::{DecisionGadgets, EvaluationKey, ServerKey};
pub use evaluator::Resolution;
pub use gadget::Gadget;
#[doc(hidden)]
pub use linear::LinearKernel;
pub use machine::Work;
pub use margin::{Contest, DecisionNoise};
pub use plan::{Plan, TripPlan};
pub use planner::PlannerOptions;
pub use secret_key::SecretKey;
pub use server::PreparedModel;
