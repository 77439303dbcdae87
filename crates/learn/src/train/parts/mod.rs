//! Training in parts: what is heavy is done for some neighbouring labels at a time, on any machine, with files between the steps.
//!
//! Every part takes three steps, and after each of them somebody merges:
//!
//! | step | a part | the merge |
//! |---|---|---|
//! | clips | draws its examples; adds up every feature and its square | mean and deviation of every feature; which tracks are copies |
//! | covariance | adds up how its examples scatter | the space, and those without a fifth of the songs |
//! | projection | puts its examples into the spaces; takes their means | clusters, routers, rows, thresholds: the model |
//!
//! The model is that of one run, to the bit: sums are exact ([`crate::math::sums`]), blocks of 64 labels are never divided, and an example depends on
//! its seed and place alone. A part needs memory for its own examples. The merge needs it for the rows of the model and, where something is learned
//! by descent, reads examples from the parts' files.

mod arrays;
mod files;
mod rows;
mod step;
mod vectors;

pub use step::Step;
pub use vectors::{merge_vectors, train_vectors_part};

use std::collections::BTreeSet;
use std::ops::Range;
use std::path::Path;

use sha2::{Digest, Sha256};
use sordino_audio::{ImpulseBank, NoiseBank};
use sordino_corpus::{MelTable, Part};
use sordino_front::Network;

use super::conclude;
use super::job::{Covariance, Gathered, Job, Projection};
use super::sound::{enough, library, weights};
use crate::examples::{Examples, Songs};
use crate::run::checkpoint::Checkpoints;
use crate::run::progress::Progress;
use crate::run::sealed::hex;
use crate::run::training_run::TrainingRun;
use crate::sound::clip_examples::ClipExamples;
use crate::sound::copies::Outlines;
use crate::space::scatter::Moments;
use crate::space::unit_vectors::Rows;
use crate::unknown::imitation::{Imitation, LeftOut};
use crate::{FloatModel, LearnError, TrainConfig};
use files::{Files, Standards};

/// What a merge came to.
#[derive(Debug)]
#[non_exhaustive]
pub enum Merged {
    /// The parts go on with this step.
    Next(Step),
    /// That was the last step.
    Model(Box<FloatModel>),
}

/// Takes the step that is due of a part of a library, in the folder that all parts share. Every call for the same library needs the same
/// settings. Of `table`, the part's tracks have mel power, which [`Part::range`] of its length lists. A step that is taken again gives the
/// same files, and what was lost of the first step is made again.
///
/// # Errors
/// [`LearnError`] as for [`crate::train`]; [`LearnError::Part`] for files of another library or other settings, and for damaged ones.
pub fn train_part(
    table: &MelTable,
    noise: &NoiseBank,
    impulses: &ImpulseBank,
    config: &TrainConfig,
    part: Part,
    folder: &Path,
    progress: &dyn Progress,
) -> Result<Step, LearnError> {
    let clips = library(table, noise, impulses, config)?;
    let own = config.own_network()?;
    let files = Files::new(folder, of_sound(table, noise, impulses, config, own.as_ref(), folder)?)?;
    let examples = ClipExamples::new(&clips, table.spec(), config.statistics, own)?;
    let outlines = || Outlines::of(table, part.range(table.len()));
    run_part(&examples, config, part, &files, &outlines, progress)
}

/// Merges what all parts have come to. `table` lists the tracks, and needs no mel power; `load` gives the same table with that of some tracks,
/// which may be copies of each other. With a folder for checkpoints, a merge that was stopped in the last step goes on where it was.
///
/// # Errors
/// As [`train_part`]; [`LearnError::Part`] where a part has not taken its step.
pub fn merge_parts(
    table: &MelTable,
    load: &dyn Fn(&BTreeSet<usize>) -> Result<MelTable, LearnError>,
    (noise, impulses): (&NoiseBank, &ImpulseBank),
    config: &TrainConfig,
    folder: &Path,
    checkpoints: Option<&Path>,
    progress: &dyn Progress,
) -> Result<Merged, LearnError> {
    let clips = library(table, noise, impulses, config)?;
    let own = config.own_network()?;
    let files = Files::new(folder, of_sound(table, noise, impulses, config, own.as_ref(), folder)?)?;
    let examples = ClipExamples::new(&clips, table.spec(), config.statistics, own)?;
    let songs = |outlines: Outlines| {
        let candidates = outlines.candidates(table.spec());
        let tracks = candidates.iter().flat_map(|&(one, other, _)| [one, other]).collect();
        let songs = outlines.songs(&candidates, &load(&tracks)?);
        enough(&songs)?;
        Ok(songs)
    };
    merge(&examples, config, &files, &songs, checkpoints, progress)
}

/// What all calls for one library share: settings, a network's weights, tracks, noise and rooms.
fn of_sound(
    table: &MelTable,
    noise: &NoiseBank,
    impulses: &ImpulseBank,
    config: &TrainConfig,
    network: Option<&Network>,
    folder: &Path,
) -> Result<String, LearnError> {
    let tracks: Vec<(u32, usize)> = (0..table.len()).map(|at| (table.track(at).id, table.frames(at))).collect();
    let json = serde_json::to_vec(&(table.spec(), config, tracks));
    let json = json.map_err(|error| LearnError::Part { path: folder.into(), reason: error.to_string() })?;
    let mut hash = Sha256::new_with_prefix(json);
    hash.update(weights(config, network)?);
    for clip in noise.clips().iter().chain(impulses.clips()) {
        hash.update(clip.name.as_bytes());
        clip.samples.iter().for_each(|sample| hash.update(sample.to_le_bytes()));
    }
    Ok(hex(&hash.finalize()))
}

/// Settings under which nobody trains in parts.
fn refuse(config: &TrainConfig) -> Result<(), LearnError> {
    let refused = |setting, found: String, expected: &str| {
        Err(LearnError::Setting { setting, found, expected: format!("{expected}, where training goes in parts") })
    };
    config.validate()?;
    if config.embedding.is_some() {
        return refused("embedding", "a network".into(), "none");
    }
    if config.focus > 0.0 {
        return refused("focus", config.focus.to_string(), "0");
    }
    Ok(())
}

/// Takes the step of a part that is due.
fn run_part(
    examples: &dyn Examples,
    config: &TrainConfig,
    part: Part,
    files: &Files,
    outlines: &dyn Fn() -> Outlines,
    progress: &dyn Progress,
) -> Result<Step, LearnError> {
    refuse(config)?;
    super::branching(config, examples.classes().len() + config.distractors.rows)?;
    let job = Job::new(examples, config)?;
    let run =
        TrainingRun { device: config.device.open()?, seed: config.seed, checkpoints: Checkpoints::none(), progress };
    files.check(part)?;
    let step = files.due();
    if step != Step::Clips && !files.has_clips(part) {
        // Files of the first step were lost. They are made again, as they were.
        let (clips, first) = job.draw(part, &run)?;
        files.put_clips(part, &clips, &first, &outlines())?;
    }
    let own = examples.classes().of_part(part);
    let works = |standards: &Standards| examples.works(&standards.songs);
    match step {
        Step::Clips => {
            let (clips, first) = job.draw(part, &run)?;
            files.put_clips(part, &clips, &first, &outlines())?;
        }
        Step::Covariance => {
            let standards = files.standards()?;
            let covariance = job.covariance(&files.clips(part, own)?, &standards.standard, &works(&standards));
            run.end_of("covariance")?;
            files.put_covariance(part, &covariance)?;
        }
        Step::Projection => {
            let works = works(&files.standards()?);
            let projection = job.project(files.clips(part, own)?, &files.spaces()?, &works, &run)?;
            files.put_projection(part, &projection)?;
        }
    }
    Ok(step)
}

/// Merges what all parts have come to, with the songs that their outlines make.
fn merge(
    examples: &dyn Examples,
    config: &TrainConfig,
    files: &Files,
    songs: &dyn Fn(Outlines) -> Result<Songs, LearnError>,
    checkpoints: Option<&Path>,
    progress: &dyn Progress,
) -> Result<Merged, LearnError> {
    refuse(config)?;
    let job = Job::new(examples, config)?;
    let classes = examples.classes();
    let parts = files.parts()?;
    let of = |part: &Part| classes.of_part(*part);
    match files.due() {
        Step::Clips => {
            let mut moments = Moments::none(examples.width());
            let mut outlines = Outlines::default();
            for &part in &parts {
                moments += &files.first(part, Some(&mut outlines))?.moments;
            }
            files.put_standards(&Standards { standard: moments.standard()?, songs: songs(outlines)? })?;
            Ok(Merged::Next(Step::Covariance))
        }
        Step::Covariance => {
            let Standards { standard, songs } = files.standards()?;
            let mut all: Option<Covariance> = None;
            for &part in &parts {
                let next = files.covariance(part)?;
                match &mut all {
                    Some(all) => *all += &next,
                    None => all = Some(next),
                }
            }
            if let Some(covariance) = all {
                files.put_spaces(&job.spaces(&standard, &covariance, &examples.works(&songs))?)?;
            }
            Ok(Merged::Next(Step::Projection))
        }
        Step::Projection => {
            let checkpoints = match checkpoints {
                Some(folder) => Checkpoints::new(folder, files.identity().into(), config.checkpoint_every)?,
                None => Checkpoints::none(),
            };
            let device = config.device.open()?.autodiff();
            let run = TrainingRun { device, seed: config.seed, checkpoints, progress };
            let Standards { songs, .. } = files.standards()?;
            let works = examples.works(&songs);
            let turns = LeftOut::in_turn(classes, &works);
            let ranges: Vec<Range<usize>> = parts.iter().map(of).collect();
            let mut held_out = Vec::new();
            let mut projections: Vec<Projection> = Vec::new();
            for &part in &parts {
                held_out.push(files.first(part, None)?.held_out);
                projections.push(files.projection(part)?);
            }
            let space = files.spaces()?.whole;
            let width = job.rotation(&space).nrows();
            let prototypes: Vec<_> = projections.iter().map(|part| part.prototypes.view()).collect();
            let prototypes = ndarray::concatenate(ndarray::Axis(0), &prototypes)
                .map_err(|_| files.bad("projection", "parts of different widths"))?;
            let sample = job.sample().joined(width, ranges.iter().zip(projections.iter().map(|part| &part.sample)));
            let mut imitations = Vec::new();
            for (turn, left_out) in turns.iter().enumerate() {
                let mut own = Vec::new();
                for (range, part) in ranges.iter().zip(&mut projections) {
                    own.push((range.clone(), std::mem::take(&mut part.imitations[turn])));
                }
                imitations.push(Imitation::joined(&own, left_out, job.fitted));
            }
            drop(projections);
            let held_out = job.held_out().joined(examples.width(), ranges.iter().zip(&held_out));
            let rows = config.descends().then(|| files.rows(&parts, &ranges, job.rounds, space.width())).transpose()?;
            let rows = rows.map(|rows| Box::new(rows) as Box<dyn Rows>);
            let gathered = Gathered { space, prototypes, sample, imitations, rows, held_out };
            Ok(Merged::Model(Box::new(conclude(&job, songs, &works, gathered, &run)?)))
        }
    }
}
