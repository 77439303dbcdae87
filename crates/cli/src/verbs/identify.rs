//! `sordino identify`: names clips, encrypted.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use clap::Args;
use serde::Serialize;
use sordino_audio::{DecodeLimits, decode_file};
use sordino_fhe::{EvaluationKey, OneTripPlan, Plan, SecretKey, ServerKey, params};
use sordino_model::{ClientModel, Crop, Protocol, ServerModel, load_pair};
use sordino_service::{Client, Server, Trip, one_trip};

use crate::calibration::Calibration;
use crate::protocol::{Choice, ProtocolArgs};
use crate::report::{self, note};

/// Name one or several clips without the server learning anything. Client and server run in this process, but they speak in
/// serialised messages: the bytes are real.
#[derive(Args)]
#[command(after_help = "Examples:\n  sordino identify models/mine clip.mp3\n  \
    sordino identify models/mine clip.mp3 --protocol one-trip --answers 3 --resolution fine\n  \
    sordino identify models/mine a.wav b.ogg --protocol flat --key runs/client.key --json")]
pub(crate) struct Identify {
    /// Model folder.
    model: PathBuf,
    /// Audio files.
    #[arg(required = true, value_name = "FILE")]
    clips: Vec<PathBuf>,
    #[command(flatten)]
    protocol: ProtocolArgs,
    /// The client's secret key (`sordino keygen`); a fresh one is drawn without it.
    #[arg(long, value_name = "FILE")]
    key: Option<PathBuf>,
    /// The client's evaluation key for one-trip (`sordino keygen --evaluation`); made from the secret key without it.
    #[arg(long, value_name = "FILE")]
    evaluation_key: Option<PathBuf>,
    /// Where in a longer clip the query starts, in seconds; the middle without it.
    #[arg(long, value_name = "S")]
    at: Option<f32>,
}

/// One clip's answer.
#[derive(Serialize)]
pub(crate) struct Identified {
    pub(crate) clip: String,
    pub(crate) known: bool,
    pub(crate) best: Vec<Match>,
    pub(crate) seconds: Phases,
    pub(crate) bytes_up: usize,
    pub(crate) bytes_down: usize,
}

/// A track and its score.
#[derive(Serialize)]
pub(crate) struct Match {
    pub(crate) track_id: u32,
    pub(crate) artist: String,
    pub(crate) title: String,
    /// Where the client sees it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) score: Option<i64>,
}

/// Seconds per phase.
#[derive(Serialize)]
pub(crate) struct Phases {
    pub(crate) features: f64,
    pub(crate) encrypt: f64,
    pub(crate) server: f64,
    /// What the server was expected to take, from the timings that `calibrate` kept.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) server_predicted: Option<f64>,
    pub(crate) decrypt: f64,
}

#[derive(Serialize)]
struct Failed {
    clip: String,
    error: String,
}

#[derive(Serialize)]
struct Outcome {
    identified: Vec<Identified>,
    failed: Vec<Failed>,
}

impl Identify {
    pub(crate) fn run(self, json: bool) -> anyhow::Result<()> {
        let (client, server) = load_pair(&self.model)?;
        let key = match &self.key {
            Some(path) => SecretKey::load(path)?,
            None => SecretKey::generate(&params::STANDARD),
        };
        let choice = self.protocol.choice();
        let host = Host::new(&server, choice)?;
        if let Host::Decides(server) = &host {
            server.register(match &self.evaluation_key {
                Some(path) => ServerKey::load(path)?,
                None => evaluation_key(&key).expand(),
            });
        }
        let crop = self.at.map_or(Crop::Middle, Crop::At);
        let mut session = Session::new(&client, &host, &key, choice)?;
        let (mut identified, mut failed) = (Vec::new(), Vec::new());
        for clip in &self.clips {
            match session.file(clip, crop) {
                Ok(answer) => {
                    if !json {
                        human(&answer);
                    }
                    identified.push(answer);
                }
                Err(error) => {
                    note!("{}: {error:#}", clip.display());
                    failed.push(Failed { clip: clip.display().to_string(), error: format!("{error:#}") });
                }
            }
        }
        let (done, all) = (identified.len(), self.clips.len());
        if json {
            report::print(true, &Outcome { identified, failed }, |_| ())?;
        }
        anyhow::ensure!(done == all, "{} of {all} clips could not be read", all - done);
        Ok(())
    }
}

/// Generates the evaluation key of a secret key, with a progress bar.
pub(crate) fn evaluation_key(key: &SecretKey) -> EvaluationKey {
    const STEPS: f64 = 1_000.0;
    let bar = report::bar(STEPS as u64, "evaluation key");
    let evaluation = EvaluationKey::generate(key, |fraction| bar.set_position((fraction * STEPS) as u64));
    bar.finish_and_clear();
    evaluation
}

/// A server in this process.
pub(crate) enum Host {
    /// It returns scores.
    Scores(Server),
    /// It decides.
    Decides(one_trip::Server),
}

impl Host {
    pub(crate) fn new(model: &ServerModel, choice: Choice) -> anyhow::Result<Self> {
        let parameters = &params::STANDARD;
        Ok(match choice {
            Choice::Client(protocol) => Self::Scores(Server::new(model, protocol, parameters)?),
            Choice::Server(options) => Self::Decides(one_trip::Server::new(model, options, parameters)?),
        })
    }

    /// How long the server takes on this machine, if `calibrate` has been run.
    fn predict(&self, client: &ClientModel, choice: Choice) -> anyhow::Result<Option<Duration>> {
        let (Some(calibration), threads) = (Calibration::load(), rayon::current_num_threads()) else { return Ok(None) };
        Ok(Some(match self {
            Self::Scores(server) => {
                let flat = matches!(choice, Choice::Client(Protocol::Flat));
                let outline = if flat { client.flat() } else { client.hierarchy() };
                calibration.trips(&Plan::from_bytes(&server.plan())?, outline.shape(), threads)?
            }
            Self::Decides(server) => {
                let plan = OneTripPlan::from_bytes(&server.plan())?;
                calibration.decided(&plan, client.hierarchy().shape(), threads)?
            }
        }))
    }
}

/// A client of a server in this process. Messages between them are bytes.
pub(crate) struct Session<'a> {
    model: &'a ClientModel,
    ends: Ends<'a>,
    predicted: Option<Duration>,
}

enum Ends<'a> {
    Scores(Client<'a>, &'a Server),
    Decides(one_trip::Client<'a>, &'a one_trip::Server),
}

/// What a query gave, whoever decided.
pub(crate) struct Named {
    /// Labels, the best first, with their scores where the client sees them.
    best: Vec<(usize, Option<i64>)>,
    known: bool,
    trips: Vec<Trip>,
}

impl<'a> Session<'a> {
    pub(crate) fn new(
        model: &'a ClientModel,
        host: &'a Host,
        key: &'a SecretKey,
        choice: Choice,
    ) -> anyhow::Result<Self> {
        let ends = match (host, choice) {
            (Host::Scores(server), Choice::Client(protocol)) => {
                Ends::Scores(Client::new(model, key, protocol, &server.plan())?, server)
            }
            (Host::Decides(server), _) => Ends::Decides(one_trip::Client::new(model, key, &server.plan())?, server),
            (Host::Scores(_), Choice::Server(_)) => anyhow::bail!("the server was prepared for another protocol"),
        };
        Ok(Self { model, ends, predicted: host.predict(model, choice)? })
    }

    fn file(&mut self, path: &Path, crop: Crop) -> anyhow::Result<Identified> {
        let start = Instant::now();
        let rate = self.model.front().spec().sample_rate;
        let samples = decode_file(path, rate, &DecodeLimits::default())?;
        let features = self.model.front().features_at(&samples.data, crop)?;
        let front = start.elapsed();
        let named = self.ask(&features)?;
        Ok(self.describe(path.display().to_string(), front, &named))
    }

    /// Identifies samples at the model's rate.
    pub(crate) fn samples(&mut self, name: String, samples: &[f32]) -> anyhow::Result<Identified> {
        let start = Instant::now();
        let features = self.model.front().features(samples)?;
        let front = start.elapsed();
        let named = self.ask(&features)?;
        Ok(self.describe(name, front, &named))
    }

    /// Identifies base features.
    fn ask(&mut self, features: &[f32]) -> anyhow::Result<Named> {
        Ok(match &mut self.ends {
            Ends::Scores(client, server) => {
                let answer = client.identify(features, &mut |trip, query| server.answer(trip, query))?;
                let best = answer.ranking.0.iter().take(3).map(|ranked| (ranked.label, Some(ranked.score)));
                Named { best: best.collect(), known: answer.ranking.known().is_some(), trips: answer.trips }
            }
            Ends::Decides(client, server) => {
                let verdict = client.identify(features, &mut |query| server.answer(query))?;
                let known = !verdict.labels.is_empty();
                let best = verdict.labels.into_iter().map(|label| (label, None)).collect();
                Named { best, known, trips: vec![verdict.trip] }
            }
        })
    }

    fn describe(&self, clip: String, front: Duration, answer: &Named) -> Identified {
        let best = answer.best.iter().map(|&(label, score)| {
            let label = &self.model.labels()[label];
            let (artist, title) = (label.artist.clone(), label.title.clone());
            Match { track_id: label.track_id, artist, title, score }
        });
        let sum = |phase: fn(&Trip) -> Duration| answer.trips.iter().map(phase).sum::<Duration>().as_secs_f64();
        Identified {
            clip,
            known: answer.known,
            best: best.collect(),
            seconds: Phases {
                features: front.as_secs_f64(),
                encrypt: sum(|t| t.encrypt),
                server: sum(|t| t.wait),
                server_predicted: self.predicted.map(|time| time.as_secs_f64()),
                decrypt: sum(|t| t.decrypt),
            },
            bytes_up: answer.trips.iter().map(|t| t.up).sum(),
            bytes_down: answer.trips.iter().map(|t| t.down).sum(),
        }
    }
}

/// Prints one answer.
pub(crate) fn human(answer: &Identified) {
    let name = |m: &Match| if m.artist.is_empty() { m.title.clone() } else { format!("{} - {}", m.artist, m.title) };
    let score = |m: &Match| m.score.map(|score| format!(", score {score}")).unwrap_or_default();
    match answer.best.first() {
        Some(best) if answer.known => {
            println!("{}: {} (track {}{})", answer.clip, name(best), best.track_id, score(best));
        }
        Some(best) => println!("{}: unknown (nearest {}{})", answer.clip, name(best), score(best)),
        None => println!("{}: unknown", answer.clip),
    }
    for (place, other) in answer.best.iter().enumerate().skip(1).filter(|_| answer.known) {
        println!("    {}. {} (track {}{})", place + 1, name(other), other.track_id, score(other));
    }
    let time = |s: f64| report::seconds(Duration::from_secs_f64(s));
    let Phases { features, encrypt, server, server_predicted, decrypt } = &answer.seconds;
    let predicted = server_predicted.map(|s| format!(" (predicted {})", time(s))).unwrap_or_default();
    println!(
        "    features {}, encrypt {}, server {}{predicted}, decrypt {}; {} up, {} down",
        time(*features),
        time(*encrypt),
        time(*server),
        time(*decrypt),
        report::bytes(answer.bytes_up as u64),
        report::bytes(answer.bytes_down as u64)
    );
}
