//! `sordino lab` as its users run it: planned, in parts by a script, merged.

use std::path::Path;
use std::process::{Command, Output};

const QUESTION: &str = r#"
    question = "Who is cheap?"
    [[grid]]
    title = "cheap"
    tracks = [8]
    asked = 4
    systems = ["landmarks", "mfcc-tree"]
    seconds = [5.0]
    conditions = ["clean"]
    crops = 1
    [[figure]]
    title = "Who"
    x = "system"
    y = "top_1"
    [[figure]]
    title = "Nobody"
    x = "system"
    y = "top_1"
    where = { condition = ["5dB"] }
"#;

fn lab(home: &Path, arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_sordino")).current_dir(home).arg("lab").args(arguments).output().unwrap()
}

fn done(home: &Path, arguments: &[&str]) -> String {
    let output = lab(home, arguments);
    assert!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

/// The rows of results without times and memory, which no two runs share.
fn rows(home: &Path, out: &str) -> Vec<Vec<String>> {
    let text = std::fs::read_to_string(home.join(out).join("rows.csv")).unwrap();
    let lines: Vec<Vec<&str>> = text.lines().map(|line| line.split(',').collect()).collect();
    let kept: Vec<usize> = (0..lines[0].len())
        .filter(|&column| !lines[0][column].ends_with("_seconds") && lines[0][column] != "training_gigabytes")
        .collect();
    lines.iter().map(|line| kept.iter().map(|&column| line[column].to_owned()).collect()).collect()
}

#[test]
fn an_array_of_jobs_gives_the_rows_of_one_run() {
    let home = tempfile::tempdir().unwrap();
    let home = home.path();
    std::fs::create_dir(home.join("an experiment")).unwrap();
    std::fs::write(home.join("an experiment/run.toml"), QUESTION).unwrap();
    let asked = ["an experiment", "--cache", "shared"];
    let plan = done(home, &[&["plan"], &asked[..]].concat());
    assert!(plan.contains("2 units, 2 of them to run") && plan.contains('?'), "{plan}");

    let script = done(home, &[&["plan"], &asked[..], &["--slurm", "2"]].concat());
    assert!(script.contains("#SBATCH --array=1-2"), "{script}");
    std::fs::write(home.join("jobs.sh"), &script).unwrap();
    let program = Path::new(env!("CARGO_BIN_EXE_sordino")).parent().unwrap();
    let path = format!("{}:{}", program.display(), std::env::var("PATH").unwrap_or_default());
    for task in ["1", "2"] {
        let early = lab(home, &[&["merge"], &asked[..]].concat());
        assert!(String::from_utf8_lossy(&early.stderr).contains("without a result"), "before part {task}");
        let job = Command::new("bash")
            .current_dir(home)
            .arg("jobs.sh")
            .env("PATH", &path)
            .env("SLURM_ARRAY_TASK_ID", task)
            .output()
            .unwrap();
        assert!(job.status.success(), "{}", String::from_utf8_lossy(&job.stderr));
    }
    done(home, &[&["merge"], &asked[..], &["--out", "merged"]].concat());
    let once = lab(home, &["run", "an experiment", "--cache", "own", "--out", "once"]);
    let notes = String::from_utf8_lossy(&once.stderr);
    assert!(once.status.success() && notes.contains("\"Nobody\" has nothing to show"), "{notes}");
    // Results are exported wherever they lie.
    done(home, &["export", "once", "--format", "csv,tex", "--out", "paper"]);
    let points = std::fs::read_to_string(home.join("paper/figure-1.csv")).unwrap();
    assert!(points.contains("landmarks") && home.join("paper/figure-1.tex").exists(), "{points}");
    assert_eq!(rows(home, "merged"), rows(home, "once"));
    // A cache elsewhere is as good.
    done(home, &["merge", "an experiment", "--cache", "empty", "--from", "own", "--out", "taken"]);
    assert_eq!(rows(home, "taken"), rows(home, "once"));
    let plan = done(home, &[&["plan"], &asked[..], &["--json"]].concat());
    let plan: serde_json::Value = serde_json::from_str(&plan).unwrap();
    assert!(plan["units"].as_array().unwrap().iter().all(|unit| unit["done"] == true), "{plan}");
}
