//! [`Listener`]: who asks, a server here or elsewhere, and what is shown of the answer.

use std::cell::Cell;
use std::collections::BTreeMap;
use std::fmt;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use serde::Serialize;
use sordino_audio::{AudioError, DecodeLimits, Samples, Window, decode_file, decode_stream, decode_window};
use sordino_fhe::ClientKey;
use sordino_front::{Crop, FeatureSpec};
use sordino_model::cost::WeightForm;
use sordino_model::{ClientModel, Evidence, Label, Protocol, SHARES, Shade, Verdict};
use sordino_service::{Client, Exchange, Server, Trip, exchange};

use crate::calibration::Calibration;
use crate::distant::Distant;
use crate::library::files_of;
use crate::report::{self, note, say};

/// Tracks that are shown where the client sees the scores of many.
const SHOWN: usize = 3;

/// Lengths of a query from which on a clip may well hold more than one song.
const LONG: f32 = 6.0;

/// The path that stands for standard input.
pub(crate) const STANDARD_INPUT: &str = "-";

/// One clip's answer.
#[derive(Serialize)]
pub(crate) struct Identified {
    pub(crate) clip: String,
    pub(crate) known: bool,
    /// Named, probably or unknown, and how often such an answer comes about wrongly.
    #[serde(flatten)]
    pub(crate) verdict: Verdict,
    /// What speaks for the best, where the client decides.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) evidence: Option<Evidence>,
    pub(crate) best: Vec<Match>,
    pub(crate) seconds: Phases,
    pub(crate) bytes_up: usize,
    pub(crate) bytes_down: usize,
    /// Whether a network lay in between.
    #[serde(skip)]
    distant: bool,
}

/// A track and its score.
#[derive(Clone, Serialize)]
pub(crate) struct Match {
    pub(crate) track_id: u32,
    pub(crate) artist: String,
    pub(crate) title: String,
    /// Where the client sees it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) score: Option<i64>,
    /// Where in the track, if the model says.
    #[serde(flatten)]
    pub(crate) passage: Option<Passage>,
    /// Where the track's sound lies, on the machine that holds the whole model.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) file: Option<String>,
    /// Other tracks of the same recording.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(crate) copies: Vec<Label>,
}

/// A part of a track.
#[derive(Clone, Copy, Serialize)]
pub(crate) struct Passage {
    pub(crate) from_seconds: f64,
    pub(crate) to_seconds: f64,
}

/// Seconds per phase.
#[derive(Serialize)]
pub(crate) struct Phases {
    pub(crate) features: f64,
    pub(crate) encrypt: f64,
    /// The server's work, and the network where there is one.
    pub(crate) server: f64,
    /// What the server was expected to take, from the timings that `calibrate` kept, or by its own word.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) server_predicted: Option<f64>,
    pub(crate) decrypt: f64,
}

/// A client, and whom it asks. Messages between them are bytes.
pub(crate) struct Listener<'a> {
    host: Host<'a>,
    predicted: Option<f64>,
    /// Where the sound of tracks lies, by their ids.
    files: BTreeMap<u32, String>,
}

/// Who answers.
enum Host<'a> {
    /// A server in this process.
    Here { client: Box<Client>, server: &'a Server },
    /// One at the other end of a network.
    There(Box<Distant<'a>>),
}

impl<'a> Listener<'a> {
    /// A client of a server in this process, which holds the model in `folder`.
    pub(crate) fn new(
        model: Arc<ClientModel>,
        folder: &Path,
        key: ClientKey,
        server: &'a Server,
    ) -> anyhow::Result<Self> {
        let shape = model.stages_for(server.protocol()).shape().clone();
        let predict = |c: Calibration| {
            server.plan().predict(&shape, &c.timings, rayon::current_num_threads(), WeightForm::default())
        };
        let predicted = Calibration::load().map(predict).transpose()?.map(|time| time.as_secs_f64());
        let client = Box::new(Client::new(model, key, &server.hello())?);
        Ok(Self { host: Host::Here { client, server }, predicted, files: files_of(folder) })
    }

    /// The client of a server at the other end of a network.
    pub(crate) fn distant(distant: Distant<'a>) -> Self {
        Self { predicted: distant.predicted, host: Host::There(distant.into()), files: BTreeMap::new() }
    }

    /// The same that refuses such a share of unknown songs.
    pub(crate) fn strict(mut self, refused: f32) -> anyhow::Result<Self> {
        match &mut self.host {
            Host::Here { client, .. } => client.accept(1.0 - refused)?,
            Host::There(distant) => distant.accept(1.0 - refused)?,
        }
        Ok(self)
    }

    fn model(&self) -> &ClientModel {
        match &self.host {
            Host::Here { client, .. } => client.model(),
            Host::There(distant) => distant.model(),
        }
    }

    fn protocol(&self) -> Protocol {
        match &self.host {
            Host::Here { server, .. } => server.protocol(),
            Host::There(distant) => distant.protocol(),
        }
    }

    /// What sound the model takes.
    pub(crate) fn spec(&self) -> anyhow::Result<FeatureSpec> {
        Ok(self.model().front().spec()?.clone())
    }

    /// Identifies a file, or standard input.
    pub(crate) fn file(&mut self, path: &Path, crop: Crop) -> anyhow::Result<Identified> {
        let start = Instant::now();
        let spec = self.spec()?;
        let limits = DecodeLimits::for_spec(&spec);
        let decoded = match crop {
            // Of a recording of hours, no more than the query is decoded; a little more, for the rounding of its length.
            Crop::At(start) if path != Path::new(STANDARD_INPUT) => {
                let window = Window { start_seconds: start.into(), seconds: spec.query_seconds + 0.1 };
                decode_window(path, spec.sample_rate, window, &limits).map(|samples| (samples, Crop::At(0.0)))
            }
            crop => samples(path, spec.sample_rate, &limits).map(|samples| (samples, crop)),
        };
        let (samples, crop) = decoded.map_err(lengthened)?;
        if crop == Crop::Middle && samples.seconds() > LONG * spec.query_seconds {
            let (asked, all) = (spec.query_seconds, report::clock(samples.seconds().into()));
            note!("{}: of {all}, the middle {asked} s are asked about; --windows asks about all of it", name(path));
        }
        self.ask(name(path), start, &samples.data, crop)
    }

    /// Identifies samples at the model's rate.
    pub(crate) fn samples(&mut self, name: String, samples: &[f32]) -> anyhow::Result<Identified> {
        self.ask(name, Instant::now(), samples, Crop::Middle)
    }

    /// Identifies samples, on which somebody has worked since `start`.
    fn ask(&mut self, clip: String, start: Instant, samples: &[f32], crop: Crop) -> anyhow::Result<Identified> {
        let (decoded, spec, took) = (start.elapsed(), self.spec()?, Cell::default());
        let protocol = self.protocol();
        let features = |model: &ClientModel| {
            let (start, sound) = (Instant::now(), model.front().spec()?);
            // A model may be swapped while it is asked.
            anyhow::ensure!(
                sound.sample_rate == spec.sample_rate && sound.query_seconds <= spec.query_seconds,
                "the server's model takes other sound by now; ask again"
            );
            let features = model.heard(protocol, samples, crop)?;
            took.set(start.elapsed());
            Ok(features)
        };
        let done = match &mut self.host {
            Host::Here { client, server } => {
                let features = features(client.model())?;
                exchange(client, &features, &mut |message| server.answer(message))?
            }
            Host::There(distant) => distant.ask(&features)?,
        };
        let front = decoded + took.get();
        Ok(self.describe(clip, front, &done))
    }

    fn describe(&self, clip: String, front: Duration, done: &Exchange) -> Identified {
        let answer = &done.answer;
        let label = |label: usize| &self.model().labels()[label];
        let verdict = self.model().verdict(self.protocol(), answer);
        let best = answer.matches.iter().take(SHOWN).map(|found| {
            let Label { track_id, artist, title, .. } = label(found.label).clone();
            let passage = self.model().passage(found).map(|passage| Passage {
                from_seconds: passage.start.as_secs_f64(),
                to_seconds: passage.end.as_secs_f64(),
            });
            let copies = self.model().copies(found.label).map(|copy| label(copy).clone()).collect();
            let file = self.files.get(&track_id).cloned();
            Match { track_id, artist, title, score: found.score, passage, file, copies }
        });
        let sum = |phase: fn(&Trip) -> Duration| done.total(phase).as_secs_f64();
        let (bytes_up, bytes_down) = done.bytes();
        Identified {
            clip,
            known: answer.known,
            verdict,
            evidence: answer.evidence,
            best: best.collect(),
            seconds: Phases {
                features: front.as_secs_f64(),
                encrypt: sum(|t| t.encrypt),
                server: sum(|t| t.wait),
                server_predicted: self.predicted,
                decrypt: sum(|t| t.decrypt),
            },
            bytes_up,
            bytes_down,
            distant: matches!(self.host, Host::There(_)),
        }
    }
}

/// What a clip is called.
pub(crate) fn name(clip: &Path) -> String {
    if clip == Path::new(STANDARD_INPUT) { "standard input".into() } else { clip.display().to_string() }
}

/// The sound of a clip.
pub(super) fn samples(clip: &Path, rate: u32, limits: &DecodeLimits) -> Result<Samples, AudioError> {
    match clip == Path::new(STANDARD_INPUT) {
        true => decode_stream(std::io::stdin().lock(), rate, limits),
        false => decode_file(clip, rate, limits),
    }
}

/// An error of decoding; of a clip that is too short, with what would take it.
pub(super) fn lengthened(error: AudioError) -> anyhow::Error {
    match error {
        AudioError::TooShort { .. } => anyhow::anyhow!(
            "{error}; a model hears clips of one length: `sordino train --query-seconds` makes one for others"
        ),
        error => error.into(),
    }
}

impl fmt::Display for Passage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}", report::clock(self.from_seconds), report::clock(self.to_seconds))
    }
}

/// A song's name.
pub(super) fn title(artist: &str, title: &str) -> String {
    if artist.is_empty() { title.into() } else { format!("{artist} - {title}") }
}

/// Prints one answer, `mark` before its first line.
pub(crate) fn human(mark: &str, answer: &Identified) {
    let name = |m: &Match| title(&m.artist, &m.title);
    let place = |m: &Match| m.passage.map(|passage| format!(", near {passage}")).unwrap_or_default();
    let score = |m: &Match| m.score.map(|score| format!(", score {score}")).unwrap_or_default();
    let Verdict { shade, wrong } = answer.verdict;
    match answer.best.first() {
        Some(best) if shade != Shade::Unknown => {
            let probably = if shade == Shade::Probably { "probably " } else { "" };
            let (clip, track) = (&answer.clip, best.track_id);
            say!("{mark}{clip}: {probably}{} (track {track}{}{})", name(best), place(best), score(best));
            if let Some(file) = &best.file {
                say!("    {file}");
            }
            for Label { track_id, artist, title, album, .. } in &best.copies {
                let parts = [artist, title, album].map(String::as_str);
                let parts: Vec<&str> = parts.into_iter().filter(|part| !part.is_empty()).collect();
                say!("    the same recording: {} (track {track_id})", parts.join(" - "));
            }
        }
        Some(best) => say!("{mark}{}: unknown (nearest {}{})", answer.clip, name(best), score(best)),
        None => say!("{mark}{}: unknown", answer.clip),
    }
    for (place, other) in answer.best.iter().enumerate().skip(1).filter(|_| shade != Shade::Unknown) {
        say!("    {}. {} (track {}{})", place + 1, name(other), other.track_id, score(other));
    }
    if let Some(wrong) = wrong {
        let (few, often) = if wrong <= SHARES[SHARES.len() - 1] { ("at most ", 1.0) } else { ("", 1000.0 * wrong) };
        match shade {
            Shade::Unknown => say!("    {few}{often:.0} in 1,000 clips of songs in the library would be as unsure"),
            _ => say!("    {few}{often:.0} in 1,000 clips of songs outside the library would be named as surely"),
        }
    }
    let time = |s: f64| report::seconds(Duration::from_secs_f64(s));
    let Phases { features, encrypt, server, server_predicted, decrypt } = &answer.seconds;
    // A server may say anything.
    let predicted = server_predicted.filter(|s| (0.0..1e9).contains(s));
    let predicted = predicted.map(|s| format!(" (predicted {})", time(s))).unwrap_or_default();
    let who = if answer.distant { "server and network" } else { "server" };
    say!(
        "    features {}, encrypt {}, {who} {}{predicted}, decrypt {}; {} up, {} down",
        time(*features),
        time(*encrypt),
        time(*server),
        time(*decrypt),
        report::bytes(answer.bytes_up as u64),
        report::bytes(answer.bytes_down as u64)
    );
}
