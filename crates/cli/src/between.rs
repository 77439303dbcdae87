//! [`Between`]: the folder between the parts of a training, here or at the other end of a network.

use std::path::{Path, PathBuf};

use sordino_corpus::Part;
use sordino_learn::Step;
use sordino_serve::Objects;
use tempfile::TempDir;
use tokio::runtime::{Builder, Runtime};

/// A folder of parts. What lies elsewhere is copied here before a step and back behind it.
pub(crate) enum Between {
    /// A folder that this machine sees.
    Folder(PathBuf),
    /// Storage such as `s3://bucket/folder`.
    Storage(Box<Storage>),
}

pub(crate) struct Storage {
    objects: Objects,
    runtime: Runtime,
    /// Where copies are.
    here: TempDir,
}

impl Between {
    /// At `place`: a folder, or a URL.
    pub(crate) fn open(place: &Path) -> anyhow::Result<Self> {
        let Some(url) = place.to_str().filter(|text| text.contains("://")) else {
            return Ok(Self::Folder(place.to_owned()));
        };
        let runtime = Builder::new_current_thread().enable_all().build()?;
        Ok(Self::Storage(Box::new(Storage { objects: Objects::open(url)?, runtime, here: tempfile::tempdir()? })))
    }

    /// The folder that a step works in.
    pub(crate) fn folder(&self) -> &Path {
        match self {
            Self::Folder(folder) => folder,
            Self::Storage(storage) => storage.here.path(),
        }
    }

    /// Brings what the step of a part reads that is due, or the merge where there is no part; says which step that is.
    pub(crate) fn bring(&self, part: Option<Part>) -> anyhow::Result<Step> {
        let Self::Storage(storage) = self else {
            return Ok(Step::due(|name| self.folder().join(name).exists()));
        };
        let names = storage.runtime.block_on(storage.objects.names())?;
        let step = Step::due(|name| names.iter().any(|there| there == name));
        for name in part.map_or_else(|| step.merges(&names), |part| step.reads(part)) {
            storage.runtime.block_on(storage.objects.fetch(&name, &storage.here.path().join(&name)))?;
        }
        Ok(step)
    }

    /// Takes away what the step left.
    pub(crate) fn take(&self, step: Step, part: Option<Part>) -> anyhow::Result<()> {
        let Self::Storage(storage) = self else { return Ok(()) };
        let names = match part {
            Some(part) => {
                let (merged, own) = step.writes(part, true);
                // What only the part reads goes first: where the other is, the step counts as taken.
                [own, merged].concat()
            }
            None => step.merged().into_iter().map(String::from).collect(),
        };
        for name in names {
            let file = storage.here.path().join(&name);
            if file.exists() {
                storage.runtime.block_on(storage.objects.send(&file, &name))?;
            }
        }
        Ok(())
    }
}
