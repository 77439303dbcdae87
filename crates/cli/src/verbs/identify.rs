//! `sordino identify`: names clips, encrypted.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use clap::Args;
use serde::Serialize;
use sordino_audio::{DecodeLimits, Samples, Window, decode_file, decode_stream, decode_window};
use sordino_fhe::{ClientKey, EvaluationKey, SecretKey, ServerKey, params};
use sordino_front::Crop;
use sordino_model::{ClientModel, Decider, load_pair};
use sordino_service::{Client, Exchange, Server, Trip, exchange};

use crate::calibration::Calibration;
use crate::protocol::{ProtocolArgs, clusters, too_many_probes};
use crate::report::{self, note, say};

/// Tracks that are shown where the client sees the scores of many.
const SHOWN: usize = 3;

/// Name one or several clips without the server learning anything. Client and server run in this process, but they speak in
/// serialised messages: the bytes are real.
#[derive(Args)]
#[command(after_help = "Examples:\n  sordino identify models/mine clip.mp3\n  \
    sordino identify models/mine clip.mp3 --protocol decided --answers 3 --resolution fine\n  \
    sordino identify models/mine a.wav b.ogg --protocol flat --key runs/client.key --json\n  \
    arecord -d 12 -f cd | sordino identify models/mine -")]
pub(crate) struct Identify {
    /// Model folder.
    model: PathBuf,
    /// Audio files; `-` is standard input.
    #[arg(required = true, value_name = "FILE")]
    clips: Vec<PathBuf>,
    #[command(flatten)]
    protocol: ProtocolArgs,
    /// The client's secret key (`sordino keygen`); a fresh one is drawn without it.
    #[arg(long, value_name = "FILE")]
    key: Option<PathBuf>,
    /// The client's evaluation key for decided (`sordino keygen --evaluation`); made from the secret key without it.
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
        let (client, model) = load_pair(&self.model)?;
        let (client, key) = (Arc::new(client), Arc::new(self.secret_key()?));
        let server = Server::new(&model, self.protocol.protocol()?, &params::STANDARD)?;
        // The two of `routed` may be more than there are where nobody asked for them.
        let (probes, clusters) = (server.protocol().probes(), clusters(model.hierarchy()));
        anyhow::ensure!(probes <= clusters.max(2), too_many_probes(probes, clusters));
        let key = match (server.protocol().decider(), &self.evaluation_key) {
            (Decider::Server, Some(path)) => {
                ClientKey::registered(key.clone(), server.register(self.server_key(path, &key)?)?)
            }
            (Decider::Server, None) => {
                ClientKey::registered(key.clone(), server.register(evaluation_key(&key).expand())?)
            }
            (Decider::Client, Some(path)) => anyhow::bail!(
                "{} has no use for the evaluation key {}: leave out --evaluation-key, or add --protocol decided",
                server.protocol().name(),
                path.display()
            ),
            (Decider::Client, None) => key.into(),
        };
        let crop = self.at.map_or(Crop::Middle, Crop::At);
        let mut listener = Listener::new(client, key, &server)?;
        let (mut identified, mut failed) = (Vec::new(), Vec::new());
        for clip in &self.clips {
            match listener.file(clip, crop) {
                Ok(answer) => {
                    if !json {
                        human("", &answer);
                        report::heard()?;
                    }
                    identified.push(answer);
                }
                Err(error) => {
                    let (clip, error) = (name(clip), report::sentence(&error));
                    note!("{clip}: {error}");
                    failed.push(Failed { clip, error });
                }
            }
        }
        let (done, all) = (identified.len(), self.clips.len());
        if json {
            report::print(true, &Outcome { identified, failed }, |_| ())?;
        }
        anyhow::ensure!(done == all, "{} of {all} clips could not be identified", all - done);
        Ok(())
    }

    fn secret_key(&self) -> anyhow::Result<SecretKey> {
        Ok(match &self.key {
            Some(path) => SecretKey::load(path)?,
            None => SecretKey::generate(&params::STANDARD),
        })
    }

    /// The evaluation key in a file, which must be that of `key`.
    fn server_key(&self, path: &Path, key: &SecretKey) -> anyhow::Result<ServerKey> {
        let loaded = ServerKey::load(path)?;
        if loaded.belongs_to(key) {
            return Ok(loaded);
        }
        let whose = match &self.key {
            Some(key) => {
                format!("of another secret key than {}; make another with `sordino keygen --key`", key.display())
            }
            None => "of a secret key that was not given; give it with --key".into(),
        };
        anyhow::bail!("{} is the evaluation key {whose}", path.display())
    }
}

/// The path that stands for standard input.
const STANDARD_INPUT: &str = "-";

/// What a clip is called.
fn name(clip: &Path) -> String {
    if clip == Path::new(STANDARD_INPUT) { "standard input".into() } else { clip.display().to_string() }
}

/// The sound of a clip.
fn samples(clip: &Path, rate: u32, limits: &DecodeLimits) -> anyhow::Result<Samples> {
    Ok(match clip == Path::new(STANDARD_INPUT) {
        true => decode_stream(std::io::stdin().lock(), rate, limits)?,
        false => decode_file(clip, rate, limits)?,
    })
}

/// Generates the evaluation key of a secret key, with a progress bar.
pub(crate) fn evaluation_key(key: &SecretKey) -> EvaluationKey {
    const STEPS: f64 = 1_000.0;
    let bar = report::bar(STEPS as u64, "evaluation key");
    let evaluation = EvaluationKey::generate(key, |fraction| bar.set_position((fraction * STEPS) as u64));
    bar.finish_and_clear();
    evaluation
}

/// A client of a server in this process. Messages between them are bytes.
pub(crate) struct Listener<'a> {
    client: Client,
    server: &'a Server,
    predicted: Option<Duration>,
}

impl<'a> Listener<'a> {
    pub(crate) fn new(model: Arc<ClientModel>, key: ClientKey, server: &'a Server) -> anyhow::Result<Self> {
        let shape = model.stages_for(server.protocol()).shape().clone();
        let predict = |c: Calibration| server.plan().predict(&shape, &c.timings, rayon::current_num_threads());
        let predicted = Calibration::load().map(predict).transpose()?;
        Ok(Self { client: Client::new(model, key, &server.hello())?, server, predicted })
    }

    fn file(&mut self, path: &Path, crop: Crop) -> anyhow::Result<Identified> {
        let start = Instant::now();
        let front = self.client.model().front();
        let spec = front.spec()?;
        let limits = DecodeLimits::for_spec(spec);
        let (samples, crop) = match crop {
            // Of a recording of hours, no more than the query is decoded; a little more, for the rounding of its length.
            Crop::At(start) if path != Path::new(STANDARD_INPUT) => {
                let window = Window { start_seconds: start.into(), seconds: spec.query_seconds + 0.1 };
                (decode_window(path, spec.sample_rate, window, &limits)?, Crop::At(0.0))
            }
            crop => (samples(path, spec.sample_rate, &limits)?, crop),
        };
        let features = front.features_at(&samples.data, crop)?;
        self.ask(name(path), start, &features)
    }

    /// Identifies samples at the model's rate.
    pub(crate) fn samples(&mut self, name: String, samples: &[f32]) -> anyhow::Result<Identified> {
        let start = Instant::now();
        let features = self.client.model().front().features(samples)?;
        self.ask(name, start, &features)
    }

    /// Identifies base features, on which somebody has worked since `start`.
    fn ask(&mut self, clip: String, start: Instant, features: &[f32]) -> anyhow::Result<Identified> {
        let front = start.elapsed();
        let done = exchange(&mut self.client, features, &mut |message| self.server.answer(message))?;
        Ok(self.describe(clip, front, &done))
    }

    fn describe(&self, clip: String, front: Duration, done: &Exchange) -> Identified {
        let best = done.answer.matches.iter().take(SHOWN).map(|found| {
            let label = &self.client.model().labels()[found.label];
            let (artist, title) = (label.artist.clone(), label.title.clone());
            Match { track_id: label.track_id, artist, title, score: found.score }
        });
        let sum = |phase: fn(&Trip) -> Duration| done.total(phase).as_secs_f64();
        let (bytes_up, bytes_down) = done.bytes();
        Identified {
            clip,
            known: done.answer.known,
            best: best.collect(),
            seconds: Phases {
                features: front.as_secs_f64(),
                encrypt: sum(|t| t.encrypt),
                server: sum(|t| t.wait),
                server_predicted: self.predicted.map(|time| time.as_secs_f64()),
                decrypt: sum(|t| t.decrypt),
            },
            bytes_up,
            bytes_down,
        }
    }
}

/// Prints one answer, `mark` before its first line.
pub(crate) fn human(mark: &str, answer: &Identified) {
    let name = |m: &Match| if m.artist.is_empty() { m.title.clone() } else { format!("{} - {}", m.artist, m.title) };
    let score = |m: &Match| m.score.map(|score| format!(", score {score}")).unwrap_or_default();
    match answer.best.first() {
        Some(best) if answer.known => {
            say!("{mark}{}: {} (track {}{})", answer.clip, name(best), best.track_id, score(best));
        }
        Some(best) => say!("{mark}{}: unknown (nearest {}{})", answer.clip, name(best), score(best)),
        None => say!("{mark}{}: unknown", answer.clip),
    }
    for (place, other) in answer.best.iter().enumerate().skip(1).filter(|_| answer.known) {
        say!("    {}. {} (track {}{})", place + 1, name(other), other.track_id, score(other));
    }
    let time = |s: f64| report::seconds(Duration::from_secs_f64(s));
    let Phases { features, encrypt, server, server_predicted, decrypt } = &answer.seconds;
    let predicted = server_predicted.map(|s| format!(" (predicted {})", time(s))).unwrap_or_default();
    say!(
        "    features {}, encrypt {}, server {}{predicted}, decrypt {}; {} up, {} down",
        time(*features),
        time(*encrypt),
        time(*server),
        time(*decrypt),
        report::bytes(answer.bytes_up as u64),
        report::bytes(answer.bytes_down as u64)
    );
}
