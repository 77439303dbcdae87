//! [`tune`]: the thresholds of a trained model, chosen anew for other noise and other rooms.
//!
//! Only the thresholds change. Known clips are those of the model's tracks, disturbed anew and scored by the model's integers. Strangers are
//! imitated as in training, from clips that are disturbed in the same way.

use std::collections::BTreeMap;

use sordino_audio::{ImpulseBank, NoiseBank};
use sordino_corpus::MelTable;
use sordino_model::stage::{Hierarchy, Stage};
use sordino_model::{ClientHierarchy, ClientModel, HeldOut, Library, Reach, ServerModel, Tuning};

use super::job::Job;
use super::{kept, strangers};
use crate::examples::Examples;
use crate::heads::stage::FloatStage;
use crate::math::grid::UniformGrid;
use crate::run::checkpoint::Checkpoints;
use crate::run::progress::Progress;
use crate::run::training_run::TrainingRun;
use crate::sound::Clips;
use crate::sound::clip_examples::ClipExamples;
use crate::unknown::Threshold;
use crate::unknown::threshold::Calibration;
use crate::{LearnError, TrainConfig};

/// Where a model is to be used: its tracks, and what clips of them are disturbed with there.
#[derive(Clone, Copy, Debug)]
pub struct Surroundings<'a> {
    /// The sound of the model's tracks and of no others.
    pub table: &'a MelTable,
    /// The noise.
    pub noise: &'a NoiseBank,
    /// The rooms.
    pub impulses: &'a ImpulseBank,
    /// What the model was trained with; the shares to keep to are those of its `unknown`.
    pub config: &'a TrainConfig,
}

/// A model with other thresholds.
#[derive(Clone, Debug)]
pub struct Tuned {
    /// Its library.
    pub library: Library,
    /// The hierarchy's thresholds.
    pub hierarchy: Change,
    /// Those of a separately trained `flat`.
    pub flat: Option<Change>,
    /// Some of the clips that they were chosen by.
    pub held_out: HeldOut,
}

/// Thresholds, and what those before them would have done with the same clips.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Change {
    /// The new ones.
    pub threshold: Threshold,
    /// Where the client decides.
    pub client_before: Shares,
    /// Where the server decides.
    pub server_before: Shares,
}

/// What a threshold does, from a thousandth to a half.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Shares {
    /// Share of known clips that it loses.
    pub lost: f32,
    /// Share of strangers that it accepts.
    pub accepted: f32,
}

impl Shares {
    /// What a threshold does that lets pass what is more than `above`.
    fn at(above: i64, reach: &Reach) -> Self {
        Self { lost: reach.known_below(above), accepted: reach.strangers_above(above) }
    }
}

/// Chooses the thresholds of a model anew.
///
/// # Errors
/// [`LearnError`] for settings, sound or banks that do not suit, a model of other tracks or features, or where `progress` asks to stop.
pub fn tune(
    client: &ClientModel,
    server: &ServerModel,
    surroundings: &Surroundings<'_>,
    progress: &dyn Progress,
) -> Result<Tuned, LearnError> {
    let Surroundings { table, noise, impulses, config } = *surroundings;
    config.validate()?;
    if !config.distractors.is_none() {
        let (found, expected) =
            (config.distractors.rows.to_string(), "0: thresholds belong to a library of real tracks".into());
        return Err(LearnError::Setting { setting: "distractors.rows", found, expected });
    }
    let mut library = Library::of(client, server)?;
    let run = TrainingRun {
        device: config.device.open()?,
        // Other clips than those of training.
        seed: config.seed ^ 0x707e,
        checkpoints: Checkpoints::none(),
        progress,
    };
    let clips = super::sound::library(table, noise, impulses, config)?;
    let examples = ClipExamples::new(&clips, table.spec(), config.statistics, client.front().network().cloned())?;
    let same = |what, found: usize, expected: usize| match found == expected {
        true => Ok(()),
        false => Err(LearnError::Shape { what, found: vec![found], expected: vec![expected] }),
    };
    same("features of the model's tracks", examples.width(), client.front().width())?;
    same("the model's tracks", table.len(), client.labels().len())?;
    let place = |id: u32| {
        let missing =
            || LearnError::Shape { what: "a track of the model in the table", found: vec![0], expected: vec![1] };
        table.position(id).ok_or_else(missing)
    };
    let places: Vec<usize> = client.labels().iter().map(|label| place(label.track_id)).collect::<Result<_, _>>()?;

    let job = Job::new(&examples, config)?;
    let songs = clips.songs();
    let works = examples.works(&songs);
    let (imitations, held_out) = job.imitated(&works, &run)?;
    let unknown = strangers(&job, &works, &imitations)?;
    let head = client.front().heads().len() - 1;
    let of: Vec<usize> = job.held_out().iter().map(|(_, class)| class).collect();
    let (inputs, held_out) = kept(examples.classes(), client.front(), &of, held_out.view())?;
    let calibration = Calibration {
        inputs,
        of: &of,
        scale: client.front().head(head)?.quantiser().scale,
        classes: examples.classes(),
        songs: &songs,
        unknown: &unknown,
        settings: config.unknown,
        looked_into: config.looked_into(),
    };
    let change = |hierarchy: &Hierarchy, outline: &ClientHierarchy| {
        let last = hierarchy.last();
        let grid = UniformGrid::for_unit_vectors(config.tracks.weight_bits, last.input().width)?;
        // Any class of a row's track will do: what counts is which track it is of.
        let class = |&label: &u32| {
            calibration.classes.all().partition_point(|&other| (other as usize) < places[label as usize])
        };
        let mut rows = outline.slots().iter().map(|label| class(label) as u32);
        let leaves: Vec<Vec<u32>> = last.counts().iter().map(|&count| rows.by_ref().take(count).collect()).collect();
        let taken = taken(last, outline);
        let mut stage = FloatStage::of(last, grid, calibration.scale);
        stage.biases += taken as f32 / (calibration.scale * grid.scale());
        let threshold = calibration.threshold(&stage, &leaves);
        let server_before = Shares::at(taken.into(), &threshold.score.reach);
        let lead = threshold.lead.zip(outline.lead().above);
        let client_before = lead.map_or(server_before, |(lead, above)| Shares::at(above, &lead.reach));
        let Tuning { above, lead } = threshold.tuning();
        Ok::<_, LearnError>((Change { threshold, client_before, server_before }, Tuning { above: above - taken, lead }))
    };
    let (hierarchy, tuning) = change(server.hierarchy(), client.hierarchy())?;
    let flat = server.own_flat().zip(client.own_flat()).map(|(stage, outline)| change(stage, outline)).transpose()?;
    run.end_of("thresholds")?;
    library.tune(&tuning, flat.as_ref().map(|(_, tuning)| tuning));
    Ok(Tuned {
        library,
        hierarchy,
        flat: flat.map(|(change, _)| change),
        held_out: held_out.with_ids(|place| table.tracks()[place].id),
    })
}

/// The threshold that has been taken off every score of a last stage. Before that, the biases of all passages are zero on average.
fn taken(last: &Stage, outline: &ClientHierarchy) -> i32 {
    let places = (0..last.groups()).flat_map(|group| (0..last.count(group)).map(move |slot| (group, slot)));
    // A passage that lives in several groups counts once.
    let passage = |(group, slot)| ((outline.label(group, slot), outline.start(group, slot)), last.bias(group, slot));
    let biases: BTreeMap<_, i32> = places.map(passage).collect();
    let sum: f64 = biases.values().map(|&bias| f64::from(bias)).sum();
    (-sum / biases.len().max(1) as f64).round() as i32
}
