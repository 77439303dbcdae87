//! From which score on a class counts as known.

pub(crate) mod threshold;

pub use threshold::{Threshold, UnknownSettings};
