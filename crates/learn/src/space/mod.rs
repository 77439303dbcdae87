//! The space in which classes are compared: whitened, of unit length.

pub(crate) mod examples;
pub(crate) mod pool;
pub(crate) mod whitening;

pub use whitening::{Whitening, WhiteningSettings};
