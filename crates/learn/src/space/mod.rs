//! The space in which classes are compared: whitened, of unit length.

pub(crate) mod confusion;
pub(crate) mod scatter;
pub(crate) mod unit_vectors;
pub(crate) mod whitening;
