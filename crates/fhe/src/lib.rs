//! Encrypted evaluation of a model's circuits with TFHE.
//!
//! Comes in: small integer vectors and group indices on the client, integer weights on the server. Goes out: query and reply
//! messages, and on the client the scores, equal to those of [`sordino_model::Clear`] but with a probability that
//! [`Plan::failure_log2`] bounds. A [`SecretKey`] never leaves the client; a [`Plan`] is public and agreed by both.
//! Packing follows the coefficient encodings of private inner products, selection the CMUX trees of Chillotti, Gama, Georgieva and
//! Izabachène (TFHE, Journal of Cryptology 2020); `docs/crypto.md` has the mathematics. This crate alone knows `tfhe`, and
//! refuses to know files of models, features, and how messages travel.

mod argmax;
mod bits;
mod blind_rotation;
mod calibration;
mod circuit_bootstrap;
mod client;
mod decision_gadgets;
#[cfg(test)]
mod decision_tests;
mod encoding;
mod error;
mod evaluation_key;
mod evaluator;
mod fourier;
mod gadget;
mod glwe;
mod key_id;
mod keyswitch;
mod linear;
mod lookup;
mod machine;
mod margin;
#[cfg(test)]
mod measured;
mod messages;
pub mod noise;
mod one_trip;
pub mod params;
mod plan;
mod planner;
mod random;
mod reading;
mod reply;
mod secret_key;
mod seeded;
mod select;
mod server;
mod server_key;
mod vector;

pub use calibration::{calibrate, calibrate_with};
pub use client::QueryEncryptor;
pub use decision_gadgets::DecisionGadgets;
pub use encoding::Encoding;
pub use error::FheError;
pub use evaluation_key::EvaluationKey;
pub use evaluator::Resolution;
pub use gadget::Gadget;
pub use key_id::KeyId;
#[doc(hidden)]
pub use linear::LinearKernel;
pub use machine::Work;
pub use margin::{Contest, DecisionNoise};
pub use one_trip::{
    Certainty, Leads, OneTripClient, OneTripOptions, OneTripPlan, OneTripServer, OneTripStage, OneTripWork,
};
pub use plan::{Plan, TripPlan};
pub use planner::PlannerOptions;
pub use secret_key::SecretKey;
pub use server::PreparedModel;
pub use server_key::ServerKey;
