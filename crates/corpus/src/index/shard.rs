//! Parquet shards: one row per track, readable from pandas and pyarrow.

use std::fs::{self, File};
use std::io::{BufWriter, Write};
use std::path::Path;
use std::sync::Arc;

use bytes::Bytes;
use parquet::basic::{Compression, Encoding, ZstdLevel};
use parquet::errors::ParquetError;
use parquet::file::metadata::{FileMetaData, KeyValue};
use parquet::file::properties::{EnabledStatistics, WriterProperties};
use parquet::file::reader::{FileReader, SerializedFileReader};
use parquet::file::writer::SerializedFileWriter;
use parquet::schema::types::ColumnPath;
use sha2::{Digest, Sha256};

use super::columns::{self, COLUMNS};
use super::manifest::{Manifest, ShardEntry, VERSION, temporary};
use crate::catalogue::hex;
use crate::{CachedMel, CorpusError, Rejected, Track};

/// Row groups are closed at this many mel values (32 MB of float16), so that writing needs no more memory than that.
const GROUP_VALUES: usize = 16 << 20;

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
    let properties = Arc::new(properties(manifest, shard).map_err(failed)?);
    let sink = Hashing { inner: BufWriter::new(file), hash: Sha256::new(), bytes: 0 };
    let mut writer = SerializedFileWriter::new(sink, columns::schema().map_err(failed)?, properties).map_err(failed)?;

    let (mut count, mut values, mut group, mut rejected) = (0, 0, Vec::new(), Vec::new());
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
        group.push(row);
        if values >= GROUP_VALUES {
            columns::write_group(&mut writer, &group).map_err(failed)?;
            group.clear();
            values = 0;
        }
    }
    if !group.is_empty() {
        columns::write_group(&mut writer, &group).map_err(failed)?;
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
    let reader = SerializedFileReader::new(Bytes::from(bytes)).map_err(failed)?;
    let footer = reader.metadata().file_metadata();
    check_footer(&path, footer, manifest, shard)?;
    if !columns::are_ours(footer.schema_descr()).map_err(failed)? {
        return Err(broken(&path, "other columns".into()));
    }
    let mut rows = Vec::with_capacity(entry.rows.min(manifest.shard_span));
    for group in 0..reader.num_row_groups() {
        let group = reader.get_row_group(group).map_err(failed)?;
        columns::read_group(&*group, manifest.feature_spec.mel_bands, keep, &mut rows).map_err(failed)?;
    }
    Ok(rows)
}

fn broken(path: &Path, found: String) -> CorpusError {
    CorpusError::format(path, "a whole shard of this index", found, "copy the index again, or rebuild it")
}
