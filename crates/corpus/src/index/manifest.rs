//! `index.json`: what an index is of, how far it got, and which shards it consists of.

use std::io::Write;
use std::path::Path;

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use sordino_front::FeatureSpec;

use crate::catalogue::hex;
use crate::files::{self, write_beside_others};
use crate::{Catalogue, CorpusError, IndexOptions, Source};

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
    /// Where the index was made, if tracks have paths that are relative to it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) folder: Option<String>,
    /// Every shard; empty until the index is complete.
    pub(crate) shards: Vec<ShardEntry>,
    pub(crate) complete: bool,
    /// SHA-256 of everything above, as compact JSON. Indexes of 0.1.0 have none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) sha256: Option<String>,
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
            folder: relative(catalogue).then(here).flatten(),
            shards: Vec::new(),
            complete: false,
            sha256: None,
        }
    }

    /// What the checksum of the manifest should be.
    fn checksum(&self) -> serde_json::Result<String> {
        let unsigned = Self { sha256: None, ..self.clone() };
        Ok(hex(&Sha256::digest(serde_json::to_vec(&unsigned)?)))
    }

    /// Where a track's sound is: paths that were relative where the index was made are looked for there.
    pub(crate) fn resolved(&self, source: Source) -> Source {
        match (&self.folder, source) {
            (Some(folder), Source::File(path)) if path.is_relative() && here().as_ref() != Some(folder) => {
                let there = Path::new(folder).join(&path);
                Source::File(if there.exists() { there } else { path })
            }
            (_, source) => source,
        }
    }

    pub(crate) fn shard_count(&self) -> usize {
        self.listed.div_ceil(self.shard_span.max(1))
    }

    /// Reads and checks the manifest of an index.
    pub(crate) fn read(dir: &Path) -> Result<Self, CorpusError> {
        let path = dir.join(FILE_NAME);
        let text = files::read(&path, "read the index")?;
        let advice = "index again into an empty folder";
        let bad = |found: String| CorpusError::format(&path, "an index manifest", found, advice);
        // The version comes first: another version may have other fields.
        let value: serde_json::Value = serde_json::from_slice(&text).map_err(|error| bad(error.to_string()))?;
        let (format, version) = (value["format"].as_str(), value["version"].as_u64());
        if format != Some(FORMAT) || version != Some(u64::from(VERSION)) {
            let expected = format!("{FORMAT} version {VERSION}");
            let found = format!("{} version {}", format.unwrap_or("something else"), version.unwrap_or(0));
            return Err(CorpusError::format(&path, expected, found, advice));
        }
        let manifest: Self = serde_json::from_value(value).map_err(|error| bad(error.to_string()))?;
        let checksum = manifest.checksum().map_err(|error| bad(error.to_string()))?;
        if manifest.sha256.as_ref().is_some_and(|found| *found != checksum) {
            let expected = format!("SHA-256 {checksum} of what it says");
            let found = format!("{}: it is damaged or was edited", manifest.sha256.unwrap_or_default());
            return Err(CorpusError::format(&path, expected, found, "copy it again, or index into an empty folder"));
        }
        manifest.feature_spec.validate()?;
        if manifest.shard_span == 0 || manifest.complete && manifest.shards.len() != manifest.shard_count() {
            return Err(bad(format!("{} shards for {} tracks", manifest.shards.len(), manifest.listed)));
        }
        Ok(manifest)
    }

    pub(crate) fn write(&self, dir: &Path) -> Result<(), CorpusError> {
        let path = dir.join(FILE_NAME);
        let signed = || serde_json::to_string_pretty(&Self { sha256: Some(self.checksum()?), ..self.clone() });
        let json = signed().map_err(|error| CorpusError::io(&path, "write")(std::io::Error::other(error)))?;
        write_beside_others(&path, |file| file.write_all(json.as_bytes()))
    }

    /// Whether tracks measured for this manifest, found in `dir`, may stand in an index like `wanted`.
    pub(crate) fn check_same_settings(&self, wanted: &Self, dir: &Path) -> Result<(), CorpusError> {
        let advice = "index into another folder, or delete this one";
        let differ = |what: &str, expected: String, found: String| {
            Err(CorpusError::format(&dir.join(FILE_NAME), format!("{what} {expected}"), found, advice))
        };
        let json = |spec: &FeatureSpec| serde_json::to_string(spec).unwrap_or_else(|_| format!("{spec:?}"));
        if self.feature_spec != wanted.feature_spec {
            return differ("the feature spec", json(&wanted.feature_spec), json(&self.feature_spec));
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

/// Whether some track's path is relative.
fn relative(catalogue: &Catalogue) -> bool {
    catalogue.tracks.iter().any(|track| matches!(&track.source, Source::File(path) if path.is_relative()))
}

/// The working folder, where it has a name in UTF-8.
fn here() -> Option<String> {
    std::env::current_dir().ok()?.into_os_string().into_string().ok()
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use super::*;

    #[test]
    fn relative_paths_are_looked_for_where_the_index_was_made() {
        let there = tempfile::tempdir().unwrap();
        std::fs::write(there.path().join("a.wav"), b"sound").unwrap();
        let spec = FeatureSpec::default();
        let made = Manifest::new(&Catalogue::default(), &spec, &IndexOptions::for_spec(&spec));
        let made = Manifest { folder: there.path().to_str().map(str::to_owned), ..made };
        let resolved = |manifest: &Manifest, path: &str| manifest.resolved(Source::File(path.into()));
        assert_eq!(resolved(&made, "a.wav"), Source::File(there.path().join("a.wav")));
        for path in ["b.wav", "/a.wav"] {
            assert_eq!(resolved(&made, path), Source::File(PathBuf::from(path)));
        }
        let here = Manifest { folder: here(), ..made };
        assert_eq!(resolved(&here, "Cargo.toml"), Source::File("Cargo.toml".into()));
    }
}
