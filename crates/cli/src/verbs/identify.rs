//! `sordino identify`: names clips, encrypted.

use std::collections::HashSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use clap::Args;
use serde::Serialize;
use sordino_audio::rms_dbfs;
use sordino_fhe::{ClientKey, params};
use sordino_front::Crop;
use sordino_model::{Decider, Pair, Protocol, SHARES, load_pair};
use sordino_service::Server;

use crate::distant::{Distant, ServerArgs};
use crate::hear::{Identified, Listener, Live, Recording, STANDARD_INPUT, human, name};
use crate::keys::KeyArgs;
use crate::library::open_model;
use crate::protocol::ProtocolArgs;
use crate::report::{self, note, warning};

/// Level below which a microphone is taken to be off, in dB relative to full scale.
const SILENT_DBFS: f32 = -75.0;

/// Name one or several clips without the server learning anything. With a MODEL, client and server both run in this process, but they
/// speak in serialised messages: the bytes are real. With --server, the server is elsewhere.
#[derive(Args)]
#[command(
    override_usage = "sordino identify [OPTIONS] MODEL FILE...\n       sordino identify [OPTIONS] --server URL FILE...",
    after_help = "Examples:\n  sordino identify models/mine clip.mp3\n  \
    sordino identify models/mine clip.mp3 --protocol decided --answers 3 --resolution fine\n  \
    sordino identify models/mine a.wav b.ogg --protocol flat --key runs/client.key --json\n  \
    sordino identify models/mine clip.mp3 --protocol raw\n  \
    sordino identify models/mine clip.mp3 --strict 0.999\n  \
    sordino identify models/mine mix.mp3 --windows\n  \
    sordino identify --server https://music.example.org clip.mp3\n  \
    arecord -d 12 -f cd | sordino identify models/mine -\n  \
    arecord -f cd | sordino identify --server https://music.example.org --continuous -"
)]
pub(crate) struct Identify {
    /// Model folder; left out with --server.
    model: Option<PathBuf>,
    /// Audio files; `-` is standard input.
    #[arg(value_name = "FILE")]
    clips: Vec<PathBuf>,
    #[command(flatten)]
    protocol: ProtocolArgs,
    #[command(flatten)]
    keys: KeyArgs,
    /// Where in a longer clip the query starts, in seconds; the middle without it.
    #[arg(long, value_name = "S", conflicts_with_all = ["listen", "continuous"])]
    at: Option<f32>,
    /// Ask about all of every FILE, window after window, and list its songs with their times. The server learns how long FILE is.
    #[arg(long, conflicts_with_all = ["at", "listen", "continuous"])]
    windows: bool,
    /// Listen with the machine's microphone, and no FILE.
    #[arg(long)]
    listen: bool,
    /// Share of songs outside the library to refuse: 0.5 to 0.999. The more are refused, the more songs of the library are taken for unknown
    /// too. Where the server decides, it decides by an encrypted threshold. Without it, as the model was made: a model may refuse more of itself.
    #[arg(long, value_name = "SHARE", value_parser = strictness)]
    strict: Option<f32>,
    /// Exit with 3 where a song is unknown, or known probably and no more. Keep it from the server: whoever sees what follows from an answer, such as another call, learns
    /// of it.
    #[arg(long, conflicts_with = "continuous")]
    fail_unknown: bool,
    /// Go on listening, to the microphone or to WAV on standard input, and print each new song once; with --json, one line for each.
    #[arg(long)]
    continuous: bool,
    #[command(flatten)]
    server: ServerArgs,
}

#[derive(Serialize)]
struct Failed {
    clip: String,
    error: String,
}

/// What was heard of one file.
#[derive(Serialize)]
#[serde(untagged)]
enum Heard {
    Clip(Box<Identified>),
    Recording(Recording),
}

#[derive(Serialize)]
struct Outcome {
    identified: Vec<Heard>,
    failed: Vec<Failed>,
}

impl Heard {
    fn human(&self) {
        match self {
            Self::Clip(answer) => human("", answer),
            Self::Recording(recording) => recording.human(),
        }
    }

    fn is_known(&self) -> bool {
        match self {
            Self::Clip(answer) => answer.known,
            Self::Recording(recording) => !recording.songs.is_empty(),
        }
    }
}

impl Identify {
    pub(crate) fn run(mut self, json: bool) -> anyhow::Result<()> {
        let address = self.server.address()?;
        if address.is_some() {
            // Then the first is a clip like the others.
            self.clips.splice(..0, self.model.take());
        }
        self.check()?;
        let protocol = self.protocol.protocol()?;
        match (address, &self.model) {
            (Some(address), _) => {
                let remote = self.server.connect(address, protocol)?;
                let distant = Distant::new(&remote, &self.server, self.protocol, &self.keys)?;
                self.hear(Listener::distant(distant), json)
            }
            (None, Some(folder)) => {
                let (client, model) = open_model(folder, load_pair)?;
                client.speaks(protocol)?;
                let secret = self.keys.secret()?;
                let protocol = self.protocol.chosen(folder, &Pair::new(&client, &model)?)?;
                let server = Server::new(&model, protocol, &params::STANDARD)?;
                let key = match protocol.decider() {
                    Decider::Client => {
                        self.keys.refuse_evaluation(protocol.name())?;
                        secret.into()
                    }
                    Decider::Server => {
                        let evaluation = self.keys.evaluation(&secret, protocol == Protocol::Raw)?.expand();
                        ClientKey::registered(secret, server.register(evaluation)?)
                    }
                };
                self.hear(Listener::new(Arc::new(client), folder, key, &server)?, json)
            }
            (None, None) => anyhow::bail!("no model; give MODEL, a folder, or --server, an address"),
        }
    }

    /// Refuses what cannot be heard, before anything is loaded.
    fn check(&self) -> anyhow::Result<()> {
        let input = self.clips == [Path::new(STANDARD_INPUT)];
        match (self.listen, self.continuous) {
            (true, _) if !self.clips.is_empty() => {
                anyhow::bail!("--listen hears the microphone: leave out {}", self.clips[0].display())
            }
            (false, true) if !input => {
                anyhow::bail!("--continuous hears what goes on: give it --listen, or `-` for standard input")
            }
            (false, false) if self.clips.is_empty() => match (&self.model, &self.server.server) {
                (Some(model), _) => anyhow::bail!(
                    "no FILE to identify: expected a model folder and then audio files, and found {} alone",
                    model.display()
                ),
                (None, Some(_)) => anyhow::bail!("no FILE to identify: give audio files, `-`, or --listen"),
                (None, None) => anyhow::bail!("no MODEL and no FILE: see `sordino identify --help`"),
            },
            _ => Ok(()),
        }
    }

    /// Hears what there is to hear.
    fn hear(&self, listener: Listener<'_>, json: bool) -> anyhow::Result<()> {
        let mut listener = match self.strict {
            Some(refused) => listener.strict(refused)?,
            None => listener,
        };
        match (self.listen, self.continuous) {
            (false, false) => self.files(listener, json),
            (listen, true) => {
                let live = if listen { Live::microphone()? } else { Live::standard_input()? };
                follow(live, listener, json)
            }
            (true, false) => {
                let spec = listener.spec()?;
                let mut live = Live::microphone()?;
                note!("listening for {} s", spec.query_seconds);
                let samples = live.window(spec.query_seconds, spec.sample_rate)?.unwrap_or_default();
                let level = rms_dbfs(&samples);
                anyhow::ensure!(
                    level >= SILENT_DBFS,
                    "the microphone hears nothing ({level:.0} dB, expected at least {SILENT_DBFS:.0}): is it muted?"
                );
                let answer = listener.samples(live.name().into(), &samples)?;
                let outcome = Outcome { identified: vec![Heard::Clip(answer.into())], failed: Vec::new() };
                report::print(json, &outcome, |o| o.identified[0].human())?;
                self.judge(!outcome.identified[0].is_known())
            }
        }
    }

    /// An unknown song is an answer like others, unless the exit code is to tell it.
    fn judge(&self, unknown: bool) -> anyhow::Result<()> {
        if unknown && self.fail_unknown { Err(report::UnknownSong.into()) } else { Ok(()) }
    }

    fn files(&self, mut listener: Listener<'_>, json: bool) -> anyhow::Result<()> {
        let crop = self.at.map_or(Crop::Middle, Crop::At);
        let (mut identified, mut failed) = (Vec::new(), Vec::new());
        for clip in &self.clips {
            let heard = match self.windows {
                true => Recording::hear(&mut listener, clip).map(Heard::Recording),
                false => listener.file(clip, crop).map(|answer| Heard::Clip(answer.into())),
            };
            match heard {
                Ok(heard) => {
                    if !json {
                        heard.human();
                        report::heard()?;
                    }
                    identified.push(heard);
                }
                Err(error) => {
                    let (clip, error) = (name(clip), report::sentence(&error));
                    warning!("{clip}: {error}");
                    failed.push(Failed { clip, error });
                }
            }
        }
        let (done, all) = (identified.len(), self.clips.len());
        let unknown = identified.iter().any(|heard| !heard.is_known());
        if json {
            report::print(true, &Outcome { identified, failed }, |_| ())?;
        }
        anyhow::ensure!(done == all, "{} of {all} clips could not be identified", all - done);
        self.judge(unknown)
    }
}

/// A share that models say something about.
fn strictness(text: &str) -> Result<f32, String> {
    let (least, most) = (1.0 - SHARES[0], 1.0 - SHARES[SHARES.len() - 1]);
    let share = text.parse::<f32>().ok().filter(|share| (least..=most).contains(share));
    share.ok_or_else(|| format!("expected a share from {least} to {most}"))
}

/// Asks about one window after the other, whatever the answers are: what is sent, and when, must not follow from them.
fn follow(mut live: Live, mut listener: Listener<'_>, json: bool) -> anyhow::Result<()> {
    let spec = listener.spec()?;
    let (mut heard, mut window) = (HashSet::new(), 0);
    while let Some(samples) = live.window(spec.query_seconds, spec.sample_rate)? {
        let at = f64::from(window) * f64::from(spec.query_seconds);
        let answer = listener.samples(format!("{} at {at:.0} s", live.name()), &samples)?;
        window += 1;
        let song = answer.best.first().filter(|_| answer.known).map(|song| song.track_id);
        if song.is_some_and(|song| heard.insert(song)) {
            match json {
                true => report::json_line(&answer)?,
                false => human("", &answer),
            }
            report::heard()?;
        }
    }
    Ok(())
}
