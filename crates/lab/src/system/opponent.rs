//! A baseline built for a library, and asked.

use std::time::Instant;

use sordino_corpus::SoundOptions;
use sordino_front::FeatureSpec;
use sordino_learn::Answer;

use crate::LabError;
use crate::baseline::{self, Kind};
use crate::evaluate::encrypted::median;
use crate::evaluate::row::{Counts, Method, Price};
use crate::evaluate::tally::{Asked, tally};
use crate::music::{Heard, Put, ask};
use crate::question::Grid;
use crate::question::unit::Unit;
use crate::run::bench::{Bench, Done};
use crate::run::machine::{peak_gigabytes, reset_peak};

/// How far from the truth a place in a track may be told, in seconds.
const NEAR: f32 = 0.5;
/// Seed of what is random in a baseline.
const SEED: u64 = 1;
/// Steps of a bar that shows a fraction.
const STEPS: f32 = 1_000.0;

/// Builds a baseline and asks it.
pub(crate) fn run(bench: &Bench<'_>, unit: &Unit, kind: Kind, put: &Put) -> Result<Done, LabError> {
    let catalogue = put.table.catalogue();
    let split = Grid::split(unit.asking.heard_seconds);
    let sound = SoundOptions::default();
    let library = baseline::Library { catalogue: &catalogue, sound: &sound, split };
    reset_peak();
    let start = Instant::now();
    let system = {
        let disturbances = bench.disturbances(put.table.spec().sample_rate)?;
        let bar = bench.watch.bar(STEPS as u64, kind.name());
        let tell = |phase: &str, part: f32| {
            bar.set_message(phase.to_owned());
            bar.set_position((STEPS * part) as u64);
        };
        let system = kind.fit(&library, &disturbances.training, unit.asking.seconds, SEED, &tell)?;
        bar.finish_and_clear();
        system
    };
    let training_seconds = Some(start.elapsed().as_secs_f64());
    let training_gigabytes = peak_gigabytes();

    let spec = FeatureSpec { sample_rate: system.rate(), ..put.table.spec().clone() };
    let disturbances = bench.disturbances(spec.sample_rate)?;
    let hear = |query: &sordino_corpus::Query| {
        let start = Instant::now();
        let located = system.locate(&query.samples);
        (located, query.offset as f32 / spec.sample_rate as f32, start.elapsed().as_secs_f64())
    };
    let (heard, rejected) = ask(&put.asked, &spec, unit, split, &disturbances.queries, bench.watch, hear)?;
    for entry in rejected {
        bench.watch.note(&format!("not asked: {}: {}", entry.source, entry.reason));
    }
    let mut answered: Vec<(Asked, Answer)> = Vec::with_capacity(heard.len());
    let mut located = vec![Counts::default(); unit.asking.conditions.len()];
    let mut times = Vec::with_capacity(heard.len());
    for Heard { track, condition, value: (answer, offset, seconds) } in heard {
        // What a system cannot use, it does not name.
        let (answer, place) = answer.unwrap_or((Answer { tracks: Vec::new(), known: false }, None));
        let truth = put.place(track);
        let right = truth.is_some() && answer.tracks.first().copied() == truth;
        located[condition].located += usize::from(right && place.is_some_and(|place| (place - offset).abs() <= NEAR));
        located[condition].placed += usize::from(truth.is_some() && place.is_some());
        answered.push(((condition, truth), answer));
        times.push(seconds);
    }
    let privacy = system.privacy();
    let price = Price {
        client_seconds: None,
        server_seconds: median(times),
        server_learns: privacy.server_learns.into(),
        client_learns: privacy.client_learns.into(),
        ..Price::default()
    };
    let method = Method { protocol: kind.name().into(), probes: 0, precision: "clear".into() };
    let mut outcomes = tally(&unit.asking, answered.iter().map(|(asked, answer)| (asked, answer)), &method, &price);
    outcomes.iter_mut().zip(located).for_each(|(outcome, located)| outcome.counts.merge(located));
    Ok(Done { recorded: put.recorded, stages: Vec::new(), training_seconds, training_gigabytes, outcomes })
}
