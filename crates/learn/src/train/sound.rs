//! [`train`] and [`train_on`]: learning from sound.

use std::path::Path;

use sha2::{Digest, Sha256};
use sordino_audio::{ImpulseBank, NoiseBank};
use sordino_corpus::MelTable;
use sordino_front::{FeatureSpec, Network};
use sordino_model::files::network_to_bytes;

use super::learn;
use crate::examples::{Examples as _, Songs};
use crate::math::random::stream;
use crate::run::checkpoint::Checkpoints;
use crate::run::progress::Progress;
use crate::run::sealed::hex;
use crate::run::training_run::TrainingRun;
use crate::sound::clip_examples::ClipExamples;
use crate::sound::{AugmentedClips, Clips, embedding};
use crate::{FloatModel, LearnError, TrainConfig};

/// The fewest tracks that are a library: of fewer, too few can be left out to imitate unknown ones.
const FEWEST: usize = 5;

/// Trains a model for a table of cached mel power, disturbed with the training parts of the banks. With a folder for
/// checkpoints, a run that was stopped goes on where it was, to the same result.
///
/// # Errors
/// As [`train_on`], and [`LearnError::Audio`] for banks that do not suit `config.augment`.
pub fn train(
    table: &MelTable,
    noise: &NoiseBank,
    impulses: &ImpulseBank,
    config: &TrainConfig,
    checkpoints: Option<&Path>,
    progress: &dyn Progress,
) -> Result<FloatModel, LearnError> {
    config.validate()?;
    let clips = library(table, noise, impulses, config)?;
    train_on(&clips, table.spec(), config, checkpoints, progress)
}

/// A table's clips as the settings want them.
pub(super) fn library<'a>(
    table: &'a MelTable,
    noise: &NoiseBank,
    impulses: &ImpulseBank,
    config: &TrainConfig,
) -> Result<AugmentedClips<'a>, LearnError> {
    AugmentedClips::new(table, noise, impulses, &config.augment, config.split())?
        .with_passages(config.passage_hop)?
        .with_recorded_share(config.recorded_share)
}

/// Trains a model on clips from anywhere: the embedding network where there is one, then all that vectors are enough for.
///
/// # Errors
/// [`LearnError`] for settings outside their range, a library that is too small, sound that cannot be used, training
/// that diverges, checkpoints that cannot be written, or where `progress` asks to stop.
pub fn train_on(
    clips: &dyn Clips,
    spec: &FeatureSpec,
    config: &TrainConfig,
    checkpoints: Option<&Path>,
    progress: &dyn Progress,
) -> Result<FloatModel, LearnError> {
    config.validate()?;
    let found = clips.tracks();
    if found < FEWEST {
        return Err(LearnError::TooFew { what: "tracks", found, expected: FEWEST });
    }
    let own = config.own_network()?;
    let checkpoints = match checkpoints {
        Some(folder) => {
            let identity = identity(clips, spec, config, own.as_ref(), folder)?;
            Checkpoints::new(folder, identity, config.checkpoint_every)?
        }
        None => Checkpoints::none(),
    };
    let device = config.device.open()?.autodiff();
    let run = TrainingRun { device, seed: config.seed, checkpoints, progress };
    let learned =
        config.embedding.as_ref().map(|settings| embedding::train(clips, spec, settings, &run)).transpose()?;
    let examples = ClipExamples::new(clips, spec, config.statistics, learned.or(own))?;
    let songs = examples.songs();
    enough(&songs)?;
    learn(&examples, songs, config, &run)
}

/// Refuses a library of too few songs.
pub(super) fn enough(songs: &Songs) -> Result<(), LearnError> {
    if songs.len() < FEWEST {
        return Err(LearnError::TooFew { what: "tracks of different sound", found: songs.len(), expected: FEWEST });
    }
    Ok(())
}

/// What two runs must share to share checkpoints: settings, a network's weights, and some of the sound.
fn identity(
    clips: &dyn Clips,
    spec: &FeatureSpec,
    config: &TrainConfig,
    network: Option<&Network>,
    folder: &Path,
) -> Result<String, LearnError> {
    const SAMPLES: usize = 16;
    let json = serde_json::to_vec(&(spec, config, clips.passages()))
        .map_err(|error| LearnError::Checkpoint { path: folder.into(), reason: error.to_string() })?;
    let mut hash = Sha256::new();
    hash.update(json);
    hash.update(weights(config, network)?);
    let passages = clips.passages().len();
    for i in 0..SAMPLES.min(passages) {
        for value in clips.draw(i * passages / SAMPLES.min(passages), &mut stream(config.seed, i as u64))? {
            hash.update(value.to_le_bytes());
        }
    }
    Ok(hex(&hash.finalize()))
}

/// A network's file, by which runs with different weights are told apart; empty where there is none.
pub(super) fn weights(config: &TrainConfig, network: Option<&Network>) -> Result<Vec<u8>, LearnError> {
    let path = config.network.clone().unwrap_or_default();
    let bytes = network.map(network_to_bytes).transpose();
    Ok(bytes.map_err(|source| LearnError::Network { path, source: Box::new(source) })?.unwrap_or_default())
}
