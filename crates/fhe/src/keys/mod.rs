//! The client's secret keys, their name, and the evaluation key that it makes of them.

pub(crate) mod evaluation;
pub(crate) mod gadgets;
pub(crate) mod id;
pub(crate) mod keyswitch;
pub(crate) mod secret;
