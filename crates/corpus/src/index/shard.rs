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
use parquet::file::reader::{ChunkReader, FileReader, RowGroupReader, SerializedFileReader};
use parquet::file::writer::SerializedFileWriter;
use parquet::schema::types::ColumnPath;
use sha2::{Digest, Sha256};

use super::columns::{self, COLUMNS};
use super::manifest::{Manifest, ShardEntry, VERSION};
use crate::catalogue::hex;
use crate::files::{self, temporary};
use crate::stamp::Stamp;
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

/// Writes a shard from entries that are fetched one at a time, tells `announce` its hash, and renames it into place.
pub(crate) fn write(
    dir: &Path,
    manifest: &Manifest,
    shard: usize,
    stamps: &[Option<Stamp>],
    entries: impl Iterator<Item = Result<Result<Row, Rejected>, CorpusError>>,
    announce: impl FnOnce(&ShardEntry) -> Result<(), CorpusError>,
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
    if stamps.iter().any(Option::is_some) {
        let stamps = json(serde_json::to_string(stamps)).map_err(failed)?;
        writer.append_key_value_metadata(KeyValue::new(STAMPS_KEY.to_owned(), stamps));
    }
    // Writes the footer.
    let Hashing { inner, hash, bytes } = writer.into_inner().map_err(failed)?;
    let finish = || inner.into_inner().map_err(std::io::IntoInnerError::into_error)?.sync_all();
    finish().map_err(CorpusError::io(&unfinished, "write to disk"))?;
    let entry = ShardEntry { file: file_name(shard), rows: count, bytes, sha256: hex(&hash.finalize()) };
    announce(&entry)?;
    fs::rename(&unfinished, &path).map_err(CorpusError::io(&path, "rename into place"))?;
    Ok(entry)
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

/// What to do about a shard that is damaged.
const REPAIR: &str = "copy the index again, or run the same index command: it measures the shard anew";

const VERSION_KEY: &str = "sordino.version";
const SPEC_KEY: &str = "sordino.feature_spec";
const CATALOGUE_KEY: &str = "sordino.catalogue";
const SHARD_KEY: &str = "sordino.shard";
const REJECTED_KEY: &str = "sordino.rejected";
/// Size and time of every track's file when it was read, in the order of the catalogue; absent where no track has a file.
const STAMPS_KEY: &str = "sordino.files";

/// What a shard says of itself beside its rows.
pub(crate) struct Footer {
    /// Tracks that were refused.
    pub(crate) rejected: Vec<Rejected>,
    /// Number of rows.
    pub(crate) rows: usize,
    /// Size and time of every track's file when it was read; empty where no track has one, and in shards of 0.1.0.
    pub(crate) stamps: Vec<Option<Stamp>>,
}

/// Checks a shard's footer against the manifest, and its hash against `entry`. The rows are not read.
pub(crate) fn check(path: &Path, manifest: &Manifest, shard: usize, entry: &ShardEntry) -> Result<Footer, CorpusError> {
    let bytes = whole(path, entry)?;
    let reader = SerializedFileReader::new(bytes).map_err(|error| broken(path, error.to_string()))?;
    check_footer(path, reader.metadata().file_metadata(), manifest, shard)
}

/// The bytes of a shard, if they are those that were written.
fn whole(path: &Path, entry: &ShardEntry) -> Result<Bytes, CorpusError> {
    let bytes = files::read(path, "read the shard")?;
    let found = hex(&Sha256::digest(&bytes));
    if found != entry.sha256 {
        let expected = format!("{} bytes with SHA-256 {}", entry.bytes, entry.sha256);
        let found = format!("{} bytes with {found}", bytes.len());
        return Err(CorpusError::format(path, expected, found, REPAIR));
    }
    Ok(Bytes::from(bytes))
}

fn check_footer(path: &Path, footer: &FileMetaData, manifest: &Manifest, shard: usize) -> Result<Footer, CorpusError> {
    let pairs = footer.key_value_metadata().map_or(&[][..], Vec::as_slice);
    let optional = |key: &str| pairs.iter().find(|pair| pair.key == key).and_then(|pair| pair.value.as_deref());
    let value = |key: &str| optional(key).ok_or_else(|| broken(path, format!("no {key} in the metadata")));
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
    let parse = |error: serde_json::Error| broken(path, error.to_string());
    Ok(Footer {
        rejected: serde_json::from_str(value(REJECTED_KEY)?).map_err(parse)?,
        rows: usize::try_from(footer.num_rows()).unwrap_or(0),
        stamps: optional(STAMPS_KEY).map(serde_json::from_str).transpose().map_err(parse)?.unwrap_or_default(),
    })
}

/// Reads a whole shard after checking its hash, and keeps the rows of the tracks that `keep` wants.
pub(crate) fn read(
    dir: &Path,
    manifest: &Manifest,
    shard: usize,
    keep: &(dyn Fn(&Track) -> bool + Sync),
) -> Result<Vec<Row>, CorpusError> {
    let path = dir.join(file_name(shard));
    let entry = manifest.shards.get(shard).ok_or_else(|| broken(&path, "no entry in the manifest".into()))?;
    let mut rows = read_as(&path, manifest, shard, entry, keep)?;
    for row in &mut rows {
        row.track.source = manifest.resolved(row.track.source.clone());
    }
    Ok(rows)
}

/// The tracks of a shard without their mel power, in little time: neither the hash nor the mel power is read.
pub(crate) fn list(dir: &Path, manifest: &Manifest, shard: usize) -> Result<Vec<Row>, CorpusError> {
    let path = dir.join(file_name(shard));
    let file = File::open(&path).map_err(CorpusError::io(&path, "read the shard"))?;
    let failed = |error: ParquetError| broken(&path, error.to_string());
    let reader = SerializedFileReader::new(file).map_err(failed)?;
    let mut rows = Vec::new();
    of_ours(&path, &reader, manifest, shard, |group| {
        columns::list_group(group, manifest.feature_spec.mel_bands, &mut rows)
    })?;
    for row in &mut rows {
        row.track.source = manifest.resolved(row.track.source.clone());
    }
    Ok(rows)
}

/// The same of a shard that should be as `entry` says, paths as they were.
pub(crate) fn read_as(
    path: &Path,
    manifest: &Manifest,
    shard: usize,
    entry: &ShardEntry,
    keep: &(dyn Fn(&Track) -> bool + Sync),
) -> Result<Vec<Row>, CorpusError> {
    // Before the parser sees it: from here on only a forged manifest could show it something strange.
    let bytes = whole(path, entry)?;
    let failed = |error: ParquetError| broken(path, error.to_string());
    let reader = SerializedFileReader::new(bytes).map_err(failed)?;
    let mut rows = Vec::with_capacity(entry.rows.min(manifest.shard_span));
    let found = of_ours(path, &reader, manifest, shard, |group| {
        columns::read_group(group, manifest.feature_spec.mel_bands, keep, &mut rows)
    })?;
    if found != entry.rows {
        let expected = format!("{} rows, as index.json says", entry.rows);
        return Err(CorpusError::format(
            path,
            expected,
            found.to_string(),
            "copy index.json again, or rebuild the index",
        ));
    }
    Ok(rows)
}

/// Hands every row group to `read`, of a file that is a shard of this index; says how many rows it has.
fn of_ours<R: ChunkReader + 'static>(
    path: &Path,
    reader: &SerializedFileReader<R>,
    manifest: &Manifest,
    shard: usize,
    mut read: impl FnMut(&dyn RowGroupReader) -> Result<(), ParquetError>,
) -> Result<usize, CorpusError> {
    let failed = |error: ParquetError| broken(path, error.to_string());
    let footer = reader.metadata().file_metadata();
    let rows = check_footer(path, footer, manifest, shard)?.rows;
    if !columns::are_ours(footer.schema_descr()).map_err(failed)? {
        return Err(broken(path, "other columns".into()));
    }
    for group in 0..reader.num_row_groups() {
        read(&*reader.get_row_group(group).map_err(failed)?).map_err(failed)?;
    }
    Ok(rows)
}

fn broken(path: &Path, found: String) -> CorpusError {
    CorpusError::format(path, "a whole shard of this index", found, REPAIR)
}
