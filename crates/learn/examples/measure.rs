//! Trains on a library and measures what is recognised of it, in floating point and in integers:
//!
//! ```text
//! cargo run -p sordino-learn --example measure -- MUSIC NOISE IMPULSES [CONFIG.toml|quick|standard|thorough] [UNKNOWN]
//! ```
//!
//! `MUSIC` is a folder in FMA's layout (`audio/`, `metadata/tracks.csv`), or a number of tracks to compose; `NOISE` and
//! `IMPULSES` are folders of sound files, or `-` to synthesise them. 30 % of both are kept for the queries. `UNKNOWN` is the share
//! of songs held out of the library altogether.

use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::time::Instant;

use anyhow::{Context, Result, ensure};
use ndarray::{Array2, ArrayView2, Axis};
use sordino_audio::{ImpulseBank, NoiseBank, Span};
use sordino_corpus::{
    Catalogue, Condition, Holdout, IndexOptions, MelTable, QuerySet, QuerySpec, fma, split_unknown, synth,
};
use sordino_front::{FeatureSpec, Front};
use sordino_learn::{
    Accuracy, Answer, Effort, FloatModel, Progress, Report, TrainConfig, float_answers, integer_answers, labels, train,
};
use sordino_model::{Pair, Protocol};

const PROTOCOLS: [(&str, Protocol); 3] = [
    ("flat", Protocol::Flat),
    ("1 probe", Protocol::Routed { probes: 1 }),
    ("2 probes", Protocol::Routed { probes: 2 }),
];

fn main() -> Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    ensure!(arguments.len() >= 3, "give MUSIC NOISE IMPULSES [CONFIG] [UNKNOWN]; see the top of this example");
    let config = config(arguments.get(3).map_or("standard", String::as_str))?;
    let unknown: f32 = arguments.get(4).map_or(Ok(0.0), |share| share.parse())?;
    let spec = FeatureSpec::default();
    let (noise, unheard_noise) = noise(&arguments[1], &spec)?.split(0.3, 7);
    let (impulses, unheard_impulses) = impulses(&arguments[2], &spec)?.split(0.3, 7);

    let sound = IndexOptions::for_spec(&spec).sound;
    let clock = Instant::now();
    let (all, rejected) = MelTable::measure(&music(&arguments[0])?, &spec, &sound)?;
    let (library, strangers) = split_unknown(&all.catalogue(), Holdout::Fraction(unknown), 1)?;
    let positions: Vec<usize> = library.tracks.iter().filter_map(|track| all.position(track.id)).collect();
    let table = all.select(&positions);
    println!(
        "{} tracks and {} unknown, {} refused; {:.1} s",
        table.len(),
        strangers.tracks.len(),
        rejected.len(),
        seconds(clock)
    );

    let clock = Instant::now();
    let model = train(&table, &noise, &impulses, &config, None, &Lines::default())?;
    let shapes: Vec<_> = model.stages.iter().map(|stage| stage.rows.dim()).collect();
    println!(
        "trained in {:.1} s: stages {shapes:?}, {:?}, flat {:?}",
        seconds(clock),
        model.threshold,
        model.flat.as_ref().map(|f| f.1)
    );

    let conditions = ["clean", "10dB", "5dB", "0dB", "5dB+reverb"].map(str::parse::<Condition>);
    let conditions = conditions.into_iter().collect::<Result<Vec<_>, _>>()?;
    let asked = QuerySpec { seconds: spec.query_seconds, conditions, crops: 2, split: config.split(), seed: 99 };
    let ask = |catalogue: &Catalogue| {
        let queries = QuerySet::new(catalogue, &spec, &asked, &unheard_noise, &unheard_impulses, sound.clone())?;
        Ok::<_, anyhow::Error>(Asked::new(queries, &model.front))
    };
    let (known, strange) = (ask(&library)?, ask(&strangers)?);
    report(&model, &table, &asked.conditions, &known, &strange)
}

fn config(name: &str) -> Result<TrainConfig> {
    match name {
        "quick" => Ok(TrainConfig::effort(Effort::Quick)),
        "standard" => Ok(TrainConfig::effort(Effort::Standard)),
        "thorough" => Ok(TrainConfig::effort(Effort::Thorough)),
        file => Ok(toml::from_str(&std::fs::read_to_string(file).with_context(|| file.to_owned())?)?),
    }
}

fn music(argument: &str) -> Result<Catalogue> {
    if let Ok(count) = argument.parse() {
        return Ok(synth::catalogue(count, 1));
    }
    let folder = Path::new(argument);
    Ok(fma::load(&folder.join("audio"), &folder.join("metadata/tracks.csv"), fma::Subset::Medium)?)
}

fn noise(argument: &str, spec: &FeatureSpec) -> Result<NoiseBank> {
    match argument {
        "-" => Ok(NoiseBank::synthetic(1, 120, 10.0, spec.sample_rate)),
        folder => Ok(NoiseBank::load(&PathBuf::from(folder), spec.sample_rate)?.0),
    }
}

fn impulses(argument: &str, spec: &FeatureSpec) -> Result<ImpulseBank> {
    match argument {
        "-" => Ok(ImpulseBank::synthetic(1, 40, Span(0.15, 1.5), spec.sample_rate)),
        folder => Ok(ImpulseBank::load(&PathBuf::from(folder), spec.sample_rate)?.0),
    }
}

/// Base features of queries, and for each its condition and the position of its track.
struct Asked {
    features: Vec<Vec<f32>>,
    conditions: Vec<usize>,
    ids: Vec<u32>,
}

impl Asked {
    fn new(queries: QuerySet<'_>, front: &Front) -> Self {
        let (heard, _) = queries.map(|query| (front.features(&query.samples), query.condition, query.id));
        let mut asked = Self { features: Vec::new(), conditions: Vec::new(), ids: Vec::new() };
        for (features, condition, id) in heard {
            // A silent excerpt has no features, and nobody would ask about it.
            let Ok(features) = features else { continue };
            asked.features.push(features);
            asked.conditions.push(condition);
            asked.ids.push(id);
        }
        asked
    }

    fn under(&self, condition: usize) -> (Array2<f32>, Vec<u32>) {
        let rows: Vec<usize> = (0..self.ids.len()).filter(|&i| self.conditions[i] == condition).collect();
        let width = self.features.first().map_or(0, Vec::len);
        let features = Array2::from_shape_fn((rows.len(), width), |(i, j)| self.features[rows[i]][j]);
        (features, rows.iter().map(|&i| self.ids[i]).collect())
    }
}

fn report(
    model: &FloatModel,
    table: &MelTable,
    conditions: &[Condition],
    known: &Asked,
    strange: &Asked,
) -> Result<()> {
    let (client, server) = model.halves("measured", labels(table))?;
    let pair = Pair::new(&client, &server)?;
    println!("| condition | protocol | float top-1 | integer top-1 | top-3 | named | misnamed | unknown rejected |");
    println!("|---|---|---|---|---|---|---|---|");
    for (c, condition) in conditions.iter().enumerate() {
        let (features, ids) = known.under(c);
        let (strange, _) = strange.under(c);
        let mut truths: Vec<Option<u32>> = ids.iter().map(|&id| table.position(id).map(|p| p as u32)).collect();
        truths.resize(ids.len() + strange.nrows(), None);
        for (name, protocol) in PROTOCOLS {
            let both = |answers: &dyn Fn(ArrayView2<f32>) -> Result<Vec<Answer>>| -> Result<Accuracy> {
                let mut all = answers(features.view())?;
                if strange.len_of(Axis(0)) > 0 {
                    all.extend(answers(strange.view())?);
                }
                Ok(Accuracy::of(&all, &truths)?)
            };
            let float = both(&|rows| Ok(float_answers(model, protocol, rows)?))?;
            let integer = both(&|rows| Ok(integer_answers(&pair, protocol, rows)?))?;
            let shares = [float.top_1, integer.top_1, integer.top_3, integer.named, integer.misnamed, integer.rejected];
            let cells: Vec<String> = shares.iter().map(|share| format!("{:.1}", 100.0 * share)).collect();
            println!("| {condition} | {name} | {} |", cells.join(" | "));
        }
    }
    Ok(())
}

fn seconds(clock: Instant) -> f32 {
    clock.elapsed().as_secs_f32()
}

/// A line at the start and the end of every phase.
struct Lines(Instant, Mutex<String>);

impl Default for Lines {
    fn default() -> Self {
        Self(Instant::now(), Mutex::default())
    }
}

impl Progress for Lines {
    fn report(&self, report: &Report<'_>) -> ControlFlow<()> {
        if let Ok(mut last) = self.1.lock()
            && (*last != report.phase || report.step == report.steps)
        {
            let Report { phase, step, steps, loss, metric } = report;
            let figures =
                (loss.map(|l| format!(" loss {l:.3}")), metric.map(|m| format!(" {} {:.3}", m.name, m.value)));
            let (loss, metric) = (figures.0.unwrap_or_default(), figures.1.unwrap_or_default());
            println!("{:7.1} s  {phase} {step}/{steps}{loss}{metric}", self.0.elapsed().as_secs_f32());
            *last = (*phase).to_owned();
        }
        ControlFlow::Continue(())
    }
}
