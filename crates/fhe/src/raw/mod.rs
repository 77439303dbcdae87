//! A front end under encryption: samples go in, an answer comes out, and the server has done all that lies between.
//!
//! [`sordino_model::raw`] says what is computed. `docs/raw-audio.md` has the mathematics, and derives the noise of every step. What follows the features is a
//! tournament, as in [`crate::decision`].

mod client;
#[cfg(feature = "server")]
mod correlation;
mod cost;
mod key;
pub(crate) mod leads;
#[cfg(feature = "server")]
pub(crate) mod machine;
mod noise;
pub(crate) mod plan;
pub(crate) mod samples;
#[cfg(feature = "server")]
mod server;
#[cfg(feature = "server")]
mod work;

pub use client::Client;
#[cfg(feature = "server")]
pub(crate) use correlation::Correlator;
pub use key::RawKey;
#[cfg(feature = "server")]
pub use key::RawServerKey;
pub use leads::Leads;
pub use noise::RawNoise;
pub use plan::{Margins, Plan};
#[cfg(feature = "server")]
pub use server::Server;
#[cfg(feature = "server")]
pub use work::Work;

/// One unit of a level before differences are taken: the largest difference is just within a quarter of the torus.
pub(crate) fn difference_unit(spec: &sordino_model::raw::RawSpec) -> u64 {
    (1 << 62) >> (spec.level_bits + 1)
}
