//! [`Checkpoints`]: what a phase of training needs to go on after it was stopped, one file per phase.
//!
//! A file is [`sealed`]: its JSON has format, phase, identity, step and lengths, and the module's and the optimiser's burnpack records follow.

use std::fs;
use std::path::{Path, PathBuf};

use burn::module::Module;
use burn::optim::ModuleOptimizer;
use burn::store::ModuleRecord;
use burn::tensor::Bytes;
use serde::{Deserialize, Serialize};

use crate::LearnError;
use crate::run::sealed::{self, Unsealed};

const FORMAT: &str = "sordino-checkpoint-3";

/// Where checkpoints go, and how often.
#[derive(Clone, Debug)]
pub(crate) struct Checkpoints {
    folder: Option<PathBuf>,
    identity: String,
    every: usize,
}

#[derive(Serialize, Deserialize)]
struct Header {
    format: String,
    phase: String,
    identity: String,
    step: usize,
    module_bytes: usize,
    optimiser_bytes: usize,
}

/// A checkpoint as it was read.
pub(crate) struct Snapshot {
    path: PathBuf,
    step: usize,
    module: Vec<u8>,
    optimiser: Vec<u8>,
}

impl Checkpoints {
    /// Checkpoints in `folder` every `every` steps. `identity` names the run: settings and data; a file left by another
    /// run is not resumed but overwritten.
    pub(crate) fn new(folder: &Path, identity: String, every: usize) -> Result<Self, LearnError> {
        fs::create_dir_all(folder).map_err(|source| LearnError::CheckpointFile { path: folder.into(), source })?;
        Ok(Self { folder: Some(folder.into()), identity, every: every.max(1) })
    }

    /// No checkpoints.
    pub(crate) fn none() -> Self {
        Self { folder: None, identity: String::new(), every: usize::MAX }
    }

    /// Whether a checkpoint should be left after `steps` steps.
    pub(crate) fn due(&self, steps: usize) -> bool {
        self.folder.is_some() && steps.is_multiple_of(self.every)
    }

    fn path(&self, phase: &str) -> Option<PathBuf> {
        let file: String = phase.chars().map(|c| if c.is_ascii_alphanumeric() { c } else { '-' }).collect();
        self.folder.as_ref().map(|folder| folder.join(format!("{file}.checkpoint")))
    }

    pub(crate) fn save<M: Module>(
        &self,
        phase: &str,
        step: usize,
        module: &M,
        optimiser: &ModuleOptimizer,
    ) -> Result<(), LearnError> {
        let Some(path) = self.path(phase) else { return Ok(()) };
        let bad = |reason: String| LearnError::Checkpoint { path: path.clone(), reason };
        // A record of the module itself lacks the last update of the running statistics; `valid` brings them up to date.
        let module = module.valid().into_record().into_bytes().map_err(|e| bad(e.to_string()))?;
        let optimiser = optimiser.into_bytes().map_err(|e| bad(e.to_string()))?;
        let header = Header {
            format: FORMAT.into(),
            phase: phase.into(),
            identity: self.identity.clone(),
            step,
            module_bytes: module.len(),
            optimiser_bytes: optimiser.len(),
        };
        sealed::write(&path, &header, &[&module, &optimiser])
            .map_err(|source| LearnError::CheckpointFile { path: path.clone(), source })
    }

    pub(crate) fn load(&self, phase: &str) -> Result<Option<Snapshot>, LearnError> {
        let Some(path) = self.path(phase) else { return Ok(None) };
        if !path.exists() {
            return Ok(None);
        }
        let bad = |reason: &str| LearnError::Checkpoint { path: path.clone(), reason: reason.into() };
        let (header, body): (Header, Vec<u8>) = sealed::read(&path).map_err(|error| match error {
            Unsealed::Io(source) => LearnError::CheckpointFile { path: path.clone(), source },
            Unsealed::Bad(reason) => bad(&reason),
        })?;
        if header.format != FORMAT {
            return Err(bad(&format!("format {:?}, expected {FORMAT:?}", header.format)));
        }
        if header.identity != self.identity || header.phase != phase {
            tracing::info!(phase, "a checkpoint of another run is ignored");
            return Ok(None);
        }
        if header.module_bytes.checked_add(header.optimiser_bytes) != Some(body.len()) {
            return Err(bad("truncated"));
        }
        let (module, optimiser) = body.split_at(header.module_bytes);
        Ok(Some(Snapshot { path, step: header.step, module: module.to_vec(), optimiser: optimiser.to_vec() }))
    }
}

impl Snapshot {
    /// The module, the optimiser, and the number of steps done.
    pub(crate) fn restore<M: Module>(
        self,
        module: M,
        optimiser: ModuleOptimizer,
    ) -> Result<(M, ModuleOptimizer, usize), LearnError> {
        let bad = |reason: String| LearnError::Checkpoint { path: self.path.clone(), reason };
        let record = ModuleRecord::from_bytes(Bytes::from_bytes_vec(self.module)).map_err(|e| bad(e.to_string()))?;
        let module = module.try_load_record(record).map_err(|e| bad(e.to_string()))?;
        let optimiser = optimiser.from_bytes(Bytes::from_bytes_vec(self.optimiser)).map_err(|e| bad(e.to_string()))?;
        Ok((module, optimiser, self.step))
    }
}
