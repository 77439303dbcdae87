//! Music from seeds: composed by rules, played by synthesisers. It makes a library on a machine that has none.
//!
//! A seed fixes a key, a mode, a tempo, a metre, a band, a form and two to three sections with chords, a motif, a bass line, an
//! accompaniment and a drum pattern of their own; sections return and motifs are varied, as in songs. Every instrument,
//! drum kit and mix is drawn anew, so that no two tracks share a sound. The result depends on the seed and
//! the sampling rate alone; the notes depend on the seed alone.

mod compose;
mod drums;
mod envelope;
mod mix;
mod names;
mod pattern;
mod score;
mod style;
mod theory;
mod timbre;
mod voices;
mod wavetable;

use std::fs::File;
use std::io::BufWriter;
use std::path::Path;

use rand::RngExt;

use crate::{Catalogue, CorpusError, Source, Track, files, seed};
use mix::{Echo, Mix};
use score::Role;
use timbre::Instrument;

/// Licence of every synthesised track.
pub const LICENCE: &str = "CC0-1.0 (synthesised)";

/// Tracks that share an invented artist and album.
const TRACKS_PER_ALBUM: u64 = 8;

/// Streams of a track's seed, one per purpose: what is drawn for one leaves the others as they are.
const COMPOSITION: u64 = 1;
const SOUND: u64 = 2;
const NOISE: u64 = 3;

/// `count` tracks with ids 1 to `count`, nothing rendered yet. Fewer tracks from the same seed are the first of more.
pub fn catalogue(count: u32, seed: u64) -> Catalogue {
    let track = |index: u32| {
        let track_seed = seed::derive(seed, u64::from(index));
        let (artist, album) = names::artist_and_album(seed::derive(!seed, u64::from(index) / TRACKS_PER_ALBUM));
        Track {
            id: index + 1,
            artist,
            title: names::title(track_seed),
            album,
            licence: LICENCE.into(),
            source: Source::Synthetic(track_seed),
        }
    };
    Catalogue { tracks: (0..count).map(track).collect(), ..Catalogue::default() }
}

/// The track of a seed: mono samples in -1..1 at `rate` Hz, `seconds` long.
pub fn render(seed: u64, rate: u32, seconds: f32) -> Vec<f32> {
    let score = compose::compose(&mut seed::rng(seed, COMPOSITION), seconds);
    let mut sound = seed::rng(seed, SOUND);
    let mut noise = seed::rng(seed, NOISE);
    let hertz = rate as f32;
    let length = (seconds.max(0.0) * hertz).round() as usize;

    let mut sum = vec![0.0; length];
    let mut bus = vec![0.0; length];
    // The mix is drawn first: how many parts there are must not change the room.
    let mix = Mix::draw(&mut sound);
    for part in &score.parts {
        let instrument = Instrument::draw(&mut sound, part.role);
        let echo = Echo::draw(&mut sound, score.beat);
        let level = level(part.role) * sound.random_range(0.6..1.4);
        bus.fill(0.0);
        for note in &part.notes {
            instrument.play(note, hertz, &mut bus, &mut noise);
        }
        if let Some(echo) = echo.filter(|_| part.role != Role::Bass) {
            echo.apply(&mut bus, hertz);
        }
        sum.iter_mut().zip(&bus).for_each(|(sum, bus)| *sum += level * bus);
    }
    let kit = drums::KitDesign::draw(&mut sound);
    let level = 1.6 * sound.random_range(0.5..1.5);
    if !score.hits.is_empty() {
        let kit = kit.record(hertz, &mut noise);
        bus.fill(0.0);
        for hit in &score.hits {
            kit.play(hit, hertz, &mut bus);
        }
        sum.iter_mut().zip(&bus).for_each(|(sum, bus)| *sum += level * bus);
    }
    mix.master(&mut sum, hertz, &mut noise);
    sum
}

/// Usual loudness of a part; chords count several notes.
fn level(role: Role) -> f32 {
    match role {
        Role::Lead => 0.6,
        Role::Second => 0.35,
        Role::Comp => 0.25,
        Role::Arpeggio => 0.35,
        Role::Pad => 0.15,
        Role::Bass => 0.6,
    }
}

/// Writes samples as 16-bit mono WAV. The file is whole or not there: what is written gets its name at the end.
///
/// # Errors
/// [`CorpusError::Io`] where the file cannot be written.
pub fn write_wav(path: &Path, samples: &[f32], rate: u32) -> Result<(), CorpusError> {
    let spec =
        hound::WavSpec { channels: 1, sample_rate: rate, bits_per_sample: 16, sample_format: hound::SampleFormat::Int };
    let write = |file: &mut BufWriter<File>| {
        let mut writer = hound::WavWriter::new(file, spec)?;
        for &sample in samples {
            writer.write_sample((sample.clamp(-1.0, 1.0) * f32::from(i16::MAX)).round() as i16)?;
        }
        writer.finalize()
    };
    files::write_as(path, &files::hidden(path), |file| {
        write(file).map_err(|error: hound::Error| match error {
            hound::Error::IoError(error) => error,
            other => std::io::Error::other(other),
        })
    })
}

#[cfg(test)]
mod tests;
