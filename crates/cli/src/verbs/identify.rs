//! `sordino identify`: names clips, encrypted.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use clap::Args;
use serde::Serialize;
use sordino_audio::{DecodeLimits, decode_file};
use sordino_fhe::{SecretKey, params};
use sordino_model::{ClientModel, Crop, Protocol, load_pair};
use sordino_service::{Answer, Client, Server};

use crate::protocol::ProtocolArgs;
use crate::report::{self, note};

/// Name one or several clips without the server learning anything. Client and server run in this process, but they speak in
/// serialised messages: the bytes are real.
#[derive(Args)]
#[command(after_help = "Examples:\n  sordino identify models/mine clip.mp3\n  \
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
    pub(crate) score: i64,
}

/// Seconds per phase.
#[derive(Serialize)]
pub(crate) struct Phases {
    pub(crate) features: f64,
    pub(crate) encrypt: f64,
    pub(crate) server: f64,
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
        let protocol = self.protocol.protocol();
        let server = Server::new(&server, protocol, key.parameters())?;
        let crop = self.at.map_or(Crop::Middle, Crop::At);
        let mut session = Session::new(&client, &server, &key, protocol)?;
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

/// A client and a server in one process.
pub(crate) struct Session<'a> {
    model: &'a ClientModel,
    server: &'a Server,
    client: Client<'a>,
}

impl<'a> Session<'a> {
    pub(crate) fn new(
        model: &'a ClientModel,
        server: &'a Server,
        key: &'a SecretKey,
        protocol: Protocol,
    ) -> anyhow::Result<Self> {
        Ok(Self { model, server, client: Client::new(model, key, protocol, &server.plan())? })
    }

    fn file(&mut self, path: &Path, crop: Crop) -> anyhow::Result<Identified> {
        let start = Instant::now();
        let rate = self.model.front().spec().sample_rate;
        let samples = decode_file(path, rate, &DecodeLimits::default())?;
        let features = self.model.front().features_at(&samples.data, crop)?;
        let front = start.elapsed();
        let answer = self.ask(&features)?;
        Ok(self.describe(path.display().to_string(), front, &answer))
    }

    /// Identifies samples at the model's rate.
    pub(crate) fn samples(&mut self, name: String, samples: &[f32]) -> anyhow::Result<Identified> {
        let start = Instant::now();
        let features = self.model.front().features(samples)?;
        let front = start.elapsed();
        let answer = self.ask(&features)?;
        Ok(self.describe(name, front, &answer))
    }

    /// Identifies base features.
    pub(crate) fn ask(&mut self, features: &[f32]) -> anyhow::Result<Answer> {
        let server = self.server;
        Ok(self.client.identify(features, &mut |trip, query| server.answer(trip, query))?)
    }

    fn describe(&self, clip: String, front: Duration, answer: &Answer) -> Identified {
        let best = answer.ranking.0.iter().take(3).map(|ranked| {
            let label = &self.model.labels()[ranked.label];
            let (artist, title) = (label.artist.clone(), label.title.clone());
            Match { track_id: label.track_id, artist, title, score: ranked.score }
        });
        let sum = |phase: fn(&sordino_service::Trip) -> Duration| {
            answer.trips.iter().map(phase).sum::<Duration>().as_secs_f64()
        };
        Identified {
            clip,
            known: answer.ranking.known().is_some(),
            best: best.collect(),
            seconds: Phases {
                features: front.as_secs_f64(),
                encrypt: sum(|t| t.encrypt),
                server: sum(|t| t.wait),
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
    match answer.best.first() {
        Some(best) if answer.known => {
            println!("{}: {} (track {}, score {})", answer.clip, name(best), best.track_id, best.score);
        }
        Some(best) => println!("{}: unknown (nearest {}, score {})", answer.clip, name(best), best.score),
        None => println!("{}: unknown", answer.clip),
    }
    let time = |s: f64| report::seconds(Duration::from_secs_f64(s));
    let Phases { features, encrypt, server, decrypt } = &answer.seconds;
    println!(
        "    features {}, encrypt {}, server {}, decrypt {}; {} up, {} down",
        time(*features),
        time(*encrypt),
        time(*server),
        time(*decrypt),
        report::bytes(answer.bytes_up as u64),
        report::bytes(answer.bytes_down as u64)
    );
}
