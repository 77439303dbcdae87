//! Client and server of every protocol, who speak in serialised messages and nothing else.
//!
//! Comes in: base features of a clip on one side, the server half of a model on the other. Goes out: an [`Answer`]. There is no
//! transport, no clock, no file and no thread in a [`Client`]: it hands out a [`Message`] and takes a reply, and whoever owns it
//! carries them. [`exchange`] is the few lines that do so for a transport that can be called. This crate refuses to know about audio
//! and training.
//!
//! Without the feature `server`, which is on by default, the crate holds the client alone, and builds for a browser.

#[cfg(feature = "server")]
mod choice;
mod client;
mod error;
mod exchange;
mod hello;
#[cfg(feature = "server")]
mod server;
#[cfg(feature = "server")]
mod share;

#[cfg(feature = "server")]
pub use choice::{Choice, Machine, Wish, alternatives, choices, front, leads};
pub use client::{Client, Message, Step};
pub use error::{Carried, ServiceError};
pub use exchange::{Exchange, Trip, exchange};
pub use hello::Hello;
#[cfg(feature = "server")]
pub use server::Server;
#[cfg(feature = "server")]
pub use share::Worker;
pub use sordino_model::{Answer, Match};

/// The README's example, compiled and run.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
