//! The client's secret keys, the evaluation key that it makes of them, its name, and their files.

pub(crate) mod evaluation;
#[cfg(not(target_family = "wasm"))]
pub(crate) mod file;
pub(crate) mod gadgets;
pub(crate) mod id;
pub(crate) mod keyswitch;
pub(crate) mod pieces;
pub(crate) mod secret;
