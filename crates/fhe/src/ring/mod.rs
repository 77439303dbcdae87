//! The ring `Z[X]/(X^N + 1)` over the torus: ciphertexts, transforms, digits, and randomness.

pub(crate) mod automorphism;
#[cfg(feature = "server")]
pub(crate) mod fourier;
pub(crate) mod gadget;
#[cfg(feature = "server")]
pub(crate) mod ggsw;
#[cfg(feature = "server")]
pub(crate) mod glwe;
#[cfg(feature = "server")]
pub(crate) mod product;
pub(crate) mod random;
#[cfg(feature = "server")]
pub(crate) mod vector;
#[cfg(feature = "server")]
pub(crate) mod zero_key;
