//! The program where something is in its way: closed pipes, odd files and names, moved music, other people's keys.

use std::collections::BTreeSet;
use std::ffi::OsStr;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use sordino_corpus::synth;

fn program(folder: &Path) -> Command {
    let mut program = Command::new(env!("CARGO_BIN_EXE_sordino"));
    program.current_dir(folder).env("SORDINO_CALIBRATION", folder.join("calibration.json")).env("RUST_BACKTRACE", "0");
    program
}

fn run(folder: &Path, arguments: &[&str]) -> Output {
    program(folder).args(arguments).output().unwrap()
}

fn done(folder: &Path, arguments: &[&str]) -> String {
    let output = run(folder, arguments);
    let errors = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success(), "{arguments:?}: {errors}");
    String::from_utf8(output.stdout).unwrap()
}

/// What the program says where it refuses: it must not panic, and must not say one thing twice.
fn refusal(folder: &Path, arguments: &[&str]) -> String {
    let output = run(folder, arguments);
    let errors = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(!output.status.success(), "{arguments:?} should have been refused");
    assert!(matches!(output.status.code(), Some(1 | 2)) && !errors.contains("panicked"), "{arguments:?}: {errors}");
    errors
}

/// The committed model of composed tracks.
fn composed() -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../models/composed").canonicalize().unwrap();
    path.to_str().unwrap().into()
}

/// A clip of the track that the committed model knows as number 5.
fn clip(folder: &Path, name: impl AsRef<OsStr>) -> PathBuf {
    let path = folder.join(name.as_ref());
    let track = &synth::catalogue(5, 1).tracks[4];
    let samples = track.samples(8_000, &Default::default()).unwrap();
    synth::write_wav(&path, &samples.data, 8_000).unwrap();
    path
}

#[cfg(unix)]
#[test]
fn a_reader_that_has_gone_and_a_full_disk_end_it_quietly() {
    let home = tempfile::tempdir().unwrap();
    let model = composed();
    for arguments in [&["inspect", &model][..], &["inspect", &model, "--json"]] {
        let mut child =
            program(home.path()).args(arguments).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        drop(child.stdout.take());
        let output = child.wait_with_output().unwrap();
        let errors = String::from_utf8_lossy(&output.stderr);
        assert_eq!((output.status.code(), errors.as_ref()), (Some(141), ""), "as a shell reports SIGPIPE");
    }
    let full = fs::File::options().write(true).open("/dev/full").unwrap();
    let output = program(home.path()).args(["inspect", &model]).stdout(full).output().unwrap();
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.code() == Some(1) && errors.lines().count() == 1, "{errors}");
    assert!(errors.contains("cannot write to standard output"), "{errors}");
}

#[cfg(unix)]
#[test]
fn names_give_a_terminal_no_orders_and_need_be_no_unicode() {
    use std::os::unix::ffi::OsStrExt;
    let home = tempfile::tempdir().unwrap();
    let model = composed();
    let errors = refusal(home.path(), &["identify", &model, "a\u{1b}[31m\u{9b}2J.wav", "--protocol", "flat"]);
    assert!(errors.chars().all(|c| c == '\n' || !c.is_control()) && errors.contains(r"a\u{1b}[31m"), "{errors}");
    let named = clip(home.path(), "b\u{1b}[31m.wav");
    let said = done(home.path(), &["identify", &model, named.to_str().unwrap(), "--protocol", "flat"]);
    assert!(said.chars().all(|c| c == '\n' || !c.is_control()) && said.contains(r"b\u{1b}[31m.wav: "), "{said}");

    let odd = OsStr::from_bytes(b"c\xff.wav");
    clip(home.path(), odd);
    let output =
        program(home.path()).args(["identify", &model]).arg(odd).args(["--protocol", "flat"]).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let output = program(home.path()).arg("inspect").arg(OsStr::from_bytes(b"m\xff")).output().unwrap();
    assert_eq!(output.status.code(), Some(1));
}

#[cfg(unix)]
#[test]
fn pipes_are_read_as_sound_and_as_nothing_else() {
    let home = tempfile::tempdir().unwrap();
    let model = composed();
    let sound = fs::File::open(clip(home.path(), "clip.wav")).unwrap();
    let arguments = ["identify", &model, "-", "--protocol", "flat", "--json"];
    let output = program(home.path()).args(arguments).stdin(sound).output().unwrap();
    let found: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    let found = &found["identified"][0];
    assert_eq!((found["clip"].as_str(), found["best"][0]["track_id"].as_u64()), (Some("standard input"), Some(5)));

    assert!(Command::new("mkfifo").arg(home.path().join("pipe")).status().unwrap().success());
    for arguments in [
        &["identify", &model, "clip.wav", "--key", "pipe"][..],
        &["identify", &model, "clip.wav", "--protocol", "decided", "--evaluation-key", "pipe"],
        &["train", "--index", "nowhere", "--out", "m", "--config", "pipe"],
    ] {
        let errors = refusal(home.path(), arguments);
        assert!(errors.contains("pipe: ") && errors.contains("expected a regular file"), "{errors}");
    }
    fs::create_dir(home.path().join("experiment")).unwrap();
    assert!(Command::new("mkfifo").arg(home.path().join("experiment/run.toml")).status().unwrap().success());
    assert!(refusal(home.path(), &["lab", "run", "experiment"]).contains("expected a regular file"));
}

#[test]
fn what_is_too_much_is_refused_before_anything_is_done() {
    let home = tempfile::tempdir().unwrap();
    let model = composed();
    clip(home.path(), "clip.wav");
    fs::write(home.path().join("file"), b"text").unwrap();
    let train = ["train", "--index", "nowhere"];
    for (arguments, expected) in [
        (vec!["synth", "--tracks", "4294967295", "--out", "music"], "1000000"),
        (vec!["index", "--synth", "4294967295", "--out", "index"], "1000000"),
        (vec!["demo", "--tracks", "4294967295"], "1000000"),
        (vec!["inspect", &model, "--threads", "20000"], "1024"),
        ([&train[..], &["--out", "m", "--spill", "18446744073709551615"]].concat(), "spill is 18446744073709551615"),
        ([&train[..], &["--out", "m", "--spill", "1000"]].concat(), "spill is 1000, expected 1 to 64"),
        ([&train[..], &["--out", "file"]].concat(), "file exists and is no model"),
        ([&train[..], &["--out", "file/inside"]].concat(), "file"),
        ([&train[..], &["--out", "."]].concat(), "ends in no name"),
        (vec!["identify", &model, "clip.wav", "--probes", "64"], "--probes is 64, expected at most"),
        (vec!["evaluate", &model, "--index", "nowhere", "--crops", "100000"], "1000"),
        (vec!["evaluate", &model, "--index", "nowhere", "--probes", "0"], "1..=64"),
    ] {
        let errors = refusal(home.path(), &arguments);
        assert!(errors.contains(expected), "{arguments:?}: {errors}");
    }
    assert!(!home.path().join("music").exists());
}

#[test]
fn a_key_is_named_and_so_is_whose_it_is() {
    let home = tempfile::tempdir().unwrap();
    let model = composed();
    clip(home.path(), "clip.wav");
    for name in ["mine", "other"] {
        done(home.path(), &["keygen", "--out", &format!("{name}.key"), "--evaluation", &format!("{name}.eval")]);
    }
    let key = fs::read(home.path().join("mine.key")).unwrap();
    fs::write(home.path().join("short.key"), &key[..99]).unwrap();
    let decided = ["identify", &model, "clip.wav", "--protocol", "decided"];
    for (arguments, expected) in [
        (vec!["identify", &model, "clip.wav", "--key", "short.key"], "short.key"),
        (vec!["identify", &model, "clip.wav", "--key", "nowhere.key"], "nowhere.key"),
        ([&decided[..], &["--key", "mine.key", "--evaluation-key", "nowhere.eval"]].concat(), "nowhere.eval"),
        ([&decided[..], &["--evaluation-key", "other.eval"]].concat(), "give it with --key"),
        ([&decided[..], &["--key", "mine.key", "--evaluation-key", "other.eval"]].concat(), "another secret key than"),
        (vec!["identify", &model, "clip.wav", "--protocol", "flat", "--evaluation-key", "other.eval"], "no use for"),
        (vec!["identify", &model, "clip.wav", "--protocol", "flat", "--probes", "2"], "leave out --probes"),
        (vec!["identify", &model, "clip.wav", "--answers", "2"], "leave out --answers"),
    ] {
        let errors = refusal(home.path(), &arguments);
        assert!(errors.contains(expected) && errors.lines().count() == 1, "{arguments:?}: {errors}");
    }
}

/// Settings for a library that is to be learned quickly and not well.
fn few_clips(home: &Path) {
    fs::write(home.join("few.toml"), "least_clips = 0\n").unwrap();
}

/// A library of a few composed tracks as files, its index and a model, all by relative paths.
fn library(home: &Path) {
    few_clips(home);
    done(home, &["synth", "--tracks", "16", "--rate", "8000", "--out", "music"]);
    done(home, &["index", "--music", "music", "--out", "index"]);
    done(home, &["train", "--index", "index", "--out", "models/m", "--effort", "quick", "--config", "few.toml"]);
}

#[test]
fn a_model_is_trained_again_in_its_place_and_measured_from_anywhere() {
    let home = tempfile::tempdir().unwrap();
    let (home, elsewhere) = (home.path(), home.path().join("else/where"));
    library(home);
    let sums = || fs::read(home.join("models/m/server/SHA256SUMS")).unwrap();
    let first = sums();
    done(home, &["train", "--index", "index", "--out", "models/m", "--effort", "quick", "--config", "few.toml"]);
    assert_eq!(sums(), first);
    let mut names: Vec<_> = fs::read_dir(home.join("models/m")).unwrap().map(|e| e.unwrap().file_name()).collect();
    names.sort();
    assert_eq!(names, ["card.md", "client", "files.json", "held-out.safetensors", "server", "train.toml"]);
    assert_eq!(fs::read_dir(home.join("models")).unwrap().count(), 1, "nothing is left beside it");
    assert!(refusal(home, &["train", "--index", "index", "--out", "q", "--noise", "nowhere"]).contains("nowhere: "));

    // What a half alone, or a label that was written over, is told to do.
    let copied = |path: &str| fs::copy(home.join("models/m").join(path), home.join("public").join(path)).unwrap();
    fs::create_dir_all(home.join("public/client")).unwrap();
    for file in ["labels.json", "model.json", "weights.safetensors", "SHA256SUMS"] {
        copied(&format!("client/{file}"));
    }
    let alone = refusal(home, &["identify", "public", "clip.wav"]);
    assert!(alone.contains("the client's half alone") && alone.contains("--server URL"), "{alone}");
    let labels = home.join("public/client/labels.json");
    fs::write(&labels, fs::read_to_string(&labels).unwrap().replace("title", "tit1e")).unwrap();
    let altered = refusal(home, &["library", "list", "public"]);
    assert!(altered.contains("damaged or was altered") && altered.contains("library rename"), "{altered}");

    fs::create_dir_all(&elsewhere).unwrap();
    let evaluate = ["evaluate", "../../models/m", "--index", "../../index", "--crops", "1", "--conditions", "clean"];
    let found: serde_json::Value =
        serde_json::from_str(&done(&elsewhere, &[&evaluate[..], &["--json"]].concat())).unwrap();
    assert_eq!(found["rows"][0]["queries"], 16, "{found}");
    for (options, expected) in
        [(["--query-seconds", "5"], "--query-seconds is 5"), (["--probes", "9,40"], "--probes is 9")]
    {
        let errors = refusal(&elsewhere, &[&evaluate[..], &options].concat());
        assert!(errors.contains(expected), "{errors}");
    }
    #[cfg(unix)]
    {
        use std::os::unix::ffi::OsStrExt;
        let odd = home.join(OsStr::from_bytes(b"m\xff"));
        fs::rename(home.join("models/m"), &odd).unwrap();
        let mut evaluate = program(home);
        evaluate.arg("evaluate").arg(&odd).args(["--index", "index", "--crops", "1", "--conditions", "clean"]);
        let output = evaluate.output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        fs::rename(&odd, home.join("models/m")).unwrap();
    }
    // Where nothing can be asked, nothing is reported.
    fs::rename(home.join("music"), home.join("moved")).unwrap();
    let errors = refusal(&elsewhere, &evaluate);
    assert!(errors.contains("what can be asked is none") && errors.contains("index again"), "{errors}");
}

/// Clips of noise tell nothing of the track that they are from.
#[test]
fn a_library_that_takes_every_stranger_is_not_saved() {
    use rand::{RngExt, SeedableRng};
    let home = tempfile::tempdir().unwrap();
    // Noise that nobody tells from other noise, under much more of it.
    let drowned = "least_clips = 0\n[augment.noise]\nprobability = 1.0\nspan = [-30.0, -20.0]\n";
    fs::write(home.path().join("few.toml"), drowned).unwrap();
    fs::create_dir(home.path().join("music")).unwrap();
    for track in 0..8 {
        let mut rng = rand_chacha::ChaCha8Rng::seed_from_u64(track);
        let noise: Vec<f32> = (0..8_000 * 12).map(|_| rng.random_range(-0.5..0.5)).collect();
        synth::write_wav(&home.path().join(format!("music/{track}.wav")), &noise, 8_000).unwrap();
    }
    done(home.path(), &["index", "--music", "music", "--out", "index"]);
    let errors =
        refusal(home.path(), &["train", "--index", "index", "--out", "m", "--effort", "quick", "--config", "few.toml"]);
    assert!(errors.contains("of strangers would be taken") && errors.contains("nothing was saved"), "{errors}");
    assert!(!home.path().join("m").exists());
}

/// One song many times over, also cut and louder, is one song: strangers stay strangers.
#[test]
fn copies_do_not_make_strangers_known() {
    let home = tempfile::tempdir().unwrap();
    let home = home.path();
    fs::write(home.join("few.toml"), "least_clips = 3000\n").unwrap();
    done(home, &["synth", "--tracks", "26", "--rate", "8000", "--out", "all"]);
    fs::create_dir(home.join("music")).unwrap();
    let mut files: Vec<PathBuf> = fs::read_dir(home.join("all")).unwrap().map(|e| e.unwrap().path()).collect();
    files.sort();
    for file in &files[..20] {
        fs::copy(file, home.join("music").join(file.file_name().unwrap())).unwrap();
    }
    let samples = synth::catalogue(1, 1).tracks[0].samples(8_000, &Default::default()).unwrap().data;
    for copy in 0..6 {
        let cut: Vec<f32> = samples[copy * 1_000..].iter().map(|sample| sample * (1.0 - 0.1 * copy as f32)).collect();
        synth::write_wav(&home.join(format!("music/copy {copy}.wav")), &cut, 8_000).unwrap();
    }
    done(home, &["index", "--music", "music", "--out", "index"]);
    let trained =
        done(home, &["train", "--index", "index", "--out", "m", "--effort", "quick", "--config", "few.toml", "--json"]);
    let trained: serde_json::Value = serde_json::from_str(&trained).unwrap();
    let copies: Vec<(u64, u64)> = serde_json::from_value(trained["copies"].clone()).unwrap();
    let tracks: BTreeSet<u64> = copies.iter().map(|(copy, _)| *copy).collect();
    let songs: BTreeSet<u64> = copies.iter().map(|(_, song)| *song).collect();
    assert_eq!((tracks.len(), songs.len()), (6, 1), "{copies:?}");
    assert!(tracks.is_disjoint(&songs), "{copies:?}");
    let strangers: Vec<&str> = files[20..].iter().map(|file| file.to_str().unwrap()).collect();
    let answer = done(home, &[&["identify", "m", "--protocol", "flat", "--json"][..], &strangers].concat());
    let answer: serde_json::Value = serde_json::from_str(&answer).unwrap();
    let known = answer["identified"].as_array().unwrap().iter().filter(|found| found["known"] == true).count();
    // Copies that counted as strangers would score like the song itself: no threshold would keep both promises.
    let promised = |share: &str| trained[share].as_f64().unwrap();
    assert!(promised("unknown_accepted") <= 0.1 && promised("known_lost") <= 0.05, "{trained}");
    assert!(known <= 2, "{answer}");
    // A clip of the song is known, whichever of its copies is named.
    let mine = done(home, &["identify", "m", files[0].to_str().unwrap(), "--protocol", "flat", "--json"]);
    let mine: serde_json::Value = serde_json::from_str(&mine).unwrap();
    assert_eq!(mine["identified"][0]["known"], true, "{mine}");
}

#[test]
fn what_is_not_there_is_said_to_be_missing() {
    let home = tempfile::tempdir().unwrap();
    fs::create_dir(home.path().join("empty")).unwrap();
    for verb in [&["inspect", "nope"][..], &["identify", "nope", "clip.wav"], &["inspect", "empty"]] {
        let said = refusal(home.path(), verb);
        assert!(said.contains("there is no model in") && said.contains("sordino train --out"), "{said}");
    }
    let said = refusal(home.path(), &["index", "--music", "empty", "--out", "index"]);
    assert!(said.contains("no track to index"), "{said}");
}
