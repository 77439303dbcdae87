//! [`train_vectors_part`] and [`merge_vectors`]: training in parts on base vectors of any origin.

use std::path::Path;

use sha2::{Digest, Sha256};
use sordino_corpus::Part;

use super::files::Files;
use super::{Merged, Step, merge, run_part};
use crate::examples::Examples;
use crate::run::progress::Progress;
use crate::run::sealed::hex;
use crate::sound::copies::Outlines;
use crate::{LearnError, TrainConfig};

/// Takes the step that is due of a part of a library of vectors, in the folder that all parts share: see [`crate::train_part`]. `examples` knows all
/// classes, and gives examples of those of the part.
///
/// # Errors
/// As [`crate::train_part`].
pub fn train_vectors_part(
    examples: &dyn Examples,
    config: &TrainConfig,
    part: Part,
    folder: &Path,
    progress: &dyn Progress,
) -> Result<Step, LearnError> {
    run_part(examples, config, part, &files(examples, config, folder)?, &Outlines::default, progress)
}

/// Merges what all parts have come to: see [`crate::merge_parts`]. `examples` knows all classes, and gives no examples.
///
/// # Errors
/// As [`crate::merge_parts`].
pub fn merge_vectors(
    examples: &dyn Examples,
    config: &TrainConfig,
    folder: &Path,
    checkpoints: Option<&Path>,
    progress: &dyn Progress,
) -> Result<Merged, LearnError> {
    let files = files(examples, config, folder)?;
    merge(examples, config, &files, &|_| Ok(examples.songs()), checkpoints, progress)
}

fn files(examples: &dyn Examples, config: &TrainConfig, folder: &Path) -> Result<Files, LearnError> {
    let json = serde_json::to_vec(&(config, examples.classes(), examples.width(), examples.distinct_rounds()));
    let json = json.map_err(|error| LearnError::Part { path: folder.into(), reason: error.to_string() })?;
    Files::new(folder, hex(&Sha256::digest(json)))
}
