//! The server half as files.

use ndarray::{Array1, Array2};
use serde::{Deserialize, Serialize};

use super::bundle::{Bundle, MODEL, WEIGHTS};
use super::error::FileError;
use super::stages::{put_stages, take_stages};
use super::tensors::{Reader, Writer};
use crate::halves::server::Parts;
use crate::raw::{Length, RawFront, RawInput, RawSpec};
use crate::stage::{Hierarchy, Stage, StageShape};
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
    /// Of a model that hears encrypted samples.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    raw: Option<RawDescription>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct RawDescription {
    spec: RawSpec,
    stages: Vec<StageShape>,
    /// Of what scores are held against, in units of 2^-16.
    length_factor: u32,
    /// How far the scores of one query lie apart.
    spread: u64,
}

fn put(writer: &mut Writer, part: &str, hierarchy: &Hierarchy) -> Vec<StageShape> {
    put_stages(writer, part, hierarchy.stages());
    hierarchy.shape().stages().to_vec()
}

fn take(reader: &mut Reader<'_>, part: &str, shapes: Vec<StageShape>) -> Result<Hierarchy, FileError> {
    Ok(Hierarchy::new(take_stages(reader, part, shapes)?)?)
}

fn put_raw(writer: &mut Writer, hierarchy: &Hierarchy) -> Option<RawDescription> {
    let raw = hierarchy.raw()?;
    let (front, length, spread) = (raw.front(), raw.length(), raw.spread());
    let spec = front.spec().clone();
    let bands = (0..spec.bands).flat_map(|b| front.band(b).iter().copied());
    writer.put_slice("raw.bands".into(), vec![spec.bands, spec.taps], &mut bands.into_iter());
    let (along, count) = (length.directions(), length.count());
    let weights = &mut along.weights().iter().copied();
    writer.put_slice("raw.length.weights".into(), vec![count, along.input().width], weights);
    writer.put_slice("raw.length.bias".into(), vec![count], &mut along.biases().iter().copied());
    Some(RawDescription { spec, stages: put(writer, "raw", hierarchy), length_factor: length.factor(), spread })
}

fn take_raw(reader: &mut Reader<'_>, raw: RawDescription) -> Result<Hierarchy, FileError> {
    let bands: Array2<i32> = reader.take("raw.bands")?;
    let weights: Array2<i8> = reader.take("raw.length.weights")?;
    let bias: Array1<i32> = reader.take("raw.length.bias")?;
    let front = RawFront::new(raw.spec, bands.into_raw_vec_and_offset().0)?;
    let (count, weights) = (bias.len(), weights.into_raw_vec_and_offset().0);
    let directions = Stage::new(count, front.spec().bound(), weights, bias.to_vec(), vec![count])?;
    let length = Length::new(directions, raw.length_factor)?;
    Ok(take(reader, "raw", raw.stages)?.hearing(RawInput::new(front, length, raw.spread)?)?)
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
        raw: model.raw().and_then(|raw| put_raw(&mut writer, raw)),
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
    let raw = description.raw.map(|raw| take_raw(&mut reader, raw)).transpose()?;
    reader.finish()?;
    let parts = Parts { hierarchy, flat, raw };
    Ok(ServerModel::from_parts(description.name, description.spec, parts, half.hash())?)
}
