//! A client of a Sordino server over HTTP.
//!
//! Comes in: an address, features of a clip, keys. Goes out: an answer. Between the two it fetches the public half of a model once,
//! registers an evaluation key once, and carries messages. This crate refuses to know sound, and decrypts nothing itself: that is
//! [`sordino_service::Client`]'s.
//!
//! **What is repeated.** Every request here may be sent twice without harm: fetching changes nothing, a key is put under its own
//! hash, and a query is repeated byte for byte, before its reply was seen. Nothing is sent again because of what a reply decrypts
//! to, nor is anything sent that follows from it.

mod address;
mod error;
mod halves;
mod line;
mod offer;
pub mod places;
mod remote;
mod session;
mod token;

pub use address::Address;
pub use error::{Problem, RemoteError};
pub use offer::{Budget, ClientHalf, ModelOffer, ProtocolOffer};
pub use remote::{Options, Registration, Remote, Timeouts};
pub use session::Session;
pub use token::Token;

/// The README's example, compiled.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
