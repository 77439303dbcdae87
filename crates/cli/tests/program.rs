//! The program as its users run it: every verb on a small composed library, and what it says when something is wrong.

use std::path::Path;
use std::process::{Command, Output};

use serde_json::Value;

fn sordino(arguments: &[&str]) -> Output {
    sordino_calibrated(arguments, "no such folder/calibration.json")
}

/// With the timings that `calibrate` kept in a file, and not those of whoever runs the tests.
fn sordino_calibrated(arguments: &[&str], calibration: &str) -> Output {
    let mut program = Command::new(env!("CARGO_BIN_EXE_sordino"));
    program.args(arguments).env("SORDINO_CALIBRATION", calibration).output().unwrap()
}

fn json(arguments: &[&str]) -> Value {
    parsed(arguments, sordino(&[arguments, &["--json"]].concat()))
}

fn parsed(arguments: &[&str], output: Output) -> Value {
    let errors = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success(), "{arguments:?}: {errors}");
    serde_json::from_slice(&output.stdout).unwrap_or_else(|e| panic!("{arguments:?}: {e}: {errors}"))
}

fn refusal(arguments: &[&str]) -> String {
    let output = sordino(arguments);
    assert!(!output.status.success(), "{arguments:?} should have been refused");
    String::from_utf8_lossy(&output.stderr).into_owned()
}

fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}

#[test]
fn every_verb_explains_itself_with_an_example() {
    for verb in [
        "synth",
        "index",
        "train",
        "library",
        "tune",
        "calibrate",
        "inspect",
        "keygen",
        "identify",
        "serve",
        "store",
        "evaluate",
        "lab",
        "demo",
        "completions",
        "man",
    ] {
        let help = String::from_utf8(sordino(&[verb, "--help"]).stdout).unwrap();
        assert!(help.contains("Example") && help.contains(&format!("sordino {verb}")), "{verb}: {help}");
    }
}

#[test]
fn a_shell_and_a_manual_know_every_verb() {
    let folder = tempfile::tempdir().unwrap();
    let script = String::from_utf8(sordino(&["completions", "bash"]).stdout).unwrap();
    assert!(script.contains("complete -F") && script.contains("identify") && script.contains("--fail-unknown"));
    let page = String::from_utf8(sordino(&["man"]).stdout).unwrap();
    assert!(page.contains(".TH sordino 1") && page.contains("Exit codes"), "{page}");
    assert!(sordino(&["man", "--out", text(folder.path())]).status.success());
    for verb in ["index", "identify", "library-add", "lab-run"] {
        assert!(folder.path().join(format!("sordino-{verb}.1")).is_file(), "{verb}");
    }
}

#[test]
fn quiet_is_silent_but_for_errors() {
    let folder = tempfile::tempdir().unwrap();
    let music = folder.path().join("music");
    let done = sordino(&["synth", "--tracks", "2", "--seconds", "12", "--quiet", "--out", text(&music)]);
    assert!(done.status.success() && done.stderr.is_empty() && !done.stdout.is_empty());
    // Errors are told all the same.
    let failed = sordino(&["inspect", "-q", text(&music)]);
    assert!(failed.status.code() == Some(1) && String::from_utf8_lossy(&failed.stderr).starts_with("sordino: "));
    assert_eq!(sordino(&["synth", "-q", "-v", "--tracks", "2", "--out", text(&music)]).status.code(), Some(2));
}

#[test]
fn a_folder_of_music_is_named_step_by_step() {
    let home = tempfile::tempdir().unwrap();
    let path = |name: &str| home.path().join(name);
    let (music, index, model, key) = (path("music"), path("index"), path("model"), path("client.key"));

    let made = json(&["synth", "--tracks", "16", "--rate", "8000", "--out", text(&music)]);
    assert_eq!(made["tracks"], 16);
    std::fs::write(music.join("not music.mp3"), b"text").unwrap();

    let mut clips: Vec<_> = std::fs::read_dir(&music).unwrap().map(|e| e.unwrap().path()).collect();
    clips.retain(|clip| clip.extension().is_some_and(|e| e == "wav"));
    clips.sort();

    let indexed = json(&["index", "--music", text(&music), "--out", text(&index)]);
    assert_eq!(indexed["tracks"], 16);
    assert_eq!(indexed["rejected"].as_array().unwrap().len(), 1);
    assert_eq!(indexed["copies"].as_array().unwrap().len(), 0);
    // A file that comes twice is read, and decoded as the only one.
    std::fs::copy(&clips[3], music.join("Twin.wav")).unwrap();
    let again = json(&["index", "--music", text(&music), "--out", text(&index)]);
    assert_eq!(
        (&again["tracks"], &again["resumed"]),
        (&17.into(), &18.into()),
        "a twin has the mel power of the first"
    );
    assert_eq!(again["copies"].as_array().unwrap().len(), 1);
    let listed = std::fs::read_to_string(index.join("copies.csv")).unwrap();
    assert!(listed.contains("Twin.wav") && listed.lines().count() == 3, "{listed}");

    let config = home.path().join("few.toml");
    std::fs::write(&config, "least_clips = 0\n").unwrap();
    let train =
        ["train", "--index", text(&index), "--out", text(&model), "--effort", "quick", "--config", text(&config)];
    let trained = json(&train);
    assert_eq!((&trained["tracks"], trained["copies"].as_array().unwrap().len()), (&17.into(), 1));

    let inspected = json(&["inspect", text(&model)]);
    for protocol in inspected["protocols"].as_array().unwrap() {
        // Where the server decides, of a query whose winners lead by their margins.
        let most = if protocol["protocol"] == "decided" { -40.0 } else { -64.0 };
        assert!(protocol["failure_log2"].as_f64().unwrap() <= most, "{protocol}");
    }

    let (timings, evaluation) = (path("cache").join("calibration.json"), path("client.eval"));
    let decided = |inspected: &Value| inspected["protocols"][2].clone();
    assert!(decided(&inspected)["predicted"].as_array().unwrap().is_empty());
    let card = std::fs::read_to_string(model.join("card.md")).unwrap();
    let margin = decided(&inspected)["margins"]["stages"][0].as_f64().unwrap();
    assert!(card.contains(&format!("by {margin:.0} score units")), "{card}");

    json(&["keygen", "--out", text(&key), "--evaluation", text(&evaluation)]);
    assert!(refusal(&["keygen", "--out", text(&key)]).contains("--force"));

    for protocol in ["flat", "routed", "two-trip"] {
        let arguments =
            ["identify", text(&model), text(&clips[3]), text(&clips[9]), "--key", text(&key), "--protocol", protocol];
        let answer = json(&arguments);
        let found = answer["identified"].as_array().unwrap();
        assert_eq!(found.len(), 2);
        for (clip, answer) in [&clips[3], &clips[9]].into_iter().zip(found) {
            let best = &answer["best"][0];
            let named = |title: &Value| text(clip).contains(title.as_str().unwrap());
            let copies = best["copies"].as_array().map(Vec::as_slice).unwrap_or_default();
            assert!(named(&best["title"]) || copies.iter().any(|copy| named(&copy["title"])), "{protocol}: {answer}");
            assert_eq!(copies.len(), usize::from(*clip == clips[3]), "{answer}");
            let file = Path::new(best["file"].as_str().unwrap());
            assert!(file == clip.as_path() || !copies.is_empty() && file.ends_with("Twin.wav"), "{answer}");
            assert!(answer["known"].as_bool().unwrap() && answer["bytes_up"].as_u64().unwrap() > 0);
            assert!(
                answer["shade"] == "named" && (0.001..0.5).contains(&answer["wrong"].as_f64().unwrap()),
                "{answer}"
            );
        }
    }
    // The asker's own threshold: the same evidence, and another verdict on it.
    let asked = |strict: &str| {
        let clip = json(&["identify", text(&model), text(&clips[9]), "--key", text(&key), "--strict", strict]);
        let evidence = &clip["identified"][0]["evidence"];
        (evidence["found"].as_i64().unwrap(), evidence["above"].as_i64().unwrap())
    };
    let (lenient, strict) = (asked("0.5"), asked("0.999"));
    assert!(lenient.0 == strict.0 && lenient.1 < strict.1, "{lenient:?} {strict:?}");
    json(&["calibrate", "--repetitions", "1", "--out", text(&timings)]);
    let arguments = [
        &["identify", text(&model), text(&clips[3]), "--json", "--protocol", "decided", "--answers", "2"][..],
        &["--resolution", "fine", "--probes", "2", "--key", text(&key), "--evaluation-key", text(&evaluation)],
    ]
    .concat();
    let answer = parsed(&arguments, sordino_calibrated(&arguments, text(&timings)));
    let found = &answer["identified"][0];
    let title = found["best"][0]["title"].as_str().unwrap();
    assert!(text(&clips[3]).contains(title) || title == "Twin", "{answer}");
    assert!(found["best"][0]["score"].is_null() && found["seconds"]["server_predicted"].as_f64().unwrap() > 0.0);
    let arguments = ["inspect", text(&model), "--json", "--resolution", "fine"];
    let fine = parsed(&arguments, sordino_calibrated(&arguments, text(&timings)));
    assert!(decided(&fine)["predicted"][0]["seconds"].as_f64().unwrap() > 0.0, "{fine}");
    assert!(decided(&fine)["margins"]["stages"][0].as_f64().unwrap() < 0.7 * margin, "finer margins");
    // A plan chosen by what training held out: the cheapest that does, or else the most certain.
    let plans = inspected["fronts"][0]["plans"].as_array().unwrap();
    assert!(plans.iter().any(|plan| plan["resolution"] == "standard" && plan["certain"].as_f64().unwrap() > 0.0));
    let wished = |wish: &str, value: &str| {
        let arguments = ["identify", text(&model), text(&clips[3]), "--protocol", "decided", wish, value];
        let keys = ["--key", text(&key), "--evaluation-key", text(&evaluation)];
        let output = sordino_calibrated(&[&arguments[..], &keys[..]].concat(), text(&timings));
        (output.status.success(), String::from_utf8_lossy(&output.stderr).into_owned())
    };
    let (done, said) = wished("--certain", "0");
    assert!(done && said.contains("chosen: decided") && said.contains("standard resolution"), "{said}");
    let (done, said) = wished("--within", "0.001");
    assert!(done && said.contains("it goes on with the quickest, decided, 1 probe"), "{said}");
    assert!(
        refusal(&["identify", text(&model), text(&clips[3]), "--certain", "0.9"]).contains("add --protocol decided")
    );
    // The server decides by a threshold that it does not see.
    let decided_strictly = |strict: &str| {
        let arguments = ["identify", text(&model), text(&clips[3]), "--protocol", "decided", "--strict", strict];
        let keys = ["--key", text(&key), "--evaluation-key", text(&evaluation)];
        let answer = &json(&[&arguments[..], &keys[..]].concat())["identified"][0];
        (answer["wrong"].as_f64().unwrap(), answer["known"].as_bool().unwrap())
    };
    let (lenient, strict) = (decided_strictly("0.5"), decided_strictly("0.999"));
    assert!(lenient.1 && lenient.0 > 0.4 && strict.0 < 0.01, "{lenient:?} {strict:?}");
    let other = refusal(&[
        "identify",
        text(&model),
        text(&clips[3]),
        "--protocol",
        "decided",
        "--evaluation-key",
        text(&evaluation),
    ]);
    assert!(other.contains("evaluation key"), "{other}");

    let refused = refusal(&["identify", text(&model), text(&music.join("not music.mp3"))]);
    assert!(refused.contains("not music.mp3") && refused.contains("1 of 1"), "{refused}");

    // What the model was trained on is there already, and a track by another name is the same track.
    let none = json(&["library", "add", text(&model), "--index", text(&index)]);
    assert_eq!((none["changed"].as_array().unwrap().len(), &none["tracks"]), (0, &17.into()), "{none}");
    let listed = json(&["library", "list", text(&model)]);
    let id = listed[0]["track_id"].to_string();
    json(&["library", "rename", text(&model), &id, "--title", "Another name"]);

    let out = path("results");
    let evaluated = json(&[
        "evaluate",
        text(&model),
        "--index",
        text(&index),
        "--conditions",
        "clean,5dB",
        "--crops",
        "1",
        "--encrypted",
        "4",
        "--one-trip",
        "2",
        "--keys",
        "2",
        "--out",
        text(&out),
    ]);
    for agreement in evaluated["encrypted"].as_array().unwrap() {
        assert_eq!(agreement["equal"], agreement["queries"], "{agreement}");
    }
    let decided = &evaluated["decided"][0];
    assert_eq!((decided["queries"].as_u64(), decided["unexplained"].as_u64()), (Some(2), Some(0)), "{decided}");
    for file in ["rows.csv", "queries.csv"] {
        assert!(out.join(file).exists(), "{file}");
    }
    for row in evaluated["rows"].as_array().unwrap().iter().filter(|row| row["condition"] == "clean") {
        assert_eq!((&row["queries"], &row["unknown_queries"]), (&17.into(), &0.into()), "{row}");
    }
    // A clip of a track that has a copy is named rightly, whichever of both is named.
    let pair: Vec<u64> = serde_json::from_value(trained["copies"][0].clone()).unwrap();
    let queries = std::fs::read_to_string(out.join("queries.csv")).unwrap();
    let mut lines = queries.lines().map(|line| line.split(',').collect::<Vec<_>>());
    let columns = lines.next().unwrap();
    let cell = |line: &[&str], name: &str| line[columns.iter().position(|column| *column == name).unwrap()].to_owned();
    let told =
        |line: &[&str]| (cell(line, "track"), cell(line, "top").split(' ').next().unwrap_or_default().to_owned());
    let clean = lines.filter(|line| cell(line, "condition") == "clean" && cell(line, "protocol") == "flat");
    let of_pair: Vec<_> =
        clean.map(|line| told(&line)).filter(|(track, _)| pair.contains(&track.parse().unwrap())).collect();
    assert!(of_pair.len() >= 2 && of_pair.iter().all(|(track, top)| track == top), "{of_pair:?}");

    // Thresholds by other shares: the halves still fit, more strangers pass, and the model names what it named.
    let tuned = json(&["tune", text(&model), "--index", text(&index), "--accepted", "0.2", "--lost", "0.02"]);
    let share = |who: &str, what: &str| tuned[who][what].as_f64().unwrap();
    for (before, after) in [("client_before", "client"), ("server_before", "server")] {
        assert!(share(after, "unknown_accepted") <= 0.25 && share(after, "known_lost") <= 0.05, "{tuned}");
        assert!((0.001..=0.5).contains(&share(before, "known_lost")), "{tuned}");
    }
    assert!(std::fs::read_to_string(model.join("card.md")).unwrap().contains("tuned, on held-out"));
    json(&["library", "check", text(&model)]);
    for protocol in ["flat", "decided"] {
        let arguments = ["identify", text(&model), text(&clips[9]), "--key", text(&key), "--protocol", protocol];
        let answer = json(&arguments);
        assert!(answer["identified"][0]["known"].as_bool().unwrap(), "{answer}");
    }
    let elsewhere = path("elsewhere");
    json(&["index", "--synth", "6", "--out", text(&elsewhere)]);
    let refused = refusal(&["tune", text(&model), "--index", text(&elsewhere)]);
    assert!(refused.contains("is not in the index"), "{refused}");
}

#[test]
fn the_demo_names_its_own_music() {
    let home = tempfile::tempdir().unwrap();
    let kept = |name: &str| home.path().join(name);
    let answer = json(&["demo", "--tracks", "24", "--out", text(home.path())]);
    let (right, asked) = (answer["right"].as_u64().unwrap(), answer["asked"].as_u64().unwrap());
    assert_eq!(asked, 35, "five known and two unknown clips in five protocols");
    assert!(right >= 30, "{right} of {asked}: {answer}");
    // Everything is kept, and what the demo suggests works.
    let clips = std::fs::read_dir(kept("clips")).unwrap().count();
    assert!(clips == 7 && kept("client.eval").exists() && kept("model/train.toml").exists() && kept("index").is_dir());
    let clip = kept("clips/known-1.wav");
    let again = json(&["identify", text(&kept("model")), text(&clip), "--key", text(&kept("client.key"))]);
    assert_eq!(again["identified"][0]["best"][0]["track_id"], answer["answers"][0]["best"][0]["track_id"]);
}

#[test]
fn what_is_missing_is_named() {
    let home = tempfile::tempdir().unwrap();
    let nowhere = home.path().join("nowhere");
    assert!(refusal(&["train", "--index", text(&nowhere), "--out", text(home.path())]).contains("nowhere"));
    assert!(refusal(&["inspect", text(&nowhere)]).contains("nowhere"));
    assert!(refusal(&["identify", text(&nowhere), "clip.mp3"]).contains("nowhere"));
    for (arguments, sentence) in [
        (&["identify"][..], "no MODEL and no FILE"),
        (&["identify", text(&nowhere)], "no FILE"),
        (&["identify", "--server", "http://127.0.0.1:1"], "no FILE"),
        (&["identify", "--server", "http://127.0.0.1:1", "clip.mp3"], "http://127.0.0.1:1 does not answer"),
        (&["identify", "--server", "http://music.example.org", "clip.mp3"], "https"),
        (&["identify", "--server", "music.example.org", "clip.mp3"], "https://"),
        (&["identify", text(&nowhere), "clip.mp3", "--model", "a"], "--server"),
        (&["identify", text(&nowhere), "clip.mp3", "--continuous"], "--listen, or `-`"),
        (&["identify", text(&nowhere), "clip.mp3", "--listen"], "leave out clip.mp3"),
    ] {
        let refused = refusal(arguments);
        assert!(refused.contains(sentence), "{arguments:?}: {refused}");
    }
    assert!(refusal(&["demo", "--music", text(home.path())]).contains("expected at least"));
    assert!(refusal(&["index", "--out", text(&nowhere)]).contains("--music"));
    assert!(refusal(&["evaluate", "--index", text(&nowhere)]).contains("MODEL"));
}
