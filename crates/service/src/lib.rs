//! Client and server of a protocol, who speak in serialised messages and nothing else.
//!
//! Comes in: base features of a clip on one side, the server half of a model on the other. Goes out: a ranking, and what it
//! took. There is no transport in here: [`Client::identify`] hands each message to a closure, which may call a
//! [`Server`] in the same process or carry it over a network. This crate refuses to know about audio and training.

mod client;
mod error;
pub mod one_trip;
mod server;

pub use client::{Answer, Client, Trip};
pub use error::{Carried, ServiceError};
pub use server::Server;
