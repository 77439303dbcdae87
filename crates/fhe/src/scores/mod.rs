//! `flat` and `routed`: the server returns scores, and the client decides.
//!
//! The client sends one encrypted vector a trip, and encrypted selectors of the groups that it wants to see. The server scores all
//! groups of a stage, selects those, and returns their scores, re-randomised and flooded. `docs/crypto.md` explains it step by step.

pub(crate) mod client;
mod machine;
mod plan;
mod planner;
mod reply;
pub(crate) mod select;
mod server;
mod work;

pub use client::Client;
pub use plan::{Plan, TripPlan};
pub use planner::PlannerOptions;
pub use server::Server;
pub use work::Work;
