//! `flat` and `routed`: the server returns scores, and the client decides.
//!
//! The client sends one encrypted vector a trip, and encrypted selectors of the groups that it wants to see. The server scores all
//! groups of a stage, selects those, and returns their scores, re-randomised and flooded. `docs/crypto.md` explains it step by step.

pub(crate) mod client;
#[cfg(feature = "server")]
mod machine;
mod plan;
mod planner;
mod reply;
#[cfg(feature = "server")]
mod seal;
#[cfg(feature = "server")]
pub(crate) mod select;
#[cfg(feature = "server")]
mod server;
#[cfg(feature = "server")]
mod work;

pub use client::Client;
pub use plan::{Plan, TripPlan};
pub use planner::PlannerOptions;
#[cfg(feature = "server")]
pub use server::Server;
#[cfg(feature = "server")]
pub use work::Work;
