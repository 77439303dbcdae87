//! One module per verb, in the order of the flow.

pub(crate) mod calibrate;
pub(crate) mod demo;
pub(crate) mod evaluate;
pub(crate) mod identify;
pub(crate) mod index;
pub(crate) mod inspect;
pub(crate) mod keygen;
pub(crate) mod lab;
pub(crate) mod library;
pub(crate) mod manual;
pub(crate) mod serve;
pub(crate) mod store;
pub(crate) mod synth;
pub(crate) mod train;
pub(crate) mod tune;
