//! [`train_vectors`]: learning from base vectors of any origin.

use std::path::Path;

use sha2::{Digest, Sha256};

use super::learn;
use crate::examples::{Examples, Purpose};
use crate::math::random::stream;
use crate::run::checkpoint::Checkpoints;
use crate::run::progress::Progress;
use crate::run::sealed::hex;
use crate::run::training_run::TrainingRun;
use crate::{FloatModel, LearnError, TrainConfig};

/// One label to leave out and one to keep, where unknown ones are imitated.
const FEWEST: usize = 2;

/// Trains a model on base vectors, which need not describe sound: [`crate::examples::LabelledVectors`], or any other
/// [`Examples`]. The model's clients hand such vectors to it as features. Of `config`, what disturbs or cuts sound has no effect.
///
/// # Errors
/// [`LearnError`] for settings outside their range, fewer than two labels, examples that cannot be used, training that diverges,
/// checkpoints that cannot be written, or where `progress` asks to stop.
pub fn train_vectors(
    examples: &dyn Examples,
    config: &TrainConfig,
    checkpoints: Option<&Path>,
    progress: &dyn Progress,
) -> Result<FloatModel, LearnError> {
    config.validate()?;
    let found = examples.classes().labels();
    if found < FEWEST {
        return Err(LearnError::TooFew { what: "labels", found, expected: FEWEST });
    }
    let checkpoints = match checkpoints {
        Some(folder) => Checkpoints::new(folder, identity(examples, config, folder)?, config.checkpoint_every)?,
        None => Checkpoints::none(),
    };
    let device = config.device.open()?.autodiff();
    learn(examples, examples.songs(), config, &TrainingRun { device, seed: config.seed, checkpoints, progress })
}

/// What two runs must share to share checkpoints: settings, and an example of every class.
fn identity(examples: &dyn Examples, config: &TrainConfig, folder: &Path) -> Result<String, LearnError> {
    let json = serde_json::to_vec(&(config, examples.classes(), examples.width(), examples.distinct_rounds()))
        .map_err(|error| LearnError::Checkpoint { path: folder.into(), reason: error.to_string() })?;
    let mut hash = Sha256::new();
    hash.update(json);
    for class in 0..examples.classes().len() {
        let rng = &mut stream(config.seed, class as u64);
        for value in examples.example(class, Purpose::Training, 0, rng)? {
            hash.update(value.to_le_bytes());
        }
    }
    Ok(hex(&hash.finalize()))
}
