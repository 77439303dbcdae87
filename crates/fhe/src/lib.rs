//! Encrypted evaluation of a model's circuits with TFHE.
//!
//! Comes in: small integer vectors and group indices on the client, integer weights on the server. Goes out: query and reply
//! messages, and on the client scores or answers, equal to those of [`sordino_model::circuit::Clear`] but with a probability that
//! [`Plan::failure_log2`] bounds. A [`SecretKey`] never leaves the client; a [`Plan`] is public and agreed by both.
//!
//! Protocols come in two families, built alike: in [`scores`] the server returns scores and the client decides, in [`decision`] the
//! server decides. Each has a plan, a client and a server. [`Plan`] and [`Server`] stand for either.
//!
//! Packing follows the coefficient encodings of private inner products, selection the CMUX trees of Chillotti, Gama, Georgieva and
//! Izabachène (TFHE, Journal of Cryptology 2020); `docs/crypto.md` has the mathematics. This crate alone knows `tfhe`, and
//! refuses to know files of models, features, and how messages travel.

mod bootstrap;
pub mod calibration;
pub mod decision;
mod error;
mod keys;
mod linear;
#[cfg(test)]
mod measured;
pub mod noise;
pub mod params;
mod protocol;
mod ring;
pub mod scores;
mod wire;

pub use bootstrap::evaluation_key::EvaluationKey;
pub use bootstrap::server_key::ServerKey;
pub use error::FheError;
pub use keys::id::KeyId;
pub use keys::secret::SecretKey;
#[doc(hidden)]
pub use linear::LinearKernel;
pub use protocol::{Plan, Server};

/// The README's example, compiled and run.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
