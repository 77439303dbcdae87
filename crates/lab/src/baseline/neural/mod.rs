//! [`NeuralFingerprint`]: embeddings of single seconds and a search for a sequence of them, in the clear (Chang et al.,
//! "Neural Audio Fingerprint for High-Specific Audio Retrieval Based on Contrastive Learning", ICASSP 2021, arXiv 2010.11910).
//!
//! Every second of the library, half a second apart, is a vector in an [`IvfPq`] index. Each second of a query finds
//! its nearest neighbours; then either the tracks that these belong to are counted, or every place that they point to
//! is compared with the whole query, which also tells where it lies.

pub(crate) mod ivf_pq;
pub(crate) mod segments;

use std::collections::BTreeSet;
use std::ops::ControlFlow;
use std::sync::Arc;

use ndarray::{Array2, ArrayView1};
use rayon::prelude::*;
use serde::{Deserialize, Serialize};
use sordino_audio::{AugmentSpec, ImpulseBank, Level, NoiseBank};
use sordino_front::{FeatureSpec, MelFrontEnd, MelScratch, Network, log_mel};
use sordino_learn::Answer;
use sordino_learn::run::{Descent, DeviceChoice, Progress, Report};
use sordino_learn::sound::{Block, EmbeddingSettings, Loss, train_embedding};
use sordino_model::Learns;

use self::ivf_pq::{IvfPq, IvfPqSettings};
use self::segments::{SegmentPlan, Segments, refused};
use super::cepstral::regression::not_finite;
use super::vote::majority;
use super::{Library, PhaseProgress};
use crate::LabError;
use crate::evaluate::{Response, System};

/// What becomes of the neighbours.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum SegmentSearch {
    /// The track that most neighbours belong to.
    Vote,
    /// The place whose seconds, in order, are nearest to the query's.
    Sequence,
}

/// How fingerprints are learned and searched.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct NeuralSettings {
    /// The network and its training, on pairs of clips of one segment.
    pub embedding: EmbeddingSettings,
    /// How the clips of a pair are disturbed.
    pub augment: AugmentSpec,
    /// Length of a segment in seconds.
    pub segment_seconds: f32,
    /// Seconds between segments.
    pub hop_seconds: f32,
    /// Seconds by which the clips of a pair may begin earlier or later than their segment.
    pub shift_seconds: f32,
    /// Tracks that training takes its segments from, spread over the recorded ones, or over all where none is.
    pub training_tracks: usize,
    /// The index.
    pub index: IvfPqSettings,
    /// Neighbours of every segment of a query.
    pub neighbours: usize,
    /// What becomes of them.
    pub search: SegmentSearch,
    /// Where to train.
    pub device: DeviceChoice,
}

impl Default for NeuralSettings {
    fn default() -> Self {
        let block = |channels, taps, stride| Block { channels, taps, stride, dilation: 1 };
        let blocks = vec![block(128, 5, 2), block(192, 3, 2), block(256, 3, 2), block(256, 3, 1)];
        let descent = Descent { epochs: 12, batch: 256, learning_rate: 2e-3, weight_decay: 1e-4 };
        Self {
            embedding: EmbeddingSettings { blocks, width: 128, loss: Loss::NtXent { temperature: 0.05 }, descent },
            augment: AugmentSpec::level(Level::Medium),
            segment_seconds: 1.0,
            hop_seconds: 0.5,
            shift_seconds: 0.2,
            training_tracks: 300,
            index: IvfPqSettings::default(),
            neighbours: 4,
            search: SegmentSearch::Sequence,
            device: DeviceChoice::Cpu,
        }
    }
}

impl NeuralSettings {
    /// What the network follows from, besides the library.
    pub(crate) fn training(&self) -> impl Serialize + '_ {
        let Self { embedding, augment, segment_seconds, hop_seconds, shift_seconds, training_tracks, device, .. } =
            self;
        (embedding, augment, segment_seconds, hop_seconds, shift_seconds, training_tracks, device)
    }
}

/// A trained network and the index of a library's segments. Copies share both.
#[derive(Clone)]
pub struct NeuralFingerprint {
    embedder: Arc<SegmentEmbedder>,
    search: SegmentSearch,
    neighbours: usize,
    index: Arc<IvfPq>,
    /// First segment of every track, and the number of segments at the end.
    starts: Arc<[u32]>,
}

/// The trained network, and how clips are cut for it.
pub struct SegmentEmbedder {
    front: MelFrontEnd,
    network: Network,
    hop: usize,
    hop_seconds: f32,
}

/// A training's progress, told as a baseline's.
struct LearnProgress<'a>(PhaseProgress<'a>);

impl Progress for LearnProgress<'_> {
    fn report(&self, report: &Report<'_>) -> ControlFlow<()> {
        (self.0)(report.phase, report.step as f32 / report.steps.max(1) as f32);
        ControlFlow::Continue(())
    }
}

impl NeuralFingerprint {
    /// Trains the network on what may be heard of a library, disturbed with the training parts of the banks, and indexes it.
    ///
    /// # Errors
    /// [`LabError::Setting`] for settings out of range or a library that is too small, [`LabError::Corpus`] for a track that
    /// cannot be read, [`LabError::Learn`] where training fails.
    pub fn fit(
        library: &Library<'_>,
        noise: &NoiseBank,
        impulses: &ImpulseBank,
        settings: &NeuralSettings,
        seed: u64,
        progress: PhaseProgress<'_>,
    ) -> Result<Self, LabError> {
        let embedder = SegmentEmbedder::train(library, noise, impulses, settings, seed, progress)?;
        Self::index(library, Arc::new(embedder), settings, seed, progress)
    }

    /// Indexes what may be heard of a library with a network that is trained already, on this library or another.
    ///
    /// # Errors
    /// As [`NeuralFingerprint::fit`].
    pub fn index(
        library: &Library<'_>,
        embedder: Arc<SegmentEmbedder>,
        settings: &NeuralSettings,
        seed: u64,
        progress: PhaseProgress<'_>,
    ) -> Result<Self, LabError> {
        if settings.neighbours == 0 {
            let (found, expected) = ("0".into(), "at least 1".into());
            return Err(LabError::Setting { setting: "neighbours".into(), found, expected });
        }
        let rate = embedder.front.spec().sample_rate;
        let done = std::sync::atomic::AtomicUsize::new(0);
        let embed = |position: usize| {
            let vectors = embedder.segments(&library.heard(position, rate)?)?;
            let done = 1 + done.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
            progress("segments", done as f32 / library.len() as f32);
            Ok(vectors)
        };
        let tracks = (0..library.len()).into_par_iter().map(embed).collect::<Result<Vec<_>, LabError>>()?;
        let mut starts = vec![0];
        starts.extend(tracks.iter().scan(0, |end, track| {
            *end += track.nrows() as u32;
            Some(*end)
        }));
        let mut all = Array2::zeros((tracks.iter().map(Array2::nrows).sum(), embedder.network.width()));
        let rows = tracks.iter().flat_map(|track| track.rows());
        all.rows_mut().into_iter().zip(rows).for_each(|(mut to, from): (_, ArrayView1<f32>)| to.assign(&from));
        drop(tracks);
        let index = IvfPq::build(all.view(), settings.index, seed)?;
        Ok(Self {
            embedder,
            search: settings.search,
            neighbours: settings.neighbours,
            index: Arc::new(index),
            starts: starts.into(),
        })
    }

    /// The same index, searched in this way.
    pub fn with_search(&self, search: SegmentSearch) -> Self {
        Self { search, ..self.clone() }
    }

    /// Track of a segment, and its place among the track's.
    fn place(&self, segment: u32) -> (usize, i64) {
        let track = self.starts.partition_point(|&start| start <= segment) - 1;
        (track, i64::from(segment - self.starts[track]))
    }

    /// The best place in each of the best three tracks: track, and segments from its start.
    fn sequences(&self, query: &Array2<f32>, neighbours: &[Vec<(u32, f32)>]) -> Vec<(u32, i64)> {
        let implied = neighbours.iter().enumerate().flat_map(|(at, found)| {
            found.iter().map(move |&(segment, _)| {
                let (track, place) = self.place(segment);
                (track, place - at as i64)
            })
        });
        let implied: BTreeSet<(usize, i64)> = implied.collect();
        let score = |(track, begin): (usize, i64)| {
            let length = i64::from(self.starts[track + 1] - self.starts[track]);
            let products = query.rows().into_iter().enumerate().filter_map(|(at, row)| {
                let place = begin + at as i64;
                let vector =
                    (0..length).contains(&place).then(|| self.index.vector(self.starts[track] + place as u32))?;
                Some(row.iter().zip(vector).map(|(a, b)| a * b).sum::<f32>())
            });
            (products.sum::<f32>(), track, begin)
        };
        let mut scored: Vec<(f32, usize, i64)> = implied.into_iter().map(score).collect();
        scored.sort_by(|a, b| b.0.total_cmp(&a.0).then((a.1, a.2).cmp(&(b.1, b.2))));
        let mut best: Vec<(u32, i64)> = Vec::new();
        for (_, track, begin) in scored {
            if best.len() < 3 && best.iter().all(|&(other, _)| other != track as u32) {
                best.push((track as u32, begin));
            }
        }
        best
    }
}

impl SegmentEmbedder {
    /// Trains the network on the segments of what may be heard of a library, disturbed with the training parts of the banks.
    ///
    /// # Errors
    /// As [`NeuralFingerprint::fit`].
    pub fn train(
        library: &Library<'_>,
        noise: &NoiseBank,
        impulses: &ImpulseBank,
        settings: &NeuralSettings,
        seed: u64,
        progress: PhaseProgress<'_>,
    ) -> Result<Self, LabError> {
        let positive = |value: f32| value > 0.0 && value.is_finite();
        if !positive(settings.hop_seconds) || settings.training_tracks == 0 {
            let (found, expected) = (format!("{settings:?}"), "a positive hop, and training tracks".into());
            return Err(LabError::Setting { setting: "neural".into(), found, expected });
        }
        let spec = FeatureSpec { query_seconds: settings.segment_seconds, ..FeatureSpec::default() };
        let (hop_seconds, shift_seconds) = (settings.hop_seconds, settings.shift_seconds.max(0.0));
        let plan = SegmentPlan { tracks: settings.training_tracks, hop_seconds, shift_seconds };
        let segments = Segments::new(library, &spec, plan, &settings.augment, noise, impulses)?;
        let told = LearnProgress(progress);
        let network = train_embedding(&segments, &spec, &settings.embedding, settings.device, seed, &told)?;
        drop(segments);
        let front = MelFrontEnd::new(&spec).map_err(refused)?;
        let hop = ((hop_seconds * spec.sample_rate as f32) as usize).max(1);
        Ok(Self { front, network, hop, hop_seconds: hop as f32 / spec.sample_rate as f32 })
    }

    /// Unit vectors of the segments of a clip, `[segments, width]`.
    pub(crate) fn segments(&self, samples: &[f32]) -> Result<Array2<f32>, LabError> {
        let length = self.front.spec().query_samples();
        let starts: Vec<usize> = (0..(samples.len() + 1).saturating_sub(length)).step_by(self.hop).collect();
        let embed = |scratch: &mut MelScratch, start: &usize| {
            let power = self.front.mel_power_with(&samples[*start..start + length], scratch);
            Ok(self.network.embed(log_mel(power.0.view(), self.front.spec().log_floor).view())?)
        };
        let vectors =
            starts.par_iter().map_init(|| self.front.scratch(), embed).collect::<Result<Vec<_>, LabError>>()?;
        let mut out = Array2::zeros((vectors.len(), self.network.width()));
        for (mut row, vector) in out.rows_mut().into_iter().zip(&vectors) {
            row.assign(&ArrayView1::from(&vector[..]));
        }
        Ok(out)
    }
}

impl System for NeuralFingerprint {
    fn name(&self) -> &'static str {
        match self.search {
            SegmentSearch::Vote => "neural-vote",
            SegmentSearch::Sequence => "neural-sequence",
        }
    }

    fn learns(&self) -> Learns {
        Learns {
            server: "the clip's embeddings, the answer, and where in the track the clip lies",
            client: "nothing beyond its answer",
        }
    }

    fn index_bytes(&self) -> Option<usize> {
        Some(self.index.bytes())
    }

    /// The system has no notion of an unknown song: whatever is nearest is named.
    fn respond(&self, samples: &[f32]) -> Result<Response, LabError> {
        if samples.iter().any(|v| !v.is_finite()) {
            return Err(not_finite());
        }
        let query = self.embedder.segments(samples)?;
        let rows: Vec<ArrayView1<f32>> = query.rows().into_iter().collect();
        let neighbours: Vec<Vec<(u32, f32)>> =
            rows.par_iter().map(|row| self.index.search(*row, self.neighbours)).collect();
        match self.search {
            SegmentSearch::Vote => {
                let votes = neighbours.iter().flatten().map(|&(segment, _)| self.place(segment).0 as u32);
                Ok(majority(votes, 1).into())
            }
            SegmentSearch::Sequence => {
                let best = self.sequences(&query, &neighbours);
                let offset = best.first().map(|&(_, begin)| begin as f32 * self.embedder.hop_seconds);
                let known = !best.is_empty();
                let tracks = best.into_iter().map(|(track, _)| track).collect();
                Ok(Answer { tracks, known, start: offset, ..Answer::default() }.into())
            }
        }
    }
}
