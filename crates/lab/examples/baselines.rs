//! Builds the systems that this project is compared with and asks each the same kinds of queries:
//!
//! ```text
//! cargo run -p sordino-lab --example baselines -- systems=regression,landmarks music=DATA/minifma noise=DATA/noise ir=DATA/ir out=OUT.csv
//! ```
//!
//! Arguments are `name=value`, in any order:
//!
//! - `systems`: of `regression` (22,050 Hz), `regression-8k`, `tree`, `landmarks`, `neural` (by sequence and by vote),
//!   `centroid`; all by default. The last two share one network
//! - `settings`: a TOML file with settings of the system, where only one is asked for
//! - `music`: a folder in FMA's layout (`audio/`, `metadata/tracks.csv`); none by default
//! - `composed`: tracks to compose besides (default 0); at least one of the two is needed. Of several numbers (`0,702`) each makes a library,
//!   and a network that was trained on the first of them serves the others
//! - `noise`, `ir`: folders of sound files; synthesised by default. 30 % of the recordings are for queries only
//! - `ask`: most tracks that are asked about, spread over the library (default 300); real ones only where there are any
//! - `crops`: queries per track and condition (default 1), `seconds`: their length (default 10)
//! - `train`: seconds of every track that may be heard; queries lie behind them. All by default
//! - `unknown`: share of the songs left out of the library (default 0)
//! - `conditions`: default `clean,10dB,5dB,0dB,5dB+reverb`
//! - `aligned`: `yes` asks the regression and the tree about the first 15 s of every track as they were trained on
//! - `encrypted`: clips that the regression names under encryption as well (default 0)
//! - `out`: a CSV file for the rows, which are printed too

use std::collections::HashMap;
use std::fmt::Write as _;
use std::path::Path;
use std::sync::Arc;
use std::time::Instant;

use sordino_audio::{ImpulseBank, NoiseBank, Span};
use sordino_corpus::{
    Catalogue, Condition, CropSplit, Holdout, IndexOptions, MelTable, QuerySet, QuerySpec, SoundOptions, Source, fma,
    split_unknown, synth,
};
use sordino_fhe::{SecretKey, params};
use sordino_front::FeatureSpec;
use sordino_lab::baseline::{
    Baseline, CentroidRouting, CentroidSettings, DecisionTree, EncryptedRegression, FlatRegression, LandmarkSettings,
    Landmarks, Library, MfccSettings, NeuralFingerprint, NeuralSettings, RegressionSettings, SegmentEmbedder,
    SegmentSearch, Tell, TreeSettings,
};
use sordino_learn::{Accuracy, Answer};

type Failure = Box<dyn std::error::Error + Send + Sync>;

const SYSTEMS: &str = "regression,regression-8k,tree,landmarks,neural,centroid";
const HEADER: &str = "system,library,real,heard_seconds,query_seconds,condition,queries,top_1,top_3,named,misnamed,offset_right,\
                      unknown_queries,rejected,fit_seconds,answer_ms,server_learns,client_learns";

fn main() -> Result<(), Failure> {
    let arguments = Arguments::parse()?;
    let mut rows = vec![HEADER.to_owned()];
    println!("{HEADER}");
    let mut trained = None;
    for composed in arguments.get("composed", "0").split(',') {
        let composed = composed.parse().map_err(|_| format!("composed={composed}: expected a number"))?;
        let music = Music::gather(&arguments, composed)?;
        let (library, strangers) = (music.library.tracks.len(), music.strangers.tracks.len());
        eprintln!("{library} tracks, {} of them real; {strangers} unknown", music.real);
        for system in arguments.get("systems", SYSTEMS).split(',') {
            measure(system, &arguments, &music, &mut trained, &mut rows)?;
        }
    }
    if let Some(path) = arguments.0.get("out") {
        std::fs::write(path, rows.join("\n") + "\n")?;
    }
    Ok(())
}

struct Arguments(HashMap<String, String>);

impl Arguments {
    const NAMES: [&str; 15] = [
        "systems",
        "settings",
        "music",
        "composed",
        "noise",
        "ir",
        "ask",
        "crops",
        "seconds",
        "train",
        "unknown",
        "conditions",
        "aligned",
        "encrypted",
        "out",
    ];

    fn parse() -> Result<Self, Failure> {
        let mut values = HashMap::new();
        for argument in std::env::args().skip(1) {
            match argument.split_once('=') {
                Some((name, value)) if Self::NAMES.contains(&name) => {
                    values.insert(name.to_owned(), value.to_owned());
                }
                _ => return Err(format!("\"{argument}\": expected name=value; see the top of this example").into()),
            }
        }
        Ok(Self(values))
    }

    fn get<'a>(&'a self, name: &str, default: &'a str) -> &'a str {
        self.0.get(name).map_or(default, String::as_str)
    }

    fn number<T: std::str::FromStr>(&self, name: &str, default: T) -> Result<T, Failure> {
        match self.0.get(name) {
            Some(text) => text.parse().map_err(|_| format!("{name}={text}: expected a number").into()),
            None => Ok(default),
        }
    }

    /// The settings in the file that was named, or what `T` is by default.
    fn settings<T: Default + serde::de::DeserializeOwned>(&self) -> Result<T, Failure> {
        match self.0.get("settings") {
            Some(path) => Ok(toml::from_str(&std::fs::read_to_string(path)?)?),
            None => Ok(T::default()),
        }
    }

    fn split(&self) -> Result<CropSplit, Failure> {
        Ok(match self.number("train", 0.0)? {
            0.0 => CropSplit::UnseenOffset,
            train_seconds => CropSplit::UnseenSound { train_seconds },
        })
    }

    /// Training and test parts at `rate`.
    fn banks(&self, rate: u32) -> Result<[(NoiseBank, ImpulseBank); 2], Failure> {
        let noise = match self.0.get("noise") {
            Some(folder) => NoiseBank::load(Path::new(folder), rate)?.0,
            None => NoiseBank::synthetic(7, 96, 5.0, rate),
        };
        let impulses = match self.0.get("ir") {
            Some(folder) => ImpulseBank::load(Path::new(folder), rate)?.0,
            None => ImpulseBank::synthetic(7, 48, Span(0.2, 1.2), rate),
        };
        let (noise, unheard_noise) = noise.split(0.3, 7);
        let (impulses, unheard_impulses) = impulses.split(0.3, 7);
        Ok([(noise, impulses), (unheard_noise, unheard_impulses)])
    }
}

/// The library, what is asked of it, and songs that are not in it.
struct Music {
    library: Catalogue,
    real: usize,
    asked: Catalogue,
    strangers: Catalogue,
    sound: SoundOptions,
}

impl Music {
    fn gather(arguments: &Arguments, composed: u32) -> Result<Self, Failure> {
        let spec = FeatureSpec::default();
        let sound = IndexOptions::for_spec(&spec).sound;
        let mut tracks = Vec::new();
        if let Some(folder) = arguments.0.get("music") {
            let folder = Path::new(folder);
            let listed = fma::load(&folder.join("audio"), &folder.join("metadata/tracks.csv"), fma::Subset::Medium)?;
            // Reading everything once finds the files that cannot be used.
            tracks = MelTable::measure(&listed, &spec, &sound)?.0.catalogue().tracks;
        }
        let first = tracks.last().map_or(0, |track| track.id);
        for mut track in synth::catalogue(composed, 1).tracks {
            track.id += first;
            tracks.push(track);
        }
        let all = Catalogue::new(tracks, Vec::new())?;
        let (library, strangers) = split_unknown(&all, Holdout::Fraction(arguments.number("unknown", 0.0)?), 1)?;
        let is_real = |catalogue: &Catalogue| -> Vec<usize> {
            let file = |&i: &usize| matches!(catalogue.tracks[i].source, Source::File(_));
            (0..catalogue.tracks.len()).filter(file).collect()
        };
        let most: usize = arguments.number("ask", 300)?;
        let ask = |catalogue: &Catalogue| {
            let mut of = is_real(catalogue);
            if of.is_empty() {
                of = (0..catalogue.tracks.len()).collect();
            }
            let count = most.min(of.len());
            catalogue.select(&(0..count).map(|i| of[i * of.len() / count]).collect::<Vec<_>>())
        };
        let (asked, strangers) = (ask(&library), ask(&strangers));
        Ok(Self { real: is_real(&library).len(), library, asked, strangers, sound })
    }

    fn position(&self, id: u32) -> Option<u32> {
        self.library.tracks.binary_search_by_key(&id, |track| track.id).ok().map(|position| position as u32)
    }
}

/// A network that an earlier system of this run has trained.
type Trained = Option<Arc<SegmentEmbedder>>;

/// Trains the network, unless an earlier system has.
fn embedder(
    library: &Library<'_>,
    settings: &NeuralSettings,
    (noise, impulses): &(NoiseBank, ImpulseBank),
    trained: &mut Trained,
    tell: Tell<'_>,
) -> Result<Arc<SegmentEmbedder>, Failure> {
    if trained.is_none() {
        *trained = Some(Arc::new(SegmentEmbedder::train(library, noise, impulses, settings, 1, tell)?));
    }
    trained.clone().ok_or_else(|| "no network".into())
}

fn measure(
    name: &str,
    arguments: &Arguments,
    music: &Music,
    trained: &mut Trained,
    rows: &mut Vec<String>,
) -> Result<(), Failure> {
    let library = Library { catalogue: &music.library, sound: &music.sound, split: arguments.split()? };
    let clock = Instant::now();
    let told = std::sync::Mutex::new(String::new());
    let tell = |phase: &str, part: f32| {
        let line = format!("{phase} {:.0} %", 10.0 * (10.0 * part).floor());
        let mut told = told.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
        if *told != line {
            eprintln!("{name}: {line}, {:.0} s", clock.elapsed().as_secs_f32());
            *told = line;
        }
    };
    let banks = || arguments.banks(8_000).map(|[training, _]| training);
    match name {
        "regression" | "regression-8k" => {
            let mut settings: RegressionSettings = arguments.settings()?;
            if name == "regression-8k" {
                settings.mfcc = MfccSettings::at_8_khz();
            }
            let system = FlatRegression::fit(&library, settings, 1, &tell)?;
            let seconds = clock.elapsed().as_secs_f32();
            eprintln!("{name}: loss {:.3} nats a window", system.training_loss());
            report(name, &system, seconds, arguments, music, rows)?;
            let float =
                |_: Option<u32>, samples: &[f32]| (system.answer_in_floating_point(samples).unwrap_or(NOTHING), None);
            table(&format!("{name}-float"), &system, &float, seconds, arguments, music, rows)?;
            encrypted(name, &system, arguments, music)
        }
        "tree" => {
            let system = DecisionTree::fit(&library, arguments.settings::<TreeSettings>()?, &tell)?;
            report(name, &system, clock.elapsed().as_secs_f32(), arguments, music, rows)
        }
        "landmarks" => {
            let system = Landmarks::fit(&library, arguments.settings::<LandmarkSettings>()?, &tell)?;
            let seconds = clock.elapsed().as_secs_f32();
            eprintln!("{name}: {:.1} MB", system.bytes() as f64 / 1e6);
            report(name, &system, seconds, arguments, music, rows)
        }
        "neural" => {
            let settings: NeuralSettings = arguments.settings()?;
            let embedder = embedder(&library, &settings, &banks()?, trained, &tell)?;
            let system = NeuralFingerprint::index(&library, embedder, &settings, 1, &tell)?;
            let seconds = clock.elapsed().as_secs_f32();
            eprintln!("{name}: {:.1} MB", system.bytes() as f64 / 1e6);
            report("neural-sequence", &system.with_search(SegmentSearch::Sequence), seconds, arguments, music, rows)?;
            report("neural-vote", &system.with_search(SegmentSearch::Vote), seconds, arguments, music, rows)
        }
        "centroid" => {
            let settings: CentroidSettings = arguments.settings()?;
            let banks = banks()?;
            let embedder = embedder(&library, &settings.neural, &banks, trained, &tell)?;
            let system = CentroidRouting::divide(&library, embedder, &banks.0, &banks.1, &settings, 1, &tell)?;
            let mut sizes = system.cluster_sizes();
            sizes.sort_unstable();
            eprintln!("{name}: clusters of {sizes:?}");
            let seconds = clock.elapsed().as_secs_f32();
            report(name, &system, seconds, arguments, music, rows)?;
            let route = |position: Option<u32>, samples: &[f32]| {
                let right = position.is_some_and(|p| system.routes_to(p, samples).unwrap_or(false));
                (Answer { tracks: position.filter(|_| right).into_iter().collect(), known: right }, None)
            };
            table("centroid: right cluster", &system, &route, seconds, arguments, music, rows)
        }
        other => Err(format!("{other}: expected some of {SYSTEMS}").into()),
    }
}

/// What is said of a clip that cannot be used.
const NOTHING: Answer = Answer { tracks: Vec::new(), known: false };

/// Asks the system what it answers.
fn report(
    name: &str,
    system: &dyn Baseline,
    fit_seconds: f32,
    arguments: &Arguments,
    music: &Music,
    rows: &mut Vec<String>,
) -> Result<(), Failure> {
    let ask = |_: Option<u32>, samples: &[f32]| system.locate(samples).unwrap_or((NOTHING, None));
    table(name, system, &ask, fit_seconds, arguments, music, rows)?;
    if system.rate() != 8_000 && arguments.get("aligned", "no") == "yes" {
        aligned(name, system, arguments, music, rows)?;
    }
    Ok(())
}

type Ask<'a> = &'a (dyn Fn(Option<u32>, &[f32]) -> (Answer, Option<f32>) + Sync);

/// One row a condition. `ask` gets the right track's position and the clip.
fn table(
    name: &str,
    system: &dyn Baseline,
    ask: Ask<'_>,
    fit_seconds: f32,
    arguments: &Arguments,
    music: &Music,
    rows: &mut Vec<String>,
) -> Result<(), Failure> {
    let rate = system.rate();
    // Queries are cut at the system's own rate; the other fields only say where training frames lie.
    let spec = FeatureSpec { sample_rate: rate, ..FeatureSpec::default() };
    let [_, (noise, impulses)] = arguments.banks(rate)?;
    let conditions = arguments.get("conditions", "clean,10dB,5dB,0dB,5dB+reverb").split(',');
    let conditions = conditions.map(str::parse).collect::<Result<Vec<Condition>, _>>()?;
    let (seconds, crops) = (arguments.number("seconds", 10.0)?, arguments.number("crops", 1)?);
    let asked = QuerySpec { seconds, conditions, crops, split: arguments.split()?, seed: 99 };
    let heard = |catalogue: &Catalogue| {
        let queries = QuerySet::new(catalogue, &spec, &asked, &noise, &impulses, music.sound.clone())?;
        let (answers, rejected) = queries.map(|query| {
            let position = music.position(query.id);
            let clock = Instant::now();
            let (answer, offset) = ask(position, &query.samples);
            let took = clock.elapsed().as_secs_f64();
            let placed = offset.is_some_and(|at| (at - query.offset as f32 / rate as f32).abs() <= 0.5);
            let right = position.is_some() && answer.tracks.first().copied() == position;
            (query.condition, position, answer, placed && right, offset.is_some(), took)
        });
        rejected.iter().for_each(|entry| eprintln!("{}: {}", entry.source, entry.reason));
        Ok::<_, Failure>(answers)
    };
    let (known, strange) = (heard(&music.asked)?, heard(&music.strangers)?);
    for (index, condition) in asked.conditions.iter().enumerate() {
        let of: Vec<_> = known.iter().chain(&strange).filter(|asked| asked.0 == index).collect();
        let answers: Vec<Answer> = of.iter().map(|asked| asked.2.clone()).collect();
        let truths: Vec<Option<u32>> = of.iter().map(|asked| asked.1).collect();
        let accuracy = Accuracy::of(&answers, &truths)?;
        let placed = of.iter().filter(|asked| asked.3).count() as f32 / accuracy.known_queries.max(1) as f32;
        let places = of.iter().any(|asked| asked.4);
        let milliseconds = 1e3 * of.iter().map(|asked| asked.5).sum::<f64>() / of.len().max(1) as f64;
        let heard = arguments.number("train", 0.0f32)?;
        let row =
            Row { name, heard, seconds, condition: &condition.to_string(), accuracy, places, placed, milliseconds };
        row.push(system, fit_seconds, music, rows);
    }
    Ok(())
}

/// The first 15 s of every track that is asked about, as training heard them.
fn aligned(
    name: &str,
    system: &dyn Baseline,
    arguments: &Arguments,
    music: &Music,
    rows: &mut Vec<String>,
) -> Result<(), Failure> {
    const SECONDS: f32 = 15.0;
    let clock = Instant::now();
    let mut answers = Vec::new();
    let mut truths = Vec::new();
    for track in &music.asked.tracks {
        let samples = track.samples(system.rate(), &music.sound)?.data;
        let length = ((SECONDS * system.rate() as f32) as usize).min(samples.len());
        answers.push(system.answer(&samples[..length])?);
        truths.push(music.position(track.id));
    }
    let accuracy = Accuracy::of(&answers, &truths)?;
    let milliseconds = 1e3 * clock.elapsed().as_secs_f64() / answers.len().max(1) as f64;
    let heard = arguments.number("train", 0.0f32)?;
    let (seconds, condition, places, placed) = (SECONDS, "aligned", false, 0.0);
    Row { name, heard, seconds, condition, accuracy, places, placed, milliseconds }.push(system, 0.0, music, rows);
    Ok(())
}

struct Row<'a> {
    name: &'a str,
    heard: f32,
    seconds: f32,
    condition: &'a str,
    accuracy: Accuracy,
    places: bool,
    placed: f32,
    milliseconds: f64,
}

impl Row<'_> {
    fn push(&self, system: &dyn Baseline, fit_seconds: f32, music: &Music, rows: &mut Vec<String>) {
        let (a, privacy) = (&self.accuracy, system.privacy());
        let heard = if self.heard > 0.0 { self.heard.to_string() } else { "all".into() };
        let placed = if self.places { format!("{:.4}", self.placed) } else { String::new() };
        let mut row = format!("{},{},{},{heard},{}", self.name, music.library.tracks.len(), music.real, self.seconds);
        // Writing to a string cannot fail.
        let _ = write!(
            row,
            ",{},{},{:.4},{:.4},{:.4},{:.4},{placed},{},{:.4},{fit_seconds:.1},{:.2},\"{}\",\"{}\"",
            self.condition,
            a.known_queries,
            a.top_1,
            a.top_3,
            a.named,
            a.misnamed,
            a.unknown_queries,
            a.rejected,
            self.milliseconds,
            privacy.server_learns,
            privacy.client_learns
        );
        println!("{row}");
        rows.push(row);
    }
}

/// Names clips under encryption and compares every score with the clear integers.
fn encrypted(name: &str, system: &FlatRegression, arguments: &Arguments, music: &Music) -> Result<(), Failure> {
    let clips: usize = arguments.number("encrypted", 0)?;
    if clips == 0 {
        return Ok(());
    }
    let key = SecretKey::generate(&params::STANDARD);
    let mut protocol = EncryptedRegression::new(system, key, &params::STANDARD)?;
    println!("# {name}, encrypted: {:.1} MB of prepared weights", protocol.weight_bytes() as f64 / 1e6);
    println!("clip,windows,wrong_scores,same_answer,encrypt_s,server_s,decrypt_s,bytes_up,bytes_down");
    let of = &music.asked.tracks;
    let length = (arguments.number("seconds", 10.0f32)? * system.rate() as f32) as usize;
    for i in 0..clips.min(of.len()) {
        let samples = of[i * of.len() / clips.min(of.len())].samples(system.rate(), &music.sound)?.data;
        let clip = &samples[samples.len() - length.min(samples.len())..];
        let found = protocol.answer(clip)?;
        println!(
            "{i},{},{},{},{:.4},{:.4},{:.4},{},{}",
            found.windows,
            found.wrong_scores,
            found.answer == system.answer(clip)?,
            found.encrypt.as_secs_f64(),
            found.server.as_secs_f64(),
            found.decrypt.as_secs_f64(),
            found.up,
            found.down
        );
    }
    Ok(())
}
