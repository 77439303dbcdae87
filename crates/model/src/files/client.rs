//! The client half as files.

use ndarray::Array1;
use serde::{Deserialize, Serialize};
use sordino_front::{FeatureSpec, Front, FrontError, Head, Quantiser};

use super::bundle::{Bundle, LABELS, MODEL, WEIGHTS};
use super::error::FileError;
use super::network::{LayerDescription, NetworkDescription, put_layers, put_network, take_layers, take_network};
use super::stages::{put_stages, take_stages};
use super::tensors::{Reader, Writer};
use crate::raw::RawSpec;
use crate::stage::HierarchyShape;
use crate::{ClientHierarchy, ClientModel, Label, Lead, ModelHash, ServerError};

/// Names the kind of file.
const FORMAT: &str = "sordino-client";
/// Raised whenever the meaning of a file changes.
const VERSION: u64 = 1;
/// The files of this half, sorted.
const FILES: [&str; 3] = [LABELS, MODEL, WEIGHTS];

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Description {
    format: String,
    version: u64,
    name: String,
    /// Hash of the server half.
    server: ModelHash,
    /// Of a front end for sound.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    spec: Option<FeatureSpec>,
    /// Of a front end for vectors: numbers in each.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    vectors: Option<usize>,
    statistics: bool,
    network: Option<NetworkDescription>,
    heads: Vec<HeadDescription>,
    hierarchy: OutlineDescription,
    flat: Option<OutlineDescription>,
    /// Of a model that hears encrypted samples.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    raw: Option<OutlineDescription>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct HeadDescription {
    name: String,
    layers: Vec<LayerDescription>,
    quantiser: Quantiser,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct OutlineDescription {
    heads: Vec<usize>,
    stages: HierarchyShape,
    /// Whether there is a tensor of where passages begin.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    starts: bool,
    /// Whether there are tensors of the routing stages.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    routers: bool,
    /// Absent where there is no such test.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    lead: Option<Lead>,
    /// Of what is fed by samples, and not by heads.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    samples: Option<RawSpec>,
}

fn put_outline(writer: &mut Writer, part: &str, outline: &ClientHierarchy) -> OutlineDescription {
    let slots = outline.slots();
    writer.put_slice(format!("{part}.slots"), vec![slots.len()], &mut slots.iter().copied());
    let starts = outline.starts();
    if !starts.is_empty() {
        writer.put_slice(format!("{part}.starts"), vec![starts.len()], &mut starts.iter().copied());
    }
    let lead = Some(outline.lead().clone()).filter(|lead| *lead != Lead::default());
    let routers = outline.routers();
    put_stages(writer, &format!("{part}.routers"), routers);
    let (heads, stages) = (outline.heads().to_vec(), outline.shape().clone());
    let samples = outline.samples().cloned();
    OutlineDescription { heads, stages, starts: !starts.is_empty(), routers: !routers.is_empty(), lead, samples }
}

fn take_outline(
    reader: &mut Reader<'_>,
    part: &str,
    outline: OutlineDescription,
) -> Result<ClientHierarchy, FileError> {
    let slots: Array1<u32> = reader.take(&format!("{part}.slots"))?;
    let mut hierarchy = match outline.samples {
        Some(spec) => ClientHierarchy::hearing(outline.stages, spec, slots.to_vec())?,
        None => ClientHierarchy::new(outline.stages, outline.heads, slots.to_vec())?,
    };
    if outline.starts {
        let starts: Array1<u32> = reader.take(&format!("{part}.starts"))?;
        hierarchy = hierarchy.with_starts(starts.to_vec())?;
    }
    if outline.routers {
        let routing = &hierarchy.shape().stages()[..hierarchy.shape().stages().len() - 1];
        let routers = take_stages(reader, &format!("{part}.routers"), routing.to_vec())?;
        hierarchy = hierarchy.with_routers(routers)?;
    }
    Ok(hierarchy.with_lead(outline.lead.unwrap_or_default()))
}

impl ClientModel {
    /// The half in one byte string: [`ClientModel::from_bundle`] of [`Bundle::from_bytes`].
    ///
    /// # Errors
    /// [`FileError`] for anything but an undamaged client half of this version.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, FileError> {
        Self::from_bundle(&Bundle::from_bytes(bytes)?)
    }

    /// The half in some files, which must be those that their `SHA256SUMS` lists.
    ///
    /// # Errors
    /// [`FileError`] for anything but an undamaged client half of this version.
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

fn encode(model: &ClientModel) -> Result<Bundle<'static>, ServerError> {
    let mut writer = Writer::default();
    let front = model.front();
    let description = Description {
        format: FORMAT.into(),
        version: VERSION,
        name: model.name().into(),
        server: model.server_hash(),
        spec: front.spec().ok().cloned(),
        vectors: front.spec().is_err().then(|| front.width()),
        statistics: front.has_statistics(),
        network: front.network().map(|network| put_network(&mut writer, network)),
        heads: (front.heads().iter().enumerate())
            .map(|(i, head)| HeadDescription {
                name: head.name().into(),
                layers: put_layers(&mut writer, &format!("heads.{i}"), head.layers()),
                quantiser: head.quantiser(),
            })
            .collect(),
        hierarchy: put_outline(&mut writer, "hierarchy", model.hierarchy()),
        flat: model.own_flat().map(|flat| put_outline(&mut writer, "flat", flat)),
        raw: model.raw().map(|raw| put_outline(&mut writer, "raw", raw)),
    };
    let mut json = serde_json::to_vec_pretty(&description).map_err(ServerError::Json)?;
    json.push(b'\n');
    let labels: Result<Vec<String>, _> = model.labels().iter().map(serde_json::to_string).collect();
    // One label a line: 25,000 of them stay readable, and comparable with line-based tools.
    let labels = format!("[\n{}\n]\n", labels.map_err(ServerError::Json)?.join(",\n"));
    let files = [(LABELS, labels.into_bytes()), (MODEL, json), (WEIGHTS, writer.finish()?)];
    Ok(files.into_iter().collect::<Bundle<'_>>().signed())
}

fn decode(half: &Bundle<'_>) -> Result<ClientModel, FileError> {
    let description: Description = half.model(FORMAT, VERSION)?;
    let labels: Vec<Label> = serde_json::from_slice(half.file(LABELS)?).map_err(FileError::json(LABELS))?;
    let mut reader = Reader::new(half.file(WEIGHTS)?)?;
    if let Some(spec) = &description.spec {
        // Before any size of it is computed with.
        spec.validate().map_err(FrontError::from)?;
    }
    let network = match (description.network, &description.spec) {
        (Some(network), Some(spec)) => Some(take_network(&mut reader, spec.mel_bands, network)?),
        (Some(_), None) => return Err(FileError::Input),
        (None, _) => None,
    };
    // Every head acts on all base features.
    let width = match (&description.spec, description.vectors) {
        (Some(spec), None) => Front::features_width(spec, description.statistics, network.as_ref()),
        (None, Some(width)) if !description.statistics => width,
        _ => return Err(FileError::Input),
    };
    let heads = description.heads.into_iter().enumerate().map(|(i, head)| {
        let layers = take_layers(&mut reader, &format!("heads.{i}"), head.layers)?;
        Ok::<_, FileError>(Head::new(head.name, width, layers, head.quantiser)?)
    });
    let heads = heads.collect::<Result<_, _>>()?;
    let front = match description.spec {
        Some(spec) => Front::new(spec, description.statistics, network, heads)?,
        None => Front::of_vectors(width, heads)?,
    };
    let hierarchy = take_outline(&mut reader, "hierarchy", description.hierarchy)?;
    let flat = description.flat.map(|flat| take_outline(&mut reader, "flat", flat)).transpose()?;
    let raw = description.raw.map(|raw| take_outline(&mut reader, "raw", raw)).transpose()?;
    reader.finish()?;
    let model = ClientModel::new(description.name, front, hierarchy, flat, labels, description.server)?;
    Ok(match raw {
        Some(raw) => model.with_raw(raw)?,
        None => model,
    })
}
