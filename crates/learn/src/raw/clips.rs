//! [`RawClips`]: excerpts of a library as they might be heard, as features of encrypted samples.

use std::ops::Range;
use std::time::Duration;

use rand::RngExt;
use rand_chacha::ChaCha8Rng;
use rand_distr::{Distribution, StandardNormal};
use rayon::prelude::*;
use sordino_audio::{AugmentSpec, ImpulseBank, NoiseBank, WaveAugment};
use sordino_corpus::{MelTable, SoundOptions};
use sordino_front::{Front, FrontError, Head};
use sordino_model::raw::{RawFront, RawSpec};

use crate::examples::{Classes, Examples, Purpose, Songs};
use crate::math::random::stream;
use crate::raw::RawSettings;
use crate::sound::passages;
use crate::{LearnError, TrainConfig};

/// Tracks of which the usual energy of every band is taken.
const REFERENCE: usize = 256;
/// Sound around an excerpt that may be heard in it, in seconds: more than any room rings.
const CONTEXT: usize = 8;

/// The sound of a library in memory, disturbed on the way out.
pub(crate) struct RawClips<'a> {
    /// Of every track, in 16 bits.
    sounds: Vec<Vec<i16>>,
    augment: WaveAugment<'a>,
    /// Nothing but an excerpt.
    clean: WaveAugment<'a>,
    front: RawFront,
    table_noise: f64,
    classes: Classes,
    /// Whether passages have rows of their own.
    apart: bool,
    songs: Songs,
}

impl<'a> RawClips<'a> {
    /// Reads the sound of every track of a table, whose recordings are `songs`. `read` is called after each.
    pub(crate) fn new(
        table: &MelTable,
        sound: &SoundOptions,
        banks: (&'a NoiseBank, &'a ImpulseBank),
        config: &TrainConfig,
        settings: &RawSettings,
        songs: &Songs,
        read: impl Fn() + Sync,
    ) -> Result<Self, LearnError> {
        let rate = settings.spec.sample_rate;
        if rate != table.spec().sample_rate {
            let (found, expected) = (rate.to_string(), format!("{}, the rate of the index", table.spec().sample_rate));
            return Err(LearnError::Setting { setting: "raw.spec.sample_rate", found, expected });
        }
        let augment = WaveAugment::new(&config.augment, table.spec(), banks.0, banks.1)?;
        let clean = WaveAugment::new(&AugmentSpec::clean(), table.spec(), banks.0, banks.1)?;
        let most = config.train_seconds.map_or(usize::MAX, |seconds| (seconds * rate as f32) as usize);
        let length = settings.spec.query_samples();
        let sounds = table.tracks().par_iter().map(|track| {
            let unread = |reason| LearnError::Unread { track: track.id, reason };
            let mut samples = track.samples(rate, sound).map_err(unread)?.data;
            samples.truncate(most);
            if samples.len() < length {
                let what = "samples in every track";
                return Err(LearnError::TooFew { what, found: samples.len(), expected: length });
            }
            read();
            Ok(samples.iter().map(|x| (x * f32::from(i16::MAX)) as i16).collect())
        });
        let sounds: Vec<Vec<i16>> = sounds.collect::<Result<_, _>>()?;
        let hop = config.passage_hop * length as f32;
        let classes = Classes::per_label(sounds.iter().map(|sound| passages::count(sound.len() - length, hop)));
        let front = RawFront::mel(settings.spec.clone(), &reference(&settings.spec, &sounds))?;
        let (table_noise, apart) = (f64::from(settings.table_noise), config.passage_hop > 0.0);
        Ok(Self { sounds, augment, clean, front, table_noise, classes, apart, songs: songs.clone() })
    }

    /// The front, whose bands hold what they usually do in this library.
    pub(crate) fn raw_front(&self) -> &RawFront {
        &self.front
    }

    /// The track of a class, where excerpts of its passage may begin, and which passage of how many it is.
    fn passage(&self, class: usize) -> (usize, usize, usize, usize) {
        let (track, siblings) = (self.classes.label(class) as usize, self.classes.siblings(class));
        let last = self.sounds[track].len() - self.front.spec().query_samples();
        (track, last, class - siblings.start, siblings.len())
    }
}

impl Examples for RawClips<'_> {
    fn classes(&self) -> &Classes {
        &self.classes
    }

    fn width(&self) -> usize {
        self.front.spec().width()
    }

    fn start(&self, class: usize) -> Option<Duration> {
        let (_, last, passage, count) = self.passage(class);
        let seconds = passages::centre(last, passage, count) as f64 / f64::from(self.front.spec().sample_rate);
        self.apart.then(|| Duration::from_secs_f64(seconds))
    }

    fn songs(&self) -> Songs {
        self.songs.clone()
    }

    /// Every other clip that training does not see is an excerpt as it is, [`is_clean`].
    fn example(
        &self,
        class: usize,
        purpose: Purpose,
        round: usize,
        rng: &mut ChaCha8Rng,
    ) -> Result<Vec<f32>, LearnError> {
        let spec = self.front.spec();
        let (track, last, passage, count) = self.passage(class);
        let start = rng.random_range(passages::starts(last, passage, count));
        let (length, context) = (spec.query_samples(), CONTEXT * spec.sample_rate as usize);
        let some: Range<usize> =
            start.saturating_sub(context)..(start + length + context).min(self.sounds[track].len());
        let from = start - some.start;
        let sound: Vec<f32> = self.sounds[track][some].iter().map(|&x| f32::from(x) / f32::from(i16::MAX)).collect();
        let augment = if purpose == Purpose::Calibration && is_clean(round) { &self.clean } else { &self.augment };
        let clip = augment.apply_at(&sound, from, length, rng)?;
        let mut energies = self.front.energies(&samples(spec, &clip));
        let off = self.table_noise * 2f64.powi(spec.product_log2 as i32 - 1);
        for energy in &mut energies {
            let noise: f64 = StandardNormal.sample(rng);
            *energy += (off * noise) as i64;
        }
        let features = self.front.features_of(&self.front.levels_of(&energies));
        Ok(features.into_iter().map(|x| x as f32).collect())
    }

    fn front(&self, heads: Vec<Head>) -> Result<Front, FrontError> {
        Front::of_vectors(self.width(), heads)
    }
}

/// Whether the clips of a round that training does not see are left as they are.
pub(crate) fn is_clean(round: usize) -> bool {
    round.is_multiple_of(2)
}

/// Samples as a client sends them. A silent stretch of a track is a passage like others: of zeros.
fn samples(spec: &RawSpec, clip: &[f32]) -> Vec<i32> {
    spec.samples(clip).unwrap_or_else(|_| vec![0; clip.len()])
}

/// What every band holds on average: geometric means over clips, so that one loud track does not set them.
fn reference(spec: &RawSpec, sounds: &[Vec<i16>]) -> Vec<f64> {
    /// Far below anything that is heard.
    const LEAST: f64 = 1e-7;
    let responses = spec.responses();
    let step = sounds.len().div_ceil(REFERENCE).max(1);
    let some: Vec<usize> = (0..sounds.len()).step_by(step).collect();
    let logs = some.par_iter().map(|&track| {
        let (sound, length) = (&sounds[track], spec.query_samples());
        let start = stream(0, track as u64).random_range(0..=sound.len() - length);
        let clip: Vec<f32> = sound[start..start + length].iter().map(|&x| f32::from(x)).collect();
        let powers = spec.powers(&responses, &samples(spec, &clip));
        (0..spec.bands).map(|b| powers.iter().skip(b).step_by(spec.bands).map(|p| p.max(LEAST).ln()).sum()).collect()
    });
    let logs: Vec<Vec<f64>> = logs.collect();
    let count = (some.len() * spec.cells) as f64;
    (0..spec.bands).map(|b| (logs.iter().map(|log| log[b]).sum::<f64>() / count).exp()).collect()
}
