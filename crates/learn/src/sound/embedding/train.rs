//! Training of the embedding.

use burn::module::Module;
use ndarray::{Array1, Array2, Array3};
use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;
use rand_distr::{Distribution, StandardNormal};
use rayon::prelude::*;
use sordino_front::{FeatureSpec, Network, log_mel};

use super::encoder::Encoder;
use super::loss::{nt_xent, passage_softmax};
use super::settings::{EmbeddingSettings, Loss};
use crate::LearnError;
use crate::heads::cosine::{CosineClassifier, scores_in_groups};
use crate::math::matrix::moments;
use crate::math::random::stream;
use crate::run::batches::Batches;
use crate::run::checkpoint::Checkpoints;
use crate::run::descent::Descent;
use crate::run::device::DeviceChoice;
use crate::run::progress::Progress;
use crate::run::tensor::tensor;
use crate::run::training_run::{Objective, TrainingRun};
use crate::sound::clips::Clips;

/// The encoder with the rows of the classifier that it is trained with.
#[derive(Module, Debug)]
struct Learner {
    encoder: Encoder,
    classifier: CosineClassifier,
}

/// Trains an embedding network alone: what two clips of one passage of `library` should have in common. It maps the log-mel frames of
/// a query of `spec` to a vector.
///
/// # Errors
/// [`LearnError`] for settings out of range, clips of another shape, training that diverges, or where `progress` asks to stop.
pub fn train_embedding(
    library: &dyn Clips,
    spec: &FeatureSpec,
    settings: &EmbeddingSettings,
    device: DeviceChoice,
    seed: u64,
    progress: &dyn Progress,
) -> Result<Network, LearnError> {
    let device = device.open()?.autodiff();
    train(library, spec, settings, &TrainingRun { device, seed, checkpoints: Checkpoints::none(), progress })
}

/// Trains the network that `settings` describe on clips of `library`.
pub(crate) fn train(
    library: &dyn Clips,
    spec: &FeatureSpec,
    settings: &EmbeddingSettings,
    run: &TrainingRun<'_>,
) -> Result<Network, LearnError> {
    settings.validate()?;
    let TrainingRun { device, seed, .. } = run;
    let seed = *seed;
    let (mean, inv_std) = band_statistics(library, spec, seed)?;
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    let encoder = Encoder::new(spec.mel_bands, settings, &mut rng, device);
    let passages = library.passages().len();
    let (rows, scale) = match settings.loss {
        Loss::TrackSoftmax { scale } => (passages, scale),
        Loss::NtXent { .. } => (1, 1.0),
    };
    let rows = Array3::from_shape_simple_fn((1, rows, settings.width), || StandardNormal.sample(&mut rng));
    let learner = Learner { encoder, classifier: CosineClassifier::new(rows.view(), scale, true, device) };

    let descent = Descent { batch: (settings.descent.batch / 2).max(2), ..settings.descent };
    let mut batches = Batches::new(passages, descent.batch, seed);
    let steps = descent.steps(passages);
    let learner = run.train("embedding", descent, steps, learner, |learner: &Learner, step| {
        let chosen: Vec<usize> = batches.at(step).iter().flat_map(|&passage| [passage, passage]).collect();
        let clips = draw(library, spec, &chosen, seed, (1 << 32) + (step as u64) * 4_096)?;
        let input = standardised(&clips, &mean, &inv_std);
        let z = learner.encoder.forward(tensor(input.view(), device));
        let loss = match settings.loss {
            Loss::NtXent { temperature } => nt_xent(z, temperature),
            Loss::TrackSoftmax { .. } => {
                let logits = learner.classifier.logits(scores_in_groups(z, learner.classifier.unit_rows(), &[]));
                passage_softmax(logits, &chosen)
            }
        };
        Ok(Objective { loss, metric: None })
    })?;
    learner.encoder.export(mean, inv_std)
}

/// Log-mel of one clip for each of `passages`; clip `i` takes stream `first + i`.
fn draw(
    library: &dyn Clips,
    spec: &FeatureSpec,
    passages: &[usize],
    seed: u64,
    first: u64,
) -> Result<Vec<Array2<f32>>, LearnError> {
    let clip = |(i, &passage): (usize, &usize)| {
        let power = library.draw(passage, &mut stream(seed, first + i as u64))?;
        let found = power.dim();
        if found != (spec.query_frames(), spec.mel_bands) {
            let expected = vec![spec.query_frames(), spec.mel_bands];
            return Err(LearnError::Shape { what: "a clip", found: vec![found.0, found.1], expected });
        }
        Ok(log_mel(power.view(), spec.log_floor))
    };
    passages.par_iter().enumerate().map(clip).collect()
}

/// `[batch, bands, frames]`, every band of mean 0 and variance 1 over the library.
fn standardised(clips: &[Array2<f32>], mean: &Array1<f32>, inv_std: &Array1<f32>) -> Array3<f32> {
    let frames = clips.first().map_or(0, Array2::nrows);
    let mut out = Array3::zeros((clips.len(), mean.len(), frames));
    for (mut row, clip) in out.outer_iter_mut().zip(clips) {
        let standard = (clip - mean) * inv_std;
        row.assign(&standard.t());
    }
    out
}

/// Mean and inverse standard deviation of every band over some clips of the library.
fn band_statistics(
    library: &dyn Clips,
    spec: &FeatureSpec,
    seed: u64,
) -> Result<(Array1<f32>, Array1<f32>), LearnError> {
    const CLIPS: usize = 256;
    let count = library.passages().len();
    let passages: Vec<usize> = (0..CLIPS).map(|i| i * count / CLIPS).collect();
    let clips = draw(library, spec, &passages, seed, 0)?;
    let frames: usize = clips.iter().map(Array2::nrows).sum();
    let mut all = Array2::zeros((frames, spec.mel_bands));
    let rows = clips.iter().flat_map(|clip| clip.rows());
    all.rows_mut().into_iter().zip(rows).for_each(|(mut to, from)| to.assign(&from));
    let (mean, deviation) = moments(all.view());
    Ok((mean, deviation.mapv(f32::recip)))
}
