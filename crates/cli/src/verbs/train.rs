//! `sordino train`: from an index to a model of two halves.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::time::Instant;

use anyhow::Context;
use clap::{Args, ValueEnum};
use serde::Serialize;
use sordino_corpus::{IndexOptions, MelTable, Part};
use sordino_fhe::decision::{Options, Plan};
use sordino_fhe::params;
use sordino_lab::Disturbances;
use sordino_learn::raw::{Hearing, RawModel, RawSettings, train_raw};
use sordino_learn::run::Stopwatch;
use sordino_learn::unknown::{Cut, Threshold, UnknownSettings};
use sordino_learn::{Effort, FloatModel, Merged, Step, TrainConfig, merge_parts, train_part};
use sordino_model::files::{check_place, read_text};
use sordino_model::{Card, ClientModel, ServerModel, save};

use crate::between::Between;
use crate::disturbances::DisturbanceArgs;
use crate::library::{IndexArgs, files};
use crate::report::{self, say, warning};

/// How much time to spend on training.
#[derive(Clone, Copy, Debug, Default, ValueEnum)]
pub(crate) enum EffortArg {
    /// Seconds for a few hundred tracks.
    Quick,
    /// Minutes.
    #[default]
    Standard,
    /// As long as it takes.
    Thorough,
}

impl From<EffortArg> for Effort {
    fn from(effort: EffortArg) -> Self {
        match effort {
            EffortArg::Quick => Self::Quick,
            EffortArg::Standard => Self::Standard,
            EffortArg::Thorough => Self::Thorough,
        }
    }
}

/// The settings that are worth a flag; the rest are in the configuration file.
#[derive(Args, Clone, Debug, Default)]
pub(crate) struct SettingArgs {
    /// Preset of all settings.
    #[arg(long, value_enum, default_value_t)]
    effort: EffortArg,
    /// A TOML file with settings; what it does not name keeps the value of the preset.
    #[arg(long, value_name = "TOML")]
    config: Option<PathBuf>,
    /// Slots of every routing stage, e.g. `40` or `20,20`; 0 balances the stages, or makes many small clusters where routing is public;
    /// `flat` trains no hierarchy.
    #[arg(long, value_name = "K[,K]")]
    clusters: Option<String>,
    /// In how many clusters a passage may live.
    #[arg(long, value_name = "S")]
    spill: Option<usize>,
    /// How far apart a track's passages lie that have rows of their own, in lengths of a query; 0 for one row a track.
    #[arg(long, value_name = "LENGTHS")]
    passage_hop: Option<f32>,
    /// For picked and picked-decided: give clients the means of many small clusters, so that they can pick clusters themselves. No router is
    /// learned then, unless a --config with `public_routing = true` asks for both. Such a model has too many clusters for decided, and routed finds less with it.
    #[arg(long)]
    public_routing: bool,
    /// The file of an embedding network of one's own, learned elsewhere: its numbers stand beside the hand-made statistics. The Python
    /// package saves one with `Network.save`.
    #[arg(long, value_name = "FILE")]
    network: Option<PathBuf>,
    /// Also learn to hear encrypted samples, for the protocol raw, in which a client needs no model. For at most 2,048 passages of ten
    /// seconds. Takes most of the training's time.
    #[arg(long)]
    raw: bool,
    /// Seed of everything random in training.
    #[arg(long, value_name = "SEED")]
    train_seed: Option<u64>,
}

impl SettingArgs {
    pub(crate) fn new(effort: EffortArg) -> Self {
        Self { effort, ..Self::default() }
    }

    pub(crate) fn config(&self) -> anyhow::Result<TrainConfig> {
        let mut config = TrainConfig::effort(self.effort.into());
        if let Some(path) = &self.config {
            let text = read_text(path, 1 << 20).with_context(|| format!("cannot read {}", path.display()))?;
            let laid = toml::from_str(&text).and_then(|over| config.laid_over(&over));
            config = laid.with_context(|| format!("{} is no training configuration", path.display()))?;
        }
        if let Some(clusters) = &self.clusters {
            config.stages = parse_clusters(clusters)?;
        }
        if self.public_routing {
            config.public_routing = true;
            config.router.learned = false;
        }
        if self.raw {
            config.raw.get_or_insert_default();
        }
        config.spill = self.spill.unwrap_or(config.spill);
        config.passage_hop = self.passage_hop.unwrap_or(config.passage_hop);
        config.seed = self.train_seed.unwrap_or(config.seed);
        config.network = self.network.clone().or(config.network);
        config.validate()?;
        // It is opened again where it is used; a file that is none is refused before anything long.
        config.own_network()?;
        Ok(config)
    }
}

fn parse_clusters(text: &str) -> anyhow::Result<Vec<usize>> {
    if text == "flat" {
        return Ok(Vec::new());
    }
    let parsed: Result<Vec<usize>, _> = text.split(',').map(|part| part.trim().parse()).collect();
    parsed.with_context(|| format!("--clusters is {text:?}, expected numbers such as 40 or 20,20, or `flat`"))
}

/// Train a model from an index: features, clusters, quantisation-aware classifiers, unknown threshold.
#[derive(Args)]
#[command(after_help = "Examples:\n  sordino train --index runs/index --out models/mine\n  \
    sordino train --index runs/fma --out models/fma --noise esc50/ --ir rooms/ --clusters 158 --spill 2\n  \
    sordino train --index runs/fma --out models/fma --network mine.safetensors\n  \
    sordino train --index runs/index --out models/mine --raw\n\n\
    On several machines, or with less memory: three times, all parts and then a merge, with the same options\n  \
    sordino train --index runs/fma --out models/fma --parts runs/parts --part 1/8\n  \
    sordino train --index runs/fma --out models/fma --parts runs/parts --merge")]
pub(crate) struct Train {
    #[command(flatten)]
    library: IndexArgs,
    /// Model folder to write; its last part is the model's name.
    #[arg(long, value_name = "DIR")]
    out: PathBuf,
    #[command(flatten)]
    settings: SettingArgs,
    #[command(flatten)]
    disturbances: DisturbanceArgs,
    /// Folder for checkpoints, from which a stopped run goes on.
    #[arg(long, value_name = "DIR")]
    checkpoints: Option<PathBuf>,
    #[command(flatten)]
    parts: PartArgs,
}

/// Training in parts.
#[derive(Args)]
struct PartArgs {
    /// Train in parts, with this folder between them, or storage such as s3://bucket/folder: give --part or --merge.
    #[arg(long, value_name = "DIR")]
    parts: Option<PathBuf>,
    /// Take the step that is due of one of so many parts: there are three, clips, covariance and projection, each with a merge behind it. All
    /// parts of a step may run at once, on any machine that has the index and the folder; a part that failed is run again.
    #[arg(long, value_name = "I/N", requires = "parts")]
    part: Option<Part>,
    /// Merge what the parts have come to. Behind the third step it saves the model in --out: that of one run, to the bit.
    #[arg(long, requires = "parts", conflicts_with = "part")]
    merge: bool,
}

/// What a part or a merge has done.
#[derive(Serialize)]
struct Stepped {
    /// The step that was taken or merged.
    step: String,
    /// The part; none where parts were merged.
    part: Option<String>,
    seconds: f64,
    /// What comes next.
    next: String,
}

#[derive(Serialize)]
struct Outcome {
    model: PathBuf,
    tracks: usize,
    stages: Vec<usize>,
    seconds: f64,
    /// Seconds of every phase of training.
    phases: Vec<(String, f64)>,
    /// Of held-out clips, where the client decides.
    known_lost: f32,
    /// Of imitated strangers, where the client decides.
    unknown_accepted: f32,
    /// The same two where the server decides.
    decided_known_lost: f32,
    decided_unknown_accepted: f32,
    /// The same two where the server hears encrypted samples, if it does.
    #[serde(skip_serializing_if = "Option::is_none")]
    raw_known_lost: Option<f32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    raw_unknown_accepted: Option<f32>,
    /// Ids of tracks that are copies, by their sound, each with the first track of that sound.
    copies: Vec<(u32, u32)>,
}

/// What a model was learned from, and since when.
struct Ground<'a> {
    table: &'a MelTable,
    training: &'a Disturbances,
    config: &'a TrainConfig,
    start: Instant,
}

impl Train {
    pub(crate) fn run(self, json: bool) -> anyhow::Result<()> {
        let start = Instant::now();
        // What can be refused at once is, before anything long.
        let config = self.settings.config()?;
        check_place(&self.out)?;
        if let Some(folder) = &self.parts.parts {
            anyhow::ensure!(
                self.parts.part.is_some() || self.parts.merge,
                "--parts is given alone, expected --part I/N for one of the parts, or --merge when all of them are done"
            );
            return match self.parts.part {
                Some(part) => self.part(part, folder, &config, json),
                None => self.merge(folder, &config, json),
            };
        }
        let table = self.library.table()?;
        let (training, _) = self.disturbances.load(table.spec().sample_rate)?;
        let (model, phases) = train(&table, &training, &config, self.checkpoints.as_deref())?;
        self.finish(&model, phases, Ground { table: &table, training: &training, config: &config, start }, json)
    }

    /// Takes a step of a part.
    fn part(&self, part: Part, folder: &Path, config: &TrainConfig, json: bool) -> anyhow::Result<()> {
        let start = Instant::now();
        let table = self.library.table_of(|tracks| part.range(tracks))?;
        let (training, _) = self.disturbances.load(table.spec().sample_rate)?;
        let (bars, between) = (report::bars(), Between::open(folder)?);
        between.bring(Some(part))?;
        let (noise, impulses) = (&training.noise, &training.impulses);
        let step = train_part(&table, noise, impulses, config, part, between.folder(), &bars)?;
        between.take(step, Some(part))?;
        let next = format!("when all {} parts have taken it: the same with --merge", part.of());
        stepped(json, step, Some(part), start, next)
    }

    /// Merges parts; the model is saved after the last step.
    fn merge(&self, folder: &Path, config: &TrainConfig, json: bool) -> anyhow::Result<()> {
        let start = Instant::now();
        let table = self.library.table_of(|_| 0..0)?;
        let (training, _) = self.disturbances.load(table.spec().sample_rate)?;
        let bars = report::bars();
        let stopwatch = Stopwatch::new(&bars);
        let load = |tracks: &BTreeSet<usize>| self.library.some(tracks);
        let banks = (&training.noise, &training.impulses);
        let between = Between::open(folder)?;
        let merged = between.bring(None)?;
        let checkpoints = self.checkpoints.as_deref();
        match merge_parts(&table, &load, banks, config, between.folder(), checkpoints, &stopwatch)? {
            Merged::Next(next) => {
                between.take(merged, None)?;
                stepped(json, merged, None, start, format!("the step \"{next}\" of every part"))
            }
            Merged::Model(model) => {
                let ground = Ground { table: &table, training: &training, config, start };
                self.finish(&model, phases(&stopwatch), ground, json)
            }
            other => anyhow::bail!("{other:?}, expected the next step or a model"),
        }
    }

    /// Saves a model and says what it is.
    fn finish(
        &self,
        model: &FloatModel,
        mut phases: Vec<(String, f64)>,
        ground: Ground<'_>,
        json: bool,
    ) -> anyhow::Result<()> {
        let Ground { table, training, config, start } = ground;
        promise(&model.threshold, &config.unknown)?;
        let test = model.threshold.of_client();
        let source = self.library.describe();
        let began = Instant::now();
        let raw = config.raw.as_ref().map(|settings| hear(model, table, training, config, settings)).transpose()?;
        if raw.is_some() {
            phases.push(("raw sound".into(), began.elapsed().as_secs_f64()));
        }
        let raw_test = raw.as_ref().map(|raw| raw.test);
        let (client, server) = export(model, raw, table, &self.out, &source, toml::to_string_pretty(config)?)?;
        let id = |label: u32| table.track(label as usize).id;
        let outcome = Outcome {
            model: self.out.clone(),
            tracks: client.labels().len(),
            stages: server.hierarchy().stages().iter().map(|s| s.outputs()).collect(),
            seconds: start.elapsed().as_secs_f64(),
            phases,
            known_lost: test.lost,
            unknown_accepted: test.accepted,
            decided_known_lost: model.threshold.score.lost,
            decided_unknown_accepted: model.threshold.score.accepted,
            raw_known_lost: raw_test.as_ref().map(|test| test.lost),
            raw_unknown_accepted: raw_test.as_ref().map(|test| test.accepted),
            copies: model.songs.copies().map(|(copy, first)| (id(copy), id(first))).collect(),
        };
        report::print(json, &outcome, |o| {
            say!("{} tracks, stages {:?}, {:.1} s, in {}", o.tracks, o.stages, o.seconds, o.model.display());
            let phases: Vec<String> =
                o.phases.iter().map(|(phase, seconds)| format!("{phase} {seconds:.1} s")).collect();
            say!("{}", phases.join(", "));
            say!("unknown test on held-out clips: {}", tests(&model.threshold));
            if let Some(test) = &raw_test {
                say!("of encrypted samples {}", shares(test));
            }
            if let Some((copy, first)) = o.copies.first() {
                say!(
                    "{} tracks are copies by their sound, such as track {copy} of track {first}: a copy is no stranger to the \
                     others, and any of them may be named",
                    o.copies.len()
                );
            }
        })
    }
}

/// Trains with progress bars; returns the seconds of every phase as well.
pub(crate) fn train(
    table: &MelTable,
    training: &Disturbances,
    config: &TrainConfig,
    checkpoints: Option<&Path>,
) -> anyhow::Result<(FloatModel, Vec<(String, f64)>)> {
    let bars = report::bars();
    let stopwatch = Stopwatch::new(&bars);
    let model = sordino_learn::train(table, &training.noise, &training.impulses, config, checkpoints, &stopwatch)?;
    Ok((model, phases(&stopwatch)))
}

/// Learns to hear encrypted samples, with progress bars.
fn hear(
    model: &FloatModel,
    table: &MelTable,
    training: &Disturbances,
    config: &TrainConfig,
    settings: &RawSettings,
) -> anyhow::Result<RawModel> {
    let sound = IndexOptions::for_spec(table.spec()).sound;
    let banks = (&training.noise, &training.impulses);
    let hearing = Hearing { table, sound: &sound, banks, config, songs: &model.songs };
    Ok(train_raw(hearing, settings, &report::bars())?)
}

/// Seconds of every phase.
fn phases(stopwatch: &Stopwatch<'_>) -> Vec<(String, f64)> {
    stopwatch.phases().into_iter().map(|(phase, time)| (phase, time.as_secs_f64())).collect()
}

/// Says which step was taken.
fn stepped(json: bool, step: Step, part: Option<Part>, start: Instant, next: String) -> anyhow::Result<()> {
    let part = part.map(|part| part.to_string());
    let done = Stepped { step: step.to_string(), part, seconds: start.elapsed().as_secs_f64(), next };
    report::print(json, &done, |d| match &d.part {
        Some(part) => say!("part {part} has taken the step \"{}\" in {:.1} s; {}", d.step, d.seconds, d.next),
        None => say!("the step \"{}\" is merged in {:.1} s; next: {}", d.step, d.seconds, d.next),
    })
}

/// What the two tests promise, in words.
pub(super) fn tests(found: &Threshold) -> String {
    match &found.lead {
        Some(lead) => {
            format!("{} where the client decides; {} where the server does", shares(lead), shares(&found.score))
        }
        None => shares(&found.score),
    }
}

fn shares(cut: &Cut) -> String {
    let (lost, accepted) = (100.0 * cut.lost, 100.0 * cut.accepted);
    format!("{lost:.1} % of known ones lost and {accepted:.1} % of strangers accepted")
}

/// Refuses a model that would take most strangers for tracks that it knows, whoever decides, and warns of one that takes many more than
/// were asked for. At most half may be asked for.
///
/// The threshold gives way where it would lose too many known clips, so it keeps to the first share and not to the second. A model
/// that answers "known" to every other song would be saved as if it could tell.
pub(super) fn promise(found: &Threshold, asked: &UnknownSettings) -> anyhow::Result<()> {
    /// Share of strangers above which there is no model.
    const MOST: f32 = 0.5;
    /// Times the share asked for above which there is a warning.
    const TIMES: f32 = 5.0;
    let wanted = 100.0 * asked.accepted;
    let advice = "The tracks resemble each other, or training disturbs them too much to be told apart: index more, or longer, \
                  or other tracks, or let more known clips be lost, with `lost` under [unknown] in a file for `train --config`, or with `tune --lost`";
    let best = found.of_client().accepted.min(found.score.accepted);
    anyhow::ensure!(
        best <= MOST,
        "{:.1} % of strangers would be taken for a track of the library, {wanted:.1} % were asked for; nothing was saved. \
         {advice}",
        100.0 * best
    );
    for (cut, decider) in [(found.lead.as_ref(), "client"), (Some(&found.score), "server")] {
        if let Some(cut) = cut.filter(|cut| cut.accepted > TIMES * asked.accepted) {
            warning!(
                "WARNING: where the {decider} decides, {:.1} % of strangers are taken for a track of the library, {wanted:.1} % were \
                 asked for: do not rely on \"unknown\" there. {advice}",
                100.0 * cut.accepted
            );
        }
    }
    Ok(())
}

/// Rounds a trained model to integers and writes both halves to `out`, with the settings as TOML where there are any.
pub(crate) fn export(
    model: &FloatModel,
    raw: Option<RawModel>,
    table: &MelTable,
    out: &Path,
    source: &str,
    settings: String,
) -> anyhow::Result<(ClientModel, ServerModel)> {
    let name = out.file_name().map_or_else(|| "model".into(), |name| name.to_string_lossy().into_owned());
    let (mut client, mut server) = model.halves(&name, sordino_learn::sound::labels(table))?;
    let mut unknown = format!("on held-out disturbed clips {}", tests(&model.threshold));
    if let Some(raw) = raw {
        unknown += &format!("; {} of encrypted samples", shares(&raw.test));
        (client, server) = raw.join(client, server)?;
    }
    let card = Card {
        source: source.into(),
        unknown,
        decisions: decisions(&server),
        settings,
        files: files(table),
        held_out: model.held_out.clone().with_ids(|label| client.labels()[label].track_id),
        ..Card::default()
    };
    save(out, &client, &server, &card)?;
    Ok((client, server))
}

/// From which margins on `decided` decides as plain integers would, for the model card.
pub(super) fn decisions(server: &ServerModel) -> String {
    let hierarchy = server.hierarchy();
    let margins =
        Plan::new(&params::STANDARD, hierarchy, Options::default()).and_then(|plan| plan.margins(hierarchy.shape()));
    let margins = match margins {
        Ok(margins) => margins,
        Err(error) => return format!("`decided` cannot serve this model: {error}."),
    };
    let stage = |(stage, (margin, relative)): (usize, (&f64, &f64))| {
        format!(
            "- stage {stage}: by {margin:.0} score units, {:.1} % of the largest difference of two scores",
            100.0 * relative
        )
    };
    let stages = margins.stages.iter().zip(&margins.relative).enumerate().map(stage);
    format!(
        "In `decided` (one probe, one answer, standard resolution) the answer is that of plain integers but with probability \
         2^{:.0} where the winner leads all others\n\n{}\n- and its score is {:.0} from the unknown threshold.\n\nCloser races are \
         usually, not certainly, decided rightly; `--resolution fine` makes margins about half as wide, and `finest` somewhat narrower.",
        margins.failure_log2,
        stages.collect::<Vec<_>>().join("\n"),
        margins.threshold
    )
}

#[cfg(test)]
mod tests {
    use sordino_model::Reach;

    use super::*;

    #[test]
    fn what_cannot_tell_strangers_is_not_saved() {
        let cut = |accepted| Cut { above: 1, lost: 0.05, accepted, reach: Reach::of(vec![], vec![]) };
        let found = |accepted| Threshold { score: cut(accepted), lead: Some(cut(accepted)) };
        let asked = |accepted| UnknownSettings { accepted, ..UnknownSettings::default() };
        assert!(promise(&found(0.01), &asked(0.01)).is_ok() && promise(&found(0.49), &asked(0.01)).is_ok());
        let refused = promise(&found(0.999), &asked(0.01)).unwrap_err().to_string();
        assert!(refused.contains("99.9 %") && refused.contains("nothing was saved"), "{refused}");
        // One test that can tell is enough.
        assert!(promise(&Threshold { lead: Some(cut(0.1)), ..found(0.999) }, &asked(0.01)).is_ok());
        assert!(promise(&Threshold { lead: None, ..found(0.999) }, &asked(0.01)).is_err());
        assert!(promise(&found(0.45), &asked(0.5)).is_ok());
    }

    #[test]
    fn clusters_are_numbers_or_flat() {
        assert_eq!(parse_clusters("20, 30").unwrap(), [20, 30]);
        assert!(parse_clusters("flat").unwrap().is_empty());
        assert!(parse_clusters("many").unwrap_err().to_string().contains("expected numbers"));
    }
}
