//! `sordino tune`: a model's unknown thresholds, chosen anew for the noise and the rooms of one's own.

use std::path::PathBuf;

use anyhow::Context as _;
use clap::Args;
use serde::Serialize;
use sordino_corpus::MelTable;
use sordino_learn::run::Stopwatch;
use sordino_learn::{Shares, Surroundings, tune};
use sordino_model::{Card, load_pair, save};

use super::train::{decisions, promise, tests};
use crate::disturbances::DisturbanceArgs;
use crate::library::{card, heard_by, open_model, settings};
use crate::report::{self, say};

/// Choose anew from which score on a song counts as known: for the noise and the rooms where the model is used, or for other shares of
/// strangers and of songs of the library that may be taken for each other. Tracks, features and routing stay as they are.
#[derive(Args)]
#[command(
    after_help = "Examples:\n  sordino tune models/mine --index runs/index --noise bar-recordings/ --ir bar-rooms/\n  \
    sordino tune models/mine --index runs/index --accepted 0.001 --lost 0.1"
)]
pub(crate) struct Tune {
    /// Model folder, with its `train.toml`.
    model: PathBuf,
    /// Index of the model's tracks; it may hold others too. Given several times, as for `train`.
    #[arg(long, value_name = "DIR", required = true)]
    index: Vec<PathBuf>,
    /// Share of songs outside the library that may be named, 0 to 0.5; without it, as before.
    #[arg(long, value_name = "SHARE", value_parser = share)]
    accepted: Option<f32>,
    /// Largest share of songs of the library that may be called unknown for it, 0 to 0.5; without it, as before.
    #[arg(long, value_name = "SHARE", value_parser = share)]
    lost: Option<f32>,
    #[command(flatten)]
    disturbances: DisturbanceArgs,
}

/// A share that may be asked for.
fn share(text: &str) -> Result<f32, String> {
    let share = text.parse::<f32>().ok().filter(|share| (0.0..=0.5).contains(share));
    share.ok_or_else(|| "expected a share from 0 to 0.5".into())
}

/// What a threshold does.
#[derive(Serialize)]
struct Does {
    known_lost: f32,
    unknown_accepted: f32,
}

impl From<Shares> for Does {
    fn from(shares: Shares) -> Self {
        Self { known_lost: shares.lost, unknown_accepted: shares.accepted }
    }
}

/// What the thresholds of the two stages do with the clips that they were chosen on.
#[derive(Serialize)]
struct Outcome {
    model: PathBuf,
    /// Where the client decides: the thresholds so far, from a thousandth to a half, and the new ones.
    client_before: Does,
    client: Does,
    /// Where the server decides.
    server_before: Does,
    server: Does,
    seconds: f64,
}

impl Tune {
    pub(crate) fn run(self, json: bool) -> anyhow::Result<()> {
        let start = std::time::Instant::now();
        let (client, server) = open_model(&self.model, load_pair)?;
        let mut config = settings(&self.model)?;
        config.unknown.accepted = self.accepted.unwrap_or(config.unknown.accepted);
        config.unknown.lost = self.lost.unwrap_or(config.unknown.lost);
        config.validate()?;
        let table = heard_by(MelTable::open_all(&self.index, None)?, &client)?;
        let mut places = Vec::with_capacity(client.labels().len());
        for label in client.labels() {
            places.push(table.position(label.track_id).with_context(|| {
                format!(
                    "track {} of the model, {}, is not in the index: expected all of its tracks there; name the indexes that it was \
                     trained on and added from, or take the track out with `sordino library remove`",
                    label.track_id, label.title
                )
            })?);
        }
        let (training, _) = self.disturbances.load(table.spec().sample_rate)?;
        let bars = report::bars();
        let progress = Stopwatch::new(&bars);
        let surroundings = Surroundings {
            table: &table.select(&places),
            noise: &training.noise,
            impulses: &training.impulses,
            config: &config,
        };
        let tuned = tune(&client, &server, &surroundings, &progress)?;
        let change = tuned.hierarchy;
        promise(&change.threshold, &config.unknown)?;
        let (client, server) = tuned.library.halves()?;
        let held_out = tuned.held_out;
        let unknown = format!("tuned, on held-out disturbed clips {}", tests(&change.threshold));
        let settings = toml::to_string_pretty(&config)?;
        save(
            &self.model,
            &client,
            &server,
            &Card { unknown, settings, held_out, decisions: decisions(&server), ..card(&self.model) },
        )?;
        let does = |cut: sordino_learn::unknown::Cut| Does { known_lost: cut.lost, unknown_accepted: cut.accepted };
        let outcome = Outcome {
            model: self.model,
            client_before: change.client_before.into(),
            client: does(change.threshold.of_client()),
            server_before: change.server_before.into(),
            server: does(change.threshold.score),
            seconds: start.elapsed().as_secs_f64(),
        };
        report::print(json, &outcome, |o| {
            for (decider, before, after) in
                [("client", &o.client_before, &o.client), ("server", &o.server_before, &o.server)]
            {
                let per = |share: f32| format!("{:.1} %", 100.0 * share);
                // What was before is told from a thousandth to a half.
                let was = |share: f32| match share {
                    s if s <= 0.001 => "at most 0.1 %".into(),
                    s if s >= 0.5 => "half or more".into(),
                    s => per(s),
                };
                say!(
                    "where the {decider} decides: {} of known songs lost, {} before; {} of strangers accepted, {} before",
                    per(after.known_lost),
                    was(before.known_lost),
                    per(after.unknown_accepted),
                    was(before.unknown_accepted)
                );
            }
            say!("{} tuned in {:.1} s", o.model.display(), o.seconds);
        })
    }
}
