//! `one-trip`: the server decides everything, encrypted, and returns tracks or nothing.
//!
//! The client sends one encrypted vector per stage. The server scores all groups of all stages, finds the best group of each
//! stage by a tournament, selects its scores by the encrypted position of its winner, and returns the position of the best track in
//! every stage, or zeros if its score says that the song is unknown. `docs/one-trip.md` explains it step by step.

mod certainty;
mod client;
mod cost;
mod leads;
mod machine;
mod plan;
mod server;
mod work;

pub use certainty::Certainty;
pub use client::OneTripClient;
pub use leads::Leads;
pub use plan::{OneTripOptions, OneTripPlan, OneTripStage};
pub use server::OneTripServer;
pub use work::OneTripWork;
