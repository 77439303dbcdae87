//! A [`Network`] as a file: weights of anybody's making, for a front end of one's own.

use std::path::Path;

use ndarray::ArrayD;
use serde::{Deserialize, Serialize};
use sordino_front::{Activation, Conv1d, Layer, Network, Pool, Step};

use super::aside::read_file;
use super::bundle::Preamble;
use super::error::FileError;
use super::tensors::{Reader, Writer, metadata};

/// Names the kind of file.
const FORMAT: &str = "sordino-network";
/// Raised whenever the meaning of a file changes.
const VERSION: u64 = 1;
/// Key of the description in the metadata of the file.
const KEY: &str = "sordino";
/// What the names of its tensors begin with, in a file of its own as in that of a client half.
const PART: &str = "network";
/// Most bytes of a file, 64 million weights: every client of the model fetches it.
const MOST_BYTES: u64 = 1 << 28;

/// What the metadata of a network's file says.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Description {
    format: String,
    version: u64,
    /// Mel bands that go in.
    bands: usize,
    steps: Vec<StepDescription>,
    pool: Pool,
    layers: Vec<LayerDescription>,
}

/// A network without its numbers.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct NetworkDescription {
    steps: Vec<StepDescription>,
    pool: Pool,
    layers: Vec<LayerDescription>,
}

/// The network in a safetensors file, whose metadata describe it: `models/README.md` has every field.
///
/// # Errors
/// [`FileError`] for anything but a network of this version; nothing is allocated because the file claims a size.
pub fn network_from_bytes(bytes: &[u8]) -> Result<Network, FileError> {
    let mut reader = Reader::new(bytes)?;
    let text = metadata(bytes, KEY)?.ok_or(FileError::NoNetwork { key: KEY })?;
    let preamble: Preamble = serde_json::from_str(&text).map_err(FileError::json(FORMAT))?;
    preamble.check(FORMAT, FORMAT, VERSION)?;
    let Description { bands, steps, pool, layers, .. } =
        serde_json::from_str(&text).map_err(FileError::json(FORMAT))?;
    let network = take_network(&mut reader, bands, NetworkDescription { steps, pool, layers })?;
    reader.finish()?;
    Ok(network)
}

/// [`network_from_bytes`] of a file.
///
/// # Errors
/// Those of [`network_from_bytes`], and [`FileError::Io`].
pub fn read_network(path: &Path) -> Result<Network, FileError> {
    network_from_bytes(&read_file(path, MOST_BYTES).map_err(FileError::io("read", path))?)
}

/// The network as a file. The same network always gives the same bytes.
///
/// # Errors
/// [`FileError::Server`] where it has no form on disk.
pub fn network_to_bytes(network: &Network) -> Result<Vec<u8>, FileError> {
    let mut writer = Writer::default();
    let (bands, format) = (network.bands(), FORMAT.into());
    let NetworkDescription { steps, pool, layers } = put_network(&mut writer, network);
    let description = Description { format, version: VERSION, bands, steps, pool, layers };
    let text = serde_json::to_string(&description).map_err(FileError::json(FORMAT))?;
    Ok(writer.finish_with(KEY, text)?)
}

/// A network from its description, as it stands in the metadata of a file, and its arrays with their names.
///
/// # Errors
/// Those of [`network_from_bytes`].
pub fn assemble_network(description: String, arrays: &[(String, ArrayD<f32>)]) -> Result<Network, FileError> {
    let mut writer = Writer::default();
    arrays.iter().for_each(|(name, array)| writer.put(name.clone(), array));
    network_from_bytes(&writer.finish_with(KEY, description)?)
}

/// A layer without its numbers, which are the tensors named after its place.
#[derive(Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum LayerDescription {
    Affine,
    Standardise,
    Activation(Activation),
    UnitNorm,
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
enum StepDescription {
    Conv1d { stride: usize, dilation: usize, padding: usize },
    Activation(Activation),
    Standardise,
    Residual(Vec<StepDescription>),
}

pub(super) fn put_layers(writer: &mut Writer, part: &str, layers: &[Layer]) -> Vec<LayerDescription> {
    let layers = layers.iter().enumerate().map(|(i, layer)| {
        let part = format!("{part}.layers.{i}");
        match layer {
            Layer::Affine { weight, bias } => {
                writer.put(format!("{part}.weight"), weight);
                writer.put(format!("{part}.bias"), bias);
                LayerDescription::Affine
            }
            Layer::Standardise { mean, inv_std } => {
                writer.put(format!("{part}.mean"), mean);
                writer.put(format!("{part}.inv_std"), inv_std);
                LayerDescription::Standardise
            }
            Layer::Activation(f) => LayerDescription::Activation(*f),
            Layer::UnitNorm => LayerDescription::UnitNorm,
        }
    });
    layers.collect()
}

pub(super) fn take_layers(
    reader: &mut Reader<'_>,
    part: &str,
    layers: Vec<LayerDescription>,
) -> Result<Vec<Layer>, FileError> {
    let layers = layers.into_iter().enumerate().map(|(i, layer)| {
        let part = format!("{part}.layers.{i}");
        Ok(match layer {
            LayerDescription::Affine => Layer::Affine {
                weight: reader.take(&format!("{part}.weight"))?,
                bias: reader.take(&format!("{part}.bias"))?,
            },
            LayerDescription::Standardise => Layer::Standardise {
                mean: reader.take(&format!("{part}.mean"))?,
                inv_std: reader.take(&format!("{part}.inv_std"))?,
            },
            LayerDescription::Activation(f) => Layer::Activation(f),
            LayerDescription::UnitNorm => Layer::UnitNorm,
        })
    });
    layers.collect()
}

fn put_steps(writer: &mut Writer, part: &str, steps: &[Step]) -> Vec<StepDescription> {
    let steps = steps.iter().enumerate().map(|(i, step)| {
        let part = format!("{part}.steps.{i}");
        match step {
            Step::Conv1d(Conv1d { weight, bias, stride, dilation, padding }) => {
                writer.put(format!("{part}.weight"), weight);
                writer.put(format!("{part}.bias"), bias);
                StepDescription::Conv1d { stride: *stride, dilation: *dilation, padding: *padding }
            }
            Step::Activation(f) => StepDescription::Activation(*f),
            Step::Standardise { mean, inv_std } => {
                writer.put(format!("{part}.mean"), mean);
                writer.put(format!("{part}.inv_std"), inv_std);
                StepDescription::Standardise
            }
            Step::Residual(steps) => StepDescription::Residual(put_steps(writer, &part, steps)),
        }
    });
    steps.collect()
}

fn take_steps(reader: &mut Reader<'_>, part: &str, steps: Vec<StepDescription>) -> Result<Vec<Step>, FileError> {
    let steps = steps.into_iter().enumerate().map(|(i, step)| {
        let part = format!("{part}.steps.{i}");
        Ok(match step {
            StepDescription::Conv1d { stride, dilation, padding } => Step::Conv1d(Conv1d {
                weight: reader.take(&format!("{part}.weight"))?,
                bias: reader.take(&format!("{part}.bias"))?,
                stride,
                dilation,
                padding,
            }),
            StepDescription::Activation(f) => Step::Activation(f),
            StepDescription::Standardise => Step::Standardise {
                mean: reader.take(&format!("{part}.mean"))?,
                inv_std: reader.take(&format!("{part}.inv_std"))?,
            },
            StepDescription::Residual(steps) => Step::Residual(take_steps(reader, &part, steps)?),
        })
    });
    steps.collect()
}

pub(super) fn put_network(writer: &mut Writer, network: &Network) -> NetworkDescription {
    NetworkDescription {
        steps: put_steps(writer, PART, network.steps()),
        pool: network.pool(),
        layers: put_layers(writer, PART, network.layers()),
    }
}

pub(super) fn take_network(
    reader: &mut Reader<'_>,
    bands: usize,
    description: NetworkDescription,
) -> Result<Network, FileError> {
    let steps = take_steps(reader, PART, description.steps)?;
    let layers = take_layers(reader, PART, description.layers)?;
    Ok(Network::new(bands, steps, description.pool, layers)?)
}
