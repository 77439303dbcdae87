//! The two halves of a model, cut along the line of trust, and both in one place.

pub(crate) mod client;
pub(crate) mod library;
pub(crate) mod pair;
pub(crate) mod server;
