//! What a person reads: figures, tables and the folder that they are kept in.

pub(crate) mod axis;
pub(crate) mod figure;
pub(crate) mod html;
pub(crate) mod results;
