//! Encrypted evaluation of a circuit's stages.

mod error;
pub mod params;
mod secret_key;

pub use error::FheError;
pub use secret_key::SecretKey;
