//! An index is built, resumed from every state that a kill can leave, and read; what is broken is refused by name.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use indicatif::ProgressBar;
use sordino_audio::DecodeLimits;
use sordino_corpus::{
    Catalogue, CorpusError, IndexOptions, IndexReport, MelStream, MelTable, SoundOptions, Sounds, Source, folder,
    index, synth,
};
use sordino_front::{FeatureSpec, MelFrontEnd};

fn options() -> IndexOptions {
    let limits = DecodeLimits { min_seconds: 1.0, ..DecodeLimits::default() };
    let sound = SoundOptions::default().with_limits(limits).with_synthetic_seconds(2.0);
    IndexOptions::for_spec(&FeatureSpec::default()).with_sound(sound).with_shard_tracks(4)
}

/// Ten tracks, two of which cannot be read, in three shards.
fn catalogue() -> Catalogue {
    let mut catalogue = synth::catalogue(10, 3);
    catalogue.tracks[2].source = Source::File("missing.mp3".into());
    catalogue.tracks[9].source = Source::File("missing too.mp3".into());
    catalogue
}

fn build(dir: &Path) -> Result<IndexReport, CorpusError> {
    index::build(&catalogue(), &FeatureSpec::default(), dir, &options(), &ProgressBar::hidden())
}

/// Every file below a folder with its contents.
fn contents(dir: &Path) -> BTreeMap<String, Vec<u8>> {
    let files = fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().path());
    files.map(|path| (path.file_name().unwrap().to_str().unwrap().to_owned(), fs::read(&path).unwrap())).collect()
}

#[test]
fn an_index_holds_what_the_front_end_measures() {
    let folder = tempfile::tempdir().unwrap();
    let report = build(folder.path()).unwrap();
    assert_eq!((report.indexed, report.resumed, report.rejected.len()), (8, 0, 2));
    assert_eq!(report.sound_seconds, 16.0);

    let table = MelTable::open(folder.path()).unwrap();
    let front = MelFrontEnd::new(&FeatureSpec::default()).unwrap();
    assert_eq!(table.len(), 8);
    assert_eq!(table.spec(), &FeatureSpec::default());
    for i in 0..table.len() {
        let Source::Synthetic(seed) = table.track(i).source else { panic!("a file was indexed") };
        let exact = front.mel_power(&synth::render(seed, 8_000, 2.0));
        let stored = table.mel(i);
        assert_eq!(stored.0.dim(), exact.0.dim());
        let floor = 1e-6 * exact.mean();
        assert!(exact.0.iter().zip(&stored.0).all(|(a, b)| ((a + floor) / (b + floor)).ln().abs() < 0.004 + 1e-4));
    }
    let listed = catalogue();
    assert!(table.tracks().iter().all(|track| listed.tracks.contains(track)));
    assert_eq!(table.position(2), Some(1));
    assert_eq!(table.position(3), None);

    let streamed: Vec<_> = MelStream::open(folder.path()).unwrap().map(Result::unwrap).collect();
    assert_eq!(streamed.len(), 8);
    assert!(streamed.iter().enumerate().all(|(i, (track, mel))| track == table.track(i) && mel.mel() == table.mel(i)));

    let some = MelTable::open_where(folder.path(), |track| track.id > 5).unwrap();
    assert_eq!(some.tracks(), &table.tracks()[4..]);
    let (measured, rejected) = MelTable::measure(&listed, &FeatureSpec::default(), &options().sound).unwrap();
    assert_eq!((measured.tracks(), rejected.len()), (table.tracks(), 2));
    assert_eq!(measured.mel(3), table.mel(3));

    // The same twice, then as much of it as is asked for.
    let twice = MelTable::open_all(&[folder.path(), folder.path()], None).unwrap();
    let ids: Vec<u32> = twice.tracks().iter().map(|track| track.id).collect();
    assert_eq!(ids[..8], table.tracks().iter().map(|track| track.id).collect::<Vec<_>>());
    assert!(ids[8..].iter().zip(&ids).all(|(second, first)| second - first == 1_000_000));
    assert!((0..16).all(|i| twice.mel(i) == table.mel(i % 8)));
    let part = MelTable::open_all(&[folder.path(), folder.path()], Some(11)).unwrap();
    assert_eq!(part.tracks(), &twice.tracks()[..11]);
    assert!(MelTable::open_all(&[folder.path()], Some(9)).unwrap_err().to_string().contains("at most 8"));
    assert!(MelTable::open_all::<&Path>(&[], None).is_err());

    let shorter = FeatureSpec { query_seconds: 5.0, ..FeatureSpec::default() };
    assert_eq!(table.clone().with_spec(&shorter).unwrap().spec(), &shorter);
    let coarser = FeatureSpec { hop: 512, ..FeatureSpec::default() };
    let mixed = [table.clone(), table.clone().with_spec(&shorter).unwrap()];
    assert!(matches!(MelTable::concat(mixed), Err(CorpusError::Setting { .. })));
    assert!(matches!(table.with_spec(&coarser), Err(CorpusError::Setting { .. })));
}

#[test]
fn every_rejected_entry_is_listed_with_its_reason() {
    let folder = tempfile::tempdir().unwrap();
    let mut listed = catalogue();
    listed.rejected.push(sordino_corpus::Rejected {
        source: Source::File("a, \"b\".mp3".into()),
        id: None,
        reason: "reported silent".into(),
    });
    let spec = FeatureSpec::default();
    index::build(&listed, &spec, folder.path(), &options(), &ProgressBar::hidden()).unwrap();
    let mut reader = csv::Reader::from_path(folder.path().join("rejected.csv")).unwrap();
    let rows: Vec<Vec<String>> = reader.records().map(|row| row.unwrap().iter().map(str::to_owned).collect()).collect();
    assert_eq!(rows[0], ["", "a, \"b\".mp3", "reported silent"]);
    assert_eq!(rows[1], ["3", "missing.mp3", "the file does not exist"]);
    assert_eq!(rows[2][0], "10");
    assert_eq!(rows.len(), 3);
}

#[test]
fn files_do_not_depend_on_threads() {
    let [one, four] = [1, 4].map(|threads| {
        let folder = tempfile::tempdir().unwrap();
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
        pool.install(|| build(folder.path())).unwrap();
        contents(folder.path())
    });
    assert_eq!(
        one.keys().collect::<Vec<_>>(),
        ["index.json", "rejected.csv", "shard-00000.parquet", "shard-00001.parquet", "shard-00002.parquet"]
    );
    assert!(one == four);
}

/// The states in which a kill can leave an index, made by hand from a finished one.
#[test]
fn every_interrupted_state_is_finished_to_the_same_files() {
    let finished = tempfile::tempdir().unwrap();
    build(finished.path()).unwrap();
    let whole = contents(finished.path());
    let interrupted = |manifest: &[u8]| {
        let mut value: serde_json::Value = serde_json::from_slice(manifest).unwrap();
        value["complete"] = false.into();
        value["shards"] = serde_json::json!([]);
        value.as_object_mut().unwrap().remove("sha256");
        serde_json::to_vec(&value).unwrap()
    };
    // What is kept beside the staged tracks until the manifest has it.
    let hashes = |dir: &Path| {
        let manifest: serde_json::Value = serde_json::from_slice(&whole["index.json"]).unwrap();
        fs::create_dir_all(dir.join("staging")).unwrap();
        for (shard, entry) in manifest["shards"].as_array().unwrap().iter().enumerate() {
            fs::write(dir.join(format!("staging/shard-{shard:05}.json")), entry.to_string()).unwrap();
        }
    };
    type Damage = Box<dyn Fn(&Path)>;
    let write = |name: &'static str, bytes: Vec<u8>| -> Damage {
        Box::new(move |dir| {
            let path = dir.join(name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, &bytes).unwrap();
        })
    };
    let remove = |name: &'static str| -> Damage { Box::new(move |dir| fs::remove_file(dir.join(name)).unwrap()) };
    let shard = whole["shard-00001.parquet"].clone();
    let Source::Synthetic(seed) = catalogue().tracks[5].source else { panic!("a file") };
    let staged: &str = format!("staging/{seed:016x}.track").leak();
    let unfinished = || write("index.json", interrupted(&whole["index.json"]));
    let states: Vec<(&str, usize, Vec<Damage>)> = vec![
        ("nothing happened since", 10, vec![]),
        ("before the manifest was complete", 10, vec![unfinished()]),
        ("before the rejected were listed", 10, vec![unfinished(), remove("rejected.csv")]),
        ("while the manifest was written", 10, vec![unfinished(), write("index.json.tmp", b"{\"for".to_vec())]),
        ("before the last shard", 8, vec![unfinished(), remove("shard-00002.parquet")]),
        (
            "while a shard was written",
            6,
            vec![unfinished(), remove("shard-00001.parquet"), write("shard-00001.parquet.tmp", shard[..900].to_vec())],
        ),
        ("while a track was staged", 10, vec![unfinished(), write("staging/5.track.tmp", b"sordm".to_vec())]),
        (
            "with a staged track lost to a power cut",
            6,
            vec![unfinished(), remove("shard-00001.parquet"), write(staged, vec![])],
        ),
        (
            "with a shard lost to a power cut",
            6,
            vec![unfinished(), write("shard-00001.parquet", shard[..900].to_vec())],
        ),
        (
            "right after the folder was made",
            0,
            vec![
                remove("index.json"),
                remove("rejected.csv"),
                remove("shard-00000.parquet"),
                remove("shard-00001.parquet"),
                remove("shard-00002.parquet"),
                write("staging/lock", vec![]),
                write("index.json.tmp", vec![]),
            ],
        ),
    ];
    for (state, resumed, damages) in states {
        let folder = tempfile::tempdir().unwrap();
        for (name, bytes) in &whole {
            fs::write(folder.path().join(name), bytes).unwrap();
        }
        hashes(folder.path());
        damages.iter().for_each(|damage| damage(folder.path()));
        let report = build(folder.path()).unwrap_or_else(|error| panic!("{state}: {error}"));
        assert_eq!(report.resumed, resumed, "{state}");
        assert!(contents(folder.path()) == whole, "{state}");
    }
}

#[test]
fn other_work_is_not_resumed() {
    let folder = tempfile::tempdir().unwrap();
    build(folder.path()).unwrap();
    let dir = folder.path();
    let (spec, hidden) = (FeatureSpec::default(), ProgressBar::hidden());
    let message = |result: Result<IndexReport, CorpusError>| result.unwrap_err().to_string();

    let other_spec = FeatureSpec { mel_bands: 32, ..spec.clone() };
    let error = message(index::build(&catalogue(), &other_spec, dir, &options(), &hidden));
    assert!(error.contains("the feature spec") && error.contains("\"mel_bands\":32"), "{error}");

    let before = contents(dir);
    let error = message(index::build(&synth::catalogue(11, 4), &spec, dir, &options(), &hidden));
    assert!(error.contains("in common") && error.contains("another folder"), "{error}");
    fs::remove_dir_all(dir.join("staging")).unwrap();
    assert!(contents(dir) == before, "what is refused is left as it was");

    let other_span = options().with_shard_tracks(5);
    assert!(message(index::build(&catalogue(), &spec, dir, &other_span, &hidden)).contains("tracks per shard"));

    let elsewhere = tempfile::tempdir().unwrap();
    fs::write(elsewhere.path().join("holiday.jpg"), b"not ours").unwrap();
    assert!(message(build(elsewhere.path())).contains("holiday.jpg"));
}

#[test]
fn an_index_follows_its_library_and_is_that_of_one_made_anew() {
    let (spec, hidden) = (FeatureSpec::default(), ProgressBar::hidden());
    let made = |catalogue: &Catalogue, dir: &Path| index::build(catalogue, &spec, dir, &options(), &hidden).unwrap();
    let followed = tempfile::tempdir().unwrap();
    let all = synth::catalogue(14, 3);
    // Grown, shrunk at both ends, with a gap, and as it was: how many tracks are kept, and how many are gone.
    let states: [(Vec<usize>, usize, usize); 4] = [
        ((0..6).collect(), 0, 0),
        ((0..14).collect(), 6, 0),
        ((3..13).filter(|&i| i != 7).collect(), 9, 5),
        ((0..14).collect(), 9, 0),
    ];
    for (tracks, kept, gone) in states {
        let catalogue = all.select(&tracks);
        let report = made(&catalogue, followed.path());
        assert_eq!((report.indexed, report.resumed, report.gone, report.damaged), (tracks.len(), kept, gone, 0));
        let anew = tempfile::tempdir().unwrap();
        made(&catalogue, anew.path());
        assert!(contents(followed.path()) == contents(anew.path()), "{tracks:?}");
    }
    // A kill after the tracks of the earlier library were staged and its manifest replaced, and before its shards were removed.
    let old = contents(followed.path());
    let next = all.select(&(2..12).collect::<Vec<_>>());
    let anew = tempfile::tempdir().unwrap();
    made(&next, anew.path());
    let killed = tempfile::tempdir().unwrap();
    for (name, bytes) in &old {
        fs::write(killed.path().join(name), bytes).unwrap();
    }
    let mut manifest: serde_json::Value = serde_json::from_slice(&contents(anew.path())["index.json"]).unwrap();
    manifest["complete"] = false.into();
    manifest["shards"] = serde_json::json!([]);
    manifest.as_object_mut().unwrap().remove("sha256");
    fs::write(killed.path().join("index.json"), manifest.to_string()).unwrap();
    made(&next, killed.path());
    let (found, expected) = (contents(killed.path()), contents(anew.path()));
    assert!(expected.iter().all(|(name, bytes)| found[name] == *bytes));
    // What is left over of the larger library is no part of the index.
    assert_eq!(MelTable::open(killed.path()).unwrap().len(), 10);
}

#[test]
fn a_folder_may_be_moved_renamed_and_tagged() {
    let (spec, hidden) = (FeatureSpec::default(), ProgressBar::hidden());
    let (music, index) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let write = |name: &str, seed| {
        let path = music.path().join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        synth::write_wav(&path, &synth::render(seed, 8_000, 2.0), 8_000).unwrap();
    };
    for (name, seed) in [("a.wav", 1), ("b.wav", 2), ("c.wav", 3), ("d.wav", 3)] {
        write(name, seed);
    }
    let update = || {
        let catalogue = folder::load_known(music.path(), &Sounds::read(index.path()), &hidden).unwrap();
        let report = index::build(&catalogue, &spec, index.path(), &options(), &hidden).unwrap();
        let ids: BTreeMap<String, u32> = catalogue.tracks.iter().map(|track| (track.title.clone(), track.id)).collect();
        (ids, report)
    };
    let (ids, report) = update();
    assert_eq!((report.indexed, report.resumed), (4, 0));
    assert!(ids.values().all(|&id| id >= 1_000_000_000) && ids["d"] == ids["c"] + 1, "{ids:?}");
    assert_eq!(folder::load(music.path()).unwrap().tracks.iter().map(|t| t.id).collect::<Vec<_>>(), {
        let mut all: Vec<u32> = ids.values().copied().collect();
        all.sort_unstable();
        all
    });

    // One moved and renamed, one tagged, one touched, one of two copies gone, one new: only that one is decoded.
    fs::create_dir(music.path().join("deep")).unwrap();
    fs::rename(music.path().join("a.wav"), music.path().join("deep/other.wav")).unwrap();
    let mut tag = lofty::tag::Tag::new(lofty::tag::TagType::RiffInfo);
    lofty::tag::Accessor::set_title(&mut tag, "Tagged".into());
    lofty::tag::TagExt::save_to_path(&tag, music.path().join("b.wav"), lofty::config::WriteOptions::default()).unwrap();
    fs::remove_file(music.path().join("c.wav")).unwrap();
    write("new.wav", 9);
    let (later, report) = update();
    assert_eq!((report.indexed, report.resumed, report.replaced, report.gone), (4, 3, 0, 1));
    assert_eq!((later["other"], later["Tagged"], later["d"]), (ids["a"], ids["b"], ids["d"]));
    let table = MelTable::open(index.path()).unwrap();
    let front = MelFrontEnd::new(&spec).unwrap();
    for (title, seed) in [("other", 1), ("Tagged", 2), ("d", 3), ("new", 9)] {
        let place = table.position(later[title]).unwrap();
        assert_eq!(table.track(place).title, title);
        assert_eq!(table.mel(place).0.dim(), front.mel_power(&synth::render(seed, 8_000, 2.0)).0.dim());
    }

    // Another sound under an old name is another track.
    write("deep/other.wav", 11);
    let (last, report) = update();
    assert_eq!((report.indexed, report.resumed, report.replaced), (4, 3, 1));
    assert_ne!(last["other"], ids["a"]);
}

#[test]
fn broken_indexes_are_errors_that_name_the_file() {
    let folder = tempfile::tempdir().unwrap();
    build(folder.path()).unwrap();
    let whole = contents(folder.path());
    let shard = folder.path().join("shard-00001.parquet");
    let manifest = folder.path().join("index.json");
    let message = || MelTable::open(folder.path()).unwrap_err().to_string();
    let bytes = &whole["shard-00001.parquet"];

    for length in [0, 4, bytes.len() / 2, bytes.len() - 1] {
        fs::write(&shard, &bytes[..length]).unwrap();
        assert!(message().contains("shard-00001.parquet"), "{}", message());
    }
    for place in (0..bytes.len()).step_by(bytes.len() / 50) {
        let mut flipped = bytes.clone();
        flipped[place] ^= 0x10;
        fs::write(&shard, flipped).unwrap();
        assert!(message().contains("SHA-256"), "{}", message());
    }
    fs::write(&shard, &whole["shard-00000.parquet"]).unwrap();
    assert!(message().contains("SHA-256"));
    fs::remove_file(&shard).unwrap();
    assert!(message().contains("shard-00001.parquet"));
    #[cfg(unix)]
    {
        // Nobody ever writes into it.
        assert!(std::process::Command::new("mkfifo").arg(&shard).status().unwrap().success());
        assert!(message().contains("no regular file"));
        fs::remove_file(&shard).unwrap();
    }
    fs::write(&shard, bytes).unwrap();

    let text = String::from_utf8(whole["index.json"].clone()).unwrap();
    for (from, to) in [("\"complete\": true", "\"complete\": false"), ("\"rows\": 4", "\"rows\": 2"), ("64", "32")] {
        assert!(text.contains(from), "{from}");
        fs::write(&manifest, text.replacen(from, to, 1)).unwrap();
        assert!(message().contains("edited"), "{to}: {}", message());
        let error = build(folder.path()).unwrap_err().to_string();
        assert!(error.contains("edited"), "{to}: {error}");
    }
    // A manifest of 0.1.0 has no checksum; what it says is held against the shards.
    let (start, _) = text.split_once(",\n  \"sha256\"").unwrap();
    let text = format!("{start}\n}}");
    for (from, to, expected) in [
        ("\"rows\": 4", "\"rows\": 2", "2 rows"),
        ("\"version\": 1", "\"version\": 2", "version 2"),
        ("\"complete\": true", "\"complete\": false", "interrupted"),
        ("\"mel_bands\": 64", "\"mel_bands\": 32", "feature spec"),
        ("\"mel_bands\": 64", "\"mel_bands\": 0", "mel_bands"),
        ("sordino-mel-index", "something", "something"),
        ("\"listed\": 10", "\"listed\": 400", "400"),
        ("{", "[", "index manifest"),
    ] {
        assert!(text.contains(from), "{from}");
        fs::write(&manifest, text.replacen(from, to, 1)).unwrap();
        assert!(message().contains(expected), "{to}: {}", message());
    }
    fs::write(&manifest, &text).unwrap();
    assert_eq!(MelTable::open(folder.path()).unwrap().len(), 8);
    fs::remove_file(&manifest).unwrap();
    assert!(message().contains("index.json"));
}

#[test]
fn a_shard_describes_itself() {
    use parquet::file::reader::{FileReader, SerializedFileReader};
    let folder = tempfile::tempdir().unwrap();
    build(folder.path()).unwrap();
    let file = fs::File::open(folder.path().join("shard-00000.parquet")).unwrap();
    let reader = SerializedFileReader::new(file).unwrap();
    let metadata: BTreeMap<String, String> = reader
        .metadata()
        .file_metadata()
        .key_value_metadata()
        .unwrap()
        .iter()
        .filter_map(|pair| Some((pair.key.clone(), pair.value.clone()?)))
        .collect();
    let spec: FeatureSpec = serde_json::from_str(&metadata["sordino.feature_spec"]).unwrap();
    assert_eq!(spec, FeatureSpec::default());
    assert_eq!(metadata["sordino.version"], "1");
    let columns: BTreeMap<String, String> = serde_json::from_str(&metadata["sordino.columns"]).unwrap();
    let schema = reader.metadata().file_metadata().schema_descr().root_schema();
    let mut named: Vec<_> = schema.get_fields().iter().map(|field| field.name().to_owned()).collect();
    named.sort();
    assert_eq!(columns.into_keys().collect::<Vec<_>>(), named);
    assert!(metadata["sordino.rejected"].contains("missing.mp3"));
}

#[test]
fn a_damaged_shard_is_measured_again_and_never_taken_for_whole() {
    let folder = tempfile::tempdir().unwrap();
    build(folder.path()).unwrap();
    let whole = contents(folder.path());
    let shard = folder.path().join("shard-00001.parquet");
    let bytes = &whole["shard-00001.parquet"];
    // In the middle of the numbers, where Parquet itself sees nothing.
    let mut flipped = bytes.clone();
    flipped[bytes.len() / 2] ^= 0x10;
    fs::write(&shard, &flipped).unwrap();
    assert!(MelTable::open(folder.path()).unwrap_err().to_string().contains("run the same index command"));
    let report = build(folder.path()).unwrap();
    assert_eq!((report.indexed, report.resumed, report.damaged, report.replaced), (8, 6, 1, 0));
    assert!(contents(folder.path()) == whole);

    // Also where the damage came before the index was finished.
    fs::write(&shard, &flipped).unwrap();
    let mut manifest: serde_json::Value = serde_json::from_slice(&whole["index.json"]).unwrap();
    fs::create_dir(folder.path().join("staging")).unwrap();
    for (number, entry) in manifest["shards"].as_array().unwrap().iter().enumerate() {
        fs::write(folder.path().join(format!("staging/shard-{number:05}.json")), entry.to_string()).unwrap();
    }
    manifest["complete"] = false.into();
    manifest["shards"] = serde_json::json!([]);
    manifest.as_object_mut().unwrap().remove("sha256");
    fs::write(folder.path().join("index.json"), manifest.to_string()).unwrap();
    let report = build(folder.path()).unwrap();
    assert_eq!((report.resumed, report.damaged), (6, 1));
    assert!(contents(folder.path()) == whole);
    // A shard whose hash nobody kept.
    fs::remove_file(folder.path().join("index.json")).unwrap();
    fs::write(folder.path().join("index.json"), manifest.to_string()).unwrap();
    let report = build(folder.path()).unwrap();
    assert_eq!((report.resumed, report.damaged), (0, 3));
    assert!(contents(folder.path()) == whole);
}

#[test]
fn a_file_replaced_under_its_name_is_read_again() {
    let (music, folder) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let mut catalogue = synth::catalogue(6, 3);
    let sound = |seed| synth::render(seed, 8_000, 2.0);
    for track in &mut catalogue.tracks {
        let path = music.path().join(format!("{}.wav", track.id));
        synth::write_wav(&path, &sound(u64::from(track.id)), 8_000).unwrap();
        track.source = Source::File(path);
    }
    let build = || {
        let (spec, hidden) = (FeatureSpec::default(), ProgressBar::hidden());
        index::build(&catalogue, &spec, folder.path(), &options(), &hidden).unwrap()
    };
    assert_eq!(build().resumed, 0);
    let (state, before) = (catalogue.state(), MelTable::open(folder.path()).unwrap());
    let whole = contents(folder.path());
    let again = build();
    assert_eq!((again.resumed, again.replaced, again.damaged), (6, 0, 0));
    assert!(contents(folder.path()) == whole);

    // The same length and the same tags; only its sound and its time differ.
    synth::write_wav(&music.path().join("2.wav"), &sound(99), 8_000).unwrap();
    let now = std::time::SystemTime::now() + std::time::Duration::from_secs(5);
    fs::File::options().append(true).open(music.path().join("2.wav")).unwrap().set_modified(now).unwrap();
    assert_ne!(catalogue.state(), state);
    let report = build();
    assert_eq!((report.indexed, report.resumed, report.replaced), (6, 5, 1));
    let after = MelTable::open(folder.path()).unwrap();
    let same: Vec<bool> = (0..6).map(|i| before.mel(i) == after.mel(i)).collect();
    assert_eq!(same, [true, false, true, true, true, true]);
    assert_eq!(build().resumed, 6);

    // One that is gone is refused, and taken in again when it is back.
    fs::rename(music.path().join("5.wav"), music.path().join("away")).unwrap();
    assert_eq!((build().indexed, build().resumed), (5, 6));
    fs::rename(music.path().join("away"), music.path().join("5.wav")).unwrap();
    assert_eq!(build().indexed, 6);
}
