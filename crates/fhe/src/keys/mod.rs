//! The client's secret keys, and their name.

pub(crate) mod id;
pub(crate) mod secret;
