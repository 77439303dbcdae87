//! [`Landmarks`]: pairs of spectral peaks and a histogram of time offsets (Wang, "An Industrial-Strength Audio Search
//! Algorithm", ISMIR 2003), in the clear.
//!
//! Peaks and pairs are those of the crate `audiofp`. The index is our own: the crate's names one track only, and drops
//! a query's votes beyond a fixed number, which a large library reaches.

use audiofp::classical::{Wang, WangConfig, WangHash};
use audiofp::{Fingerprinter, SampleRate};
use rayon::prelude::*;
use serde::{Deserialize, Serialize};
use sordino_audio::power;
use sordino_learn::Answer;
use sordino_model::Learns;

use super::cepstral::regression::not_finite;
use super::{Library, PhaseProgress};
use crate::LabError;
use crate::evaluate::{Response, System};

/// How landmarks are found and matched.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct LandmarkSettings {
    /// Strongest peaks kept a second.
    pub peaks_per_second: u16,
    /// Pairs that every peak opens.
    pub fan_out: u16,
    /// A pair that occurs more often in the whole library says too little and is left out of queries.
    pub most_postings: usize,
    /// Frames (16 ms) by which offsets may differ and still count as one.
    pub tolerance: u32,
    /// Aligned pairs that the best track needs to be known.
    pub least_votes: u32,
    /// The best track is known if it has this many times the votes of the next best.
    pub least_lead: f32,
}

impl Default for LandmarkSettings {
    fn default() -> Self {
        Self {
            peaks_per_second: 30,
            fan_out: 10,
            most_postings: 20_000,
            tolerance: 1,
            least_votes: 10,
            least_lead: 1.5,
        }
    }
}

/// The landmarks of a library, by hash.
pub struct Landmarks {
    settings: LandmarkSettings,
    /// Every hash that occurs, ascending, and where its postings end.
    hashes: Vec<(u32, usize)>,
    /// Track and frame of every landmark, in the order of the hashes.
    postings: Vec<(u32, u32)>,
}

/// A track that a clip may be of.
struct Candidate {
    track: u32,
    votes: u32,
    offset: i64,
}

/// What the peaks are found at, and the frames that come of it.
const RATE: SampleRate = SampleRate::HZ_8000;
const FRAMES_PER_SECOND: f32 = 62.5;

/// Level that clips are brought to: the floor under peaks is absolute.
const LEVEL: f64 = 0.1;

impl Landmarks {
    /// Indexes what may be heard of a library: up to 300 pairs a second, 12 bytes each while sorting and 8 afterwards.
    ///
    /// # Errors
    /// [`LabError::Corpus`] for a track that cannot be read, [`LabError::Setting`] for samples that are not finite.
    pub fn fit(
        library: &Library<'_>,
        settings: LandmarkSettings,
        progress: PhaseProgress<'_>,
    ) -> Result<Self, LabError> {
        /// Tracks at a time: between them progress is told.
        const AT_ONCE: usize = 64;
        let mut landmarks: Vec<(u32, u32, u32)> = Vec::new();
        for first in (0..library.len()).step_by(AT_ONCE) {
            let some = first..(first + AT_ONCE).min(library.len());
            let prints = some.clone().into_par_iter().map(|position| {
                let samples = library.heard(position, RATE.hz())?;
                fingerprint(&settings, &samples)
            });
            let prints = prints.collect::<Result<Vec<_>, LabError>>()?;
            for (track, print) in some.clone().zip(prints) {
                landmarks.extend(print.into_iter().map(|mark| (mark.hash, track as u32, mark.t_anchor)));
            }
            progress("landmarks", some.end as f32 / library.len() as f32);
        }
        landmarks.par_sort_unstable();
        let runs = landmarks.chunk_by(|a, b| a.0 == b.0);
        let hashes = runs.scan(0, |end, run| {
            *end += run.len();
            Some((run[0].0, *end))
        });
        let hashes = hashes.collect();
        Ok(Self { settings, hashes, postings: landmarks.into_iter().map(|(_, track, frame)| (track, frame)).collect() })
    }

    fn postings(&self, hash: u32) -> &[(u32, u32)] {
        match self.hashes.binary_search_by_key(&hash, |&(hash, _)| hash) {
            Ok(i) => {
                let start = i.checked_sub(1).map_or(0, |before| self.hashes[before].1);
                &self.postings[start..self.hashes[i].1]
            }
            Err(_) => &[],
        }
    }

    /// The tracks in which most of the clip's landmarks occur at one offset, best first.
    fn candidates(&self, query: &[WangHash]) -> Vec<Candidate> {
        // A vote is a track and an offset, the latter moved so that it is never negative.
        let longest = query.iter().map(|mark| mark.t_anchor).max().unwrap_or(0);
        let mut votes: Vec<(u32, u32)> = Vec::new();
        for mark in query {
            let found = self.postings(mark.hash);
            if found.len() <= self.settings.most_postings {
                votes.extend(found.iter().map(|&(track, frame)| (track, frame + (longest - mark.t_anchor))));
            }
        }
        votes.sort_unstable();
        let best_of = |votes: &[(u32, u32)]| {
            let mut best = Candidate { track: votes[0].0, votes: 0, offset: 0 };
            let mut first = 0;
            for (last, &(_, offset)) in votes.iter().enumerate() {
                while offset - votes[first].1 > 2 * self.settings.tolerance {
                    first += 1;
                }
                let count = (last - first + 1) as u32;
                if count > best.votes {
                    // The middle one of those that agree.
                    let middle = votes[first + (last - first) / 2].1;
                    best = Candidate { votes: count, offset: i64::from(middle) - i64::from(longest), ..best };
                }
            }
            best
        };
        let mut candidates: Vec<Candidate> = votes.chunk_by(|a, b| a.0 == b.0).map(best_of).collect();
        candidates.sort_by_key(|candidate| (std::cmp::Reverse(candidate.votes), candidate.track));
        candidates.truncate(3);
        candidates
    }
}

fn fingerprint(settings: &LandmarkSettings, samples: &[f32]) -> Result<Vec<WangHash>, LabError> {
    if samples.iter().any(|v| !v.is_finite()) {
        return Err(not_finite());
    }
    let config = WangConfig {
        peaks_per_sec: settings.peaks_per_second,
        fan_out: settings.fan_out,
        max_input_samples: None,
        max_hashes: None,
        ..WangConfig::default()
    };
    let scale = (LEVEL / power(samples).sqrt().max(1e-9)) as f32;
    let mut samples: Vec<f32> = samples.iter().map(|v| v * scale).collect();
    // The crate refuses less than two seconds; silence has no peaks.
    samples.resize(samples.len().max(2 * RATE.hz() as usize), 0.0);
    let print = Wang::new(config).extract(&samples, RATE).map_err(|error| LabError::Setting {
        setting: "landmarks".into(),
        found: error.to_string(),
        expected: "a clip that landmarks can be found in".into(),
    })?;
    Ok(print.hashes)
}

impl System for Landmarks {
    fn name(&self) -> &'static str {
        "landmarks"
    }

    fn learns(&self) -> Learns {
        Learns {
            server: "the clip's landmarks, the answer, and where in the track the clip lies",
            client: "nothing beyond its answer",
        }
    }

    fn index_bytes(&self) -> Option<usize> {
        Some(size_of_val(&*self.hashes) + size_of_val(&*self.postings))
    }

    fn respond(&self, samples: &[f32]) -> Result<Response, LabError> {
        let candidates = self.candidates(&fingerprint(&self.settings, samples)?);
        let next = candidates.get(1).map_or(0, |candidate| candidate.votes) as f32;
        let Some(best) = candidates.first() else {
            return Ok(Response::nothing());
        };
        let known = best.votes >= self.settings.least_votes && best.votes as f32 >= self.settings.least_lead * next;
        let offset = best.offset as f32 / FRAMES_PER_SECOND;
        let tracks = candidates.iter().map(|candidate| candidate.track).collect();
        Ok(Answer { tracks, known, start: Some(offset), ..Answer::default() }.into())
    }
}
