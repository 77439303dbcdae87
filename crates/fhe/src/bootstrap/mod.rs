//! What a server decides with: expanded keys, keyswitches, blind rotations, selectors, and the operations made of them.

pub(crate) mod blind_rotation;
pub(crate) mod circuit_bootstrap;
pub(crate) mod evaluator;
pub(crate) mod keyswitch;
pub(crate) mod lookup;
pub(crate) mod server_key;
