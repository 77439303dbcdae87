//! `sordino library`: the tracks of a trained model, which come and go without another training.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use clap::{ArgGroup, Args, Subcommand, ValueEnum};
use serde::Serialize;
use sordino_corpus::{IndexOptions, MelTable, Sounds, index};
use sordino_lab::Disturbances;
use sordino_learn::run::Stopwatch;
use sordino_learn::{NewTracks, add_tracks};
use sordino_model::{Card, ClientModel, Label, Library, MAX_SCORE, load_pair, save};

use super::train::decisions;
use crate::disturbances::DisturbanceArgs;
use crate::library::{RecordedArgs, card, files, files_of, heard_by, open_model, settings};
use crate::report::{self, note, say};

/// Change the tracks of a trained model: new songs in seconds, not a training. A server that runs takes the change up by itself.
#[derive(Args)]
#[command(
    after_help = "Examples:\n  sordino library list models/mine\n  sordino library add models/mine --music ~/Music/new\n  \
    sordino library remove models/mine 12 17\n  sordino library rename models/mine 12 --title \"Another name\"\n  \
    sordino library routing models/mine public\n  sordino library check models/mine"
)]
pub(crate) struct LibraryVerb {
    #[command(subcommand)]
    task: Task,
}

#[derive(Subcommand)]
enum Task {
    /// List the tracks: id, artist, title, passages.
    List {
        /// Model folder.
        model: PathBuf,
    },
    Add(Add),
    /// Take tracks out. Their slots are free for others.
    Remove {
        /// Model folder.
        model: PathBuf,
        /// Ids of the tracks, as `list` has them.
        #[arg(required = true, value_name = "ID")]
        ids: Vec<u32>,
    },
    Rename(Rename),
    /// Give clients the routing layers, so that they can pick clusters themselves, or keep them from those that come from now on. picked asks for few
    /// clusters, and so suits a learned router; picked-decided suits either.
    Routing {
        /// Model folder.
        model: PathBuf,
        /// Who has them.
        #[arg(value_enum)]
        whose: Whose,
    },
    /// Look whether the model is whole: every file undamaged, no score beyond its bound, no track without a passage.
    Check {
        /// Model folder.
        model: PathBuf,
    },
}

/// Who has the routing layers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Whose {
    /// Every client: the protocols picked and picked-decided can be spoken.
    Public,
    /// The server alone.
    Private,
}

/// Add songs. What the model knows already by its sound is left out and said.
#[derive(Args)]
#[command(group = ArgGroup::new("new").args(["music", "fma", "index"]).required(true).multiple(false))]
struct Add {
    /// Model folder, with its `train.toml`.
    model: PathBuf,
    #[command(flatten)]
    recorded: RecordedArgs,
    /// Folder that `sordino index` wrote, of the new songs alone.
    #[arg(long, value_name = "DIR")]
    index: Option<PathBuf>,
    /// Add songs that the model knows already too, as copies.
    #[arg(long)]
    copies: bool,
    #[command(flatten)]
    disturbances: DisturbanceArgs,
}

/// Say something else about a track. What is not given stays.
#[derive(Args)]
#[command(group = ArgGroup::new("change").args(["title", "artist", "album", "licence"]).required(true).multiple(true))]
struct Rename {
    /// Model folder.
    model: PathBuf,
    /// Id of the track, as `list` has it.
    #[arg(value_name = "ID")]
    id: u32,
    #[arg(long)]
    title: Option<String>,
    #[arg(long)]
    artist: Option<String>,
    #[arg(long)]
    album: Option<String>,
    #[arg(long)]
    licence: Option<String>,
}

#[derive(Serialize)]
struct Listed {
    #[serde(flatten)]
    label: Label,
    /// Stretches of the track that have rows of their own.
    passages: usize,
    /// The track that this one is a copy of.
    #[serde(skip_serializing_if = "Option::is_none")]
    copy_of: Option<u32>,
    /// Where its sound lies.
    #[serde(skip_serializing_if = "Option::is_none")]
    file: Option<String>,
}

#[derive(Serialize)]
struct Changed {
    model: PathBuf,
    tracks: usize,
    /// Ids of tracks that were added, taken out or renamed.
    changed: Vec<u32>,
    /// Songs that were there already, with the id of the track that they are.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    known: Vec<(String, u32)>,
    seconds: f64,
}

#[derive(Serialize)]
struct Checked {
    tracks: usize,
    rows: usize,
    /// The largest score that any query can reach.
    score_bound: u64,
    /// Tracks that no row names.
    without_rows: Vec<u32>,
}

impl LibraryVerb {
    pub(crate) fn run(self, json: bool) -> anyhow::Result<()> {
        match self.task {
            Task::List { model } => list(&model, json),
            Task::Add(add) => add.run(json),
            Task::Remove { model, ids } => {
                let ids: BTreeSet<u32> = ids.into_iter().collect();
                change(&model, json, "taken out", |library| {
                    library.remove(&ids)?;
                    Ok(ids.into_iter().collect())
                })
            }
            Task::Rename(rename) => rename.run(json),
            Task::Routing { model, whose } => routing(&model, whose, json),
            Task::Check { model } => check(&model, json),
        }
    }
}

impl Add {
    fn run(self, json: bool) -> anyhow::Result<()> {
        let start = std::time::Instant::now();
        let (client, server) = open_model(&self.model, load_pair)?;
        let config = settings(&self.model)?;
        let spec = client.front().spec().context("the model is for vectors, expected one for sound")?.clone();
        let scratch = tempfile::tempdir().context("no folder for an index of the new songs")?;
        let table = self.table(&client, scratch.path())?;
        let (training, _) = self.disturbances.load(spec.sample_rate)?;
        let bars = report::bars();
        let progress = Stopwatch::new(&bars);
        let Disturbances { noise, impulses } = &training;
        let new = NewTracks { table: &table, noise, impulses, config: &config, copies: self.copies };
        let (library, added) = add_tracks(&client, &server, &new, &progress)?;
        let known = added.known.iter().map(|&(place, id)| (table.track(place as usize).source.to_string(), id));
        let known: Vec<(String, u32)> = known.collect();
        let mut paths = moved(&files_of(&self.model), &table, &added.known);
        let of_new = files(&table).into_iter().filter(|(id, _)| added.tracks.contains(id));
        paths.extend(of_new);
        if !added.tracks.is_empty() || !paths.is_empty() {
            write(&self.model, &library, added.tracks.len(), 0, paths)?;
        }
        let (slots, more) = added.slots;
        if more > slots {
            note!(
                "every cluster has {more} slots now in place of {slots}, as the router has not learned the new songs: training anew would \
                 balance them"
            );
        }
        let seconds = start.elapsed().as_secs_f64();
        let tracks = library.labels().len();
        let changed = Changed { model: self.model, tracks, changed: added.tracks, known, seconds };
        report::print(json, &changed, |c| {
            for (song, id) in &c.known {
                say!("{song}: in the library already, as track {id}");
            }
            say!("{} added in {:.1} s: {} tracks in {}", c.changed.len(), c.seconds, c.tracks, c.model.display());
        })
    }

    /// The new songs as the model hears them.
    fn table(&self, client: &ClientModel, scratch: &Path) -> anyhow::Result<MelTable> {
        if let Some(index) = &self.index {
            return heard_by(MelTable::open(index)?, client);
        }
        let spec = client.front().spec()?;
        let catalogue = self.recorded.catalogue(&Sounds::default())?;
        anyhow::ensure!(!catalogue.tracks.is_empty(), "there is no track to add: expected sound files there");
        let bar = report::bar(catalogue.tracks.len() as u64, "indexing");
        let done = index::build(&catalogue, spec, scratch, &IndexOptions::for_spec(spec), &bar)?;
        bar.finish_and_clear();
        for rejected in &done.rejected {
            note!("{}: left out: {}", rejected.source, rejected.reason);
        }
        anyhow::ensure!(done.indexed > 0, "none of the {} files could be added", done.rejected.len());
        Ok(MelTable::open(scratch)?)
    }
}

/// The new places of songs that are there already and whose files are not where they were.
fn moved(before: &BTreeMap<u32, String>, table: &MelTable, known: &[(u32, u32)]) -> BTreeMap<u32, String> {
    let gone = |id: &u32| before.get(id).is_none_or(|path| !Path::new(path).exists());
    let now = files(table);
    let place = |&(place, id): &(u32, u32)| Some((id, now.get(&table.track(place as usize).id)?.clone()));
    known.iter().filter(|(_, id)| gone(id)).filter_map(place).collect()
}

impl Rename {
    fn run(self, json: bool) -> anyhow::Result<()> {
        let id = self.id;
        anyhow::ensure!(
            self.title.as_ref().is_none_or(|title| !title.trim().is_empty()),
            "--title is empty, expected a title: it is what an answer says"
        );
        change(&self.model, json, "renamed", |library| {
            library.rename(id, |label| {
                for (field, given) in [
                    (&mut label.title, self.title),
                    (&mut label.artist, self.artist),
                    (&mut label.album, self.album),
                    (&mut label.licence, self.licence),
                ] {
                    if let Some(given) = given {
                        *field = given;
                    }
                }
            })?;
            Ok(vec![id])
        })
    }
}

fn list(model: &Path, json: bool) -> anyhow::Result<()> {
    let client = open_model(model, sordino_model::load_client)?;
    let mut files = files_of(model);
    let outline = client.flat();
    let labels = client.labels();
    let copies = &outline.lead().copies;
    let listed = labels.iter().enumerate().map(|(place, label)| Listed {
        label: label.clone(),
        passages: passages(&client, place),
        copy_of: copies
            .iter()
            .find(|(copy, _)| *copy as usize == place)
            .map(|&(_, first)| labels[first as usize].track_id),
        file: files.remove(&label.track_id),
    });
    // Ids that follow from the sound are in no order that says anything.
    let mut listed: Vec<Listed> = listed.collect();
    listed.sort_by_key(|track| (track.label.artist.to_lowercase(), track.label.title.to_lowercase()));
    report::print(json, &listed, |tracks| {
        for track in tracks {
            let Label { track_id, artist, title, .. } = &track.label;
            let by = if artist.is_empty() { String::new() } else { format!("{artist} - ") };
            let copy = track.copy_of.map_or(String::new(), |first| format!(", a copy of {first}"));
            let file = track.file.as_ref().map_or(String::new(), |file| format!("  {file}"));
            say!("{track_id:>8}  {by}{title}  ({} passages{copy}){file}", track.passages);
        }
        say!("{} tracks", tracks.len());
    })
}

/// Rows of a track that are different: in a hierarchy with spill, one lives in several clusters.
fn passages(client: &ClientModel, label: usize) -> usize {
    let outline = client.flat();
    let rows = outline.slots().iter().enumerate().filter(|(_, slot)| **slot as usize == label);
    let starts: BTreeSet<u32> = rows.map(|(place, _)| outline.starts().get(place).copied().unwrap_or(0)).collect();
    starts.len()
}

fn check(model: &Path, json: bool) -> anyhow::Result<()> {
    let (client, server) = open_model(model, load_pair)?;
    server.prove(MAX_SCORE)?;
    let label = |(place, label): (usize, &Label)| (passages(&client, place) == 0).then_some(label.track_id);
    let stages = server.hierarchy().stages().iter().chain(server.own_flat().map(|flat| flat.last()));
    let checked = Checked {
        tracks: client.labels().len(),
        rows: server.flat().last().shape().used(),
        score_bound: stages.map(|stage| stage.score_bound()).max().unwrap_or(0),
        without_rows: client.labels().iter().enumerate().filter_map(label).collect(),
    };
    let lost = checked.without_rows.len();
    report::print(json, &checked, |c| {
        say!("{} tracks in {} rows, every file undamaged, no score beyond {}", c.tracks, c.rows, c.score_bound);
    })?;
    anyhow::ensure!(lost == 0, "{lost} tracks have no row and can never be named; remove them, or train anew");
    Ok(())
}

/// Says who has the routing layers of a model from now on.
fn routing(model: &Path, whose: Whose, json: bool) -> anyhow::Result<()> {
    let (client, server) = open_model(model, load_pair)?;
    let mut library = Library::of(&client, &server)?;
    anyhow::ensure!(
        server.hierarchy().stages().len() > 1,
        "{} has no routing layers: it is flat, and every client gets the score of every track",
        model.display()
    );
    if library.publish_routing(whose == Whose::Public) {
        write(model, &library, 0, 0, BTreeMap::new())?;
    }
    let answer = serde_json::json!({ "model": model, "public_routing": whose == Whose::Public });
    report::print(json, &answer, |_| match whose {
        Whose::Public => {
            say!("clients of {} can pick clusters themselves: they have its routing layers", model.display())
        }
        Whose::Private => say!("{} keeps its routing layers, but from clients that have them already", model.display()),
    })
}

/// Opens a model, changes its library and saves it in place.
fn change(
    model: &Path,
    json: bool,
    done: &str,
    change: impl FnOnce(&mut Library) -> anyhow::Result<Vec<u32>>,
) -> anyhow::Result<()> {
    let start = std::time::Instant::now();
    let (client, server) = open_model(model, load_pair)?;
    let mut library = Library::of(&client, &server)?;
    let before = library.labels().len();
    let changed = change(&mut library)?;
    let tracks = library.labels().len();
    write(model, &library, 0, before - tracks, BTreeMap::new())?;
    let changed =
        Changed { model: model.into(), tracks, changed, known: Vec::new(), seconds: start.elapsed().as_secs_f64() };
    report::print(json, &changed, |c| {
        say!("{} {done} in {:.1} s: {} tracks in {}", c.changed.len(), c.seconds, c.tracks, c.model.display());
    })
}

/// Writes a changed library in place of the model, with the `files` of new tracks. What its card says of training stays; accuracy was that
/// of other tracks.
fn write(
    model: &Path,
    library: &Library,
    added: usize,
    removed: usize,
    files: BTreeMap<u32, String>,
) -> anyhow::Result<()> {
    let (client, server) = library.halves()?;
    let mut card = card(model);
    card.files.extend(files);
    let there: BTreeSet<u32> = library.labels().iter().map(|label| label.track_id).collect();
    card.files.retain(|id, _| there.contains(id));
    let (source, earlier) = since(&card.source);
    let (added, removed) = (earlier.0 + added, earlier.1 + removed);
    if added * ADVISE > library.labels().len() {
        note!(
            "{added} tracks were added since training: trained anew, the model would name more of them, and route more rightly"
        );
    }
    if !library.hears_all() {
        note!(
            "the part that hears encrypted samples does not know the tracks that were added: in raw they are unknown songs until the model is trained anew"
        );
    }
    let source = match (added, removed) {
        (0, 0) => source.to_owned(),
        _ => format!("{source}{SINCE}{added} tracks added and {removed} taken out"),
    };
    let card = Card { source, decisions: decisions(&server), ..card };
    Ok(save(model, &client, &server, &card)?)
}

/// One track in so many is new where training anew is advised: `experiments/additions`.
const ADVISE: usize = 4;

/// Between where a card says the tracks came from and how many came and went.
const SINCE: &str = "; since training ";

/// The source that a card states, and how many tracks came and went since training.
fn since(source: &str) -> (&str, (usize, usize)) {
    let parse = |(source, rest): (_, &str)| {
        let mut numbers = rest.split_whitespace().filter_map(|word| word.parse().ok());
        Some((source, (numbers.next()?, numbers.next()?)))
    };
    source.rsplit_once(SINCE).and_then(parse).unwrap_or((source, (0, 0)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_card_counts_what_came_and_went() {
        assert_eq!(since("index a"), ("index a", (0, 0)));
        assert_eq!(since("index a; since training 12 tracks added and 3 taken out"), ("index a", (12, 3)));
        assert_eq!(since("index a; since training began"), ("index a; since training began", (0, 0)));
    }
}
