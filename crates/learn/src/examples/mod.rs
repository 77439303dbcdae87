//! Examples of classes: what is learned from.

pub(crate) mod passages;

pub use passages::Passages;
