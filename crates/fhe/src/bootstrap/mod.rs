//! What lets a server decide: the evaluation key, keyswitches, blind rotations, selectors, and the operations made of them.

pub(crate) mod blind_rotation;
pub(crate) mod circuit_bootstrap;
pub(crate) mod evaluation_key;
pub(crate) mod evaluator;
pub(crate) mod gadgets;
pub(crate) mod keyswitch;
pub(crate) mod lookup;
pub(crate) mod server_key;
