//! [`CentroidRouting`]: two stages as first proposed: k-means over embeddings, one classifier per cluster on raw features.
//!
//! A library is divided by k-means over contrastive (siamese) embeddings of its tracks, without balancing. A query goes to the cluster
//! whose centroid its own embedding is nearest to, and a logistic regression on the features themselves names one
//! of that cluster's tracks. Against this project's hierarchy it lacks what makes the first stage accurate: a classifier that is
//! trained to route disturbed clips, a hidden layer in front of it, balance, spill and probes.

use std::sync::Arc;

use ndarray::{Array1, Array2, ArrayView1, Axis};
use rand_chacha::ChaCha8Rng;
use rayon::prelude::*;
use serde::{Deserialize, Serialize};
use sordino_audio::{ImpulseBank, MelAugment, NoiseBank, item_rng};
use sordino_front::{FeatureSpec, MelFrontEnd, log_mel};
use sordino_learn::Answer;
use sordino_model::Learns;

use super::cepstral::regression::not_finite;
use super::neural::ivf_pq::{k_means, nearest};
use super::neural::segments::refused;
use super::neural::{NeuralSettings, SegmentEmbedder};
use super::softmax::{self, Softmax, SoftmaxSettings};
use super::{Library, PhaseProgress};
use crate::LabError;
use crate::evaluate::{Response, System};

/// How the two stages are built.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct CentroidSettings {
    /// The embedding: the mean over a clip's segments. Its index and its search are not used.
    pub neural: NeuralSettings,
    /// Clusters; 0 for the square root of the number of tracks.
    pub clusters: usize,
    /// Rounds of k-means.
    pub rounds: usize,
    /// Disturbed clips of every track that its cluster's classifier learns from.
    pub clips_per_track: usize,
    /// Length of those clips in seconds.
    pub clip_seconds: f32,
    /// The fit of every cluster's classifier.
    pub softmax: SoftmaxSettings,
}

impl Default for CentroidSettings {
    fn default() -> Self {
        Self {
            neural: NeuralSettings::default(),
            clusters: 0,
            rounds: 20,
            clips_per_track: 16,
            clip_seconds: 10.0,
            softmax: SoftmaxSettings { epochs: 60, batch: 256, learning_rate: 0.01, c: 1.0 },
        }
    }
}

/// The trained stages.
pub struct CentroidRouting {
    embedder: Arc<SegmentEmbedder>,
    /// Shape `[clusters, width]`.
    centroids: Array2<f32>,
    clusters: Vec<Cluster>,
    front: MelFrontEnd,
    mean: Array1<f32>,
    inv_std: Array1<f32>,
}

struct Cluster {
    tracks: Vec<u32>,
    classifier: Softmax,
}

impl CentroidRouting {
    /// Trains the embedding, divides the library and fits every cluster's classifier.
    ///
    /// # Errors
    /// As [`super::NeuralFingerprint::fit`], and [`LabError::Audio`] for a track shorter than a clip.
    pub fn fit(
        library: &Library<'_>,
        noise: &NoiseBank,
        impulses: &ImpulseBank,
        settings: &CentroidSettings,
        seed: u64,
        progress: PhaseProgress<'_>,
    ) -> Result<Self, LabError> {
        let embedder = SegmentEmbedder::train(library, noise, impulses, &settings.neural, seed, progress)?;
        Self::divide(library, Arc::new(embedder), noise, impulses, settings, seed, progress)
    }

    /// Divides a library with a network that is trained already, and fits every cluster's classifier.
    ///
    /// # Errors
    /// As [`CentroidRouting::fit`].
    pub fn divide(
        library: &Library<'_>,
        embedder: Arc<SegmentEmbedder>,
        noise: &NoiseBank,
        impulses: &ImpulseBank,
        settings: &CentroidSettings,
        seed: u64,
        progress: PhaseProgress<'_>,
    ) -> Result<Self, LabError> {
        if settings.clips_per_track == 0 || settings.clusters > library.len() {
            return Err(LabError::Setting {
                setting: "two_stage".into(),
                found: format!("{} clips a track, {} clusters", settings.clips_per_track, settings.clusters),
                expected: format!("at least one clip, at most {} clusters", library.len()),
            });
        }
        let spec = FeatureSpec { query_seconds: settings.clip_seconds, ..FeatureSpec::default() };
        let front = MelFrontEnd::new(&spec).map_err(refused)?;
        let augment = MelAugment::new(&settings.neural.augment, &front, noise, impulses)?;
        let done = std::sync::atomic::AtomicUsize::new(0);
        let hear = |position: usize| {
            let samples = library.heard(position, spec.sample_rate)?;
            let embedding = mean_direction(&embedder.segments(&samples)?);
            let power = front.mel_power(&samples);
            let clip = |i: usize| {
                let rng: &mut ChaCha8Rng = &mut item_rng(seed, (position * settings.clips_per_track + i) as u64);
                let clip = augment.apply(power.0.view(), spec.query_frames(), rng)?;
                Ok(spec.statistics.of(log_mel(clip.0.view(), spec.log_floor).view()))
            };
            let clips = (0..settings.clips_per_track).map(clip).collect::<Result<Vec<_>, LabError>>()?;
            let done = 1 + done.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
            progress("clips", done as f32 / library.len() as f32);
            Ok((embedding, clips))
        };
        let heard = (0..library.len()).into_par_iter().map(hear).collect::<Result<Vec<_>, LabError>>()?;

        let embeddings = rows(heard.iter().map(|(embedding, _)| &embedding[..]));
        let count = match settings.clusters {
            0 => (library.len() as f64).sqrt().round() as usize,
            count => count,
        };
        let centroids = k_means(embeddings.view(), count, settings.rounds, seed);
        let assignment = nearest(embeddings.view(), centroids.view());
        let mut features = rows(heard.iter().flat_map(|(_, clips)| clips).map(|clip| &clip[..]));
        drop(heard);
        let mean = features.sum_axis(Axis(0)) / features.nrows() as f32;
        features -= &mean;
        let power = features.map_axis(Axis(0), |column| column.dot(&column) / column.len() as f32);
        let inv_std = power.mapv(|variance| if variance > 0.0 { variance.sqrt().recip() } else { 0.0 });
        features *= &inv_std;

        let done = std::sync::atomic::AtomicUsize::new(0);
        let cluster = |cluster: usize| {
            let tracks: Vec<u32> =
                (0..library.len() as u32).filter(|&t| assignment[t as usize] as usize == cluster).collect();
            let clips = |&track: &u32| {
                (0..settings.clips_per_track).map(move |i| track as usize * settings.clips_per_track + i)
            };
            let chosen: Vec<usize> = tracks.iter().flat_map(clips).collect();
            let labels: Vec<u32> = (0..chosen.len()).map(|i| (i / settings.clips_per_track) as u32).collect();
            let x = features.select(Axis(0), &chosen);
            let classifier = softmax::fit(x.view(), &labels, tracks.len(), settings.softmax, seed, &|_, _| {})?;
            let done = 1 + done.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
            progress("clusters", done as f32 / count as f32);
            Ok(Cluster { tracks, classifier })
        };
        let clusters = (0..count).into_par_iter().map(cluster).collect::<Result<_, LabError>>()?;
        Ok(Self { embedder, centroids, clusters, front, mean, inv_std })
    }

    /// Tracks in every cluster.
    pub fn cluster_sizes(&self) -> Vec<usize> {
        self.clusters.iter().map(|cluster| cluster.tracks.len()).collect()
    }

    fn route(&self, samples: &[f32]) -> Result<usize, LabError> {
        let embedding = mean_direction(&self.embedder.segments(samples)?);
        Ok(nearest(ArrayView1::from(&embedding[..]).insert_axis(Axis(0)), self.centroids.view())[0] as usize)
    }
}

/// Mean of the rows.
fn mean_direction(vectors: &Array2<f32>) -> Vec<f32> {
    (vectors.sum_axis(Axis(0)) / vectors.nrows().max(1) as f32).to_vec()
}

/// Vectors of one width as a matrix.
fn rows<'a>(vectors: impl Iterator<Item = &'a [f32]> + Clone) -> Array2<f32> {
    let width = vectors.clone().next().map_or(0, <[f32]>::len);
    let mut out = Array2::zeros((vectors.clone().count(), width));
    out.rows_mut().into_iter().zip(vectors).for_each(|(mut row, vector)| row.assign(&ArrayView1::from(vector)));
    out
}

impl System for CentroidRouting {
    fn name(&self) -> &'static str {
        "centroid-routing"
    }

    fn learns(&self) -> Learns {
        Learns {
            server: "that a query was made (as planned for encryption; it runs in the clear here)",
            client: "the cluster's track scores, and which cluster it is",
        }
    }

    /// There was no test for unknown songs: whatever is best is named.
    fn respond(&self, samples: &[f32]) -> Result<Response, LabError> {
        if samples.iter().any(|v| !v.is_finite()) {
            return Err(not_finite());
        }
        let cluster = &self.clusters[self.route(samples)?];
        let power = self.front.mel_power(samples);
        if power.frames() < 2 || cluster.tracks.is_empty() {
            return Ok(Response { searched: Some(cluster.tracks.clone()), ..Response::nothing() });
        }
        let statistics = self.front.spec().statistics.of(log_mel(power.0.view(), self.front.spec().log_floor).view());
        let x = (Array1::from(statistics) - &self.mean) * &self.inv_std;
        let scores = cluster.classifier.weights.dot(&x) + &cluster.classifier.bias;
        let mut order: Vec<usize> = (0..scores.len()).collect();
        order.sort_by(|&a, &b| scores[b].total_cmp(&scores[a]));
        let tracks = order.into_iter().take(3).map(|slot| cluster.tracks[slot]).collect();
        Ok(Response {
            searched: Some(cluster.tracks.clone()),
            ..Answer { tracks, known: true, ..Answer::default() }.into()
        })
    }
}
