//! Query sets: what is asked of a library, under which conditions, and never what it was trained on.

use std::ops::Range;

use rand::RngExt;
use rand_chacha::ChaCha8Rng;
use rayon::prelude::*;
use sordino_audio::{AudioError, BankClip, Colour, ImpulseBank, NoiseBank, convolve, mix_at_snr, play_at};
use sordino_front::FeatureSpec;

use crate::{Catalogue, Condition, CorpusError, Rejected, SoundOptions, seed};

/// How the sound that a model learns from and the sound that it is asked about are kept apart within a track.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum CropSplit {
    /// Training uses crops of cached mel frames, which begin at multiples of `hop` samples. Queries begin anywhere, but at least
    /// `hop / 4` samples from every such multiple: no frame of a query coincides with one that was trained on,
    /// though the same music was heard. This is how fingerprinting systems are evaluated.
    UnseenOffset,
    /// Training hears the first `train_seconds` only; queries lie wholly behind them. The honest split: nothing that is
    /// asked about was ever heard, and music that does not repeat cannot be recognised.
    UnseenSound {
        /// Seconds from the start of each track.
        train_seconds: f32,
    },
    /// Training hears all, and queries are the very start of every track: what was trained on, asked again. Published figures on training
    /// clips mean this; it says what a system remembers, not what it recognises.
    Start,
}

impl QuerySpec {
    /// One crop of every track, anywhere in it, under each of these conditions.
    pub fn new(seconds: f32, conditions: Vec<Condition>, seed: u64) -> Self {
        Self { seconds, conditions, crops: 1, split: CropSplit::UnseenOffset, seed }
    }

    /// Most crops of a track: more of one are the same music over and over.
    pub const MOST_CROPS: usize = 1_000;
}

impl CropSplit {
    /// The frames of a track of `frames` frames from which training may take its crops.
    pub fn training_frames(&self, spec: &FeatureSpec, frames: usize) -> Range<usize> {
        match *self {
            Self::UnseenOffset | Self::Start => 0..frames,
            Self::UnseenSound { train_seconds } => {
                0..spec.frames((train_seconds * spec.sample_rate as f32) as usize).min(frames)
            }
        }
    }

    /// The samples of a track of `samples` samples that queries may contain.
    fn query_samples(&self, spec: &FeatureSpec, samples: usize) -> Range<usize> {
        match *self {
            Self::UnseenOffset | Self::Start => 0..samples,
            Self::UnseenSound { train_seconds } => {
                ((train_seconds * spec.sample_rate as f32).ceil() as usize).min(samples)..samples
            }
        }
    }

    /// Draws where a query of `length` samples begins; `None` where the track is too short for one.
    fn draw(&self, spec: &FeatureSpec, samples: usize, length: usize, rng: &mut ChaCha8Rng) -> Option<usize> {
        let allowed = self.query_samples(spec, samples);
        let last = allowed.end.checked_sub(length).filter(|&last| last >= allowed.start)?;
        match self {
            Self::UnseenSound { .. } => Some(rng.random_range(allowed.start..=last)),
            Self::Start => Some(0),
            Self::UnseenOffset => {
                let margin = spec.hop / 4;
                let hops = last.checked_sub(margin)? / spec.hop;
                let hop = rng.random_range(0..=hops) * spec.hop;
                Some(rng.random_range(hop + margin..=(hop + spec.hop - margin).min(last)))
            }
        }
    }
}

/// What is asked of every track.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct QuerySpec {
    /// Length of a query in seconds.
    pub seconds: f32,
    /// Every crop is heard under each of these.
    pub conditions: Vec<Condition>,
    /// Crops per track.
    pub crops: usize,
    /// Where crops may lie.
    pub split: CropSplit,
    /// Fixes crops, noises and rooms. These depend on the seed and the track's id alone, not on the other tracks.
    pub seed: u64,
}

/// A query, ready to be listened to.
#[derive(Clone, Debug, PartialEq)]
pub struct Query {
    /// Position of its track in the catalogue.
    pub position: usize,
    /// The track's id.
    pub id: u32,
    /// Which crop of the track, from 0.
    pub crop: usize,
    /// Which of [`QuerySpec::conditions`].
    pub condition: usize,
    /// Where it begins, in samples from the start of the track.
    pub offset: usize,
    /// Name of the impulse response that it is heard through, if any.
    pub room: Option<String>,
    /// Mono samples at the front end's rate.
    pub samples: Vec<f32>,
}

/// Queries to the tracks of a catalogue. One crop, one stretch of noise and one room serve all conditions, so that conditions are
/// compared on the same clips.
pub struct QuerySet<'a> {
    catalogue: &'a Catalogue,
    features: &'a FeatureSpec,
    spec: &'a QuerySpec,
    noise: &'a NoiseBank,
    impulses: &'a ImpulseBank,
    sound: SoundOptions,
}

impl<'a> QuerySet<'a> {
    /// A set of queries. `noise` and `impulses` must be the test halves of [`NoiseBank::split`] and
    /// [`ImpulseBank::split`]: those that training never heard. A bank that no condition needs may be empty.
    ///
    /// # Errors
    /// [`CorpusError::Setting`] for lengths and conditions out of range, [`CorpusError::Spec`] for a bad front end,
    /// [`CorpusError::Bank`] for a bank that is needed but empty or at another rate.
    pub fn new(
        catalogue: &'a Catalogue,
        features: &'a FeatureSpec,
        spec: &'a QuerySpec,
        noise: &'a NoiseBank,
        impulses: &'a ImpulseBank,
        sound: SoundOptions,
    ) -> Result<Self, CorpusError> {
        features.validate()?;
        let bad = |setting, found: String, expected: &str| {
            Err(CorpusError::Setting { setting, found, expected: expected.into() })
        };
        if !(spec.seconds > 0.0 && spec.seconds <= 600.0) {
            return bad("query length in seconds", spec.seconds.to_string(), "above 0 and at most 600");
        }
        if spec.crops > QuerySpec::MOST_CROPS {
            let expected = format!("at most {}", QuerySpec::MOST_CROPS);
            return bad("number of crops per track", spec.crops.to_string(), &expected);
        }
        if let CropSplit::UnseenSound { train_seconds } = spec.split
            && !(train_seconds >= 0.0 && train_seconds.is_finite())
        {
            return bad("training seconds", train_seconds.to_string(), "0 or more");
        }
        let nyquist = features.sample_rate as f32 / 2.0;
        for condition in &spec.conditions {
            let noise_ok = condition.noise_db.is_none_or(f32::is_finite);
            let band_ok = condition.band_hz.is_none_or(|(low, high)| 0.0 < low && low < high && low < nyquist);
            if !(noise_ok && band_ok) {
                return bad(
                    "condition",
                    condition.to_string(),
                    "a finite SNR and an increasing band below half the rate",
                );
            }
        }
        let bank = |name: &str, needed: bool, clips: usize, rate: u32| {
            if needed && (clips == 0 || rate != features.sample_rate) {
                let expected = features.sample_rate;
                return Err(CorpusError::Bank(format!(
                    "{name}: expected clips at {expected} Hz, found {clips} at {rate} Hz; load the bank at the front end's rate"
                )));
            }
            Ok(())
        };
        let needs_noise = spec.conditions.iter().any(|condition| condition.noise_db.is_some());
        let needs_rooms = spec.conditions.iter().any(|condition| condition.reverb);
        bank("noise bank", needs_noise, noise.clips().len(), noise.rate())?;
        bank("impulse bank", needs_rooms, impulses.clips().len(), impulses.rate())?;
        Ok(Self { catalogue, features, spec, noise, impulses, sound })
    }

    /// Number of queries if no track fails.
    pub fn len(&self) -> usize {
        self.catalogue.tracks.len() * self.spec.crops * self.spec.conditions.len()
    }

    /// Whether nothing is asked.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The queries to the track at `position`, crop by crop and condition by condition; the sound is read once.
    ///
    /// # Errors
    /// [`CorpusError::Track`] where the sound cannot be read or is too short, or there is no such track.
    pub fn of_track(&self, position: usize) -> Result<Vec<Query>, CorpusError> {
        let mut queries = Vec::new();
        self.each(position, |query| queries.push(query))?;
        Ok(queries)
    }

    /// The same one after the other: no two of them are held at once.
    fn each(&self, position: usize, mut take: impl FnMut(Query)) -> Result<(), CorpusError> {
        let track = self.catalogue.tracks.get(position).ok_or_else(|| CorpusError::Catalogue {
            expected: "a position below the number of tracks",
            found: position.to_string(),
        })?;
        let fail = |reason: String| CorpusError::Track { id: track.id, reason };
        let sound = track.samples(self.features.sample_rate, &self.sound).map_err(fail)?.data;
        let length = (self.spec.seconds * self.features.sample_rate as f32).round() as usize;
        for crop in 0..self.spec.crops {
            let mut rng = seed::rng(seed::derive(self.spec.seed, u64::from(track.id)), crop as u64);
            let offset = self.spec.split.draw(self.features, sound.len(), length, &mut rng);
            let offset = offset.ok_or_else(|| {
                let (seconds, split) = (self.spec.seconds, self.spec.split);
                let found = sound.len() as f32 / self.features.sample_rate as f32;
                fail(format!("{found:.2} s are too short for a query of {seconds} s under {split:?}"))
            })?;
            let allowed = self.spec.split.query_samples(self.features, sound.len());
            let ears = Ears::draw(self, length, &mut rng);
            for (index, condition) in self.spec.conditions.iter().enumerate() {
                let from = offset - allowed.start;
                let samples = ears.hear(self.features, condition, &sound[allowed.clone()], from, length);
                let samples = samples.map_err(|error| fail(error.to_string()))?;
                let room = ears.room.filter(|_| condition.reverb).map(|room| room.name.clone());
                take(Query { position, id: track.id, crop, condition: index, offset, room, samples });
            }
        }
        Ok(())
    }

    /// Calls `f` on every query, tracks in parallel, and returns the answers in the order of tracks, crops and conditions, and
    /// the tracks that could not be asked. Memory holds one query per thread, besides the answers.
    pub fn map<T: Send>(&self, f: impl Fn(Query) -> T + Sync) -> (Vec<T>, Vec<Rejected>) {
        let answers: Vec<Result<Vec<T>, Rejected>> = (0..self.catalogue.tracks.len())
            .into_par_iter()
            .map(|position| {
                let mut answers = Vec::new();
                self.each(position, |query| answers.push(f(query))).map_err(|error| {
                    let track = &self.catalogue.tracks[position];
                    Rejected { source: track.source.clone(), id: Some(track.id), reason: error.to_string() }
                })?;
                Ok(answers)
            })
            .collect();
        let (mut kept, mut rejected) = (Vec::with_capacity(self.len()), Vec::new());
        for answer in answers {
            match answer {
                Ok(answers) => kept.extend(answers),
                Err(entry) => rejected.push(entry),
            }
        }
        (kept, rejected)
    }
}

/// Where one crop is listened to: a place in the noise, a room and a telephone, whether or not a condition uses them.
struct Ears<'a> {
    noise: Vec<f32>,
    room: Option<&'a BankClip>,
    telephone: u64,
}

impl<'a> Ears<'a> {
    fn draw(set: &QuerySet<'a>, length: usize, rng: &mut ChaCha8Rng) -> Self {
        // From seeds of their own: another noise bank must not move the room.
        let (noise, room, telephone): (u64, u64, u64) = (rng.random(), rng.random(), rng.random());
        Self {
            noise: set.noise.draw(length, &mut seed::rng(noise, 0)),
            room: set.impulses.pick(&mut seed::rng(room, 0)),
            telephone,
        }
    }

    /// `length` samples of `sound` from `start` on as they arrive; what comes before them is heard in the room's tail. Where a
    /// faster player would reach the end of `sound`, it starts a little earlier.
    fn hear(
        &self,
        features: &FeatureSpec,
        condition: &Condition,
        sound: &[f32],
        start: usize,
        length: usize,
    ) -> Result<Vec<f32>, AudioError> {
        let played = match condition.fast_percent {
            Some(_) => Some(Self::play(condition.speed(), sound, start, length)?),
            None => None,
        };
        let (sound, start) = match &played {
            Some((played, start)) => (played.as_slice(), *start),
            None => (&sound[..start + length], start),
        };
        let room = self.room.filter(|_| condition.reverb);
        let before = room.map_or(start, |room| start.saturating_sub(room.samples.len()));
        let mut heard = sound[before..].to_vec();
        condition.phone.play(features, self.telephone, &mut heard);
        if let Some(room) = room {
            heard = convolve(&heard, &room.samples);
        }
        heard.drain(..start - before);
        if let Some(snr) = condition.noise_db {
            mix_at_snr(&mut heard, &self.noise, snr);
        }
        condition.phone.hear(features, self.telephone, &mut heard);
        if let Some((low, high)) = condition.band_hz {
            let line = Colour { knots: Vec::new(), low_cut_hz: Some(low), high_cut_hz: Some(high) };
            line.filter(features, &mut heard);
        }
        Ok(heard)
    }

    /// The sound up to the query's end at another speed, and where the query then starts.
    fn play(speed: f32, sound: &[f32], start: usize, length: usize) -> Result<(Vec<f32>, usize), AudioError> {
        // A resampler rounds; silence makes up for what it leaves out.
        let end = (start + (length as f32 * speed).ceil() as usize).min(sound.len());
        let mut played = play_at(&sound[..end], speed)?;
        if played.len() < length {
            played.resize(length, 0.0);
        }
        let start = played.len() - length;
        Ok((played, start))
    }
}

#[cfg(test)]
mod tests;
