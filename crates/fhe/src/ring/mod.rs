//! The ring `Z[X]/(X^N + 1)` over the torus: ciphertexts, transforms, digits, and randomness.

pub(crate) mod fourier;
pub(crate) mod gadget;
pub(crate) mod glwe;
pub(crate) mod random;
pub(crate) mod vector;
pub(crate) mod zero_key;
