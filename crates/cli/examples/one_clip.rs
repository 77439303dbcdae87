//! The whole path in a page: music, an index, a model, and one noisy clip named under encryption.
//!
//!     cargo run --release -p sordino-cli --example one_clip
//!
//! The library's owner holds `server`: integer weights, and whatever arrives in messages. The listener holds `client`, which is
//! public, and `key`, which nobody else ever sees.

use sordino_audio::{ImpulseBank, NoiseBank, Span, mix_at_snr};
use sordino_corpus::{IndexOptions, MelTable, SoundOptions, index, synth};
use sordino_fhe::{SecretKey, params};
use sordino_front::FeatureSpec;
use sordino_learn::run::Quiet;
use sordino_learn::sound::labels;
use sordino_learn::{Effort, TrainConfig, train};
use sordino_model::Protocol;
use sordino_service::{Client, Server, exchange};

pub(crate) fn main() -> anyhow::Result<()> {
    // A library of two dozen composed tracks, and its cached mel power.
    let spec = FeatureSpec::default();
    let folder = tempfile::tempdir()?;
    let catalogue = synth::catalogue(24, 1);
    let silent = indicatif::ProgressBar::hidden();
    index::build(&catalogue, &spec, folder.path(), &IndexOptions::for_spec(&spec), &silent)?;
    let table = MelTable::open(folder.path())?;

    // Noise and rooms: training hears some, the listener stands among others.
    let (noise, street) = NoiseBank::synthetic(1, 32, 5.0, spec.sample_rate).split(0.3, 1);
    let rooms = ImpulseBank::synthetic(1, 12, Span(0.2, 1.0), spec.sample_rate);

    // Clusters, a public trunk, quantisation-aware classifiers; then integers, in two halves.
    let model = train(&table, &noise, &rooms, &TrainConfig::effort(Effort::Quick), None, &Quiet)?;
    let (client, server) = model.halves("one-clip", labels(&table))?;

    // Ten seconds of track 7, with as much noise as music 5 dB down.
    let track = &catalogue.tracks[7];
    let sound = track.samples(spec.sample_rate, &SoundOptions::default()).map_err(anyhow::Error::msg)?;
    let mut clip = sound.data[60_000..][..spec.query_samples()].to_vec();
    mix_at_snr(&mut clip, &street.clips()[0].samples, 5.0);

    // The listener encrypts; the server answers two messages and learns nothing; the listener decrypts.
    let server = Server::new(&server, Protocol::Routed { probes: 2 }, &params::STANDARD)?;
    let key = SecretKey::generate(&params::STANDARD);
    let features = client.front().features(&clip)?;
    let mut listener = Client::new(client, key, &server.hello())?;
    let answer = exchange(&mut listener, &features, &mut |message| server.answer(message))?.answer;

    let best = answer.best().map(|best| &listener.model().labels()[best.label]);
    match best {
        Some(label) => println!("{} - {}", label.artist, label.title),
        None => println!("unknown"),
    }
    anyhow::ensure!(best.is_some_and(|label| label.track_id == track.id), "expected {}, found {best:?}", track.title);
    Ok(())
}
