//! Invented artists, albums and titles.

use rand::RngExt;
use rand::seq::IndexedRandom;
use rand_chacha::ChaCha8Rng;

use crate::seed;

const ADJECTIVES: [&str; 40] = [
    "Amber",
    "Quiet",
    "Hollow",
    "Velvet",
    "Distant",
    "Crimson",
    "Paper",
    "Northern",
    "Electric",
    "Slow",
    "Golden",
    "Broken",
    "Silver",
    "Restless",
    "Frozen",
    "Tidal",
    "Wooden",
    "Lucid",
    "Copper",
    "Feral",
    "Gentle",
    "Violet",
    "Empty",
    "Second",
    "Burning",
    "Pale",
    "Hidden",
    "Static",
    "Magnetic",
    "Marble",
    "Northbound",
    "Sleepless",
    "Solar",
    "Polar",
    "Woven",
    "Brittle",
    "Sunken",
    "Early",
    "Nameless",
    "Patient",
];
const NOUNS: [&str; 48] = [
    "Harbour",
    "Lantern",
    "Meadow",
    "Engine",
    "Mirror",
    "River",
    "Orchard",
    "Signal",
    "Winter",
    "Garden",
    "Window",
    "Ember",
    "Satellite",
    "Compass",
    "Feather",
    "Canyon",
    "Avenue",
    "Shadow",
    "Kingdom",
    "Thunder",
    "Carousel",
    "Island",
    "Sparrow",
    "Cathedral",
    "Horizon",
    "Machine",
    "Balloon",
    "Tower",
    "Letter",
    "Forest",
    "Station",
    "Lighthouse",
    "Anchor",
    "Comet",
    "Market",
    "Bridge",
    "Valley",
    "Clock",
    "Violin",
    "Desert",
    "Ocean",
    "Circus",
    "Telegraph",
    "Parade",
    "Library",
    "Voyage",
    "Echo",
    "Summer",
];
const ACTIONS: [&str; 16] = [
    "Leaving",
    "Chasing",
    "Counting",
    "Waiting for",
    "Dreaming of",
    "Building",
    "Crossing",
    "Losing",
    "Folding",
    "Returning to",
    "Painting",
    "Under",
    "Beyond",
    "Without",
    "Between Here and",
    "Farewell to",
];
const ONSETS: [&str; 18] =
    ["b", "br", "d", "f", "g", "h", "k", "kl", "l", "m", "n", "p", "r", "s", "st", "t", "v", "w"];
const VOWELS: [&str; 9] = ["a", "e", "i", "o", "u", "ai", "ei", "ou", "ea"];
const CODAS: [&str; 10] = ["", "", "n", "r", "l", "s", "nd", "rk", "m", "th"];

fn pick<'a>(rng: &mut ChaCha8Rng, words: &[&'a str]) -> &'a str {
    words.choose(rng).copied().unwrap_or_default()
}

/// A pronounceable invented word.
fn word(rng: &mut ChaCha8Rng, syllables: usize) -> String {
    let mut word = String::new();
    for syllable in 0..syllables {
        word.push_str(pick(rng, &ONSETS));
        word.push_str(pick(rng, &VOWELS));
        if syllable + 1 == syllables {
            word.push_str(pick(rng, &CODAS));
        }
    }
    let mut letters = word.chars();
    letters.next().map(|first| first.to_uppercase().chain(letters).collect()).unwrap_or_default()
}

/// An artist and an album, from the seed of the album.
pub(super) fn artist_and_album(album_seed: u64) -> (String, String) {
    let mut rng = seed::rng(album_seed, 0);
    let rng = &mut rng;
    let artist = match rng.random_range(0..5) {
        0 => format!("The {} {}s", pick(rng, &ADJECTIVES), word(rng, 2)),
        1 => format!("{} {}", word(rng, 2), word(rng, 3)),
        2 => format!("{} & the {}s", word(rng, 2), pick(rng, &NOUNS)),
        3 => format!("{} {}", word(rng, 3), pick(rng, &NOUNS)),
        _ => word(rng, 4),
    };
    let album = match rng.random_range(0..3) {
        0 => format!("{} {}", pick(rng, &ADJECTIVES), pick(rng, &NOUNS)),
        1 => format!("{} {}", pick(rng, &NOUNS), rng.random_range(2..100)),
        _ => format!("{} {}", pick(rng, &ACTIONS), word(rng, 3)),
    };
    (artist, album)
}

/// A title, from the seed of the track.
pub(super) fn title(track_seed: u64) -> String {
    let mut rng = seed::rng(track_seed, 0);
    let rng = &mut rng;
    match rng.random_range(0..5) {
        0 => format!("{} {}", pick(rng, &ADJECTIVES), pick(rng, &NOUNS)),
        1 => format!("{} of {}", pick(rng, &NOUNS), word(rng, 3)),
        2 => format!("{} the {} {}", pick(rng, &ACTIONS), pick(rng, &ADJECTIVES), pick(rng, &NOUNS)),
        3 => format!("{} {}", word(rng, 3), pick(rng, &NOUNS)),
        _ => format!("{} {}", pick(rng, &ACTIONS), word(rng, 3)),
    }
}
