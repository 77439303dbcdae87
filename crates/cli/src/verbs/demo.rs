//! `sordino demo`: everything in one go, on composed music or on a folder.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Instant;

use anyhow::Context as _;
use clap::Args;
use serde::Serialize;
use sordino_corpus::{
    Catalogue, Condition, Holdout, IndexOptions, MelTable, Query, QuerySet, QuerySpec, SoundOptions, Track, folder,
    index, split_unknown, synth,
};
use sordino_fhe::{ClientKey, EvaluationKey, SecretKey, params};
use sordino_front::FeatureSpec;
use sordino_learn::TrainConfig;
use sordino_model::{Decider, Protocol};
use sordino_service::Server;

use crate::disturbances::DisturbanceArgs;
use crate::hear::{Identified, Listener, human};
use crate::keys;
use crate::library::MOST_COMPOSED;
use crate::report::{self, note, say};
use crate::verbs::train::{self, EffortArg, SettingArgs};

/// Clips asked about: from the library, and from outside it.
const KNOWN: usize = 5;
const UNKNOWN: usize = 2;

/// Signal-to-noise ratio of the clips in dB.
const SNR_DB: f32 = 5.0;

/// Fewest tracks for which clusters make sense.
const FEWEST: usize = 8;

/// Compose (or read) a library, index it, train, and identify noisy clips encrypted, in every protocol.
#[derive(Args)]
#[command(after_help = "Examples:\n  sordino demo\n  sordino demo --music ~/Music --out runs/mine")]
pub(crate) struct Demo {
    /// A folder of music instead of composed tracks.
    #[arg(long, value_name = "DIR")]
    music: Option<PathBuf>,
    /// Composed tracks in the library, without --music.
    #[arg(
        long,
        default_value_t = 200,
        value_name = "N",
        conflicts_with = "music",
        value_parser = clap::value_parser!(u32).range(..=MOST_COMPOSED)
    )]
    tracks: u32,
    /// Folder that keeps the index, the model, the keys and the clips; a temporary one without it.
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
    /// Seed of the music, the split and the queries.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    #[command(flatten)]
    disturbances: DisturbanceArgs,
}

#[derive(Serialize)]
struct Outcome {
    tracks: usize,
    seconds: Vec<(&'static str, f64)>,
    answers: Vec<Asked>,
    right: usize,
    asked: usize,
}

#[derive(Serialize)]
struct Asked {
    protocol: &'static str,
    expected: Option<u32>,
    right: bool,
    #[serde(flatten)]
    answer: Identified,
}

impl Demo {
    pub(crate) fn run(self, json: bool) -> anyhow::Result<()> {
        let mut clock = Clock::default();
        let temporary = tempfile::tempdir()?;
        let home = self.out.clone().unwrap_or_else(|| temporary.path().to_path_buf());
        let spec = FeatureSpec::default();

        let (library, strangers) = self.catalogues()?;
        let bar = report::bar(library.tracks.len() as u64, "indexing");
        let done = index::build(&library, &spec, &home.join("index"), &IndexOptions::for_spec(&spec), &bar)?;
        bar.finish_and_clear();
        for entry in &done.rejected {
            note!("left out: {}: {}", entry.source, entry.reason);
        }
        let table = MelTable::open(&home.join("index"))?;
        anyhow::ensure!(
            table.len() >= FEWEST,
            "{} usable tracks, expected at least {FEWEST}; point --music at a larger folder",
            table.len()
        );
        clock.lap("index");

        let (training, hearing) = self.disturbances.load(spec.sample_rate)?;
        // So that it can show every protocol.
        let config = TrainConfig { public_routing: true, ..SettingArgs::new(EffortArg::Quick).config()? };
        let (model, _) = train::train(&table, &training, &config, None)?;
        let settings = toml::to_string_pretty(&config)?;
        let (client, server) = train::export(&model, None, &table, &home.join("model"), &self.source(), settings)?;
        clock.lap("train");

        let conditions = vec![Condition::noise(SNR_DB)];
        let questions = QuerySpec::new(spec.query_seconds, conditions, self.seed);
        let known = spread(&table.catalogue(), KNOWN);
        let mut clips = Vec::new();
        for (catalogue, inside) in [(&known, true), (&strangers, false)] {
            let sound = SoundOptions::default();
            let set = QuerySet::new(catalogue, &spec, &questions, &hearing.noise, &hearing.impulses, sound)?;
            let (queries, refused) = set.map(|query| query);
            refused.iter().for_each(|entry| note!("not asked: {}: {}", entry.source, entry.reason));
            clips.extend(queries.into_iter().map(|query| (catalogue.tracks[query.position].clone(), inside, query)));
        }
        clock.lap("queries");

        let secret = home.join("client.key");
        let key = Arc::new(match secret.try_exists()? {
            true => SecretKey::load(&secret)?,
            false => SecretKey::generate(&params::STANDARD),
        });
        clock.lap("keygen");
        let mut answers = Vec::new();
        let evaluation = keys::evaluation_key(&key, false);
        clock.lap("evaluation key");
        let kept = self.out.as_ref().map(|_| keep(&home, spec.sample_rate, &key, &evaluation, &clips)).transpose()?;
        let client = Arc::new(client);
        for protocol in Protocol::ALL.into_iter().filter(|&protocol| client.speaks(protocol).is_ok()) {
            let protocol = protocol.suited(server.hierarchy().shape());
            let (name, host) = (protocol.name(), Server::new(&server, protocol, &params::STANDARD)?);
            let key = match protocol.decider() {
                Decider::Client => key.clone().into(),
                Decider::Server => ClientKey::registered(key.clone(), host.register(evaluation.expand())?),
            };
            let mut listener = Listener::new(client.clone(), &home.join("model"), key, &host)?;
            if !json {
                say!("\n{name}: {KNOWN} clips of the library and {UNKNOWN} from outside it, at {SNR_DB} dB SNR");
            }
            for (track, inside, query) in &clips {
                let whose = if *inside { "in the library" } else { "not in the library" };
                let clip = format!("10 s of \"{}\" ({whose})", track.title);
                let answer = listener.samples(clip, &query.samples)?;
                let best = answer.best.first().map(|m| m.track_id);
                let right = if *inside { answer.known && best == Some(track.id) } else { !answer.known };
                if !json {
                    human(if right { "  right " } else { "  WRONG " }, &answer);
                    report::heard()?;
                }
                answers.push(Asked { protocol: name, expected: inside.then_some(track.id), right, answer });
            }
            clock.lap(name);
        }
        let right = answers.iter().filter(|a| a.right).count();
        let asked = answers.len();
        let outcome = Outcome { tracks: table.len(), seconds: clock.laps, answers, right, asked };
        report::print(json, &outcome, |o| {
            let laps: Vec<String> = o.seconds.iter().map(|(what, s)| format!("{what} {s:.1} s")).collect();
            say!("\n{} of {} right; {} tracks; {}", o.right, o.asked, o.tracks, laps.join(", "));
            match (&self.out, &kept) {
                (Some(out), Some(clip)) => {
                    let at = |name: &str| out.join(name).display().to_string();
                    say!("index, model, keys and clips are in {}; go on with", out.display());
                    say!("  sordino identify {} {} --key {}", at("model"), clip.display(), at("client.key"));
                    say!("  sordino serve {}", at("model"));
                }
                _ => say!("nothing is kept; `sordino demo --out runs/demo` keeps all of it"),
            }
        })
    }

    /// The library, and the tracks kept out of it.
    fn catalogues(&self) -> anyhow::Result<(Catalogue, Catalogue)> {
        let all = match &self.music {
            Some(music) => folder::load(music)?,
            None => synth::catalogue(self.tracks + UNKNOWN as u32, self.seed),
        };
        for entry in &all.rejected {
            note!("left out: {}: {}", entry.source, entry.reason);
        }
        anyhow::ensure!(
            all.tracks.len() >= FEWEST + UNKNOWN,
            "{} tracks found, expected at least {}",
            all.tracks.len(),
            FEWEST + UNKNOWN
        );
        Ok(split_unknown(&all, Holdout::Count(UNKNOWN), self.seed)?)
    }

    fn source(&self) -> String {
        match &self.music {
            Some(_) => "a folder of music".into(),
            None => format!("{} tracks composed from seed {}", self.tracks, self.seed),
        }
    }
}

/// Keeps the keys and the clips that are asked about; returns the path of the first clip.
fn keep(
    home: &Path,
    rate: u32,
    key: &SecretKey,
    evaluation: &EvaluationKey,
    clips: &[(Track, bool, Query)],
) -> anyhow::Result<PathBuf> {
    let (secret, public) = (home.join("client.key"), home.join("client.eval"));
    if !secret.try_exists()? {
        key.save(&secret)?;
    }
    if !public.try_exists()? {
        evaluation.save(&public)?;
    }
    let folder = home.join("clips");
    std::fs::create_dir_all(&folder).with_context(|| format!("cannot make {}", folder.display()))?;
    let path =
        |number: usize, inside: bool| folder.join(format!("{}-{number}.wav", if inside { "known" } else { "unknown" }));
    for (number, (_, inside, query)) in (1..).zip(clips) {
        synth::write_wav(&path(number, *inside), &query.samples, rate)?;
    }
    Ok(path(1, true))
}

/// `count` tracks spread evenly over a catalogue.
fn spread(catalogue: &Catalogue, count: usize) -> Catalogue {
    let total = catalogue.tracks.len();
    let positions: Vec<usize> = (0..count.min(total)).map(|i| (2 * i + 1) * total / (2 * count.min(total))).collect();
    catalogue.select(&positions)
}

/// Seconds since the last lap.
struct Clock {
    last: Instant,
    laps: Vec<(&'static str, f64)>,
}

impl Default for Clock {
    fn default() -> Self {
        Self { last: Instant::now(), laps: Vec::new() }
    }
}

impl Clock {
    fn lap(&mut self, what: &'static str) {
        self.laps.push((what, self.last.elapsed().as_secs_f64()));
        self.last = Instant::now();
    }
}
