//! `index.json`: what an index is of, how far it got, and which shards it consists of.

use std::fs::{self, File};
use std::io::Write;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use sordino_front::FeatureSpec;

use crate::{Catalogue, CorpusError, IndexOptions};

/// Name of the manifest within an index.
pub(crate) const FILE_NAME: &str = "index.json";
const FORMAT: &str = "sordino-mel-index";
/// Version of the manifest and of the shards.
pub(crate) const VERSION: u32 = 1;

/// The manifest.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Manifest {
    pub(crate) format: String,
    pub(crate) version: u32,
    pub(crate) feature_spec: FeatureSpec,
    /// [`Catalogue::fingerprint`].
    pub(crate) catalogue: String,
    /// Tracks in the catalogue, rejected ones included.
    pub(crate) listed: usize,
    /// Catalogue positions per shard; shard `s` holds positions `s * span` to `(s + 1) * span`.
    pub(crate) shard_span: usize,
    /// Limits under which tracks were accepted, as text: only equality matters.
    pub(crate) limits: String,
    /// Every shard; empty until the index is complete.
    pub(crate) shards: Vec<ShardEntry>,
    pub(crate) complete: bool,
}

/// A finished shard.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct ShardEntry {
    pub(crate) file: String,
    pub(crate) rows: usize,
    pub(crate) bytes: u64,
    pub(crate) sha256: String,
}

impl Manifest {
    pub(crate) fn new(catalogue: &Catalogue, spec: &FeatureSpec, options: &IndexOptions) -> Self {
        Self {
            format: FORMAT.into(),
            version: VERSION,
            feature_spec: spec.clone(),
            catalogue: catalogue.fingerprint(),
            listed: catalogue.tracks.len(),
            shard_span: options.shard_tracks,
            limits: format!("{:?}", options.sound),
            shards: Vec::new(),
            complete: false,
        }
    }

    pub(crate) fn shard_count(&self) -> usize {
        self.listed.div_ceil(self.shard_span.max(1))
    }

    /// Reads and checks the manifest of an index.
    pub(crate) fn read(dir: &Path) -> Result<Self, CorpusError> {
        let path = dir.join(FILE_NAME);
        let text = fs::read_to_string(&path).map_err(CorpusError::io(&path, "read the index"))?;
        let advice = "index again into an empty folder";
        let bad = |found: String| CorpusError::format(&path, "an index manifest", found, advice);
        // The version comes first: another version may have other fields.
        let value: serde_json::Value = serde_json::from_str(&text).map_err(|error| bad(error.to_string()))?;
        let (format, version) = (value["format"].as_str(), value["version"].as_u64());
        if format != Some(FORMAT) || version != Some(u64::from(VERSION)) {
            let expected = format!("{FORMAT} version {VERSION}");
            let found = format!("{} version {}", format.unwrap_or("something else"), version.unwrap_or(0));
            return Err(CorpusError::format(&path, expected, found, advice));
        }
        let manifest: Self = serde_json::from_value(value).map_err(|error| bad(error.to_string()))?;
        manifest.feature_spec.validate()?;
        if manifest.shard_span == 0 || manifest.complete && manifest.shards.len() != manifest.shard_count() {
            return Err(bad(format!("{} shards for {} tracks", manifest.shards.len(), manifest.listed)));
        }
        Ok(manifest)
    }

    pub(crate) fn write(&self, dir: &Path) -> Result<(), CorpusError> {
        let path = dir.join(FILE_NAME);
        let json = serde_json::to_string_pretty(self);
        let json = json.map_err(|error| CorpusError::io(&path, "write")(std::io::Error::other(error)))?;
        write_atomically(&path, |file| file.write_all(json.as_bytes()))
    }

    /// Whether work for `wanted` may continue in `dir`, where this manifest was found.
    pub(crate) fn check_same_work(&self, wanted: &Self, dir: &Path) -> Result<(), CorpusError> {
        let advice = "index into another folder, or delete this one";
        let differ = |what: &str, expected: String, found: String| {
            Err(CorpusError::format(&dir.join(FILE_NAME), format!("{what} {expected}"), found, advice))
        };
        let json = |spec: &FeatureSpec| serde_json::to_string(spec).unwrap_or_else(|_| format!("{spec:?}"));
        if self.feature_spec != wanted.feature_spec {
            return differ("the feature spec", json(&wanted.feature_spec), json(&self.feature_spec));
        }
        if self.catalogue != wanted.catalogue {
            let found = format!("{} of another one with {} tracks", self.catalogue, self.listed);
            return differ("the catalogue with fingerprint", wanted.catalogue.clone(), found);
        }
        if self.limits != wanted.limits {
            return differ("the limits", wanted.limits.clone(), self.limits.clone());
        }
        if self.shard_span != wanted.shard_span {
            return differ("tracks per shard:", wanted.shard_span.to_string(), self.shard_span.to_string());
        }
        Ok(())
    }
}

/// The name under which a file is written before it gets its own.
pub(crate) fn temporary(path: &Path) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(".tmp");
    PathBuf::from(name)
}

/// Writes a file so that a reader, or the next run after a kill or a power cut, sees all of it or nothing.
pub(crate) fn write_atomically<T>(
    path: &Path,
    write: impl FnOnce(&mut File) -> std::io::Result<T>,
) -> Result<T, CorpusError> {
    let unfinished = temporary(path);
    let mut file = File::create(&unfinished).map_err(CorpusError::io(&unfinished, "create"))?;
    let written = write(&mut file).map_err(CorpusError::io(&unfinished, "write"))?;
    file.sync_all().map_err(CorpusError::io(&unfinished, "write to disk"))?;
    fs::rename(&unfinished, path).map_err(CorpusError::io(path, "rename into place"))?;
    Ok(written)
}
