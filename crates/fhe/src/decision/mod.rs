//! `decided`: the server decides everything, encrypted, and returns tracks or nothing.
//!
//! The client sends one encrypted vector per stage. The server scores all groups of all stages, finds the best group of each
//! stage by a tournament, selects its scores by the encrypted position of its winner, and returns the position of the best track in
//! every stage, or zeros if its score says that the song is unknown. `docs/one-trip.md` explains it step by step.

mod client;
mod cost;
mod leads;
#[cfg(feature = "server")]
mod machine;
pub(crate) mod margins;
pub(crate) mod plan;
#[cfg(feature = "server")]
mod position;
pub(crate) mod reply;
#[cfg(feature = "server")]
mod server;
#[cfg(feature = "server")]
mod share;
#[cfg(feature = "server")]
pub(crate) mod tournament;
#[cfg(feature = "server")]
pub(crate) mod tree;
#[cfg(feature = "server")]
mod work;

pub use client::Client;
pub use leads::Leads;
pub use margins::Margins;
pub use plan::{Options, Plan, StagePlan};
#[cfg(feature = "server")]
pub use server::Server;
#[cfg(feature = "server")]
pub use share::{Share, ShareServer, Shares};
#[cfg(feature = "server")]
pub use work::Work;
