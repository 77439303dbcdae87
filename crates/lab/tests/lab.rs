//! Experiments end to end, on a few composed tracks.

use std::io::Read as _;
use std::path::Path;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use indicatif::ProgressBar;
use sordino_lab::evaluate::{Finding, Row};
use sordino_lab::{Lab, Monitor, Music, Question, Results, Silent, Size};
use sordino_learn::run::{Progress, Quiet};

const RUN: &str = r#"
    question = "Does <everything> work?"
    tables = ["queries"]
    [[grid]]
    title = "ours"
    tracks = [24]
    asked = 8
    effort = ["quick"]
    conditions = ["clean", "10dB"]
    crops = 1
    probes = [1]
    unknown = 0.25
    encrypted = 1
    keys = 1
    [[grid]]
    title = "landmarks"
    tracks = [24]
    asked = 8
    systems = ["landmarks"]
    conditions = ["clean"]
    crops = 1
    [[figure]]
    title = "By condition"
    x = "condition"
    y = "top_1"
    series = ["system", "protocol"]
"#;

/// Counts how often something is trained, and keeps what is noted.
#[derive(Default)]
struct Counting(AtomicUsize, Mutex<Vec<String>>);

impl Monitor for Counting {
    fn note(&self, line: &str) {
        self.1.lock().unwrap().push(line.to_owned());
    }

    fn bar(&self, _length: u64, _what: &'static str) -> ProgressBar {
        ProgressBar::hidden()
    }

    fn training(&self) -> Box<dyn Progress> {
        self.0.fetch_add(1, Ordering::Relaxed);
        Box::new(Quiet)
    }
}

fn question(folder: &Path) -> Question {
    std::fs::write(folder.join("run.toml"), RUN).unwrap();
    Question::read(folder, Size::Full).unwrap()
}

#[test]
fn an_experiment_is_run_once_and_reported() {
    let folder = tempfile::tempdir().unwrap();
    let question = question(folder.path());
    let (music, cache, watch) = (Music::default(), folder.path().join("cache"), Counting::default());
    let findings = Lab::new(&music, &cache, &watch).run(&question).unwrap();
    let rows: Vec<Row> = findings.iter().flat_map(Finding::rows).collect();
    assert_eq!(watch.0.load(Ordering::Relaxed), 1);

    let clear = |precision: &str| rows.iter().filter(|row| row.method.precision == precision).collect::<Vec<_>>();
    assert_eq!(clear("integer").len(), 4, "two protocols under two conditions");
    for row in clear("integer") {
        let subject = &row.subject;
        assert_eq!((row.queries, row.unknown_queries, subject.tracks, subject.recorded), (6, 2, 24, 0));
        assert!(row.top_1.unwrap() >= 80.0, "{row:?}");
    }
    for row in clear("encrypted") {
        assert_eq!((row.equal, row.queries + row.unknown_queries, row.condition.as_str()), (Some(1), 1, "mixed"));
    }
    let landmarks = rows.iter().find(|row| row.subject.system == "landmarks").unwrap();
    assert!(landmarks.top_1.unwrap() > 80.0 && landmarks.located.unwrap() > 80.0, "{landmarks:?}");

    // What is done is not done again.
    let again = Lab::new(&music, &cache, &watch).run(&question).unwrap();
    assert_eq!((again == findings, watch.0.load(Ordering::Relaxed)), (true, 1));

    // What is damaged is, with a word, whatever bit it is.
    let units = std::fs::read_dir(cache.join("units")).unwrap().map(|entry| entry.unwrap().path());
    let mut landmarks = units.filter(|path| std::fs::read_to_string(path).unwrap().contains("landmarks"));
    let unit = landmarks.next().unwrap();
    let whole = std::fs::read(&unit).unwrap();
    for place in [5, 64, whole.len() / 2, whole.len() - 2] {
        let mut flipped = whole.clone();
        flipped[place] ^= 1 << (place % 8);
        std::fs::write(&unit, flipped).unwrap();
        watch.1.lock().unwrap().clear();
        let repeated = Lab::new(&music, &cache, &watch).run(&question).unwrap();
        assert!(watch.1.lock().unwrap().iter().any(|line| line.contains("damaged")), "byte {place}");
        let shares = |findings: &[Finding]| -> Vec<_> {
            findings.iter().flat_map(Finding::rows).map(|row| (row.top_1, row.queries)).collect()
        };
        assert_eq!(shares(&repeated), shares(&findings));
    }

    let results = folder.path().join("results");
    let sources = music.sources();
    Results::new(vec!["sordino".into()], Size::Full, sources, findings).write(&results, &question).unwrap();
    let report = std::fs::read_to_string(results.join("report.html")).unwrap();
    assert!(report.contains("Does &lt;everything&gt; work?") && report.contains("<svg"));
    let mut csv = csv::Reader::from_path(results.join("rows.csv")).unwrap();
    assert_eq!(csv.records().count(), rows.len());
    let mut queries = String::new();
    let compressed = std::fs::File::open(results.join("queries.csv.gz")).unwrap();
    flate2::read::GzDecoder::new(compressed).read_to_string(&mut queries).unwrap();
    let columns =
        "grid,system,tracks,seconds,fold,track,crop,offset,condition,room,in_library,protocol,probes,precision,top,";
    assert!(queries.starts_with(columns), "{}", queries.lines().next().unwrap());
    assert!(!results.join("rooms.csv").exists(), "a table that nobody asked for");
}

#[test]
fn what_cannot_be_read_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let missing = Question::read(folder.path(), Size::Smoke).unwrap_err().to_string();
    assert!(missing.contains("run.toml"), "{missing}");
    std::fs::write(folder.path().join("run.toml"), "question = 3").unwrap();
    let broken = Question::read(folder.path(), Size::Smoke).unwrap_err().to_string();
    assert!(broken.contains("run.toml") && broken.contains("question"), "{broken}");
}

#[test]
fn a_figure_of_a_column_that_does_not_exist_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let text = RUN.replace("x = \"condition\"", "x = \"weather\"").replace("encrypted = 1", "encrypted = 0");
    std::fs::write(folder.path().join("run.toml"), text).unwrap();
    let question = Question::read(folder.path(), Size::Full).unwrap();
    let results = Results::new(Vec::new(), Size::Full, Default::default(), Vec::new());
    let error = results.write(&folder.path().join("results"), &question).unwrap_err().to_string();
    assert!(error.contains("weather"), "{error}");
}

/// Every experiment of the project, at its smallest: does it run, and can its figures be drawn?
#[test]
fn every_experiment_runs_at_its_smallest() {
    let experiments = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../experiments");
    let folder = tempfile::tempdir().unwrap();
    let (music, cache) = (Music::default(), folder.path().join("cache"));
    let mut run = 0;
    for entry in std::fs::read_dir(&experiments).unwrap() {
        let experiment = entry.unwrap().path();
        if !experiment.join("run.toml").exists() {
            continue;
        }
        for size in Size::ALL {
            Question::read(&experiment, size).unwrap();
        }
        let question = Question::read(&experiment, Size::Smoke).unwrap();
        let findings = Lab::new(&music, &cache, &Silent).run(&question).unwrap();
        let results = folder.path().join(experiment.file_name().unwrap());
        Results::new(Vec::new(), Size::Smoke, music.sources(), findings).write(&results, &question).unwrap();
        let report = std::fs::read_to_string(results.join("report.html")).unwrap();
        assert_eq!(report.matches("<svg").count(), question.figures.len(), "{}", experiment.display());
        run += 1;
    }
    assert!(run >= 8, "{run} experiments");
}
