//! How numbers and ciphertexts are written: encodings, packed bits, seeded lists, and the frame of every message.

pub(crate) mod bits;
pub(crate) mod checksum;
pub(crate) mod encoding;
#[cfg(feature = "server")]
pub(crate) mod expansion;
pub(crate) mod header;
pub(crate) mod seeded;
pub(crate) mod sender;
