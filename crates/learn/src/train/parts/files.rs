//! [`Files`]: what parts and merges leave for each other in a folder.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::Mutex;

use ndarray::Array2;
use safetensors::tensor::SafeTensors;
use serde::{Deserialize, Serialize};
use sordino_corpus::Part;

use super::arrays::{Arrays, Found};
use super::rows::{PartRows, RowFiles};
use super::step::{CLIPS, COVARIANCE, FEATURES, PROJECTION, ROWS, SPACES, STANDARDS, Step, own_name};
use crate::LearnError;
use crate::examples::Songs;
use crate::run::sealed::{self, Unsealed};
use crate::sound::copies::Outlines;
use crate::space::scatter::{Moments, Scatter, Standard};
use crate::space::whitening::Whitening;
use crate::train::job::{Clips, Covariance, First, Projection, Spaces};
use crate::unknown::imitation::Imitation;

const FORMAT: &str = "sordino-part-1";

/// The part whose file of some kind has this name.
fn number(name: &str, kind: &str) -> Option<Part> {
    let part = name.strip_prefix(kind)?.strip_prefix('-')?.strip_suffix(".part")?;
    part.replace("-of-", "/").parse().ok()
}

/// What the first merge finds.
pub(super) struct Standards {
    pub(super) standard: Standard,
    /// Which labels are copies of each other.
    pub(super) songs: Songs,
}

/// The folder, and whose files may be in it.
pub(super) struct Files {
    folder: PathBuf,
    identity: String,
}

#[derive(Serialize, Deserialize)]
struct Header {
    format: String,
    file: String,
    /// Settings and library.
    identity: String,
    /// Of a file that is one array of floating-point numbers: its shape.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    shape: Option<[usize; 2]>,
}

impl Files {
    pub(super) fn new(folder: &Path, identity: String) -> Result<Self, LearnError> {
        fs::create_dir_all(folder).map_err(|source| LearnError::PartFile { path: folder.into(), source })?;
        Ok(Self { folder: folder.into(), identity })
    }

    /// What names the library and its settings.
    pub(super) fn identity(&self) -> &str {
        &self.identity
    }

    /// The first step that is not merged yet.
    pub(super) fn due(&self) -> Step {
        Step::due(|name| self.folder.join(name).exists())
    }

    /// All parts, as the files of the step that is due tell how many there are.
    pub(super) fn parts(&self) -> Result<Vec<Part>, LearnError> {
        let step = self.due();
        let io = |source| LearnError::PartFile { path: self.folder.clone(), source };
        let mut found: BTreeMap<usize, usize> = BTreeMap::new();
        for entry in fs::read_dir(&self.folder).map_err(io)? {
            let name = entry.map_err(io)?.file_name();
            let name = name.to_string_lossy();
            if let Some(part) = number(&name, step.shared()) {
                *found.entry(part.of()).or_default() += 1;
            }
        }
        let of = match found.len() {
            0 => {
                let reason = format!("no part has taken the step \"{step}\" yet: run every part first");
                return Err(self.bad(step.shared(), &reason));
            }
            1 => found.keys().copied().next().unwrap_or(1),
            _ => {
                let counts: Vec<String> = found.keys().map(usize::to_string).collect();
                return Err(self.bad(
                    step.shared(),
                    &format!("parts of {} and of {}: delete those of one", counts[0], counts[1..].join(", ")),
                ));
            }
        };
        let parts: Vec<Part> = Part::all(of).collect();
        let missing = |part: &&Part| !self.folder.join(own_name(step.shared(), **part)).exists();
        let missing: Vec<String> = parts.iter().filter(missing).map(Part::to_string).collect();
        match &missing[..] {
            [] => Ok(parts),
            [first, rest @ ..] => {
                let more = if rest.is_empty() { String::new() } else { format!(" and {} more", rest.len()) };
                Err(self.bad(
                    &step.to_string(),
                    &format!("part {first}{more} has not taken the step \"{step}\" yet: run it"),
                ))
            }
        }
    }

    /// Refuses a part that does not go with what is in the folder: one of another number, of another library, or under other settings.
    pub(super) fn check(&self, part: Part) -> Result<(), LearnError> {
        let io = |source| LearnError::PartFile { path: self.folder.clone(), source };
        for entry in fs::read_dir(&self.folder).map_err(io)? {
            let path = entry.map_err(io)?.path();
            let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
            let Some(other) = number(&name, CLIPS) else { continue };
            if other.of() != part.of() {
                let reason = format!(
                    "the folder has parts of {}: give one of those, or delete every file of {} parts, or take an empty folder",
                    other.of(),
                    other.of()
                );
                return Err(self.bad(&name, &reason));
            }
            // Damage is found when it is read.
            if let Ok(header) = sealed::header::<Header>(&path).map_err(drop) {
                self.opened(&path, Ok(header))?;
            }
        }
        Ok(())
    }

    /// Whether what a part keeps of its first step is there: its examples, and what merges read of them.
    pub(super) fn has_clips(&self, part: Part) -> bool {
        [FEATURES, CLIPS].iter().all(|name| self.folder.join(own_name(name, part)).exists())
    }

    /// Says what is wrong with a file.
    pub(super) fn bad(&self, name: &str, reason: &str) -> LearnError {
        LearnError::Part { path: self.folder.join(name), reason: reason.into() }
    }

    pub(super) fn put_clips(
        &self,
        part: Part,
        clips: &Clips,
        first: &First,
        outlines: &Outlines,
    ) -> Result<(), LearnError> {
        self.put_array(&own_name(FEATURES, part), &clips.features)?;
        let mut arrays = Arrays::default();
        let [weight, sums, squares] = first.moments.parts();
        for (name, sums) in [("weight", weight), ("sums", sums), ("squares", squares)] {
            arrays.put_sums(name, sums);
        }
        arrays.put("held_out", &first.held_out);
        let (frames, bands, numbers) = outlines.numbers();
        arrays.put_integers("frames", &frames);
        arrays.put_integers("bands", &[bands as u32]);
        arrays.put("outlines", &Array2::from_shape_vec((1, numbers.len()), numbers).unwrap_or_default());
        self.put_arrays(&own_name(CLIPS, part), &arrays)
    }

    /// The examples of a part, which are of these classes.
    pub(super) fn clips(&self, part: Part, classes: Range<usize>) -> Result<Clips, LearnError> {
        Ok(Clips { classes, features: self.array(&own_name(FEATURES, part))? })
    }

    /// What a part's examples gave at once; the outlines of its tracks are added to `outlines`.
    pub(super) fn first(&self, part: Part, outlines: Option<&mut Outlines>) -> Result<First, LearnError> {
        let name = own_name(CLIPS, part);
        self.arrays(&name, |arrays| {
            let sums = [arrays.sums("weight")?, arrays.sums("sums")?, arrays.sums("squares")?];
            let first = First { moments: Moments::of_parts(sums)?, held_out: arrays.array("held_out")? };
            if let Some(outlines) = outlines {
                let (frames, bands) = (arrays.integers("frames")?, arrays.integers("bands")?);
                let numbers = arrays.array("outlines")?;
                outlines.extend(&frames, *bands.first()? as usize, numbers.as_slice()?)?;
            }
            Some(first)
        })
    }

    pub(super) fn put_standards(&self, standards: &Standards) -> Result<(), LearnError> {
        let mut arrays = Arrays::default();
        arrays.put_row("mean", &standards.standard.mean);
        arrays.put_row("deviation", &standards.standard.deviation);
        arrays.put_integers("songs", &standards.songs.firsts());
        self.put_arrays(STANDARDS, &arrays)
    }

    pub(super) fn standards(&self) -> Result<Standards, LearnError> {
        self.arrays(STANDARDS, |arrays| {
            let standard = Standard { mean: arrays.row("mean")?, deviation: arrays.row("deviation")? };
            Some(Standards { standard, songs: Songs::of_copies(&arrays.integers("songs")?) })
        })
    }

    pub(super) fn put_covariance(&self, part: Part, covariance: &Covariance) -> Result<(), LearnError> {
        let mut arrays = Arrays::default();
        arrays.put("means", &covariance.means);
        arrays.put_integers("sets", &[covariance.scatters.len() as u32]);
        for (set, scatter) in covariance.scatters.iter().enumerate() {
            for (name, sums) in SCATTER.iter().zip(scatter.parts()) {
                arrays.put_sums(&format!("{name} {set}"), sums);
            }
        }
        self.put_arrays(&own_name(COVARIANCE, part), &arrays)
    }

    pub(super) fn covariance(&self, part: Part) -> Result<Covariance, LearnError> {
        self.arrays(&own_name(COVARIANCE, part), |arrays| {
            let sets = *arrays.integers("sets")?.first()?;
            let scatter = |set| {
                let [weight, sum, within, between] = SCATTER.map(|name| arrays.sums(&format!("{name} {set}")));
                Scatter::of_parts([weight?, sum?, within?, between?])
            };
            Some(Covariance { scatters: (0..sets).map(scatter).collect::<Option<_>>()?, means: arrays.array("means")? })
        })
    }

    pub(super) fn put_spaces(&self, spaces: &Spaces) -> Result<(), LearnError> {
        let mut arrays = Arrays::default();
        let all = [&spaces.whole].into_iter().chain(&spaces.without);
        for (i, Whitening { mean, deviation, matrix }) in all.enumerate() {
            arrays.put_row(&format!("mean {i}"), mean);
            arrays.put_row(&format!("deviation {i}"), deviation);
            arrays.put(&format!("matrix {i}"), matrix);
        }
        arrays.put_integers("without", &[spaces.without.len() as u32]);
        self.put_arrays(SPACES, &arrays)
    }

    pub(super) fn spaces(&self) -> Result<Spaces, LearnError> {
        self.arrays(SPACES, |arrays| {
            let space = |i| {
                let (mean, deviation) = (arrays.row(&format!("mean {i}"))?, arrays.row(&format!("deviation {i}"))?);
                Some(Whitening { mean, deviation, matrix: arrays.array(&format!("matrix {i}"))? })
            };
            let without = *arrays.integers("without")?.first()?;
            Some(Spaces { whole: space(0)?, without: (1..=without).map(space).collect::<Option<_>>()? })
        })
    }

    pub(super) fn put_projection(&self, part: Part, projection: &Projection) -> Result<(), LearnError> {
        if let Some(rows) = &projection.rows {
            self.put_array(&own_name(ROWS, part), rows)?;
        }
        let mut arrays = Arrays::default();
        arrays.put("prototypes", &projection.prototypes);
        arrays.put("sample", &projection.sample);
        arrays.put_integers("imitations", &[projection.imitations.len() as u32]);
        for (turn, imitation) in projection.imitations.iter().enumerate() {
            arrays.put(&format!("rows {turn}"), &imitation.rows);
            arrays.put(&format!("sample {turn}"), &imitation.sample);
            arrays.put(&format!("strangers {turn}"), &imitation.strangers);
        }
        self.put_arrays(&own_name(PROJECTION, part), &arrays)
    }

    /// A part's examples in the spaces, but for the rows, which stay in their file.
    pub(super) fn projection(&self, part: Part) -> Result<Projection, LearnError> {
        self.arrays(&own_name(PROJECTION, part), |arrays| {
            let imitation = |turn| {
                let [rows, sample, strangers] =
                    ["rows", "sample", "strangers"].map(|name| arrays.array(&format!("{name} {turn}")));
                Some(Imitation { rows: rows?, sample: sample?, strangers: strangers? })
            };
            let count = *arrays.integers("imitations")?.first()?;
            Some(Projection {
                prototypes: arrays.array("prototypes")?,
                sample: arrays.array("sample")?,
                imitations: (0..count).map(imitation).collect::<Option<_>>()?,
                rows: None,
            })
        })
    }

    /// All parts' projected examples, each part's of some neighbouring classes.
    pub(super) fn rows(
        &self,
        parts: &[Part],
        classes: &[Range<usize>],
        rounds: usize,
        width: usize,
    ) -> Result<RowFiles, LearnError> {
        let one = |(&part, classes): (&Part, &Range<usize>)| {
            let path = self.folder.join(own_name(ROWS, part));
            let mut numbers = 0;
            let header = self.opened(&path, sealed::read_by(&path, |bytes| numbers += bytes.len()))?;
            let expected = [rounds * classes.len(), width];
            if header.shape != Some(expected) || numbers != 4 * expected[0] * expected[1] {
                return Err(self.bad(&own_name(ROWS, part), &format!("not {expected:?} numbers")));
            }
            let io = |source| LearnError::PartFile { path: path.clone(), source };
            let file = File::open(&path).map_err(io)?;
            let from = file.metadata().map_err(io)?.len() - numbers as u64;
            Ok(PartRows { classes: classes.clone(), file: Mutex::new(file), path, from })
        };
        let parts = parts.iter().zip(classes).map(one).collect::<Result<_, LearnError>>()?;
        Ok(RowFiles::new(parts, rounds, width))
    }

    fn header(&self, name: &str, shape: Option<[usize; 2]>) -> Header {
        Header { format: FORMAT.into(), file: name.into(), identity: self.identity.clone(), shape }
    }

    fn write(&self, header: &Header, body: &[&[u8]]) -> Result<(), LearnError> {
        let path = self.folder.join(&header.file);
        sealed::write(&path, header, body).map_err(|source| LearnError::PartFile { path, source })
    }

    /// Checks that a file is of this library and these settings.
    fn opened(&self, path: &Path, header: Result<Header, Unsealed>) -> Result<Header, LearnError> {
        let bad = |reason: String| Err(LearnError::Part { path: path.into(), reason });
        let header = match header {
            Ok(header) => header,
            Err(Unsealed::Io(source)) => return Err(LearnError::PartFile { path: path.into(), source }),
            Err(Unsealed::Bad(reason)) => return bad(format!("{reason}; delete it and run its part again")),
        };
        if header.format != FORMAT {
            return bad(format!("format {:?}, expected {FORMAT:?}: begin again in an empty folder", header.format));
        }
        if header.identity != self.identity {
            return bad("of another library, other settings, noise or rooms: give the same, or an empty folder".into());
        }
        match path.file_name().is_some_and(|name| *name == *header.file) {
            true => Ok(header),
            false => bad(format!("this was {}: copy it under its name", header.file)),
        }
    }

    fn put_array(&self, name: &str, array: &Array2<f32>) -> Result<(), LearnError> {
        let (rows, width) = array.dim();
        let bytes: Vec<u8> = array.iter().flat_map(|v| v.to_le_bytes()).collect();
        self.write(&self.header(name, Some([rows, width])), &[&bytes])
    }

    fn array(&self, name: &str) -> Result<Array2<f32>, LearnError> {
        let path = self.folder.join(name);
        let (mut numbers, mut left): (Vec<f32>, Vec<u8>) = (Vec::new(), Vec::new());
        let take = |bytes: &[u8]| {
            left.extend_from_slice(bytes);
            let (whole, rest) = left.as_chunks();
            numbers.extend(whole.iter().map(|&number| f32::from_le_bytes(number)));
            left = rest.to_vec();
        };
        let header = self.opened(&path, sealed::read_by(&path, take))?;
        let shaped = header.shape.and_then(|shape| Array2::from_shape_vec(shape, numbers).ok());
        shaped.ok_or_else(|| self.bad(name, "not as many numbers as it says"))
    }

    fn put_arrays(&self, name: &str, arrays: &Arrays) -> Result<(), LearnError> {
        let bytes = arrays.bytes().ok_or_else(|| self.bad(name, "cannot be written"))?;
        self.write(&self.header(name, None), &[&bytes])
    }

    /// Reads named arrays; `take` gives nothing where one is missing or of another shape.
    fn arrays<T>(&self, name: &str, take: impl FnOnce(&Found<'_>) -> Option<T>) -> Result<T, LearnError> {
        let path = self.folder.join(name);
        let (header, bytes) = match sealed::read(&path) {
            Ok((header, bytes)) => (Ok(header), bytes),
            Err(error) => (Err(error), Vec::new()),
        };
        self.opened(&path, header)?;
        let found = SafeTensors::deserialize(&bytes).ok().and_then(|tensors| take(&Found(tensors)));
        found.ok_or_else(|| self.bad(name, "not the arrays that it should hold"))
    }
}

/// What the sums of a scatter are called.
const SCATTER: [&str; 4] = ["weight", "sum", "within", "between"];
