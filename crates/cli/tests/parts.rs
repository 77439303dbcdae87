//! Work in parts gives what one run gives: indexes, models and evaluations, to the byte; and the scripts that hand parts to a cluster.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use ndarray::{Array1, Array3};
use sordino_front::{Activation, Conv1d, Network, Pool, Step};
use sordino_model::files::network_to_bytes;

/// Three blocks of tracks and two shards of an index.
const TRACKS: &str = "140";
const EFFORT: [&str; 8] =
    ["--effort", "quick", "--config", "few.toml", "--split-seed", "3", "--network", "own.safetensors"];

/// A network of somebody's own, so that parts hear through one as the whole does.
fn network(bias: f32) -> Vec<u8> {
    let weight = Array3::from_shape_fn((4, 64, 3), |(out, band, tap)| ((out + 3 * band + 7 * tap) % 5) as f32 / 5.0);
    let conv = Conv1d { weight, bias: Array1::from_elem(4, bias), stride: 2, dilation: 1, padding: 0 };
    let steps = vec![Step::Conv1d(conv), Step::Activation(Activation::Relu)];
    network_to_bytes(&Network::new(64, steps, Pool::MeanStd, vec![]).unwrap()).unwrap()
}

/// A folder of settings for a small model, in which programs are run.
struct Place(tempfile::TempDir);

impl Place {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("few.toml"), "clips_per_track = 8\nleast_clips = 0\nunknown.clips = 1\n").unwrap();
        fs::write(folder.path().join("own.safetensors"), network(0.0)).unwrap();
        Self(folder)
    }

    fn try_run(&self, arguments: &[&str]) -> Result<(), String> {
        let output = Command::new(env!("CARGO_BIN_EXE_sordino")).args(arguments).current_dir(&self.0).output().unwrap();
        output.status.success().then_some(()).ok_or_else(|| String::from_utf8_lossy(&output.stderr).into_owned())
    }

    fn run(&self, arguments: &[&str]) {
        self.try_run(arguments).unwrap_or_else(|error| panic!("{arguments:?}: {error}"));
    }

    /// Every file below a folder, with its bytes.
    fn files(&self, folder: &str) -> Vec<(PathBuf, Vec<u8>)> {
        fn walk(folder: &Path, root: &Path, files: &mut Vec<(PathBuf, Vec<u8>)>) {
            for entry in fs::read_dir(folder).unwrap() {
                let path = entry.unwrap().path();
                if path.is_dir() {
                    walk(&path, root, files);
                } else {
                    files.push((path.strip_prefix(root).unwrap().to_owned(), fs::read(&path).unwrap()));
                }
            }
        }
        let (root, mut files) = (self.0.path().join(folder), Vec::new());
        walk(&root, &root, &mut files);
        files.sort();
        files
    }

    fn same(&self, one: &str, other: &str) {
        let (one_files, other_files) = (self.files(one), self.files(other));
        let names = |files: &[(PathBuf, Vec<u8>)]| files.iter().map(|(name, _)| name.clone()).collect::<Vec<_>>();
        assert_eq!(names(&one_files), names(&other_files));
        for ((name, bytes), (_, others)) in one_files.iter().zip(&other_files) {
            assert!(bytes == others, "{} differs between {one} and {other}", name.display());
        }
    }
}

#[test]
fn parts_give_what_one_run_gives() {
    let place = Place::new();
    let index = ["index", "--synth", TRACKS, "--query-seconds", "8", "--out"];
    place.run(&[&index[..], &["index"]].concat());
    // The last part first, one of them twice, and one that has no shard.
    for part in ["3/3", "1/3", "2/3", "1/3"] {
        place.run(&[&index[..], &["again", "--part", part]].concat());
    }
    place.run(&[&index[..], &["again"]].concat());
    place.same("index", "again");
    let refused = place.try_run(&[&index[..], &["again", "--part", "1/3"]].concat()).unwrap_err();
    assert!(refused.contains("complete index") && refused.contains("without a part"), "{refused}");

    let train = |out: &'static str| [&["train", "--index", "index", "--out", out][..], &EFFORT].concat();
    place.run(&train("whole/model"));
    let parts = [&train("parts/model")[..], &["--parts", "between"]].concat();
    let early = place.try_run(&[&parts[..], &["--merge"]].concat()).unwrap_err();
    assert!(early.contains("run every part first"), "{early}");
    let alone = place.try_run(&parts).unwrap_err();
    assert!(alone.contains("--part I/N") && alone.contains("--merge"), "{alone}");
    for step in 0..3 {
        assert!(!place.0.path().join("parts/model/server").exists(), "a model after {step} steps");
        for part in ["2/2", "1/2"] {
            place.run(&[&parts[..], &["--part", part]].concat());
        }
        place.run(&[&parts[..], &["--merge"]].concat());
    }
    place.same("whole/model", "parts/model");
    // Parts of another network do not go on, although its file has the same name.
    fs::write(place.0.path().join("own.safetensors"), network(0.5)).unwrap();
    let other = place.try_run(&[&parts[..], &["--part", "1/2"]].concat()).unwrap_err();
    assert!(other.contains("other settings"), "{other}");
    fs::write(place.0.path().join("own.safetensors"), network(0.0)).unwrap();
    // The same through storage that is no folder to the program, and holds no more than the parts' files.
    fs::create_dir(place.0.path().join("bucket")).unwrap();
    let bucket = format!("file://{}", place.0.path().join("bucket").display());
    let stored = [&train("stored/model")[..], &["--parts", &bucket]].concat();
    for _ in 0..3 {
        for part in ["1/2", "2/2"] {
            place.run(&[&stored[..], &["--part", part]].concat());
        }
        place.run(&[&stored[..], &["--merge"]].concat());
    }
    place.same("whole/model", "stored/model");
    place.same("between", "bucket");

    let ask = |out: &'static str| {
        [
            "evaluate",
            "whole/model",
            "--index",
            "index",
            "--crops",
            "1",
            "--conditions",
            "clean,5dB+reverb",
            "--out",
            out,
        ]
    };
    place.run(&ask("asked"));
    for part in ["2/2", "1/2"] {
        place.run(&[&ask("asked-in-parts")[..], &["--part", part]].concat());
    }
    place.run(&[&ask("asked-in-parts")[..], &["--merge"]].concat());
    for table in ["rows.csv", "queries.csv", "rooms.csv"] {
        let read = |folder: &str| fs::read(place.0.path().join(folder).join(table)).unwrap();
        assert!(read("asked") == read("asked-in-parts"), "{table}");
    }
    let other = ["evaluate", "whole/model", "--index", "index", "--crops", "2", "--out", "asked-in-parts", "--merge"];
    assert!(place.try_run(&other).unwrap_err().contains("other options"));
}

/// A stand-in for Slurm's `sbatch`: it runs a job at once, an array's tasks one after another, and refuses a job that waits for one that
/// nobody has submitted.
const SBATCH: &str = r#"#!/bin/sh
set -eu
array=; wrap=; after=
for argument; do
  case $argument in
    --array=1-*) array=${argument#--array=1-} ;;
    --dependency=afterok:*) after=${argument#--dependency=afterok:} ;;
    --wrap=*) wrap=${argument#--wrap=} ;;
  esac
done
[ -z "$after" ] || [ -e "job-$after" ] || { echo "no job $after" >&2; exit 1; }
job=$(ls | grep -c '^job-' || true)
if [ -n "$array" ]; then
  for task in $(seq "$array"); do SLURM_ARRAY_TASK_ID=$task sh -c "$wrap" >&2; done
else
  sh -c "$wrap" >&2
fi
: > "job-$job"
echo "$job"
"#;

#[cfg(unix)]
#[test]
fn slurm_trains_in_parts() {
    use std::os::unix::fs::PermissionsExt;
    let place = Place::new();
    place.run(&["index", "--synth", TRACKS, "--out", "index"]);
    let bin = place.0.path().join("bin");
    fs::create_dir(&bin).unwrap();
    fs::write(bin.join("sbatch"), SBATCH).unwrap();
    fs::set_permissions(bin.join("sbatch"), fs::Permissions::from_mode(0o755)).unwrap();
    let program = Path::new(env!("CARGO_BIN_EXE_sordino"));
    let path = format!("{}:{}:{}", bin.display(), program.parent().unwrap().display(), std::env::var("PATH").unwrap());
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../deploy/parts/slurm.sh");
    let train = [&["sordino", "train", "--index", "index", "--out", "model", "--parts", "parts"][..], &EFFORT].concat();
    let output =
        Command::new("sh").arg(script).arg("2").args(train).env("PATH", path).current_dir(&place.0).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    assert!(place.0.path().join("model/server/model.json").exists());
    assert_eq!(place.files(".").iter().filter(|(name, _)| name.to_string_lossy().starts_with("job-")).count(), 6);
}

#[test]
fn parts_of_an_index_may_begin_at_once() {
    for round in 0..3 {
        let place = Place::new();
        let parts: Vec<_> = (1..=6)
            .map(|part| {
                let part = format!("{part}/6");
                let arguments = ["index", "--synth", "12", "--out", "index", "--part", &part];
                let mut program = Command::new(env!("CARGO_BIN_EXE_sordino"));
                program.args(arguments).current_dir(&place.0).stdout(Stdio::null()).stderr(Stdio::piped());
                program.spawn().unwrap()
            })
            .collect();
        for part in parts {
            let output = part.wait_with_output().unwrap();
            assert!(output.status.success(), "round {round}: {}", String::from_utf8_lossy(&output.stderr));
        }
        place.run(&["index", "--synth", "12", "--out", "index"]);
        assert!(place.files("index").iter().all(|(name, _)| !name.to_string_lossy().ends_with(".tmp")));
    }
}
