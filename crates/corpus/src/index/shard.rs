//! Parquet shards: one row per track, readable from pandas and pyarrow.

use std::fs::{self, File};
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use arrow_array::builder::{Float16Builder, ListBuilder};
use arrow_array::cast::AsArray;
use arrow_array::types::{Float16Type, Float32Type, UInt32Type, UInt64Type};
use arrow_array::{Array, ArrayRef, Float32Array, RecordBatch, StringArray, UInt32Array, UInt64Array};
use arrow_schema::{DataType, Field, Schema};
use bytes::Bytes;
use half::f16;
use parquet::arrow::ArrowWriter;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use parquet::basic::{Compression, Encoding, ZstdLevel};
use parquet::errors::ParquetError;
use parquet::file::metadata::{FileMetaData, KeyValue};
use parquet::file::properties::{EnabledStatistics, WriterProperties};
use parquet::file::reader::{FileReader, SerializedFileReader};
use parquet::schema::types::ColumnPath;
use sha2::{Digest, Sha256};

use super::manifest::{Manifest, ShardEntry, VERSION, temporary};
use crate::catalogue::hex;
use crate::{CachedMel, CorpusError, Rejected, Source, Track};

/// Row groups are closed at this many mel values (32 MB of float16), so that writing needs no more memory than that.
const GROUP_VALUES: usize = 16 << 20;
/// Rows read at a time.
const BATCH_ROWS: usize = 16;

/// What each column holds, in the order of the columns; also stored in every file under `sordino.columns`.
const COLUMNS: [(&str, &str); 11] = [
    ("id", "track id, unique within the library"),
    ("artist", "artist, or empty"),
    ("title", "title"),
    ("album", "album, or empty"),
    ("licence", "licence, or empty"),
    ("path", "audio file, null for synthesised tracks"),
    ("synthetic_seed", "seed of a synthesised track, null for files"),
    ("samples", "length in samples at feature_spec.sample_rate, mono"),
    ("frames", "number of mel frames"),
    ("mean_power", "mean mel power over all frames and bands; samples are in -1..1, the FFT is not normalised"),
    (
        "mel",
        "ln(mel power / mean_power), frame by frame, feature_spec.mel_bands values each: reshape(frames, mel_bands)",
    ),
];

/// A track with its mel power.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Row {
    pub(crate) track: Track,
    pub(crate) samples: u64,
    pub(crate) mel: CachedMel,
}

pub(crate) fn file_name(shard: usize) -> String {
    format!("shard-{shard:05}.parquet")
}

/// Writes a shard from entries that are fetched one at a time, and renames it into place.
pub(crate) fn write(
    dir: &Path,
    manifest: &Manifest,
    shard: usize,
    entries: impl Iterator<Item = Result<Result<Row, Rejected>, CorpusError>>,
) -> Result<ShardEntry, CorpusError> {
    let path = dir.join(file_name(shard));
    let unfinished = temporary(&path);
    let file = File::create(&unfinished).map_err(CorpusError::io(&unfinished, "create"))?;
    let failed = |error: ParquetError| CorpusError::io(&unfinished, "write")(std::io::Error::other(error));
    let schema = Arc::new(schema());
    let properties = properties(manifest, shard).map_err(failed)?;
    let sink = Hashing { inner: BufWriter::new(file), hash: Sha256::new(), bytes: 0 };
    let mut writer = ArrowWriter::try_new(sink, schema.clone(), Some(properties)).map_err(failed)?;

    let (mut count, mut values, mut rejected) = (0, 0, Vec::new());
    for entry in entries {
        let row = match entry? {
            Ok(row) => row,
            Err(entry) => {
                rejected.push(entry);
                continue;
            }
        };
        count += 1;
        values += row.mel.logs().len();
        writer.write(&batch(schema.clone(), &row).map_err(failed)?).map_err(failed)?;
        if values >= GROUP_VALUES {
            writer.flush().map_err(failed)?;
            values = 0;
        }
    }
    let rejected = json(serde_json::to_string(&rejected)).map_err(failed)?;
    writer.append_key_value_metadata(KeyValue::new(REJECTED_KEY.to_owned(), rejected));
    // Writes the footer.
    let Hashing { inner, hash, bytes } = writer.into_inner().map_err(failed)?;
    let finish = || inner.into_inner().map_err(std::io::IntoInnerError::into_error)?.sync_all();
    finish().map_err(CorpusError::io(&unfinished, "write to disk"))?;
    fs::rename(&unfinished, &path).map_err(CorpusError::io(&path, "rename into place"))?;
    Ok(ShardEntry { file: file_name(shard), rows: count, bytes, sha256: hex(&hash.finalize()) })
}

/// Hashes what passes through.
struct Hashing<W> {
    inner: W,
    hash: Sha256,
    bytes: u64,
}

impl<W: Write> Write for Hashing<W> {
    fn write(&mut self, data: &[u8]) -> std::io::Result<usize> {
        let written = self.inner.write(data)?;
        self.hash.update(&data[..written]);
        self.bytes += written as u64;
        Ok(written)
    }

    fn flush(&mut self) -> std::io::Result<()> {
        self.inner.flush()
    }
}

fn schema() -> Schema {
    let kind = |name: &str| match name {
        "id" | "frames" => DataType::UInt32,
        "synthetic_seed" | "samples" => DataType::UInt64,
        "mean_power" => DataType::Float32,
        "mel" => DataType::List(Arc::new(element())),
        _ => DataType::Utf8,
    };
    let optional = |name: &str| matches!(name, "path" | "synthetic_seed");
    Schema::new(COLUMNS.map(|(name, _)| Field::new(name, kind(name), optional(name))).to_vec())
}

fn element() -> Field {
    Field::new("element", DataType::Float16, false)
}

fn json(value: serde_json::Result<String>) -> Result<String, ParquetError> {
    value.map_err(|error| ParquetError::External(Box::new(error)))
}

fn properties(manifest: &Manifest, shard: usize) -> Result<WriterProperties, ParquetError> {
    let columns: serde_json::Map<_, _> = COLUMNS.iter().map(|&(name, text)| (name.into(), text.into())).collect();
    let metadata = [
        (VERSION_KEY, VERSION.to_string()),
        (SPEC_KEY, json(serde_json::to_string(&manifest.feature_spec))?),
        (CATALOGUE_KEY, manifest.catalogue.clone()),
        (SHARD_KEY, shard.to_string()),
        ("sordino.columns", json(serde_json::to_string(&columns))?),
    ];
    let mel = ColumnPath::new(vec!["mel".into(), "list".into(), "element".into()]);
    Ok(WriterProperties::builder()
        .set_created_by(format!("sordino {}", env!("CARGO_PKG_VERSION")))
        .set_compression(Compression::ZSTD(ZstdLevel::try_new(1)?))
        // Neighbouring values share their upper byte (sign, exponent): apart, that half compresses.
        .set_column_encoding(mel.clone(), Encoding::BYTE_STREAM_SPLIT)
        .set_column_dictionary_enabled(mel.clone(), false)
        .set_column_statistics_enabled(mel, EnabledStatistics::None)
        .set_key_value_metadata(Some(metadata.map(|(key, value)| KeyValue::new(key.to_owned(), value)).to_vec()))
        .build())
}

const VERSION_KEY: &str = "sordino.version";
const SPEC_KEY: &str = "sordino.feature_spec";
const CATALOGUE_KEY: &str = "sordino.catalogue";
const SHARD_KEY: &str = "sordino.shard";
const REJECTED_KEY: &str = "sordino.rejected";

fn batch(schema: Arc<Schema>, row: &Row) -> Result<RecordBatch, ParquetError> {
    let Row { track, samples, mel } = row;
    let (path, seed) = match &track.source {
        Source::File(path) => (Some(path.to_string_lossy().into_owned()), None),
        Source::Synthetic(seed) => (None, Some(*seed)),
    };
    let mut list = ListBuilder::new(Float16Builder::with_capacity(mel.logs().len())).with_field(element());
    list.values().append_slice(mel.logs());
    list.append(true);
    let text = |text: &str| Arc::new(StringArray::from(vec![text])) as ArrayRef;
    let columns: Vec<ArrayRef> = vec![
        Arc::new(UInt32Array::from(vec![track.id])),
        text(&track.artist),
        text(&track.title),
        text(&track.album),
        text(&track.licence),
        Arc::new(StringArray::from(vec![path])),
        Arc::new(UInt64Array::from(vec![seed])),
        Arc::new(UInt64Array::from(vec![*samples])),
        Arc::new(UInt32Array::from(vec![mel.frames() as u32])),
        Arc::new(Float32Array::from(vec![mel.mean_power()])),
        Arc::new(list.finish()),
    ];
    Ok(RecordBatch::try_new(schema, columns)?)
}

/// Checks a shard's footer against the manifest; returns its rejected tracks and number of rows. The rows are not read.
pub(crate) fn check(path: &Path, manifest: &Manifest, shard: usize) -> Result<(Vec<Rejected>, usize), CorpusError> {
    let file = File::open(path).map_err(CorpusError::io(path, "open"))?;
    let reader = SerializedFileReader::new(file).map_err(|error| broken(path, error.to_string()))?;
    let footer = reader.metadata().file_metadata();
    let rejected = check_footer(path, footer, manifest, shard)?;
    Ok((rejected, usize::try_from(footer.num_rows()).unwrap_or(0)))
}

/// The manifest's entry of a shard with these bytes.
pub(crate) fn entry(shard: usize, rows: usize, bytes: &[u8]) -> ShardEntry {
    ShardEntry { file: file_name(shard), rows, bytes: bytes.len() as u64, sha256: hex(&Sha256::digest(bytes)) }
}

fn check_footer(
    path: &Path,
    footer: &FileMetaData,
    manifest: &Manifest,
    shard: usize,
) -> Result<Vec<Rejected>, CorpusError> {
    let pairs = footer.key_value_metadata().map_or(&[][..], Vec::as_slice);
    let value = |key: &str| {
        let found = pairs.iter().find(|pair| pair.key == key).and_then(|pair| pair.value.as_deref());
        found.ok_or_else(|| broken(path, format!("no {key} in the metadata")))
    };
    let equal = |key: &str, expected: String| {
        let found = value(key)?;
        let advice = "the shard belongs to another index; index again into an empty folder";
        if found == expected {
            Ok(())
        } else {
            Err(CorpusError::format(path, format!("{key} {expected}"), found, advice))
        }
    };
    equal(VERSION_KEY, VERSION.to_string())?;
    equal(CATALOGUE_KEY, manifest.catalogue.clone())?;
    equal(SHARD_KEY, shard.to_string())?;
    // Compared as a value: the order of its fields in the text means nothing.
    match serde_json::from_str::<sordino_front::FeatureSpec>(value(SPEC_KEY)?) {
        Ok(spec) if spec == manifest.feature_spec => {}
        _ => return Err(broken(path, "another feature spec".into())),
    }
    serde_json::from_str(value(REJECTED_KEY)?).map_err(|error| broken(path, error.to_string()))
}

/// Reads a whole shard after checking its hash, and keeps the rows of the tracks that `keep` wants.
pub(crate) fn read(
    dir: &Path,
    manifest: &Manifest,
    shard: usize,
    keep: &(dyn Fn(&Track) -> bool + Sync),
) -> Result<Vec<Row>, CorpusError> {
    let path = dir.join(file_name(shard));
    let bytes = fs::read(&path).map_err(CorpusError::io(&path, "read the shard"))?;
    let entry = manifest.shards.get(shard).ok_or_else(|| broken(&path, "no entry in the manifest".into()))?;
    // Before the parser sees it: from here on only a forged manifest could show it something strange.
    let found = hex(&Sha256::digest(&bytes));
    if found != entry.sha256 {
        let expected = format!("{} bytes with SHA-256 {}", entry.bytes, entry.sha256);
        let found = format!("{} bytes with {found}", bytes.len());
        return Err(CorpusError::format(&path, expected, found, "copy the index again, or rebuild it"));
    }
    let failed = |error: ParquetError| broken(&path, error.to_string());
    let builder = ParquetRecordBatchReaderBuilder::try_new(Bytes::from(bytes)).map_err(failed)?;
    check_footer(&path, builder.metadata().file_metadata(), manifest, shard)?;
    if builder.schema().fields() != schema().fields() {
        return Err(broken(&path, "other columns".into()));
    }
    let mut rows = Vec::with_capacity(entry.rows.min(manifest.shard_span));
    for batch in builder.with_batch_size(BATCH_ROWS).build().map_err(failed)? {
        let batch = batch.map_err(|error| broken(&path, error.to_string()))?;
        read_batch(&path, &batch, manifest.feature_spec.mel_bands, keep, &mut rows)?;
    }
    Ok(rows)
}

fn read_batch(
    path: &Path,
    batch: &RecordBatch,
    bands: usize,
    keep: &(dyn Fn(&Track) -> bool + Sync),
    rows: &mut Vec<Row>,
) -> Result<(), CorpusError> {
    // The caller compared the schema, so every column has its type.
    let column = |name: &str| batch.column_by_name(name).ok_or_else(|| broken(path, format!("no column {name}")));
    let (id, frames) = (column("id")?.as_primitive::<UInt32Type>(), column("frames")?.as_primitive::<UInt32Type>());
    let [artist, title, album, licence] = ["artist", "title", "album", "licence"].map(column);
    let [artist, title, album, licence] = [artist?, title?, album?, licence?].map(|texts| texts.as_string::<i32>());
    let files = column("path")?.as_string::<i32>();
    let seeds = column("synthetic_seed")?.as_primitive::<UInt64Type>();
    let samples = column("samples")?.as_primitive::<UInt64Type>();
    let mean_power = column("mean_power")?.as_primitive::<Float32Type>();
    let mel = column("mel")?.as_list::<i32>();
    for i in 0..batch.num_rows() {
        let source = match (files.is_valid(i), seeds.is_valid(i)) {
            (true, false) => Source::File(PathBuf::from(files.value(i))),
            (false, true) => Source::Synthetic(seeds.value(i)),
            _ => return Err(broken(path, format!("track {} with no source, or two", id.value(i)))),
        };
        let text = |column: &StringArray| column.value(i).to_owned();
        let track = Track {
            id: id.value(i),
            artist: text(artist),
            title: text(title),
            album: text(album),
            licence: text(licence),
            source,
        };
        if !keep(&track) {
            continue;
        }
        let values = mel.value(i);
        let logs: Arc<[f16]> = values.as_primitive::<Float16Type>().values().as_ref().into();
        let mel = CachedMel::from_parts(frames.value(i) as usize, bands, mean_power.value(i), logs)
            .map_err(|found| broken(path, format!("track {}: {found}", track.id)))?;
        rows.push(Row { track, samples: samples.value(i), mel });
    }
    Ok(())
}

fn broken(path: &Path, found: String) -> CorpusError {
    CorpusError::format(path, "a whole shard of this index", found, "copy the index again, or rebuild it")
}
