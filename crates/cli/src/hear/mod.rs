//! Hearing: who asks about sound, where sound comes from that goes on, and recordings of several songs.

mod listener;
mod live;
#[cfg(feature = "microphone")]
mod microphone;
mod recording;

pub(crate) use listener::{Identified, Listener, STANDARD_INPUT, human, name};
pub(crate) use live::Live;
pub(crate) use recording::Recording;
