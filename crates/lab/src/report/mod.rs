//! What a person reads: figures, tables, the numbers that documents quote, and the folder that results are kept in.

pub(crate) mod axis;
pub(crate) mod comparison;
pub(crate) mod drawing;
pub(crate) mod export;
pub(crate) mod figure;
pub(crate) mod html;
pub(crate) mod mark;
pub(crate) mod picture;
pub(crate) mod read;
pub(crate) mod results;
pub(crate) mod summary;
pub(crate) mod words;
