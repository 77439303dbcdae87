//! The committed model, `models/composed`: it is what its README says, and names a clip that anyone can compose.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use sordino_corpus::synth;
use sordino_model::{Protocol, load_pair};

fn model() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../models/composed")
}

fn run(arguments: &[&Path]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_sordino")).args(arguments).arg("--json").output().unwrap()
}

fn sordino(arguments: &[&Path]) -> serde_json::Value {
    let output = run(arguments);
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{arguments:?}: {errors}");
    serde_json::from_slice(&output.stdout).unwrap()
}

#[test]
fn it_is_whole_small_and_of_composed_music_only() {
    // Opening a half checks its `SHA256SUMS`, and the pair that the halves belong together.
    let (client, server) = load_pair(&model()).unwrap();
    let labels = client.labels();
    let composed = synth::catalogue(labels.len() as u32, 1).tracks;
    assert_eq!(labels.len(), 24);
    for (label, track) in labels.iter().zip(&composed) {
        assert_eq!((label.track_id, &label.title, label.licence.as_str()), (track.id, &track.title, synth::LICENCE));
    }
    let card = std::fs::read_to_string(model().join("card.md")).unwrap();
    for part in ["24 tracks", synth::LICENCE, &server.hash().to_string()] {
        assert!(card.contains(part), "the card does not say {part}");
    }
    let mut bytes = 0;
    for folder in [model(), model().join("client"), model().join("server")] {
        let sizes = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().metadata().unwrap());
        bytes += sizes.filter(|file| file.is_file()).map(|file| file.len()).sum::<u64>();
    }
    assert!(bytes < 2_000_000, "{bytes} bytes");
}

#[test]
fn a_composed_clip_is_named_encrypted() {
    let folder = tempfile::tempdir().unwrap();
    sordino(&["synth", "--tracks", "5", "--out"].map(Path::new).into_iter().chain([folder.path()]).collect::<Vec<_>>());
    let clips = std::fs::read_dir(folder.path()).unwrap().map(|entry| entry.unwrap().path());
    let clip = clips.into_iter().find(|clip| clip.to_string_lossy().contains("00005 ")).unwrap();
    for protocol in ["flat", "routed"] {
        let arguments = [Path::new("identify"), &model(), &clip, Path::new("--protocol"), Path::new(protocol)];
        let found = &sordino(&arguments)["identified"][0];
        assert_eq!((found["known"].as_bool(), found["best"][0]["track_id"].as_u64()), (Some(true), Some(5)), "{found}");
    }
    // An exit code tells an unknown song only where it is asked to.
    let stranger = folder.path().join("stranger.wav");
    sordino(
        &["synth", "--tracks=1", "--seed=9", "--out"]
            .map(Path::new)
            .into_iter()
            .chain([folder.path()])
            .collect::<Vec<_>>(),
    );
    let made = std::fs::read_dir(folder.path()).unwrap().map(|entry| entry.unwrap().path());
    std::fs::rename(made.max_by_key(|path| path.metadata().unwrap().modified().unwrap()).unwrap(), &stranger).unwrap();
    let code = |clip: &Path, more: &[&str]| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_sordino"));
        command
            .arg("identify")
            .args([&model(), clip])
            .args(["--protocol", "flat"])
            .args(more)
            .output()
            .unwrap()
            .status
            .code()
    };
    assert_eq!((code(&stranger, &[]), code(&stranger, &["--fail-unknown"])), (Some(0), Some(3)));
    assert_eq!(code(&clip, &["--fail-unknown"]), Some(0));
}

#[test]
fn a_recording_of_several_songs_is_told_song_by_song() {
    let folder = tempfile::tempdir().unwrap();
    let rate = 8_000;
    let seconds = |from: usize, to: usize| from * rate..to * rate;
    // Half a minute of a song of the library, one of another composer's, and another song of the library.
    let sound = |seed: u64, place: usize| {
        let track = synth::catalogue(8, seed).tracks[place].clone();
        track.samples(rate as u32, &Default::default()).unwrap().data
    };
    let (first, stranger, second) = (sound(1, 4), sound(77, 3), sound(1, 2));
    let parts = [&first[seconds(0, 28)], &stranger[seconds(2, 26)], &second[seconds(0, 28)]];
    let mix = folder.path().join("mix.wav");
    synth::write_wav(&mix, &parts.concat(), rate as u32).unwrap();
    let asked = [Path::new("identify"), &model(), &mix, Path::new("--windows"), Path::new("--protocol=flat")];
    let heard = sordino(&asked)["identified"][0].clone();
    assert_eq!((heard["windows"].as_u64(), heard["seconds"].as_f64()), (Some(15), Some(80.0)), "{heard}");
    let songs = heard["songs"].as_array().unwrap();
    let sure: Vec<_> = songs.iter().filter(|song| song["shade"] == "named").collect();
    let told = |song: &serde_json::Value| {
        (
            song["track_id"].as_u64().unwrap(),
            song["from_seconds"].as_f64().unwrap(),
            song["to_seconds"].as_f64().unwrap(),
        )
    };
    let places: Vec<_> = sure.iter().map(|song| told(song)).collect();
    assert_eq!(places.len(), 2, "{heard}");
    // Half a window is as near as it is told.
    for ((id, from, to), (is, begins, ends)) in places.into_iter().zip([(5, 0.0, 28.0), (3, 52.0, 80.0)]) {
        assert_eq!(id, is);
        assert!((from - begins).abs() <= 5.0 && (to - ends).abs() <= 5.0, "{heard}");
    }
    // A clip that is too short is refused with what would take it.
    synth::write_wav(&mix, &first[seconds(0, 6)], rate as u32).unwrap();
    for more in [&[][..], &["--windows"]] {
        let output =
            Command::new(env!("CARGO_BIN_EXE_sordino")).arg("identify").args([&model(), &mix]).args(more).output();
        let errors = String::from_utf8(output.unwrap().stderr).unwrap();
        assert!(errors.contains("too short: 6.00 s") && errors.contains("--query-seconds"), "{errors}");
    }
}

#[test]
fn tracks_come_and_go_without_a_training() {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    // Another composer's songs, and one that is there already.
    sordino(&[Path::new("synth"), Path::new("--tracks=3"), Path::new("--seed=77"), Path::new("--out"), &at("new")]);
    sordino(&[Path::new("synth"), Path::new("--tracks=1"), Path::new("--out"), &at("old")]);
    let songs =
        |name: &str| std::fs::read_dir(at(name)).unwrap().map(|entry| entry.unwrap().path()).collect::<Vec<_>>();
    let song = songs("new")[0].clone();
    std::fs::rename(&songs("old")[0], at("new/there already.wav")).unwrap();
    let copy = at("model");
    for half in ["client", "server"] {
        std::fs::create_dir_all(copy.join(half)).unwrap();
        for file in std::fs::read_dir(model().join(half)).unwrap().map(|entry| entry.unwrap().path()) {
            std::fs::copy(&file, copy.join(half).join(file.file_name().unwrap())).unwrap();
        }
    }
    for file in ["card.md", "train.toml"] {
        std::fs::copy(model().join(file), copy.join(file)).unwrap();
    }
    let library = |task: &str, rest: &[&str]| {
        let words = rest.iter().map(Path::new);
        sordino(&[Path::new("library"), Path::new(task), &copy].into_iter().chain(words).collect::<Vec<_>>())
    };
    let known = |protocol: &str| {
        let words =
            [Path::new("identify"), &copy, &song, Path::new("--at=4"), Path::new("--protocol"), Path::new(protocol)];
        sordino(&words)["identified"][0].clone()
    };
    assert_eq!(known("flat")["known"], false);

    let added = library("add", &["--music", at("new").to_str().unwrap()]);
    let ids: Vec<u64> = added["changed"].as_array().unwrap().iter().map(|id| id.as_u64().unwrap()).collect();
    assert_eq!((ids.len(), added["tracks"].as_u64()), (3, Some(27)), "{added}");
    assert!(added["known"][0][0].as_str().unwrap().contains("there already"), "{added}");
    for protocol in ["flat", "routed"] {
        let found = known(protocol);
        assert_eq!(found["known"], true, "{found}");
        assert!(ids.contains(&found["best"][0]["track_id"].as_u64().unwrap()), "{found}");
    }

    // Clients pick clusters themselves once they have the routing layers, and what was added is found so too.
    let picks = |protocol: &str| {
        let protocol = format!("--protocol={protocol}");
        let words = [Path::new("identify"), &copy, &song, Path::new("--at=4"), Path::new(&protocol)];
        run(&words)
    };
    let refused = picks("picked");
    let reason = String::from_utf8_lossy(&refused.stderr).into_owned();
    assert!(!refused.status.success() && reason.contains("library routing"), "{reason}");
    assert_eq!(library("routing", &["public"])["public_routing"], true);
    for protocol in ["picked", "picked-decided"] {
        let found = known(protocol);
        assert_eq!(found["known"], true, "{found}");
        assert!(ids.contains(&found["best"][0]["track_id"].as_u64().unwrap()), "{found}");
    }
    let inspected = sordino(&[Path::new("inspect"), &copy]);
    let names = inspected["protocols"].as_array().unwrap().iter().map(|one| one["protocol"].as_str().unwrap());
    // All but the one that hears encrypted samples: the model was made before there was one.
    assert_eq!(names.collect::<Vec<_>>(), Protocol::ALL.map(Protocol::name)[..5]);
    assert_eq!(library("routing", &["private"])["public_routing"], false);
    assert!(!picks("picked").status.success());

    library("rename", &[&ids[0].to_string(), "--title", "A new name"]);
    let listed = library("list", &[]);
    let renamed = listed.as_array().unwrap().iter().find(|track| track["track_id"] == ids[0]).unwrap();
    assert_eq!((renamed["title"].as_str(), renamed["passages"].as_u64()), (Some("A new name"), Some(3)));
    let file = Path::new(renamed["file"].as_str().unwrap());
    assert!(file.starts_with(at("new")) && file.is_file(), "{renamed}");
    assert_eq!(library("check", &[])["without_rows"], serde_json::json!([]));

    // Music that was moved is found where it is.
    std::fs::rename(at("new"), at("moved")).unwrap();
    let again = library("add", &["--music", at("moved").to_str().unwrap()]);
    assert_eq!((again["changed"].as_array().unwrap().len(), &again["tracks"]), (0, &27.into()), "{again}");
    let listed = library("list", &[]);
    let files = listed.as_array().unwrap().iter().filter_map(|track| track["file"].as_str());
    assert!(files.clone().count() >= 3 && files.clone().all(|file| Path::new(file).is_file()), "{listed}");
    // A list of files that cannot be read stands in nobody's way.
    std::fs::write(copy.join("files.json"), "{").unwrap();
    assert!(library("list", &[]).as_array().unwrap().iter().all(|track| track["file"].is_null()));
    std::fs::rename(at("moved"), at("new")).unwrap();

    let words: Vec<String> = ids.iter().map(ToString::to_string).collect();
    library("remove", &words.iter().map(String::as_str).collect::<Vec<_>>());
    assert_eq!(known("flat")["known"], false);
    assert_eq!(load_pair(&copy).unwrap(), load_pair(&model()).unwrap());
    assert!(library("list", &[]).as_array().unwrap().iter().all(|track| track["file"].is_null()));
    let card = std::fs::read_to_string(copy.join("card.md")).unwrap();
    assert!(card.contains("since training 3 tracks added and 3 taken out"), "{card}");
}
