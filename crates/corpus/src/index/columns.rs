//! The columns of a shard: what they are called, and rows to row groups and back.
//!
//! Rows are written and read through Parquet's own columns. Arrow would do it in fewer lines, and take minutes of a first
//! build. The one long column, mel, is decoded a page at a time.

use std::io::Write;
use std::path::PathBuf;
use std::sync::Arc;

use bytes::Bytes;
use half::f16;
use parquet::basic::Encoding;
use parquet::column::page::{Page, PageReader};
use parquet::column::reader::get_typed_column_reader;
use parquet::data_type::{
    ByteArray, ByteArrayType, DataType, FixedLenByteArray, FixedLenByteArrayType, FloatType, Int32Type, Int64Type,
};
use parquet::errors::ParquetError;
use parquet::file::reader::RowGroupReader;
use parquet::file::writer::{SerializedFileWriter, SerializedRowGroupWriter};
use parquet::schema::parser::parse_message_type;
use parquet::schema::types::{ColumnDescPtr, SchemaDescriptor, TypePtr};

use super::shard::Row;
use crate::{CachedMel, Source, Track};

/// What each column holds, in the order of the columns; also stored in every file under `sordino.columns`.
pub(super) const COLUMNS: [(&str, &str); 11] = [
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

/// The columns as Parquet has them, in the order of [`COLUMNS`].
const SCHEMA: &str = "message sordino {
    required int32 id (INTEGER(32, false));
    required binary artist (STRING);
    required binary title (STRING);
    required binary album (STRING);
    required binary licence (STRING);
    optional binary path (STRING);
    optional int64 synthetic_seed (INTEGER(64, false));
    required int64 samples (INTEGER(64, false));
    required int32 frames (INTEGER(32, false));
    required float mean_power;
    required group mel (LIST) { repeated group list { required fixed_len_byte_array(2) element (FLOAT16); } }
}";

/// The schema of every shard.
pub(super) fn schema() -> Result<TypePtr, ParquetError> {
    Ok(Arc::new(parse_message_type(SCHEMA)?))
}

/// Whether a file has the columns that [`read_group`] relies on: names, types and levels.
pub(super) fn are_ours(found: &SchemaDescriptor) -> Result<bool, ParquetError> {
    let columns = |schema: &SchemaDescriptor| -> Vec<_> {
        let column = |c: &ColumnDescPtr| {
            (c.path().string(), c.physical_type(), c.type_length(), c.max_def_level(), c.max_rep_level())
        };
        schema.columns().iter().map(column).collect()
    };
    Ok(columns(found) == columns(&SchemaDescriptor::new(schema()?)))
}

/// Writes the rows as one row group, column after column.
pub(super) fn write_group<W: Write + Send>(
    writer: &mut SerializedFileWriter<W>,
    rows: &[Row],
) -> Result<(), ParquetError> {
    let path = |row: &Row| match &row.track.source {
        Source::File(path) => Some(ByteArray::from(&*path.to_string_lossy())),
        Source::Synthetic(_) => None,
    };
    let seed = |row: &Row| match row.track.source {
        Source::File(_) => None,
        Source::Synthetic(seed) => Some(seed as i64),
    };
    let mut group = writer.next_row_group()?;
    put::<Int32Type, _>(&mut group, rows.iter().map(|row| Some(row.track.id as i32)))?;
    let texts: [fn(&Track) -> &str; 4] = [|t| &t.artist, |t| &t.title, |t| &t.album, |t| &t.licence];
    for text in texts {
        put::<ByteArrayType, _>(&mut group, rows.iter().map(|row| Some(ByteArray::from(text(&row.track)))))?;
    }
    put::<ByteArrayType, _>(&mut group, rows.iter().map(path))?;
    put::<Int64Type, _>(&mut group, rows.iter().map(seed))?;
    put::<Int64Type, _>(&mut group, rows.iter().map(|row| Some(row.samples as i64)))?;
    put::<Int32Type, _>(&mut group, rows.iter().map(|row| Some(row.mel.frames() as i32)))?;
    put::<FloatType, _>(&mut group, rows.iter().map(|row| Some(row.mel.mean_power())))?;
    put_mel(&mut group, rows)?;
    group.close()?;
    Ok(())
}

/// Writes the next column, one value or none a row.
fn put<T: DataType, W: Write + Send>(
    group: &mut SerializedRowGroupWriter<'_, W>,
    values: impl Iterator<Item = Option<T::T>>,
) -> Result<(), ParquetError> {
    let mut column = group.next_column()?.ok_or_else(|| error("the schema has fewer columns"))?;
    let values: Vec<Option<T::T>> = values.collect();
    // Levels are written where the column may be empty, and left aside where it may not.
    let present: Vec<i16> = values.iter().map(|value| i16::from(value.is_some())).collect();
    let values: Vec<T::T> = values.into_iter().flatten().collect();
    column.typed::<T>().write_batch(&values, Some(&present), None)?;
    column.close()
}

/// Writes the last column, a list of float16 a row.
fn put_mel<W: Write + Send>(group: &mut SerializedRowGroupWriter<'_, W>, rows: &[Row]) -> Result<(), ParquetError> {
    let mut column = group.next_column()?.ok_or_else(|| error("the schema has fewer columns"))?;
    for row in rows {
        let logs = row.mel.logs();
        let bytes = Bytes::from_iter(logs.iter().flat_map(|log| log.to_le_bytes()));
        let value = |i| FixedLenByteArray::from(ByteArray::from(bytes.slice(2 * i..2 * i + 2)));
        let values: Vec<FixedLenByteArray> = (0..logs.len()).map(value).collect();
        // The first value of a list begins a row; an empty list is one level of no value.
        let repeated: Vec<i16> = (0..logs.len().max(1)).map(|i| i16::from(i > 0)).collect();
        let present = vec![i16::from(!logs.is_empty()); repeated.len()];
        column.typed::<FixedLenByteArrayType>().write_batch(&values, Some(&present), Some(&repeated))?;
    }
    column.close()
}

/// Reads one row group, and keeps the rows of the tracks that `keep` wants.
pub(super) fn read_group(
    group: &dyn RowGroupReader,
    bands: usize,
    keep: &(dyn Fn(&Track) -> bool + Sync),
    rows: &mut Vec<Row>,
) -> Result<(), ParquetError> {
    let mut mel = MelPages { pages: group.get_column_page_reader(10)?, values: Vec::new() };
    for Head { track, samples, frames, mean_power } in heads(group)? {
        let logs = mel.take(frames.saturating_mul(bands))?;
        if !keep(&track) {
            continue;
        }
        let mel = CachedMel::from_parts(frames, bands, mean_power, logs)
            .map_err(|found| error(format!("track {}: {found}", track.id)))?;
        rows.push(Row { track, samples, mel });
    }
    mel.finish()
}

/// Reads the tracks of one row group without their mel power.
pub(super) fn list_group(group: &dyn RowGroupReader, bands: usize, rows: &mut Vec<Row>) -> Result<(), ParquetError> {
    let row = |Head { track, samples, frames, .. }| Row { track, samples, mel: CachedMel::absent(frames, bands) };
    rows.extend(heads(group)?.into_iter().map(row));
    Ok(())
}

/// All of a row but its mel power.
struct Head {
    track: Track,
    samples: u64,
    frames: usize,
    mean_power: f32,
}

fn heads(group: &dyn RowGroupReader) -> Result<Vec<Head>, ParquetError> {
    let texts = |column| all(take::<ByteArrayType>(group, column)?);
    let ids = all(take::<Int32Type>(group, 0)?)?;
    let (artists, titles, albums, licences) = (texts(1)?, texts(2)?, texts(3)?, texts(4)?);
    let (files, seeds) = (take::<ByteArrayType>(group, 5)?, take::<Int64Type>(group, 6)?);
    let samples = all(take::<Int64Type>(group, 7)?)?;
    let frames = all(take::<Int32Type>(group, 8)?)?;
    let mean_powers = all(take::<FloatType>(group, 9)?)?;
    let text = |bytes: &ByteArray| bytes.as_utf8().map(str::to_owned);
    let head = |i: usize| {
        let id = ids[i] as u32;
        let source = match (&files[i], seeds[i]) {
            (Some(file), None) => Source::File(PathBuf::from(text(file)?)),
            (None, Some(seed)) => Source::Synthetic(seed as u64),
            _ => return Err(error(format!("track {id} with no source, or two"))),
        };
        let (artist, title) = (text(&artists[i])?, text(&titles[i])?);
        let (album, licence) = (text(&albums[i])?, text(&licences[i])?);
        let track = Track { id, artist, title, album, licence, source };
        Ok(Head { track, samples: samples[i] as u64, frames: frames[i] as u32 as usize, mean_power: mean_powers[i] })
    };
    (0..ids.len()).map(head).collect()
}

fn error(found: impl Into<String>) -> ParquetError {
    ParquetError::General(found.into())
}

/// A whole column, one value or none a row.
fn take<T: DataType>(group: &dyn RowGroupReader, column: usize) -> Result<Vec<Option<T::T>>, ParquetError> {
    let rows = usize::try_from(group.metadata().num_rows()).unwrap_or(0);
    let optional = group.metadata().schema_descr().column(column).max_def_level() > 0;
    let mut reader = get_typed_column_reader::<T>(group.get_column_reader(column)?);
    let (mut levels, mut values) = (Vec::new(), Vec::new());
    let mut found = 0;
    while found < rows {
        let (records, ..) = reader.read_records(rows - found, Some(&mut levels), None, &mut values)?;
        if records == 0 {
            return Err(error(format!("column {column} has {found} rows, expected {rows}")));
        }
        found += records;
    }
    let mut values = values.into_iter();
    Ok(match optional {
        true => levels.into_iter().map(|level| if level > 0 { values.next() } else { None }).collect(),
        false => values.map(Some).collect(),
    })
}

/// The values of a column that has one in every row.
fn all<V>(column: Vec<Option<V>>) -> Result<Vec<V>, ParquetError> {
    column.into_iter().collect::<Option<_>>().ok_or_else(|| error("a value is missing"))
}

/// The mel column, page by page: its values are wanted row by row, and a page's halves are joined faster all at once than
/// one value at a time.
struct MelPages {
    pages: Box<dyn PageReader>,
    /// Read, and not yet taken.
    values: Vec<f16>,
}

impl MelPages {
    /// The next `count` values.
    fn take(&mut self, count: usize) -> Result<Arc<[f16]>, ParquetError> {
        while self.values.len() < count {
            match self.pages.get_next_page()? {
                Some(page) => decode(&page, &mut self.values)?,
                None => return Err(error("fewer mel values than frames")),
            }
        }
        Ok(self.values.drain(..count).as_slice().into())
    }

    /// Makes sure that nothing is left.
    fn finish(mut self) -> Result<(), ParquetError> {
        match self.values.is_empty() && self.pages.get_next_page()?.is_none() {
            true => Ok(()),
            false => Err(error("more mel values than frames")),
        }
    }
}

/// Appends the values of a page as [`put_mel`] makes it: repetition and definition levels, each after its length, then all
/// lower bytes, then all upper ones (`BYTE_STREAM_SPLIT`).
fn decode(page: &Page, values: &mut Vec<f16>) -> Result<(), ParquetError> {
    let Page::DataPage { buf, encoding: Encoding::BYTE_STREAM_SPLIT, .. } = page else {
        return Err(error(format!("a mel page of type {} in another encoding", page.page_type())));
    };
    let behind_levels = |bytes: &'_ [u8]| -> Option<usize> {
        let (length, rest) = bytes.split_first_chunk()?;
        let length = usize::try_from(u32::from_le_bytes(*length)).ok()?;
        (length <= rest.len()).then_some(4 + length)
    };
    let skip = |bytes: &Bytes| behind_levels(bytes).map(|behind| bytes.slice(behind..));
    let split = skip(buf).and_then(|bytes| skip(&bytes)).filter(|bytes| bytes.len() % 2 == 0);
    let split = split.ok_or_else(|| error("a mel page that ends early"))?;
    let (low, high) = split.split_at(split.len() / 2);
    values.extend(low.iter().zip(high).map(|(&low, &high)| f16::from_le_bytes([low, high])));
    Ok(())
}
