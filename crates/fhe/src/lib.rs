//! Encrypted evaluation of a model's circuits with TFHE.
//!
//! Comes in: small integer vectors and group indices on the client, integer weights on the server. Goes out: query and reply
//! messages, and on the client scores or answers, equal to those of [`sordino_model::circuit::Clear`] but with a probability that
//! [`Plan::failure_log2`] bounds. A [`SecretKey`] never leaves the client; a [`Plan`] is public and agreed by both.
//!
//! Protocols come in three families, built alike: in [`scores`] the server returns scores and the client decides, in [`decision`] the
//! server decides, in [`raw`] it also computes the features, from encrypted samples. Each has a plan, a client and a server. [`Plan`] and [`Server`] stand for any.
//!
//! Without the feature `server` the crate holds what a client needs, and builds for a browser; `parallel` spreads a client's work over
//! threads. Both are on by default.
//!
//! Packing follows the coefficient encodings of private inner products, selection the CMUX trees of Chillotti, Gama, Georgieva and
//! Izabachène (TFHE, Journal of Cryptology 2020); `docs/crypto.md` has the mathematics. This crate alone knows `tfhe`, and
//! refuses to know files of models, features, and how messages travel.

#[cfg(feature = "server")]
mod bootstrap;
#[cfg(feature = "server")]
pub mod calibration;
pub mod decision;
mod error;
mod keys;
#[cfg(feature = "server")]
mod linear;
#[cfg(all(test, feature = "server"))]
mod measured;
pub mod noise;
pub mod params;
mod protocol;
pub mod raw;
mod ring;
pub mod scores;
mod wire;

#[cfg(feature = "server")]
pub use bootstrap::server_key::ServerKey;
pub use error::FheError;
pub use keys::evaluation::EvaluationKey;
#[cfg(not(target_family = "wasm"))]
pub use keys::file::KeyFile;
pub use keys::id::{ClientKey, KeyId};
pub use keys::pieces::Pieces;
pub use keys::secret::SecretKey;
#[cfg(feature = "server")]
#[doc(hidden)]
pub use linear::LinearKernel;
pub use protocol::Plan;
#[cfg(feature = "server")]
pub use protocol::Server;
