//! A front end under encryption: samples go in, features come out, and the server has done all that lies between.
//!
//! [`sordino_model::raw`] says what is computed. `docs/raw-audio.md` has the mathematics, and derives the noise of every step.

mod client;
#[cfg(feature = "server")]
mod correlation;
mod key;
#[cfg(feature = "server")]
mod machine;
mod noise;

pub use client::RawClient;
pub use key::RawKey;
#[cfg(feature = "server")]
pub use key::RawServerKey;
#[cfg(feature = "server")]
pub use machine::{RawMachine, RawWork};
pub use noise::RawNoise;
