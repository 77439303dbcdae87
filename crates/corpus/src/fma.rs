//! FMA as published: `fma_small`, `fma_medium` or `fma_large` next to `fma_metadata/tracks.csv`.
//!
//! Defferrard, Benzi, Vandergheynst, Bresson, "FMA: a dataset for music analysis", ISMIR 2017; github.com/mdeff/fma.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use crate::catalogue::tidy;
use crate::{Catalogue, CorpusError, Rejected, Source, Track};

/// FMA's nested subsets: each holds the ones before it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Subset {
    /// 8,000 clips, 8 balanced genres.
    Small,
    /// 25,000 clips, 16 unbalanced genres.
    Medium,
    /// 106,574 clips.
    Large,
}

impl std::str::FromStr for Subset {
    type Err = CorpusError;

    fn from_str(text: &str) -> Result<Self, CorpusError> {
        match text {
            "small" => Ok(Self::Small),
            "medium" => Ok(Self::Medium),
            "large" => Ok(Self::Large),
            _ => Err(CorpusError::Setting {
                setting: "FMA subset",
                found: format!("\"{text}\""),
                expected: "small, medium or large".into(),
            }),
        }
    }
}

/// Clips reported undecodable, without audio or far too short in github.com/mdeff/fma issue 8.
const REPORTED_UNUSABLE: &[u32] = &[
    1_486, 5_574, 65_753, 80_391, 98_558, 98_559, 98_560, 98_565, 98_566, 98_567, 98_568, 98_569, 98_571, 99_134,
    105_247, 108_924, 108_925, 126_981, 127_336, 133_297, 143_992,
];

/// Clips of `fma_medium` reported silent by others who trained on it. Known to be incomplete: the decoder has the last word.
const REPORTED_SILENT: &[u32] = &[
    9_846, 13_585, 25_028, 25_029, 25_032, 25_215, 25_216, 25_227, 25_232, 25_233, 25_235, 33_486, 34_508, 36_479,
    48_389, 48_395, 48_407, 51_118, 54_077, 75_971, 98_567, 98_925, 107_535, 132_020,
];

/// Reads `tracks.csv` and lists the tracks of `subset` whose audio lies at `<audio_dir>/<id / 1000>/<id>.mp3`.
///
/// `tracks_csv` has two header rows (group and field) and a third row with the index name; fields may be quoted and
/// span lines. Clips reported bad, missing files and unreadable rows end up in [`Catalogue::rejected`]; no audio is read.
///
/// # Errors
/// [`CorpusError::Io`] where the file cannot be read, [`CorpusError::Format`] where its headers are not FMA's.
pub fn load(audio_dir: &Path, tracks_csv: &Path, subset: Subset) -> Result<Catalogue, CorpusError> {
    let audio = std::fs::metadata(audio_dir).map_err(CorpusError::io(audio_dir, "open the audio folder"))?;
    if !audio.is_dir() {
        return Err(CorpusError::format(
            audio_dir,
            "a folder of mp3 files",
            "a file",
            "pass the folder that holds 000/",
        ));
    }
    let mut reader = csv::ReaderBuilder::new()
        .has_headers(false)
        .flexible(true)
        .from_path(tracks_csv)
        .map_err(|error| csv_error(tracks_csv, error))?;
    let mut rows = reader.byte_records();
    let mut header = || match rows.next() {
        Some(row) => row.map_err(|error| csv_error(tracks_csv, error)),
        None => Err(bad_headers(tracks_csv, "the end of the file".into())),
    };
    let columns = Columns::find(tracks_csv, &header()?, &header()?, &header()?)?;

    let (mut tracks, mut rejected, mut seen) = (Vec::new(), Vec::new(), BTreeSet::new());
    for row in rows {
        let row = row.map_err(|error| csv_error(tracks_csv, error))?;
        let line = row.position().map_or(0, csv::Position::line);
        let entry = |reason: String| Rejected { source: Source::File(tracks_csv.to_owned()), id: None, reason };
        let field = |column: usize| tidy(&String::from_utf8_lossy(row.get(column).unwrap_or_default()));
        let Ok(id) = field(0).parse::<u32>() else {
            rejected.push(entry(format!("line {line}: track id is \"{}\", expected a number", field(0))));
            continue;
        };
        match field(columns.subset).parse::<Subset>() {
            Ok(found) if found <= subset => {}
            Ok(_) => continue,
            Err(error) => {
                rejected.push(Rejected { id: Some(id), ..entry(format!("line {line}: {error}")) });
                continue;
            }
        }
        let path = audio_path(audio_dir, id);
        let reason = if id == 0 {
            Some("track id 0 stands for \"unknown\"")
        } else if !seen.insert(id) {
            Some("the track id is listed twice; the first entry was kept")
        } else {
            reported(id).or_else(|| (!path.is_file()).then_some("the audio file is missing"))
        };
        match reason {
            Some(reason) => rejected.push(Rejected { source: Source::File(path), id: Some(id), reason: reason.into() }),
            None => tracks.push(Track {
                id,
                artist: field(columns.artist),
                title: Some(field(columns.title)).filter(|t| !t.is_empty()).unwrap_or_else(|| format!("{id:06}")),
                album: field(columns.album),
                licence: field(columns.licence),
                source: Source::File(path),
            }),
        }
    }
    Catalogue::new(tracks, rejected)
}

/// `000/000002.mp3` for track 2.
fn audio_path(audio_dir: &Path, id: u32) -> PathBuf {
    audio_dir.join(format!("{:03}", id / 1_000)).join(format!("{id:06}.mp3"))
}

fn reported(id: u32) -> Option<&'static str> {
    if REPORTED_SILENT.contains(&id) {
        Some("reported silent by others (list of known-bad FMA clips)")
    } else if REPORTED_UNUSABLE.contains(&id) {
        Some("reported undecodable, empty or too short (mdeff/fma issue 8)")
    } else {
        None
    }
}

/// Positions of the fields that are kept.
struct Columns {
    subset: usize,
    artist: usize,
    title: usize,
    album: usize,
    licence: usize,
}

impl Columns {
    fn find(
        path: &Path,
        groups: &csv::ByteRecord,
        fields: &csv::ByteRecord,
        index: &csv::ByteRecord,
    ) -> Result<Self, CorpusError> {
        if index.get(0) != Some(b"track_id".as_slice()) {
            let found = String::from_utf8_lossy(index.get(0).unwrap_or_default()).into_owned();
            return Err(bad_headers(path, format!("\"{found}\" at the start of the third row instead of track_id")));
        }
        let position = |group: &str, field: &str| {
            groups
                .iter()
                .zip(fields)
                .position(|pair| pair == (group.as_bytes(), field.as_bytes()))
                .ok_or_else(|| bad_headers(path, format!("no column ({group}, {field})")))
        };
        Ok(Self {
            subset: position("set", "subset")?,
            artist: position("artist", "name")?,
            title: position("track", "title")?,
            album: position("album", "title")?,
            licence: position("track", "license")?,
        })
    }
}

fn bad_headers(path: &Path, found: String) -> CorpusError {
    let expected = "FMA's three header rows (groups, fields, track_id)";
    CorpusError::format(path, expected, found, "pass tracks.csv from fma_metadata.zip")
}

fn csv_error(path: &Path, error: csv::Error) -> CorpusError {
    let text = error.to_string();
    match error.into_kind() {
        csv::ErrorKind::Io(source) => CorpusError::io(path, "read")(source),
        _ => CorpusError::format(path, "comma-separated values", text, "fetch fma_metadata.zip again"),
    }
}
