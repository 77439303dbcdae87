//! Which tracks a library holds and which stay unknown to it.

use std::collections::{BTreeMap, HashMap, HashSet};

use rand::seq::SliceRandom;

use crate::{Catalogue, CorpusError, Track, seed};

/// How many tracks to hold out.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Holdout {
    /// This part of the catalogue, 0 to 1.
    Fraction(f32),
    /// This many tracks.
    Count(usize),
}

/// One round of a cross-validation: positions in the catalogue, ascending.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fold {
    /// Tracks of the library.
    pub known: Vec<usize>,
    /// Tracks held out of the library altogether: the right answer to them is "unknown".
    pub unknown: Vec<usize>,
}

/// Splits a catalogue into a library and tracks held out of it altogether. Excerpts of one song (same artist and album, titles that differ
/// only in a trailing `(2/4)`) are never on both sides, so up to one song's excerpts fewer than asked may be held out.
///
/// # Errors
/// [`CorpusError::Setting`] where more is to be held out than there is.
pub fn split_unknown(
    catalogue: &Catalogue,
    holdout: Holdout,
    seed: u64,
) -> Result<(Catalogue, Catalogue), CorpusError> {
    let total = catalogue.tracks.len();
    let bad = |found: String, expected: String| CorpusError::Setting { setting: "unknown tracks", found, expected };
    let count = match holdout {
        Holdout::Count(count) if count <= total => count,
        Holdout::Count(count) => return Err(bad(count.to_string(), format!("at most {total}"))),
        Holdout::Fraction(part) if (0.0..=1.0).contains(&part) => (f64::from(part) * total as f64).round() as usize,
        Holdout::Fraction(part) => return Err(bad(part.to_string(), "a fraction from 0 to 1".into())),
    };
    let mut unknown = Vec::with_capacity(count);
    for song in shuffled_songs(catalogue, seed) {
        if unknown.len() + song.len() <= count {
            unknown.extend(song);
        }
    }
    let fold = fold(total, unknown);
    Ok((catalogue.select(&fold.known), catalogue.select(&fold.unknown)))
}

/// Splits a catalogue `k` ways: every track is unknown in exactly one fold and known in the others. Excerpts of one
/// song share a fold; fold sizes differ by at most the longest song's excerpts.
///
/// # Errors
/// [`CorpusError::Setting`] where `k` is below 2 or above the number of tracks.
pub fn folds(catalogue: &Catalogue, k: usize, seed: u64) -> Result<Vec<Fold>, CorpusError> {
    let total = catalogue.tracks.len();
    if k < 2 || k > total {
        return Err(CorpusError::Setting { setting: "folds", found: k.to_string(), expected: format!("2 to {total}") });
    }
    let mut parts = vec![Vec::new(); k];
    for song in shuffled_songs(catalogue, seed) {
        if let Some(smallest) = parts.iter_mut().min_by_key(|part| part.len()) {
            smallest.extend(song);
        }
    }
    Ok(parts.into_iter().map(|part| fold(total, part)).collect())
}

/// Positions in `catalogue` of every excerpt of the songs of `tracks`, ascending: those themselves, and others of the same songs.
pub fn excerpts(catalogue: &Catalogue, tracks: &Catalogue) -> Vec<usize> {
    let songs: HashSet<_> = tracks.tracks.iter().map(song).collect();
    (0..catalogue.tracks.len()).filter(|&position| songs.contains(&song(&catalogue.tracks[position]))).collect()
}

/// Pairs of tracks that are one song by their tags, as parts such as `(2/4)` of one title by one artist are: every track but the first of
/// a song, after that first one. Tracks without a title are songs of their own.
pub fn parts(tracks: &[Track]) -> Vec<(u32, u32)> {
    let mut first = HashMap::new();
    let titled = tracks.iter().map(song).enumerate().filter(|(_, (.., title))| !title.is_empty());
    let pairs = titled.map(|(track, song)| (*first.entry(song).or_insert(track as u32), track as u32));
    pairs.filter(|(first, track)| first != track).collect()
}

fn fold(total: usize, mut unknown: Vec<usize>) -> Fold {
    unknown.sort_unstable();
    let known = (0..total).filter(|position| unknown.binary_search(position).is_err()).collect();
    Fold { known, unknown }
}

/// Positions of each song's excerpts, songs in random order.
fn shuffled_songs(catalogue: &Catalogue, seed: u64) -> Vec<Vec<usize>> {
    let mut songs: BTreeMap<(&str, &str, &str), Vec<usize>> = BTreeMap::new();
    for (position, track) in catalogue.tracks.iter().enumerate() {
        songs.entry(song(track)).or_default().push(position);
    }
    let mut songs: Vec<Vec<usize>> = songs.into_values().collect();
    // By first position, so that renaming an artist does not shift the random choice.
    songs.sort();
    songs.shuffle(&mut seed::rng(seed, 0));
    songs
}

/// Artist, album, and the title without a trailing `(2/4)`.
fn song(track: &Track) -> (&str, &str, &str) {
    let title = track.title.trim_end();
    let number = |text: &str| !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
    let stem = title
        .strip_suffix(')')
        .and_then(|rest| rest.rsplit_once('('))
        .filter(|(_, part)| part.split_once('/').is_some_and(|(n, of)| number(n) && number(of)))
        .map_or(title, |(stem, _)| stem.trim_end());
    (&track.artist, &track.album, stem)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::synth;

    fn three_of_each() -> Catalogue {
        let mut catalogue = synth::catalogue(60, 1);
        for (position, track) in catalogue.tracks.iter_mut().enumerate() {
            (track.artist, track.album) = ("A".into(), "B".into());
            track.title = format!("Song {} ({}/3)", position / 3, position % 3 + 1);
        }
        catalogue
    }

    #[test]
    fn every_track_is_unknown_once() {
        let catalogue = synth::catalogue(298, 1);
        let folds = folds(&catalogue, 10, 7).unwrap();
        let mut seen = vec![0; 298];
        for fold in &folds {
            assert!((29..=30).contains(&fold.unknown.len()));
            assert_eq!(fold.known.len() + fold.unknown.len(), 298);
            fold.unknown.iter().for_each(|&position| seen[position] += 1);
        }
        assert!(seen.iter().all(|&times| times == 1));
        assert_eq!(folds, super::folds(&catalogue, 10, 7).unwrap());
        assert_ne!(folds, super::folds(&catalogue, 10, 8).unwrap());
    }

    #[test]
    fn excerpts_of_one_song_stay_together() {
        let catalogue = three_of_each();
        assert_eq!(excerpts(&catalogue, &catalogue.select(&[4, 40, 41])), [3, 4, 5, 39, 40, 41]);
        let songs = |positions: &[usize]| positions.iter().map(|p| p / 3).collect::<std::collections::BTreeSet<_>>();
        for fold in folds(&catalogue, 7, 3).unwrap() {
            assert!(songs(&fold.known).is_disjoint(&songs(&fold.unknown)));
        }
        let mut tracks = catalogue.select(&[3, 4, 5, 40]).tracks;
        assert_eq!(parts(&tracks), [(0, 1), (0, 2)]);
        // Without titles nothing tells parts of a song from songs of an artist.
        tracks.iter_mut().for_each(|track| track.title.clear());
        assert!(parts(&tracks).is_empty());
        let (known, unknown) = split_unknown(&catalogue, Holdout::Count(10), 3).unwrap();
        assert_eq!((known.tracks.len(), unknown.tracks.len()), (51, 9));
    }

    #[test]
    fn fractions_and_counts_are_checked() {
        let catalogue = synth::catalogue(10, 1);
        assert_eq!(split_unknown(&catalogue, Holdout::Fraction(0.2), 1).unwrap().1.tracks.len(), 2);
        assert_eq!(split_unknown(&catalogue, Holdout::Count(10), 1).unwrap().0.tracks.len(), 0);
        assert!(split_unknown(&catalogue, Holdout::Count(11), 1).is_err());
        assert!(split_unknown(&catalogue, Holdout::Fraction(f32::NAN), 1).is_err());
        assert!(folds(&catalogue, 1, 1).is_err() && folds(&catalogue, 11, 1).is_err());
    }
}
