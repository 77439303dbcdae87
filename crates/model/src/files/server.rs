//! The server half as files.

use ndarray::{Array2, Array3};
use serde::{Deserialize, Serialize};

use super::bundle::{Bundle, MODEL, WEIGHTS};
use super::error::FileError;
use super::tensors::{Reader, Writer};
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
}

fn put(writer: &mut Writer, part: &str, hierarchy: &Hierarchy) -> Vec<StageShape> {
    for (i, stage) in hierarchy.stages().iter().enumerate() {
        let (groups, outputs, width) = (stage.groups(), stage.outputs(), stage.input().width);
        let (weights, bias) = (stage.weights(), stage.biases());
        writer.put_slice(format!("{part}.{i}.weights"), vec![groups, outputs, width], &mut weights.iter().copied());
        writer.put_slice(format!("{part}.{i}.bias"), vec![groups, outputs], &mut bias.iter().copied());
    }
    hierarchy.shape().stages().to_vec()
}

fn take(reader: &mut Reader<'_>, part: &str, shapes: Vec<StageShape>) -> Result<Hierarchy, FileError> {
    let stages = shapes.into_iter().enumerate().map(|(i, shape)| {
        let weights: Array3<i8> = reader.take(&format!("{part}.{i}.weights"))?;
        let bias: Array2<i32> = reader.take(&format!("{part}.{i}.bias"))?;
        let (groups, outputs, width) = (shape.groups(), shape.outputs(), shape.input().width);
        let other = |table: &str, found: &[usize], expected: &[usize]| {
            let (name, found) = (format!("{part}.{i}.{table}"), format!("{found:?}"));
            Err(FileError::Tensor { name, found, expected: format!("{expected:?}") })
        };
        if weights.shape() != [groups, outputs, width] {
            return other("weights", weights.shape(), &[groups, outputs, width]);
        }
        if bias.shape() != [groups, outputs] {
            return other("bias", bias.shape(), &[groups, outputs]);
        }
        let (weights, bias) = (weights.into_raw_vec_and_offset().0, bias.into_raw_vec_and_offset().0);
        Ok(Stage::new(shape.outputs(), shape.input(), weights, bias, shape.counts().to_vec())?)
    });
    Ok(Hierarchy::new(stages.collect::<Result<_, _>>()?)?)
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
