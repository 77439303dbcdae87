//! The server half as files.

use serde::{Deserialize, Serialize};

use super::bundle::{Bundle, MODEL, WEIGHTS};
use super::error::FileError;
use super::stages::{put_stages, take_stages};
use super::tensors::{Reader, Writer};
use crate::stage::{Hierarchy, StageShape};
use crate::{ModelHash, ServerError, ServerModel};

/// Names the kind of file.
const FORMAT: &str = "sordino-server";
/// Raised whenever the meaning of a file changes.
const VERSION: u64 = 1;
/// The files of this half, sorted.
const FILES: [&str; 2] = [MODEL, WEIGHTS];

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Description {
    format: String,
    version: u64,
    name: String,
    spec: ModelHash,
    hierarchy: Vec<StageShape>,
    flat: Option<Vec<StageShape>>,
}

fn put(writer: &mut Writer, part: &str, hierarchy: &Hierarchy) -> Vec<StageShape> {
    put_stages(writer, part, hierarchy.stages());
    hierarchy.shape().stages().to_vec()
}

fn take(reader: &mut Reader<'_>, part: &str, shapes: Vec<StageShape>) -> Result<Hierarchy, FileError> {
    Ok(Hierarchy::new(take_stages(reader, part, shapes)?)?)
}

impl ServerModel {
    /// The half in one byte string: [`ServerModel::from_bundle`] of [`Bundle::from_bytes`].
    ///
    /// # Errors
    /// [`FileError`] for anything but an undamaged server half of this version.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, FileError> {
        Self::from_bundle(&Bundle::from_bytes(bytes)?)
    }

    /// The half in some files, which must be those that their `SHA256SUMS` lists.
    ///
    /// # Errors
    /// [`FileError`] for anything but an undamaged server half of this version.
    pub fn from_bundle(bundle: &Bundle<'_>) -> Result<Self, FileError> {
        bundle.check(&FILES)?;
        decode(bundle)
    }

    /// The half's files. The same half always has the same.
    ///
    /// # Errors
    /// [`FileError::Server`] where a part has no form on disk.
    pub fn bundle(&self) -> Result<Bundle<'static>, FileError> {
        Ok(encode(self)?)
    }
}

/// The files of a server half.
pub(crate) fn encode(model: &ServerModel) -> Result<Bundle<'static>, ServerError> {
    let mut writer = Writer::default();
    let description = Description {
        format: FORMAT.into(),
        version: VERSION,
        name: model.name().into(),
        spec: model.spec_hash(),
        hierarchy: put(&mut writer, "hierarchy", model.hierarchy()),
        flat: model.own_flat().map(|flat| put(&mut writer, "flat", flat)),
    };
    let mut json = serde_json::to_vec_pretty(&description).map_err(ServerError::Json)?;
    json.push(b'\n');
    Ok([(MODEL, json), (WEIGHTS, writer.finish()?)].into_iter().collect::<Bundle<'_>>().signed())
}

fn decode(half: &Bundle<'_>) -> Result<ServerModel, FileError> {
    let description: Description = half.model(FORMAT, VERSION)?;
    let mut reader = Reader::new(half.file(WEIGHTS)?)?;
    let hierarchy = take(&mut reader, "hierarchy", description.hierarchy)?;
    let flat = description.flat.map(|flat| take(&mut reader, "flat", flat)).transpose()?;
    reader.finish()?;
    Ok(ServerModel::from_parts(description.name, description.spec, hierarchy, flat, half.hash())?)
}
