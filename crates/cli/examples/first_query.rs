//! The simplest query: a model that is there, a clip that is composed on the spot, and its name, found under encryption.
//!
//!     cargo run --release -p sordino-cli --example first_query

use std::path::Path;

use sordino_corpus::synth;
use sordino_fhe::{SecretKey, params};
use sordino_model::{Protocol, load_pair};
use sordino_service::{Client, Server, exchange};

pub(crate) fn main() -> anyhow::Result<()> {
    // The two halves of a model of 24 composed tracks. The server holds one, every listener has the other.
    let folder = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../../models/composed"));
    let (client, server) = load_pair(folder)?;
    let server = Server::new(&server, Protocol::Flat, &params::STANDARD)?;

    // Ten seconds of the fifth track, composed anew. A clip of yours comes from `sordino_audio::decode_file`.
    let rate = client.front().spec()?.sample_rate;
    let track = &synth::catalogue(24, 1).tracks[4];
    let clip = track.samples(rate, &Default::default()).map_err(anyhow::Error::msg)?.data;
    let features = client.front().features(&clip)?;

    // The listener encrypts and decrypts. The server answers a message that it cannot read.
    let mut listener = Client::new(client, SecretKey::generate(&params::STANDARD), &server.hello())?;
    let answer = exchange(&mut listener, &features, &mut |message| server.answer(message))?.answer;

    let found = answer.best().map(|best| &listener.model().labels()[best.label].title);
    println!("{}", found.map_or("unknown", String::as_str));
    anyhow::ensure!(found == Some(&track.title), "expected {}", track.title);
    Ok(())
}
