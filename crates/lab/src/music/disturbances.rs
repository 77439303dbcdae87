//! [`Disturbances`]: noise and rooms, one part for training and another for queries.

use std::cell::RefCell;
use std::collections::HashMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::rc::Rc;

use serde::Serialize;
use sordino_audio::{AudioError, ImpulseBank, NoiseBank, RejectedFile, Span, bank_files};

use crate::{LabError, Monitor};

/// Share of the recordings that only queries use.
const QUERY_SHARE: f32 = 0.3;

/// How much of each is made where no folder is given.
const SYNTHETIC_NOISES: usize = 384;
const SYNTHETIC_ROOMS: usize = 48;
const SYNTHETIC_NOISE_SECONDS: f32 = 5.0;
const SYNTHETIC_T60: Span = Span(0.2, 1.2);

/// Noise recordings and impulse responses.
#[derive(Clone, Debug)]
pub struct Disturbances {
    /// Background noise.
    pub noise: NoiseBank,
    /// Rooms.
    pub impulses: ImpulseBank,
}

/// Where noise and impulse responses come from.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct DisturbanceSource {
    /// A folder of noise recordings; noise is synthesised without one.
    pub noise: Option<PathBuf>,
    /// A folder of impulse responses; rooms are synthesised without one.
    pub impulses: Option<PathBuf>,
    /// Seed of the split, and of what is synthesised.
    pub seed: u64,
}

/// Both sides of the split, which share no recording and no room, and the files that could not be used.
#[derive(Debug)]
pub struct SplitDisturbances {
    /// What training hears.
    pub training: Disturbances,
    /// What queries hear.
    pub queries: Disturbances,
    /// Files left out.
    pub rejected: Vec<RejectedFile>,
}

/// Noise and impulse responses by their sampling rate, loaded once.
#[derive(Debug, Default)]
pub struct DisturbanceCache {
    source: DisturbanceSource,
    loaded: RefCell<HashMap<u32, Rc<SplitDisturbances>>>,
}

impl DisturbanceCache {
    /// Nothing of a source yet.
    pub fn new(source: DisturbanceSource) -> Self {
        Self { source, loaded: RefCell::default() }
    }

    /// Both sides at `rate` Hz; the monitor hears of files that are left out.
    ///
    /// # Errors
    /// [`LabError::Format`] names the folder that cannot be listed.
    pub fn at(&self, rate: u32, monitor: &dyn Monitor) -> Result<Rc<SplitDisturbances>, LabError> {
        if let Some(loaded) = self.loaded.borrow().get(&rate) {
            return Ok(Rc::clone(loaded));
        }
        let loaded = Rc::new(self.source.load(rate)?);
        for file in &loaded.rejected {
            monitor.note(&format!("left out: {}: {}", file.path.display(), file.error));
        }
        self.loaded.borrow_mut().insert(rate, Rc::clone(&loaded));
        Ok(loaded)
    }
}

impl DisturbanceSource {
    /// Loads or makes both sides at `rate` Hz.
    ///
    /// # Errors
    /// [`LabError::Format`] names the folder that cannot be listed.
    pub fn load(&self, rate: u32) -> Result<SplitDisturbances, LabError> {
        let mut rejected = Vec::new();
        let noise = match &self.noise {
            Some(folder) => kept(loaded(folder, || NoiseBank::load(folder, rate))?, &mut rejected),
            None => NoiseBank::synthetic(self.seed, SYNTHETIC_NOISES, SYNTHETIC_NOISE_SECONDS, rate),
        };
        let impulses = match &self.impulses {
            Some(folder) => kept(loaded(folder, || ImpulseBank::load(folder, rate))?, &mut rejected),
            None => ImpulseBank::synthetic(self.seed, SYNTHETIC_ROOMS, SYNTHETIC_T60, rate),
        };
        let (noise, noise_queries) = noise.split(QUERY_SHARE, self.seed);
        let (impulses, impulse_queries) = impulses.split(QUERY_SHARE, self.seed);
        Ok(SplitDisturbances {
            training: Disturbances { noise, impulses },
            queries: Disturbances { noise: noise_queries, impulses: impulse_queries },
            rejected,
        })
    }

    /// All files of both folders, so that other ones under the same names are told apart; nothing where sound is synthesised.
    pub(crate) fn listing(&self) -> Result<impl Serialize, LabError> {
        let files = |folder: &Option<PathBuf>| {
            folder.as_deref().map(|folder| loaded(folder, || bank_files(folder))).transpose()
        };
        Ok([files(&self.noise)?, files(&self.impulses)?])
    }

    /// Names of the two sources, for tables.
    pub(crate) fn names(&self) -> [String; 2] {
        let name = |folder: &Option<PathBuf>| folder.as_deref().map_or_else(|| "synthesised".into(), last_part);
        [name(&self.noise), name(&self.impulses)]
    }
}

/// What comes of the files of a folder. Decoders meet bytes from anywhere: a bug in one must not end the program.
fn loaded<B>(folder: &Path, load: impl FnOnce() -> Result<B, AudioError>) -> Result<B, LabError> {
    let failed = |_| Err("a decoder failed on a file of it (a bug in the decoder)".to_owned());
    let outcome = catch_unwind(AssertUnwindSafe(|| load().map_err(|error| error.to_string()))).unwrap_or_else(failed);
    outcome.map_err(|reason| LabError::Format { path: folder.to_owned(), reason })
}

fn last_part(path: &Path) -> String {
    path.file_name().unwrap_or(path.as_os_str()).to_string_lossy().into_owned()
}

fn kept<B>((bank, left_out): (B, Vec<RejectedFile>), rejected: &mut Vec<RejectedFile>) -> B {
    rejected.extend(left_out);
    bank
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_listing_tells_folders_of_one_name_apart() {
        let listing = |parent: &str, files: &[(&str, &str)]| {
            let root = tempfile::tempdir().unwrap();
            let folder = root.path().join(parent).join("noise");
            std::fs::create_dir_all(folder.join("deep")).unwrap();
            files.iter().for_each(|(name, text)| std::fs::write(folder.join(name), text).unwrap());
            let source = DisturbanceSource { noise: Some(folder), ..DisturbanceSource::default() };
            serde_json::to_string(&source.listing().unwrap()).unwrap()
        };
        let one = listing("a", &[("x.wav", "1"), ("deep/y.wav", "22")]);
        assert_eq!(one, r#"[[["deep/y.wav",2],["x.wav",1]],null]"#);
        assert_eq!(one, listing("b", &[("deep/y.wav", "22"), ("x.wav", "1")]));
        assert_ne!(one, listing("a", &[("x.wav", "1")]));
        let missing = DisturbanceSource { impulses: Some("nowhere".into()), ..DisturbanceSource::default() };
        assert!(missing.listing().is_err_and(|error| error.to_string().contains("nowhere")));
        assert!(missing.load(8_000).is_err_and(|error| error.to_string().contains("nowhere")));
    }
}
