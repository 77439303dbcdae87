//! The systems that are asked.

pub(crate) mod opponent;
pub(crate) mod ours;
