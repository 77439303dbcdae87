//! From which score on a label counts as known.

pub(crate) mod imitation;
pub(crate) mod threshold;

pub use threshold::{Cut, Threshold, UnknownSettings};
